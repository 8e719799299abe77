#include "firmware/audit/bundle.h"

#include <algorithm>
#include <array>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/issue/record_file.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::audit {
namespace {

constexpr std::string_view kMagic = "keyward-audit 1\n";
constexpr std::size_t kPartHeadBytes = 17, kCopyBytes = 1u << 18;
constexpr std::size_t kPartsMax = limits::kLedgerSegmentsMax + 8;

void put_u64(std::uint8_t* to, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) to[i] = static_cast<std::uint8_t>(value);
}

std::uint64_t get_u64(const std::uint8_t* from) {
  std::uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out = out << 8 | from[i];
  return out;
}

Result<std::uint64_t> size_of(const std::string& path) {
  struct ::stat facts {};
  if (::stat(path.c_str(), &facts) != 0)
    return fail(ErrorKind::kUnavailable, "a file of the ledger cannot be read", errno);
  return static_cast<std::uint64_t>(facts.st_size);
}

// Segments by their names; what else lies there is no row.
Result<std::vector<std::uint64_t>> segments_in(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return fail(ErrorKind::kUnavailable, "cannot open the ledger directory", errno);
  std::vector<std::uint64_t> out;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    char* end = nullptr;
    const auto first = ::strtoull(name.c_str(), &end, 10);
    if (issue::segment_path("", first) != "/" + name) continue;
    if (out.size() >= limits::kLedgerSegmentsMax)
      return fail(ErrorKind::kExhausted, "too many ledger segments");
    out.push_back(first);
  }
  std::sort(out.begin(), out.end());
  return out;
}

class BundleWriter {
 public:
  BundleWriter(FilePointer file, std::uint64_t all, const BundleProgress& progress)
      : file_(std::move(file)), all_(all), progress_(progress) {}

  Status magic() { return put(view_of(kMagic)); }
  Status part(Section section, std::uint64_t number, std::uint64_t size) {
    std::array<std::uint8_t, kPartHeadBytes> head{};
    head[0] = static_cast<std::uint8_t>(section);
    put_u64(&head[1], number);
    put_u64(&head[9], size);
    return put(head);
  }
  // As much as it had when asked: a running signer appends behind it.
  Status copy(Section section, std::uint64_t number, const std::string& path) {
    KEYWARD_TRY(size, size_of(path));
    const FilePointer in(std::fopen(path.c_str(), "rbe"));
    if (!in) return fail(ErrorKind::kUnavailable, "a file of the ledger cannot be read", errno);
    KEYWARD_CHECK(part(section, number, size));
    Bytes buffer(kCopyBytes);
    for (std::uint64_t left = size; left > 0;) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
      if (std::fread(buffer.data(), 1, wanted, in.get()) != wanted)
        return fail(ErrorKind::kUnavailable, "a file of the ledger became shorter", errno);
      KEYWARD_CHECK(put(ByteView(buffer).first(wanted)));
      left -= wanted;
      if (progress_) progress_(written_, all_);
    }
    return {};
  }
  Result<std::uint64_t> finish() {
    KEYWARD_CHECK(part(Section::kEnd, written_, 0));
    if (std::fflush(file_.get()) != 0 || ::fsync(::fileno(file_.get())) != 0)
      return fail(ErrorKind::kUnavailable, "the file cannot be written", errno);
    return written_;
  }

 private:
  Status put(ByteView octets) {
    if (std::fwrite(octets.data(), 1, octets.size(), file_.get()) != octets.size())
      return fail(ErrorKind::kUnavailable, "the file cannot be written", errno);
    written_ += octets.size();
    return {};
  }
  FilePointer file_;
  std::uint64_t all_;
  const BundleProgress& progress_;
  std::uint64_t written_ = 0;
};

Result<std::uint64_t> write_parts(BundleWriter& out, const BundleSources& sources,
                                  const std::vector<std::uint64_t>& segments) {
  KEYWARD_CHECK(out.magic());
  if (file_exists(sources.heads_path))
    KEYWARD_CHECK(out.copy(Section::kHeads, 0, sources.heads_path));
  KEYWARD_CHECK(out.copy(Section::kChain, 0, sources.chain_path));
  if (file_exists(sources.audit_path))
    KEYWARD_CHECK(out.copy(Section::kAudit, 0, sources.audit_path));
  for (const auto first : segments)
    KEYWARD_CHECK(
        out.copy(Section::kSegment, first, issue::segment_path(sources.ledger_directory, first)));
  return out.finish();
}

}  // namespace

