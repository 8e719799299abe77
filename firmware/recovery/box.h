// Owns a box for one recipient: what is put in can be taken out with the recipient's private key
// alone. Must not know what is in it.
//
// ECDH on P-256 with a fresh key for each box, HKDF-SHA256 (RFC 5869), AES-256-GCM with a nonce of
// zeros (each key serves once). `purpose` and both public keys go into the key: a box of one purpose
// opens for no other. Octets: x, y of the fresh key (64), tag (16), ciphertext.
// Errors: kBadInput (not this form, not a P-256 key), kRefused (not for this key or purpose, or
// changed), kInternal. Threads: pure functions.
#pragma once

#include "firmware/crypto/crypto.h"

namespace keyward::recovery {

inline constexpr std::size_t kBoxOverheadBytes = 80;

Result<Bytes> close_box(const crypto::PublicKey& recipient, std::string_view purpose,
                        ByteView content);
Result<SecretBytes> open_box(const crypto::PrivateKey& recipient, std::string_view purpose,
                             ByteView box);

}  // namespace keyward::recovery
