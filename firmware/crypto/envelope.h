// Owns what opens and closes an envelope for one recipient, beside encrypt.h: AES-GCM, AES key wrap,
// ECDH and RSA-OAEP with a private key in software (RFC 7518 §4.3, §4.4, §4.6, §5.3), over OpenSSL 3.
// Must not know JOSE. No OpenSSL type appears here.
//
// Errors: kBadInput (sizes, a point that is not on the curve, another kind of key), kRefused (a tag,
// a wrapped key or a padding that does not verify), kInternal. Threads: pure functions.
#pragma once

#include "firmware/crypto/crypto.h"

namespace keyward::crypto {

inline constexpr std::size_t kAesKeyBytes = 32;
inline constexpr std::size_t kGcmNonceBytes = 12;
inline constexpr std::size_t kGcmTagBytes = 16;

// AES-256-GCM; the sealed form is ciphertext and tag apart.
struct GcmSealed {
  Bytes ciphertext;
  Bytes tag;
};
Result<GcmSealed> aes256_gcm_seal(ByteView key, ByteView nonce, ByteView associated,
                                  ByteView plaintext);
Result<Bytes> aes256_gcm_open(ByteView key, ByteView nonce, ByteView associated,
                              ByteView ciphertext, ByteView tag);

// RFC 3394 with a 256-bit key.
Result<Bytes> aes256_key_wrap(ByteView key, ByteView to_wrap);
Result<SecretBytes> aes256_key_unwrap(ByteView key, ByteView wrapped);

// ECDH: the x coordinate, as long as the curve's. Both keys on the same NIST curve.
Result<SecretBytes> ecdh(const PrivateKey& key, const PublicKey& peer);

// RSAES-OAEP, SHA-256 for both digests, no label.
Result<SecretBytes> rsa_oaep_decrypt(const PrivateKey& key, ByteView encrypted);

}  // namespace keyward::crypto
