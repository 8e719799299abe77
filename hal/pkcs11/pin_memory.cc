// Owns the memory of refused PINs. Must not know tokens.
#include "hal/pkcs11/pin_memory.h"

#include <openssl/evp.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::hal::pkcs11 {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kDigestBytes = 32;
constexpr std::string_view kHeader = "keyward-refused-pins-1\n";

// A refused PIN is often the right one with a typing error: its digest must be dear to guess.
// RFC 7914; about 50 ms and 16 MiB.
Bytes digest_of(const SecretBytes& pin, ByteView salt) {
  Bytes out(kDigestBytes);
  constexpr std::uint64_t kMemoryBytesMax = 64u << 20;
  if (::EVP_PBE_scrypt(reinterpret_cast<const char*>(pin.view().data()), pin.size(), salt.data(),
                       salt.size(), 1u << 14, 8, 1, kMemoryBytesMax, out.data(), out.size()) != 1)
    out.clear();
  return out;
}

}  // namespace

PinMemory::PinMemory(std::string path) : path_(std::move(path)) {
  if (!path_.empty() && file_exists(path_)) unreadable_ = !read().has_value();
}

Status PinMemory::read() {
  KEYWARD_TRY(text, read_text_file(path_, limits::kTokenRefusedPinsMax * 128 + kHeader.size()));
  std::string_view rest = text;
  if (!rest.starts_with(kHeader)) return fail(ErrorKind::kCorrupt, "not a file of refused PINs");
  rest.remove_prefix(kHeader.size());
  constexpr std::size_t kLineBytes = 2 * (kSaltBytes + kDigestBytes) + 2;
  while (!rest.empty()) {
    if (rest.size() < kLineBytes || rest[2 * kSaltBytes] != ' ' || rest[kLineBytes - 1] != '\n')
      return fail(ErrorKind::kCorrupt, "a line of the refused PINs is malformed");
    KEYWARD_TRY(salt, hex_decode(rest.substr(0, 2 * kSaltBytes)));
    KEYWARD_TRY(digest, hex_decode(rest.substr(2 * kSaltBytes + 1, 2 * kDigestBytes)));
    entries_.push_back({salt, digest});
    rest.remove_prefix(kLineBytes);
  }
  return {};
}

bool PinMemory::is_refused(const SecretBytes& pin) const {
  if (unreadable_ || entries_.size() >= limits::kTokenRefusedPinsMax) return true;
  for (const auto& entry : entries_) {
    const Bytes digest = digest_of(pin, entry.salt);
    if (digest.empty() || equal_constant_time(digest, entry.digest)) return true;
  }
  return false;
}

Status PinMemory::remember(const SecretBytes& pin) {
  Bytes salt = random_bytes(kSaltBytes);
  Bytes digest = digest_of(pin, salt);
  if (digest.empty()) {
    unreadable_ = true;  // cannot tell PINs apart any more: refuse all
    return fail(ErrorKind::kInternal, "scrypt failed");
  }
  entries_.push_back({std::move(salt), std::move(digest)});
  if (path_.empty()) return {};
  std::string text(kHeader);
  for (const auto& entry : entries_)
    text += hex_encode(entry.salt) + " " + hex_encode(entry.digest) + "\n";
  return replace_file(path_, view_of(text), 0600);
}

}  // namespace keyward::hal::pkcs11
