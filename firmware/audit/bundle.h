// Owns the file that an auditor takes away: heads, certificates and the ledger's segments as they
// lie on the disk, one after the other, octet for octet (docs/ledger.md). Must not judge them.
//
// Written and read in bounded memory. A file that was cut on its way is told from a ledger that was
// cut: it does not end with its end mark. Errors: kUnavailable (disk), kBadInput (not such a file),
// kCorrupt (cut). Threads: one.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::audit {

enum class Section : std::uint8_t {
  kHeads = 'H',
  kChain = 'C',    // PEM: issuing CA and what is above it
  kAudit = 'A',    // PEM: certificates of audit keys
  kSegment = 'S',  // number: that of its first row
  kEnd = 'E',
};

struct BundleSources {
  std::string ledger_directory;
  std::string heads_path;  // need not be there
  std::string chain_path;
  std::string audit_path;  // need not be there
};
using BundleProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t all_bytes)>;
// Beside a running signer: the heads are taken first, so that no head is ahead of the rows. `out` is
// made new (kRefused if it exists), mode 0600. Returns its size.
Result<std::uint64_t> write_bundle(const BundleSources& sources, const std::string& out,
                                   const BundleProgress& progress);

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePointer = std::unique_ptr<std::FILE, FileCloser>;

class Bundle {
 public:
  struct Part {
    Section section{};
    std::uint64_t number = 0;
    std::uint64_t offset = 0;  // in the file
    std::uint64_t size = 0;
  };
  static Result<Bundle> open(const std::string& path);
  Result<std::string> text(Section section, std::size_t bytes_max);  // empty: not in it
  const std::vector<Part>& parts() const { return parts_; }
  // Exactly so many octets from there; kCorrupt at the end.
  Status read(std::uint64_t offset, std::uint8_t* to, std::size_t size);

 private:
  explicit Bundle(FilePointer file) : file_(std::move(file)) {}
  FilePointer file_;
  std::vector<Part> parts_;
};

// One record of a segment after the other, as octets: nothing is believed.
class RecordCursor {
 public:
  enum class State : std::uint8_t {
    kWhole = 1,
    kDigest = 2,  // framed, but the digest is another
    kFrame = 3,   // no record begins here: nothing after it in this segment can be read
    kCut = 4,     // the segment ends inside it
  };
  struct Record {
    State state = State::kWhole;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;  // in the segment
    Bytes body;
    Digest256 digest{};  // of the body as it is
    bool last_segment = false;
  };
  explicit RecordCursor(Bundle& bundle);
  // False: no more.
  Result<bool> next(Record& out);

 private:
  Bundle& bundle_;
  std::vector<Bundle::Part> segments_;
  std::size_t index_ = 0;
  std::uint64_t at_ = 0;
};

}  // namespace keyward::audit
