#include "firmware/challenge/token.h"

#include <string.h>

#include "firmware/crypto/crypto.h"
#include "firmware/wire/cbor.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::challenge {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kRandomBytes = 16;
constexpr std::string_view kLabel = "keyward-challenge-token-1";

}  // namespace

Result<TokenMint> TokenMint::open(const std::string& path) {
  if (!file_exists(path)) {
    const SecretBytes fresh(random_bytes(kKeyBytes));
    KEYWARD_CHECK(replace_file(path, fresh.view(), 0600));
  }
  KEYWARD_TRY(bytes, read_file(path, kKeyBytes));
  SecretBytes key(bytes);
  ::explicit_bzero(bytes.data(), bytes.size());
  if (key.size() != kKeyBytes)
    return fail(ErrorKind::kCorrupt, "the challenge token key has a wrong size");
  return TokenMint(std::move(key));
}

// CBOR makes the fields unambiguous: no two bindings have the same octets.
Digest256 TokenMint::tag(ByteView random, const TokenBinding& binding) const {
  wire::CborWriter out;
  out.array(binding.subtree ? 10 : 9);  // tokens from before there were subtrees stay good
  out.text(kLabel);
  out.bytes(random);
  out.bytes(binding.thumbprint);
  out.unsigned_integer(static_cast<std::uint64_t>(binding.identifier.type));
  out.text(binding.identifier.value);
  out.boolean(binding.wildcard);
  out.unsigned_integer(static_cast<std::uint64_t>(binding.method));
  out.text(binding.ticket);
  out.integer(binding.expires_at_ms);
  if (binding.subtree) out.boolean(true);
  return crypto::hmac_sha256(key_.view(), out.take());
}

std::string TokenMint::mint(const TokenBinding& binding) const {
  Bytes raw = random_bytes(kRandomBytes);
  append(raw, tag(raw, binding));
  return base64url_encode(raw);
}

Status TokenMint::check(std::string_view token, const TokenBinding& binding,
                        std::int64_t now_ms) const {
  const auto raw = base64url_decode(token);
  if (!raw || raw->size() != kRandomBytes + sizeof(Digest256))
    return fail(ErrorKind::kRefused, "challenge-token-forged");
  const ByteView random(raw->data(), kRandomBytes);
  const ByteView presented(raw->data() + kRandomBytes, sizeof(Digest256));
  if (!equal_constant_time(presented, tag(random, binding)))
    return fail(ErrorKind::kRefused, "challenge-token-forged");
  if (now_ms >= binding.expires_at_ms) return fail(ErrorKind::kRefused, "challenge-token-expired");
  return {};
}

Status TokenMint::check(std::string_view token, const TokenBinding& binding,
                        std::span<const wire::EarlierKey> earlier_keys, std::int64_t now_ms) const {
  const Status first = check(token, binding, now_ms);
  if (first || earlier_keys.size() > limits::kEarlierKeysMax) return first;
  TokenBinding earlier = binding;
  for (const auto& key : earlier_keys) {
    earlier.thumbprint = key.thumbprint;
    const Status status = check(token, earlier, now_ms);
    if (status || status.error().what == std::string_view("challenge-token-expired")) return status;
  }
  return first;
}

}  // namespace keyward::challenge
