// Owns the backup's file: parts in one stream, encrypted to public keys, so that the unit that writes
// it holds no secret. Must not know what the parts are or where they go. Format: docs/operations/backup.md.
//
//   "keyward-backup 1\n"
//   u32 length, header: JSON {"version":1,"id","unit","created","recipients":[{"key","box"}]}
//   chunks: u32 length of what follows (17..65,552), ciphertext and tag
//
// The content key is random for each file and lies in one box for each recipient
// (firmware/recovery/box.h). Chunk i: AES-256-GCM, nonce = u64 i, u8 last, three zeros; associated data =
// SHA-256 of everything before the first chunk. So chunks cannot be dropped, exchanged, repeated or cut
// off at the end, nor the header changed. Plain stream: for each part 'P', u16 length of the name,
// name, u64 size, octets, digest; at the end 'E', u32 parts. Numbers are big-endian.
//
// A part's digest: d = zeros; for each piece of 32,768 octets d = SHA-256(d, SHA-256(piece)).
//
// Errors: kBadInput (not this format, a name that is none), kRefused (not for this key, or changed),
// kExhausted (over a limit), kUnavailable (disk), kCorrupt (a part's digest). Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "hal/base/unique_fd.h"

namespace keyward::backup {

inline constexpr std::size_t kHeaderBytesMax = 65'536;
inline constexpr std::size_t kRecipientsMax = 16;
inline constexpr std::size_t kChunkBytesMax = 65'536;  // plain
inline constexpr std::uint32_t kPartsMax = 65'536;
inline constexpr std::size_t kNameBytesMax = 512;
inline constexpr std::uint64_t kPartBytesMax = 1ULL << 36;  // 64 GiB: a database of many years

struct Header {
  std::string id;    // 32 hexadecimal digits
  std::string unit;  // its name
  std::int64_t created_utc_ms = 0;
  std::vector<std::string> recipients;  // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
};

// Relative, no empty, "." or ".." component, printable ASCII: what may be joined to a folder.
bool is_part_name(std::string_view name);

class Writer {
 public:
  // Takes an open, empty file.
  static Result<Writer> begin(UniqueFd fd, const Header& header,
                              std::span<const crypto::PublicKey> recipients);
  Writer(Writer&&) noexcept;
  ~Writer();
  // As many octets as the file has now; what grows meanwhile is not taken. kUnavailable: it shrank.
  Status add_file(const std::string& name, const std::string& path);
  Status add_bytes(const std::string& name, ByteView content);
  Status finish();  // durable
  std::uint32_t parts() const;

 private:
  struct Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What needs no key.
Result<Header> read_header(const std::string& path);

// A part as it comes: begin(name, size), data()…, end(). Every one may refuse.
struct Sink {
  std::function<Status(const std::string& name, std::uint64_t size)> begin;
  std::function<Status(ByteView)> data;
  std::function<Status()> end;  // its digest is right
};
// Reads all of it; the last chunk is checked before it returns. What a sink was given before an error is
// not to be used.
struct Opened {
  Header header;
  std::uint32_t parts = 0;
  std::uint64_t octets = 0;
};
Result<Opened> read_backup(const std::string& path, const crypto::PrivateKey& key,
                           const Sink& sink);

}  // namespace keyward::backup
