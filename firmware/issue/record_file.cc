#include "firmware/issue/record_file.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kReadAheadBytes = 1u << 20;

void put_u32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t get_u32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 |
         static_cast<std::uint32_t>(at[2]) << 8 | at[3];
}

Bytes frame_of(ByteView body, const Digest256& digest) {
  Bytes out;
  out.reserve(kRecordHeadBytes + body.size() + kRecordTailBytes);
  const auto length = static_cast<std::uint32_t>(body.size());
  put_u32(out, length);
  put_u32(out, ~length);
  append(out, body);
  append(out, digest);
  return out;
}

// Reads up to `size` octets at `offset`; fewer only at the end of the file.
Result<Bytes> read_at(int fd, std::uint64_t offset, std::size_t size) {
  Bytes out(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(fd, out.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::kUnavailable, "cannot read a record file", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return out;
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// A forward reader with a window, so that a scan costs one read per MiB.
class Window {
 public:
  Window(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  std::uint64_t left(std::uint64_t at) const { return size_ - at; }
  Result<ByteView> view(std::uint64_t at, std::size_t want) {
    if (at < start_ || at + want > start_ + bytes_.size()) {
      KEYWARD_TRY(bytes, read_at(fd_, at, std::max(want, kReadAheadBytes)));
      bytes_ = std::move(bytes);
      start_ = at;
    }
    if (bytes_.size() < at - start_ + want)
      return fail(ErrorKind::kUnavailable, "a record file shrank while it was read");
    return ByteView(bytes_).subspan(static_cast<std::size_t>(at - start_), want);
  }

 private:
  int fd_;
  std::uint64_t size_;
  std::uint64_t start_ = 0;
  Bytes bytes_;
};

RecordScan torn(RecordScan scan, std::uint64_t left) {
  scan.tail = TailState::kTorn;
  scan.torn_bytes = left;
  return scan;
}

}  // namespace

Result<RecordScan> scan_records(const std::string& path, std::size_t body_bytes_max,
                                const RecordVisitor& visit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return fail(ErrorKind::kUnavailable, "cannot open a record file", errno);
  Window window(fd.get(), static_cast<std::uint64_t>(info.st_size));
  RecordScan scan;
  while (window.left(scan.good_bytes) > 0) {
    const auto at = scan.good_bytes;
    const auto left = window.left(at);
    if (left < kRecordHeadBytes) return torn(scan, left);
    KEYWARD_TRY(head, window.view(at, kRecordHeadBytes));
    const std::uint32_t length = get_u32(head.data());
    const std::uint64_t whole = kRecordHeadBytes + std::uint64_t{length} + kRecordTailBytes;
    if (get_u32(head.data() + 4) != ~length || length > body_bytes_max) {
      // Zeros up to the end: the file grew, its content never came (a power cut). Anything else is
      // damage.
      const auto rest_max = kRecordHeadBytes + body_bytes_max + kRecordTailBytes;
      if (left > rest_max)
        return fail(ErrorKind::kCorrupt, "a record's length is damaged",
                    static_cast<std::int64_t>(at));
      KEYWARD_TRY(rest, window.view(at, static_cast<std::size_t>(left)));
      if (all_zero(rest)) return torn(scan, left);
      return fail(ErrorKind::kCorrupt, "a record's length is damaged",
                  static_cast<std::int64_t>(at));
    }
    if (left < whole) return torn(scan, left);
    KEYWARD_TRY(record, window.view(at, static_cast<std::size_t>(whole)));
    const auto body = record.subspan(kRecordHeadBytes, length);
    const Digest256 digest = crypto::sha256(body);
    if (!equal(digest, record.subspan(kRecordHeadBytes + length))) {
      if (left == whole) return torn(scan, left);
      return fail(ErrorKind::kCorrupt, "a record's digest does not match",
                  static_cast<std::int64_t>(at));
    }
    KEYWARD_CHECK(visit(body, digest, at));
    scan.good_bytes += whole;
    ++scan.records;
  }
  return scan;
}

RecordFile::RecordFile(UniqueFd fd, std::size_t body_bytes_max, std::uint64_t size)
    : fd_(std::move(fd)), body_bytes_max_(body_bytes_max), written_(size), synced_(size) {}

Result<std::shared_ptr<RecordFile>> RecordFile::open(const std::string& path,
                                                     std::size_t body_bytes_max,
                                                     std::uint64_t keep_bytes) {
  const bool fresh = !file_exists(path);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return fail(ErrorKind::kUnavailable, "cannot open a record file", errno);
  auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > keep_bytes) {
    if (::ftruncate(fd.get(), static_cast<off_t>(keep_bytes)) != 0)
      return fail(ErrorKind::kUnavailable, "cannot cut a torn tail", errno);
    size = keep_bytes;
  }
  // Also what an earlier process wrote and never synced becomes durable here, before anyone relies
  // on it.
  if (::fsync(fd.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot sync a record file", errno);
  if (fresh) {
    const auto slash = path.rfind('/');
    KEYWARD_CHECK(sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  }
  return std::shared_ptr<RecordFile>(new RecordFile(std::move(fd), body_bytes_max, size));
}

Result<RecordFile::Place> RecordFile::append(ByteView body) {
  if (body.size() > body_bytes_max_)
    return fail(ErrorKind::kExhausted, "a record is over its limit");
  const Digest256 digest = crypto::sha256(body);
  const Bytes frame = frame_of(body, digest);
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(ErrorKind::kUnavailable, "the record file is broken");
  std::size_t done = 0;
  while (done < frame.size()) {
    const ssize_t wrote = ::write(fd_.get(), frame.data() + done, frame.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const int why = errno;
      // Half a record must not stand before the next one.
      if (::ftruncate(fd_.get(), static_cast<off_t>(written_)) != 0) broken_ = true;
      return fail(ErrorKind::kUnavailable, "cannot write a record", why);
    }
    done += static_cast<std::size_t>(wrote);
  }
  const Place place{written_, written_ + frame.size(), digest};
  written_ = place.end;
  return place;
}

Status RecordFile::sync(std::uint64_t end) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (broken_) return fail(ErrorKind::kUnavailable, "the record file is broken");
    if (synced_ >= end) return {};
    if (!sync_running_) break;
    synced_changed_.wait(lock);
  }
  sync_running_ = true;
  const auto target = written_;
  lock.unlock();
  const bool synced = ::fdatasync(fd_.get()) == 0;
  const int why = errno;
  lock.lock();
  sync_running_ = false;
  if (synced) {
    synced_ = std::max(synced_, target);
  } else {
    broken_ = true;
  }
  synced_changed_.notify_all();
  if (!synced) return fail(ErrorKind::kUnavailable, "cannot sync a record file", why);
  return {};
}

Result<Bytes> RecordFile::read(std::uint64_t offset) const {
  KEYWARD_TRY(head, read_at(fd_.get(), offset, kRecordHeadBytes));
  if (head.size() != kRecordHeadBytes) return fail(ErrorKind::kCorrupt, "no record at this place");
  const std::uint32_t length = get_u32(head.data());
  if (get_u32(head.data() + 4) != ~length || length > body_bytes_max_)
    return fail(ErrorKind::kCorrupt, "a record's length is damaged");
  KEYWARD_TRY(rest, read_at(fd_.get(), offset + kRecordHeadBytes, length + kRecordTailBytes));
  if (rest.size() != length + kRecordTailBytes) return fail(ErrorKind::kCorrupt, "a record is cut");
  const ByteView body(rest.data(), length);
  if (!equal(crypto::sha256(body), ByteView(rest).subspan(length)))
    return fail(ErrorKind::kCorrupt, "a record's digest does not match");
  rest.resize(length);
  return std::move(rest);
}

std::uint64_t RecordFile::size_bytes() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

bool RecordFile::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

}  // namespace keyward::issue
