// ECIES over this tree's primitives: see box.h.
#include "firmware/recovery/box.h"

#include <algorithm>

#include "firmware/crypto/encrypt.h"
#include "firmware/crypto/envelope.h"

namespace keyward::recovery {
namespace {

constexpr std::size_t kPointBytes = 64;
const Bytes kNonce(crypto::kGcmNonceBytes, 0);

// RFC 5869, one block of output.
SecretBytes key_of(ByteView shared, std::string_view purpose, ByteView fresh_point,
                   const crypto::PublicKey& recipient) {
  const auto salt = view_of("keyward-box-1");
  const auto extracted = crypto::hmac_sha256(salt, shared);
  Bytes info = to_bytes(purpose);
  info.push_back(0);
  append(info, fresh_point);
  append(info, recipient.spki_der());
  info.push_back(1);
  return SecretBytes(ByteView(crypto::hmac_sha256(extracted, info)));
}

}  // namespace

Result<Bytes> close_box(const crypto::PublicKey& recipient, std::string_view purpose,
                        ByteView content) {
  if (recipient.kind() != crypto::KeyKind::kEcP256)
    return fail(ErrorKind::kBadInput, "box: the recipient's key is not on P-256");
  KEYWARD_TRY(agreed, crypto::agree_with_ephemeral(recipient));
  Bytes out = agreed.x;
  append(out, agreed.y);
  const auto key = key_of(agreed.shared.view(), purpose, out, recipient);
  KEYWARD_TRY(sealed, crypto::aes256_gcm_seal(key.view(), kNonce, view_of(purpose), content));
  append(out, sealed.tag);
  append(out, sealed.ciphertext);
  return out;
}

Result<SecretBytes> open_box(const crypto::PrivateKey& recipient, std::string_view purpose,
                             ByteView box) {
  if (box.size() < kBoxOverheadBytes) return fail(ErrorKind::kBadInput, "box: too short");
  if (recipient.public_key().kind() != crypto::KeyKind::kEcP256)
    return fail(ErrorKind::kBadInput, "box: the recipient's key is not on P-256");
  const auto point = box.first(kPointBytes);
  KEYWARD_TRY(fresh, crypto::PublicKey::from_ec(crypto::KeyKind::kEcP256, point.first(32),
                                                point.subspan(32)));
  KEYWARD_TRY(shared, crypto::ecdh(recipient, fresh));
  const auto key = key_of(shared.view(), purpose, point, recipient.public_key());
  KEYWARD_TRY(opened, crypto::aes256_gcm_open(key.view(), kNonce, view_of(purpose),
                                              box.subspan(kBoxOverheadBytes),
                                              box.subspan(kPointBytes, crypto::kGcmTagBytes)));
  SecretBytes out{ByteView(opened)};
  std::ranges::fill(opened, std::uint8_t{0});
  return out;
}

}  // namespace keyward::recovery
