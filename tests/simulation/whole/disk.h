// Owns the simulated disk: the C library's file calls of this program, seen on their way. Must not
// know what the files mean.
//
// Files are real ones below a folder in memory. Of each change below an attached folder the disk
// keeps what it needs to take it back until the file (for names: the folder) was synced. A power cut
// makes an image in another folder: of what nobody synced some changes are there, some not, some in
// part. The calls are replaced by symbols of this program (docs/adr/0018-simulation.md), so the
// product is linked as it is, SQLite included. Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace keyward::simulation {

// A generator of our own: the same numbers from a seed on every machine (splitmix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t end) { return next() % end; }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

class Disk {
 public:
  static Disk& instance();

  void attach(const std::string& folder) { folders_.push_back(folder); }
  void detach(const std::string& folder);  // later changes there are nobody's
  void clear();

  // What the files of `folder` are after a power cut, written into `image`.
  void cut_power(const std::string& folder, const std::string& image, Random& random);
  // What they are when the process alone ended: all that was written.
  void end_process(const std::string& folder, const std::string& image);
  // Is anything below `path` not yet on the disk?
  bool has_unsynced(const std::string& path) const;

  // Before each change and each sync of an attached folder.
  std::function<void(const std::string& path)> on_call;
  // A planted bug: true leaves the sync of this file out.
  std::function<bool(const std::string& path)> leave_sync_out;

  // ---- for the replaced calls alone
  bool is_watched(const std::string& path) const;
  bool any_watched() const { return !folders_.empty(); }
  void before_write(int fd, const std::string& path, std::uint64_t offset, std::uint64_t size);
  void after_write(int fd);
  void before_truncate(int fd, const std::string& path, std::uint64_t size);
  bool before_sync(int fd, const std::string& path);  // false: it was left out
  void created(const std::string& path);
  void before_rename(const std::string& from, const std::string& to);
  void before_unlink(const std::string& path);

 private:
  using Octets = std::vector<unsigned char>;
  struct Change {
    std::uint64_t offset = 0;
    Octets before;  // what stood there
    Octets after;   // filled in when the call is done
    std::uint64_t size_before = 0;
    std::uint64_t size_after = 0;
    std::uint64_t length = 0;
  };
  struct FileState {
    std::string path;
    std::vector<Change> changes;
  };
  enum class NameKind { kCreated, kRenamed, kUnlinked };
  struct NameChange {
    NameKind kind;
    std::string from;  // renamed: the old name
    std::string name;
    bool had = false;  // there was a file under the name
    Octets content;    // its content
  };
  Octets crashed(Octets live, const std::vector<Change>& changes, Random& random) const;
  void call(const std::string& path);

  std::vector<std::string> folders_;
  std::map<ino_t, FileState> files_;
  std::map<std::string, std::vector<NameChange>> names_;  // by folder, with '/'
};

}  // namespace keyward::simulation
