#include "firmware/acme/nonces.h"

#include <algorithm>
#include <array>

#include "firmware/crypto/crypto.h"
#include "firmware/log/log.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kLabel = "keyward-nonce-1";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kWordBits = 64;

void put_u32(std::uint8_t* out, std::uint32_t value) {
  for (int i = 3; i >= 0; --i, value >>= 8) out[i] = static_cast<std::uint8_t>(value);
}
void put_u64(std::uint8_t* out, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) out[i] = static_cast<std::uint8_t>(value);
}
std::uint64_t get_big_endian(ByteView in) {
  std::uint64_t value = 0;
  for (const auto byte : in) value = value << 8 | byte;
  return value;
}

}  // namespace

Nonces::Nonces(SecretBytes key, std::uint32_t life, const Clock& clock, std::size_t window)
    : key_(std::move(key)),
      life_(life),
      clock_(clock),
      started_ms_(clock.monotonic_ms()),
      used_(std::max<std::size_t>(window / kWordBits, 2)) {}

Result<std::unique_ptr<Nonces>> Nonces::open(const std::string& path, const Clock& clock) {
  SecretBytes key(kKeyBytes);
  std::uint32_t life = 1;
  bool known = false;
  if (file_exists(path)) {
    KEYWARD_TRY(content, read_file(path, kKeyBytes + 4));
    if (content.size() == kKeyBytes + 4) {
      const ByteView view(content);
      std::copy_n(view.begin(), kKeyBytes, key.data());
      // After 2^32 - 1 lives the number would repeat: a new key begins then.
      const auto previous = static_cast<std::uint32_t>(get_big_endian(view.subspan(kKeyBytes)));
      known = previous != 0xffffffffU;
      if (known) life = previous + 1;
    }
    if (!known)
      log::warning("nonce key replaced: earlier nonces are no longer good", {{"file", path}});
  }
  if (!known) random_fill({key.data(), key.size()});
  Bytes content = to_bytes(key.view());
  content.resize(kKeyBytes + 4);
  put_u32(content.data() + kKeyBytes, life);
  // On disk before the first nonce: a life that was begun is never begun again.
  KEYWARD_CHECK(replace_file(path, content, 0600));
  std::fill(content.begin(), content.end(), std::uint8_t{0});
  return std::make_unique<Nonces>(std::move(key), life, clock, limits::kNonceWindow);
}

Nonces::Tag Nonces::tag_of(ByteView head) const {
  Bytes message = to_bytes(kLabel);
  append(message, head);
  const Digest256 full = crypto::hmac_sha256(key_.view(), message);
  Tag tag{};
  std::copy_n(full.begin(), tag.size(), tag.begin());
  return tag;
}

std::string Nonces::issue() {
  std::uint64_t sequence = 0;
  {
    const std::lock_guard lock(mutex_);
    sequence = next_++;
    // Entering a word of the ring: its bits belonged to nonces that are now too old.
    if (sequence % kWordBits == 0) used_[sequence / kWordBits % used_.size()] = 0;
  }
  std::array<std::uint8_t, kHeadBytes + kTagBytes> nonce{};
  put_u32(nonce.data(), life_);
  put_u64(nonce.data() + 4, sequence);
  const Tag tag = tag_of(ByteView(nonce).first(kHeadBytes));
  std::copy(tag.begin(), tag.end(), nonce.begin() + kHeadBytes);
  return base64url_encode(nonce);
}

NonceVerdict Nonces::consume(std::string_view nonce, bool repeat_is_harmless) {
  if (nonce.size() > limits::kNonceBytesMax) return NonceVerdict::kMalformed;
  const auto bytes = base64url_decode(nonce);
  if (!bytes) return NonceVerdict::kMalformed;
  if (bytes->size() != kHeadBytes + kTagBytes) return NonceVerdict::kBad;
  const ByteView view(*bytes);
  if (!equal_constant_time(tag_of(view.first(kHeadBytes)), view.subspan(kHeadBytes)))
    return NonceVerdict::kBad;
  const auto life = static_cast<std::uint32_t>(get_big_endian(view.first(4)));
  const auto sequence = get_big_endian(view.subspan(4, 8));
  if (life == life_) return consume_present(sequence);
  if (life + 1 == life_ && repeat_is_harmless) return consume_earlier(sequence);
  return NonceVerdict::kBad;
}

NonceVerdict Nonces::consume_present(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t remembered =
      (used_.size() - 1) * kWordBits;  // the word being filled is whole only later
  if (sequence >= next_ || next_ - sequence > remembered) return NonceVerdict::kBad;
  auto& word = used_[sequence / kWordBits % used_.size()];
  const std::uint64_t bit = std::uint64_t{1} << (sequence % kWordBits);
  if ((word & bit) != 0) return NonceVerdict::kBad;
  word |= bit;
  return NonceVerdict::kGood;
}

NonceVerdict Nonces::consume_earlier(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  if (clock_.monotonic_ms() - started_ms_ > limits::kNonceEarlierLifeMs) {
    used_earlier_.clear();
    return NonceVerdict::kBad;
  }
  if (used_earlier_.size() >= limits::kNoncesEarlierMax) return NonceVerdict::kBad;
  return used_earlier_.insert(sequence).second ? NonceVerdict::kGood : NonceVerdict::kBad;
}

}  // namespace keyward::acme
