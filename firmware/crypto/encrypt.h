// Owns encryption to a public key and AES-CFB, as a TPM's credentials need them (RFC 8017 §7.1; NIST
// SP 800-56A §5.7.1.2; SP 800-38A §6.3), over OpenSSL 3. Must not know TPM structures.
// Errors: kRefused (a key that does this not), kInternal. Threads: pure.
#pragma once

#include "firmware/crypto/crypto.h"

namespace keyward::crypto {

// RSAES-OAEP; MGF1 with the same hash; `label` octet for octet.
Result<Bytes> rsa_oaep_encrypt(const PublicKey& key, HashAlgorithm hash, ByteView label,
                               ByteView message);

struct EphemeralAgreement {
  Bytes x, y;          // of the ephemeral key, as long as the curve's coordinate
  SecretBytes shared;  // x of the product, likewise
};
Result<EphemeralAgreement> agree_with_ephemeral(const PublicKey& key);  // EC alone
struct Coordinates {
  Bytes x, y;
};
std::optional<Coordinates> ec_coordinates(const PublicKey& key);  // absent unless EC

// Full-block feedback; key of 16 or 32 octets, iv of 16.
Result<Bytes> aes_cfb_encrypt(ByteView key, ByteView iv, ByteView plain);

}  // namespace keyward::crypto
