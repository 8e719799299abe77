// Owns the JWE that hides evidence from all but this verifier (RFC 7516 compact): ECDH-ES and
// ECDH-ES+A256KW with P-256, RSA-OAEP-256; A256GCM alone. Must not know what is inside.
//
// The private key is behind DecryptionKey, so that it may live in an HSM. Codes of what anybody can
// see without a key: "jwe.malformed", "jwe.size", "jwe.crit", "jwe.zip", "jwe.alg", "jwe.enc",
// "jwe.cty", "jwe.kid", "jwe.epk". Everything behind the private operation is one code with one
// detail, "jwe.decrypt", whatever went wrong: no oracle (RFC 7516 §11.5); RSA's failure goes on with a
// random key. "jwe.key-away": the key's holder is not there, ask again. Threads: pure functions.
#pragma once

#include "firmware/rats/trust.h"

namespace keyward::rats {

class DecryptionKey {
 public:
  virtual ~DecryptionKey() = default;
  virtual std::string_view kid() const = 0;
  virtual crypto::KeyKind kind() const = 0;  // kEcP256 or kRsa
  // The x coordinate of the shared point. `ephemeral` is on P-256 (checked); uncompressed, 65 octets.
  virtual Result<SecretBytes> agree(ByteView ephemeral) = 0;
  // RSAES-OAEP with SHA-256 and MGF1 with SHA-256.
  virtual Result<SecretBytes> unwrap_rsa(ByteView encrypted) = 0;
};

// In software: sealed keys, the agent, tests.
class SoftwareDecryptionKey final : public DecryptionKey {
 public:
  SoftwareDecryptionKey(std::string kid, crypto::PrivateKey key)
      : kid_(std::move(kid)), key_(std::move(key)) {}
  std::string_view kid() const override { return kid_; }
  crypto::KeyKind kind() const override { return key_.public_key().kind(); }
  Result<SecretBytes> agree(ByteView ephemeral) override;
  Result<SecretBytes> unwrap_rsa(ByteView encrypted) override;
  const crypto::PublicKey& public_key() const { return key_.public_key(); }

 private:
  std::string kid_;
  crypto::PrivateKey key_;
};

struct OpenedJwe {
  Bytes plaintext;
  std::string cty;  // "" or cmw+json, cmw+cbor
};
// One of `keys` by its kid; a JWE without kid is for the only key that fits its algorithm.
Appraised<OpenedJwe> open_jwe(std::string_view compact, const std::vector<DecryptionKey*>& keys);

enum class JweAlgorithm : std::uint8_t { kEcdhEs = 1, kEcdhEsA256Kw = 2, kRsaOaep256 = 3 };
struct JweMake {
  JweAlgorithm algorithm = JweAlgorithm::kEcdhEsA256Kw;
  std::string kid{};
  std::string cty{};
};
// Agent side. kBadInput: the key does not fit the algorithm.
Result<std::string> make_jwe(const crypto::PublicKey& recipient, ByteView plaintext,
                             const JweMake& make);

// RFC 7518 §4.6.2 for one block of SHA-256; empty party infos unless given.
SecretBytes concat_kdf(ByteView shared_secret, std::string_view algorithm_id, ByteView apu,
                       ByteView apv, std::uint32_t key_bits);

}  // namespace keyward::rats