Result<std::uint64_t> write_bundle(const BundleSources& sources, const std::string& out,
                                   const BundleProgress& progress) {
  KEYWARD_TRY(segments, segments_in(sources.ledger_directory));
  std::uint64_t all = 0;
  for (const auto first : segments) {
    KEYWARD_TRY(size, size_of(issue::segment_path(sources.ledger_directory, first)));
    all += size;
  }
  const int fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(errno == EEXIST ? ErrorKind::kRefused : ErrorKind::kUnavailable,
                errno == EEXIST ? "the file exists" : "the file cannot be made", errno);
  FilePointer file(::fdopen(fd, "wb"));
  if (!file) {
    ::close(fd);
    return fail(ErrorKind::kUnavailable, "the file cannot be made", errno);
  }
  BundleWriter writer(std::move(file), all, progress);
  auto written = write_parts(writer, sources, segments);
  if (!written) ::unlink(out.c_str());
  return written;
}

Result<Bundle> Bundle::open(const std::string& path) {
  FilePointer file(std::fopen(path.c_str(), "rbe"));
  if (!file) return fail(ErrorKind::kUnavailable, "cannot open the file", errno);
  Bundle out(std::move(file));
  KEYWARD_TRY(size, size_of(path));
  std::array<std::uint8_t, kMagic.size()> magic{};
  if (!out.read(0, magic.data(), magic.size()) || text_of(magic) != kMagic)
    return fail(ErrorKind::kBadInput, "not an export of a ledger");
  std::uint64_t at = kMagic.size();
  while (out.parts_.size() < kPartsMax) {
    std::array<std::uint8_t, kPartHeadBytes> head{};
    if (!out.read(at, head.data(), head.size())) break;
    const Part part{static_cast<Section>(head[0]), get_u64(&head[1]), at + kPartHeadBytes,
                    get_u64(&head[9])};
    if (part.section == Section::kEnd) {
      if (part.number != at || part.offset != size) break;
      return out;
    }
    if (part.size > size - part.offset) break;
    out.parts_.push_back(part);
    at = part.offset + part.size;
  }
  return fail(ErrorKind::kCorrupt, "the export was cut or damaged on its way: take it again");
}

Result<std::string> Bundle::text(Section section, std::size_t bytes_max) {
  std::string out;
  for (const auto& part : parts_) {
    if (part.section != section) continue;
    if (part.size > bytes_max) return fail(ErrorKind::kExhausted, "a part is too long");
    out.resize(part.size);
    KEYWARD_CHECK(read(part.offset, reinterpret_cast<std::uint8_t*>(out.data()), out.size()));
    return out;
  }
  return out;
}

Status Bundle::read(std::uint64_t offset, std::uint8_t* to, std::size_t size) {
  // Seeking drops what was read ahead: not where we stand already.
  if (static_cast<std::uint64_t>(::ftello(file_.get())) != offset &&
      ::fseeko(file_.get(), static_cast<::off_t>(offset), SEEK_SET) != 0)
    return fail(ErrorKind::kUnavailable, "cannot read the file", errno);
  if (std::fread(to, 1, size, file_.get()) != size)
    return fail(ErrorKind::kCorrupt, "the file ends early");
  return {};
}

RecordCursor::RecordCursor(Bundle& bundle) : bundle_(bundle) {
  for (const auto& part : bundle.parts()) {
    if (part.section == Section::kSegment) segments_.push_back(part);
  }
}

Result<bool> RecordCursor::next(Record& out) {
  while (index_ < segments_.size() && at_ >= segments_[index_].size) {
    ++index_;
    at_ = 0;
  }
  if (index_ >= segments_.size()) return false;
  const auto& segment = segments_[index_];
  out = Record{State::kWhole, segment.number, at_, {}, {}, index_ + 1 == segments_.size()};
  const std::uint64_t left = segment.size - at_;
  const auto give_up = [&](State state) {
    out.state = state;
    at_ = segment.size;
    return true;
  };
  if (left < issue::kRecordHeadBytes) return give_up(State::kCut);
  std::array<std::uint8_t, issue::kRecordHeadBytes> head{};
  KEYWARD_CHECK(bundle_.read(segment.offset + at_, head.data(), head.size()));
  const auto length = static_cast<std::uint32_t>(get_u64(head.data()) >> 32);
  const auto inverted = static_cast<std::uint32_t>(get_u64(head.data()));
  if (length != ~inverted || length > limits::kLedgerRowBytesMax) return give_up(State::kFrame);
  const std::uint64_t whole = issue::kRecordHeadBytes + length + issue::kRecordTailBytes;
  if (left < whole) return give_up(State::kCut);
  out.body.resize(length);
  KEYWARD_CHECK(bundle_.read(segment.offset + at_ + head.size(), out.body.data(), out.body.size()));
  Digest256 stored{};
  KEYWARD_CHECK(
      bundle_.read(segment.offset + at_ + head.size() + length, stored.data(), stored.size()));
  out.digest = crypto::sha256(out.body);
  if (out.digest != stored) out.state = State::kDigest;
  at_ += whole;
  return true;
}

}  // namespace keyward::audit
