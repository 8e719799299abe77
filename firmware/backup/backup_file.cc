// Writing and reading of a backup: see backup_file.h.
#include "firmware/backup/backup_file.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/crypto/envelope.h"
#include "firmware/json/json.h"
#include "firmware/recovery/box.h"
#include "hal/base/rng.h"

namespace keyward::backup {
namespace {

constexpr std::string_view kMagic = "keyward-backup 1\n";
constexpr std::string_view kPurpose = "keyward-backup-1 ";  // and the file's id
constexpr std::size_t kUnitBytesMax = 64;

Bytes big_endian(std::uint64_t value, std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[size - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
  return out;
}
std::uint64_t number_of(ByteView octets) {
  std::uint64_t out = 0;
  for (const auto octet : octets) out = out << 8 | octet;
  return out;
}

Bytes nonce_of(std::uint64_t chunk, bool last) {
  Bytes out = big_endian(chunk, 8);
  out.push_back(last ? 1 : 0);
  out.resize(crypto::kGcmNonceBytes);
  return out;
}

Status write_all(int fd, ByteView octets) {
  while (!octets.empty()) {
    const auto written = ::write(fd, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(ErrorKind::kUnavailable, "backup: cannot write", errno);
    octets = octets.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// Up to `size` octets; fewer only at the end of the file.
Result<Bytes> read_some(int fd, std::size_t size) {
  Bytes out(size);
  std::size_t at = 0;
  while (at < size) {
    const auto got = ::read(fd, out.data() + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::kUnavailable, "backup: cannot read", errno);
    if (got == 0) break;
    at += static_cast<std::size_t>(got);
  }
  out.resize(at);
  return out;
}
Result<Bytes> read_exactly(int fd, std::size_t size) {
  KEYWARD_TRY(out, read_some(fd, size));
  if (out.size() != size) return fail(ErrorKind::kBadInput, "backup: the file ends too early");
  return std::move(out);
}

struct ReadHeader {
  Header header;
  std::vector<Bytes> boxes;
  Digest256 bound{};  // of magic, length and header
};

Result<ReadHeader> parse_header(ByteView text) {
  KEYWARD_TRY(document, json::Document::parse(text_of(text), kHeaderBytesMax));
  const auto root = document.root();
  if (!root.is_object() || root.get("version").integer() != 1)
    return fail(ErrorKind::kBadInput, "backup: another version");
  ReadHeader out;
  out.header.id = std::string(root.get("id").string());
  out.header.unit = std::string(root.get("unit").string());
  out.header.created_utc_ms = root.get("created").integer();
  const auto recipients = root.get("recipients").items();
  if (out.header.id.size() != 32 || !hex_decode(out.header.id) || out.header.unit.empty() ||
      out.header.unit.size() > kUnitBytesMax || recipients.empty() ||
      recipients.size() > kRecipientsMax)
    return fail(ErrorKind::kBadInput, "backup: the header is damaged");
  for (const auto& each : recipients) {
    KEYWARD_TRY(box, base64url_decode(each.get("box").string()));
    out.header.recipients.emplace_back(each.get("key").string());
    out.boxes.push_back(std::move(box));
  }
  return out;
}

Result<ReadHeader> take_header(int fd) {
  KEYWARD_TRY(magic, read_exactly(fd, kMagic.size()));
  if (text_of(magic) != kMagic) return fail(ErrorKind::kBadInput, "this is no backup of version 1");
  KEYWARD_TRY(length, read_exactly(fd, 4));
  const auto size = number_of(length);
  if (size > kHeaderBytesMax) return fail(ErrorKind::kBadInput, "backup: the header is too long");
  KEYWARD_TRY(text, read_exactly(fd, size));
  KEYWARD_TRY(out, parse_header(text));
  Bytes all = std::move(magic);
  append(all, length);
  append(all, text);
  out.bound = crypto::sha256(all);
  return std::move(out);
}

// The plain stream, chunk by chunk.
class Stream {
 public:
  Stream(int fd, SecretBytes key, Digest256 bound) : fd_(fd), key_(std::move(key)), bound_(bound) {}

  Result<Bytes> take(std::size_t size) {
    while (pending_.size() - at_ < size) {
      if (ended_) return fail(ErrorKind::kBadInput, "backup: the stream ends too early");
      KEYWARD_CHECK(next_chunk());
    }
    const auto from = pending_.begin() + static_cast<std::ptrdiff_t>(at_);
    Bytes out(from, from + static_cast<std::ptrdiff_t>(size));
    at_ += size;
    if (at_ == pending_.size()) {
      pending_.clear();
      at_ = 0;
    }
    return out;
  }
  Status at_end() {
    if (!ended_) KEYWARD_CHECK(next_chunk());
    if (!ended_ || at_ != pending_.size())
      return fail(ErrorKind::kBadInput, "backup: something follows the end");
    KEYWARD_TRY(more, read_some(fd_, 1));
    if (!more.empty()) return fail(ErrorKind::kBadInput, "backup: something follows the end");
    return {};
  }

 private:
  // Whether a chunk is the last one stands in its nonce: the file's end tells which to expect.
  Status next_chunk() {
    KEYWARD_TRY(length, read_exactly(fd_, 4));
    const auto size = number_of(length);
    if (size <= crypto::kGcmTagBytes || size > kChunkBytesMax + crypto::kGcmTagBytes)
      return fail(ErrorKind::kBadInput, "backup: a chunk of an impossible length");
    KEYWARD_TRY(sealed, read_exactly(fd_, size));
    struct ::stat info {};
    const auto here = ::lseek(fd_, 0, SEEK_CUR);
    if (here < 0 || ::fstat(fd_, &info) != 0)
      return fail(ErrorKind::kUnavailable, "backup: cannot look at the file", errno);
    const bool last = here >= info.st_size;
    const ByteView view = sealed;
    auto plain = crypto::aes256_gcm_open(key_.view(), nonce_of(chunk_++, last), bound_,
                                         view.first(view.size() - crypto::kGcmTagBytes),
                                         view.last(crypto::kGcmTagBytes));
    if (!plain)
      return fail(ErrorKind::kRefused,
                  "backup: the file was changed, or its end is missing (a chunk does not verify)");
    ended_ = last;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
    append(pending_, *plain);
    return {};
  }

  int fd_;
  SecretBytes key_;
  Digest256 bound_;
  std::uint64_t chunk_ = 0;
  bool ended_ = false;
  Bytes pending_;
  std::size_t at_ = 0;
};

// SHA-256 of pieces: a chain over digests of pieces of one fixed size, so that no part is held whole.
class PartDigest {
 public:
  void add(ByteView piece) { state_ = crypto::sha256(state_, crypto::sha256(piece)); }
  const Digest256& value() const { return state_; }

 private:
  Digest256 state_{};
};

constexpr std::size_t kPieceBytes = 32'768;

Status read_part(Stream& stream, const Sink& sink, Opened& out) {
  KEYWARD_TRY(name_size, stream.take(2));
  const auto size = number_of(name_size);
  if (size == 0 || size > kNameBytesMax) return fail(ErrorKind::kBadInput, "backup: a part's name");
  KEYWARD_TRY(name, stream.take(size));
  if (!is_part_name(text_of(name)))
    return fail(ErrorKind::kBadInput, "backup: a part's name that may not be");
  KEYWARD_TRY(length, stream.take(8));
  std::uint64_t left = number_of(length);
  if (left > kPartBytesMax) return fail(ErrorKind::kExhausted, "backup: a part is too large");
  if (++out.parts > kPartsMax) return fail(ErrorKind::kExhausted, "backup: too many parts");
  out.octets += left;
  KEYWARD_CHECK(sink.begin(std::string(text_of(name)), left));
  PartDigest digest;
  while (left > 0) {
    KEYWARD_TRY(piece, stream.take(std::min<std::uint64_t>(left, kPieceBytes)));
    digest.add(piece);
    left -= piece.size();
    KEYWARD_CHECK(sink.data(piece));
  }
  KEYWARD_TRY(expected, stream.take(32));
  if (!equal(expected, digest.value()))
    return fail(ErrorKind::kCorrupt, "backup: a part is not what was written");
  return sink.end();
}

}  // namespace

bool is_part_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '/' || name.back() == '/')
    return false;
  if (std::ranges::any_of(name, [](char c) { return c <= 0x20 || c >= 0x7f || c == '\\'; }))
    return false;
  while (true) {
    const auto slash = name.find('/');
    const auto component = name.substr(0, slash);
    if (component.empty() || component == "." || component == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

struct Writer::Impl {
  UniqueFd fd;
  SecretBytes key;
  Digest256 bound{};
  Bytes pending;
  std::uint64_t chunk = 0;
  std::uint32_t parts = 0;

  Status emit(ByteView plain, bool last) {
    KEYWARD_TRY(sealed, crypto::aes256_gcm_seal(key.view(), nonce_of(chunk++, last), bound, plain));
    Bytes out = big_endian(sealed.ciphertext.size() + sealed.tag.size(), 4);
    append(out, sealed.ciphertext);
    append(out, sealed.tag);
    return write_all(fd.get(), out);
  }
  // One octet stays behind, so that there is something for the last chunk.
  Status put(ByteView plain) {
    append(pending, plain);
    while (pending.size() > kChunkBytesMax) {
      KEYWARD_CHECK(emit(ByteView(pending).first(kChunkBytesMax), false));
      pending.erase(pending.begin(), pending.begin() + kChunkBytesMax);
    }
    return {};
  }
  Status begin_part(const std::string& name, std::uint64_t size) {
    if (!is_part_name(name)) return fail(ErrorKind::kBadInput, "backup: a part's name");
    if (size > kPartBytesMax) return fail(ErrorKind::kExhausted, "backup: a part is too large");
    if (++parts > kPartsMax) return fail(ErrorKind::kExhausted, "backup: too many parts");
    Bytes head = {'P'};
    append(head, big_endian(name.size(), 2));
    append(head, view_of(name));
    append(head, big_endian(size, 8));
    return put(head);
  }
};

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer::~Writer() = default;
std::uint32_t Writer::parts() const { return impl_->parts; }

Result<Writer> Writer::begin(UniqueFd fd, const Header& header,
                             std::span<const crypto::PublicKey> recipients) {
  if (recipients.empty() || recipients.size() > kRecipientsMax)
    return fail(ErrorKind::kBadInput, "backup: 1 to 16 recipients");
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(fd);
  impl->key = SecretBytes(crypto::kAesKeyBytes);
  random_fill({impl->key.data(), impl->key.size()});
  json::Writer text;
  text.begin_object().member_int("version", 1).member("id", header.id).member("unit", header.unit);
  text.member_int("created", header.created_utc_ms).key("recipients").begin_array();
  for (const auto& recipient : recipients) {
    KEYWARD_TRY(
        box, recovery::close_box(recipient, std::string(kPurpose) + header.id, impl->key.view()));
    text.begin_object().member("key", hex_encode(recipient.spki_sha256()));
    text.member("box", base64url_encode(box)).end_object();
  }
  text.end_array().end_object();
  const std::string json = text.take();
  KEYWARD_CHECK(parse_header(view_of(json)));  // what a reader would refuse is not begun
  Bytes all = to_bytes(kMagic);
  append(all, big_endian(json.size(), 4));
  append(all, view_of(json));
  impl->bound = crypto::sha256(all);
  KEYWARD_CHECK(write_all(impl->fd.get(), all));
  return Writer(std::move(impl));
}

Status Writer::add_file(const std::string& name, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct ::stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(ErrorKind::kUnavailable, "backup: cannot open a file", errno);
  auto left = static_cast<std::uint64_t>(info.st_size);
  KEYWARD_CHECK(impl_->begin_part(name, left));
  PartDigest digest;
  while (left > 0) {
    KEYWARD_TRY(piece, read_exactly(fd.get(), std::min<std::uint64_t>(left, kPieceBytes)));
    digest.add(piece);
    left -= piece.size();
    KEYWARD_CHECK(impl_->put(piece));
  }
  return impl_->put(digest.value());
}

Status Writer::add_bytes(const std::string& name, ByteView content) {
  KEYWARD_CHECK(impl_->begin_part(name, content.size()));
  PartDigest digest;
  for (std::size_t at = 0; at < content.size(); at += kPieceBytes)
    digest.add(content.subspan(at, std::min(kPieceBytes, content.size() - at)));
  KEYWARD_CHECK(impl_->put(content));
  return impl_->put(digest.value());
}

Status Writer::finish() {
  Bytes end = {'E'};
  append(end, big_endian(impl_->parts, 4));
  KEYWARD_CHECK(impl_->put(end));
  KEYWARD_CHECK(impl_->emit(impl_->pending, true));
  if (::fsync(impl_->fd.get()) != 0)
    return fail(ErrorKind::kUnavailable, "backup: cannot make it durable", errno);
  return {};
}

Result<Header> read_header(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kUnavailable, "backup: cannot open the file", errno);
  KEYWARD_TRY(read, take_header(fd.get()));
  return std::move(read.header);
}

Result<Opened> read_backup(const std::string& path, const crypto::PrivateKey& key,
                           const Sink& sink) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kUnavailable, "backup: cannot open the file", errno);
  KEYWARD_TRY(read, take_header(fd.get()));
  const auto own = hex_encode(key.public_key().spki_sha256());
  const auto mine = std::ranges::find(read.header.recipients, own);
  if (mine == read.header.recipients.end())
    return fail(ErrorKind::kRefused, "backup: it is not encrypted to this key");
  const auto& box = read.boxes[static_cast<std::size_t>(mine - read.header.recipients.begin())];
  KEYWARD_TRY(content_key, recovery::open_box(key, std::string(kPurpose) + read.header.id, box));
  Stream stream(fd.get(), std::move(content_key), read.bound);
  Opened out;
  out.header = std::move(read.header);
  while (true) {
    KEYWARD_TRY(kind, stream.take(1));
    if (kind[0] == 'E') break;
    if (kind[0] != 'P') return fail(ErrorKind::kBadInput, "backup: an unknown kind of part");
    KEYWARD_CHECK(read_part(stream, sink, out));
  }
  KEYWARD_TRY(count, stream.take(4));
  if (number_of(count) != out.parts) return fail(ErrorKind::kCorrupt, "backup: parts are missing");
  KEYWARD_CHECK(stream.at_end());
  return out;
}

}  // namespace keyward::backup
