// Owns a folder of published revocation lists: its manifest, and how a set takes the place of the one
// before. Must not know where lists come from.
//
// Every file lies there twice: under a name that never gets other octets (issuing-7.crl), which the
// manifest gives, and under the one that addresses in certificates name (issuing.crl). First the new
// files are written, then the manifest, then the second names; each with write, fsync, rename. So whoever
// reads by the manifest sees one whole set, and whoever fetches one name a whole list. Files of the set
// before stay until the next one, for readers that are under way.
// Errors: kBadInput (the manifest or a file is not as written), kUnavailable (no access), kRefused.
// Threads: one; open() keeps others out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::ctl {

struct PublishedFile {
  std::string name;  // "issuing.crl"
  std::string file;  // "issuing-7.crl"
  std::string sha256;
  std::uint64_t bytes = 0;
};
struct PublishedEntry {
  PublishedFile place;
  std::string issuer;  // file of its certificate
  std::string scope;
  std::uint64_t number = 0;
  std::int64_t this_update_ms = 0, next_update_ms = 0;
};
struct PublishedCertificate {
  PublishedFile place;
  std::int64_t not_after_ms = 0;
};
struct Manifest {
  std::int64_t made_ms = 0;
  std::vector<PublishedEntry> lists;
  std::vector<PublishedCertificate> certificates;
  std::vector<std::string> earlier;  // files of the set before that are not in this one
  bool holds_file(const std::string& file) const;
};
inline constexpr const char* kManifestName = "manifest.json";
std::string manifest_json(const Manifest& manifest);
Result<Manifest> parse_manifest(std::string_view text);

class PublishFolder {
 public:
  // Takes the folder for this process; makes it if it is not there and `make`. kRefused: another publishes.
  static Result<PublishFolder> open(const std::string& path, bool make);

  // Absent: nothing was published here.
  Result<std::optional<Manifest>> manifest() const;
  Result<Bytes> read(const std::string& name) const;
  // One file's two names; same octets already there are not written again.
  Status put(const PublishedFile& place, ByteView octets) const;
  // The manifest, then the second names; then files that neither this set nor the one before holds go.
  Status finish(Manifest manifest, const std::optional<Manifest>& before) const;
  // Octets as the manifest says, under both names.
  Status check(const PublishedFile& place) const;

 private:
  PublishFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string at(const std::string& name) const { return path_ + "/" + name; }
  std::string path_;
  UniqueFd lock_;
};

}  // namespace keyward::ctl
