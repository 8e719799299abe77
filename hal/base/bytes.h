// Owns the byte vocabulary: Bytes, ByteView, SecretBytes and text codecs. Must not know any format.
// Threads: values and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace keyward {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using Digest256 = std::array<std::uint8_t, 32>;

inline ByteView view_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }
inline Bytes to_bytes(std::string_view text) { return to_bytes(view_of(text)); }
inline void append(Bytes& to, ByteView from) { to.insert(to.end(), from.begin(), from.end()); }
bool equal(ByteView a, ByteView b);
// Compares without leaking where the first difference is; lengths are public.
bool equal_constant_time(ByteView a, ByteView b);

std::string hex_encode(ByteView bytes);           // lower case
Result<Bytes> hex_decode(std::string_view text);  // either case, even length; kBadInput

std::string base64url_encode(ByteView bytes);  // RFC 4648 §5, no padding
// Strict: no padding (RFC 8555 §6.1), no white space, unused trailing bits zero. kBadInput.
Result<Bytes> base64url_decode(std::string_view text);
std::string base64_encode(ByteView bytes);  // RFC 4648 §4, padded, one line (for PEM bodies)
// RFC 4648 §4: as strict as base64url_decode, with the padding that belongs there or none at all.
// kBadInput.
Result<Bytes> base64_decode(std::string_view text);

// Owns memory that is wiped when it ends or is moved from. Not copyable.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
  explicit SecretBytes(std::size_t size_bytes) : bytes_(size_bytes) {}
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(); }

  ByteView view() const { return bytes_; }
  std::uint8_t* data() { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  SecretBytes clone() const { return SecretBytes(view()); }
  void wipe();

 private:
  Bytes bytes_;
};

}  // namespace keyward
