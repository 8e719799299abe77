#include "firmware/crypto/encrypt.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "firmware/crypto/openssl.h"

namespace keyward::crypto {
namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* p) const { ::EVP_CIPHER_CTX_free(p); }
};

const char* group_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcP256:
      return "P-256";
    case KeyKind::kEcP384:
      return "P-384";
    case KeyKind::kEcP521:
      return "P-521";
    default:
      return nullptr;
  }
}

// The uncompressed point stands last in the SubjectPublicKeyInfo that PublicKey wrote itself.
Coordinates coordinates_of(const PublicKey& key) {
  const auto size_bytes = static_cast<std::ptrdiff_t>(coordinate_bytes(key.kind()));
  const auto& spki = key.spki_der();
  return {Bytes(spki.end() - 2 * size_bytes, spki.end() - size_bytes),
          Bytes(spki.end() - size_bytes, spki.end())};
}

Status take_label(EVP_PKEY_CTX* context, ByteView label) {
  if (label.empty()) return {};  // the default, and OpenSSL copies nothing to nothing
  auto* copy = static_cast<unsigned char*>(::OPENSSL_memdup(label.data(), label.size()));
  if (copy == nullptr) return openssl_fail(ErrorKind::kInternal, "rsa: no memory for a label");
  // The context owns the label once it took it.
  if (::EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, static_cast<int>(label.size())) > 0)
    return {};
  ::OPENSSL_free(copy);
  return openssl_fail(ErrorKind::kInternal, "rsa: cannot set the OAEP label");
}

}  // namespace

Result<Bytes> rsa_oaep_encrypt(const PublicKey& key, HashAlgorithm hash, ByteView label,
                               ByteView message) {
  if (key.kind() != KeyKind::kRsa) return fail(ErrorKind::kRefused, "rsa: not an RSA key");
  const PkeyContextPtr context(::EVP_PKEY_CTX_new(key.impl().pkey.get(), nullptr));
  const EVP_MD* digest = message_digest(hash);
  if (!context || ::EVP_PKEY_encrypt_init(context.get()) <= 0 ||
      ::EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      ::EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) <= 0 ||
      ::EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) <= 0)
    return openssl_fail(ErrorKind::kInternal, "rsa: cannot set up OAEP");
  KEYWARD_CHECK(take_label(context.get(), label));
  std::size_t size = static_cast<std::size_t>(::EVP_PKEY_get_size(key.impl().pkey.get()));
  Bytes out(size);
  if (::EVP_PKEY_encrypt(context.get(), out.data(), &size, message.data(), message.size()) <= 0)
    return openssl_fail(ErrorKind::kInternal, "rsa: OAEP failed");
  out.resize(size);
  return out;
}

std::optional<Coordinates> ec_coordinates(const PublicKey& key) {
  if (group_of(key.kind()) == nullptr) return std::nullopt;
  return coordinates_of(key);
}

Result<EphemeralAgreement> agree_with_ephemeral(const PublicKey& key) {
  if (group_of(key.kind()) == nullptr) return fail(ErrorKind::kRefused, "ecdh: not an EC key");
  KEYWARD_TRY(ephemeral, PrivateKey::generate(key.kind()));
  const PkeyContextPtr context(::EVP_PKEY_CTX_new(ephemeral.impl().pkey.get(), nullptr));
  EphemeralAgreement out;
  out.shared = SecretBytes(coordinate_bytes(key.kind()));
  std::size_t size = out.shared.size();
  if (!context || ::EVP_PKEY_derive_init(context.get()) <= 0 ||
      ::EVP_PKEY_derive_set_peer(context.get(), key.impl().pkey.get()) <= 0 ||
      ::EVP_PKEY_derive(context.get(), out.shared.data(), &size) <= 0 || size != out.shared.size())
    return openssl_fail(ErrorKind::kInternal, "ecdh: cannot agree");
  auto point = coordinates_of(ephemeral.public_key());
  out.x = std::move(point.x);
  out.y = std::move(point.y);
  return out;
}

Result<Bytes> aes_cfb_encrypt(ByteView key, ByteView iv, ByteView plain) {
  const EVP_CIPHER* cipher = key.size() == 32 ? ::EVP_aes_256_cfb128() : ::EVP_aes_128_cfb128();
  if ((key.size() != 16 && key.size() != 32) || iv.size() != 16)
    return fail(ErrorKind::kInternal, "aes: a key or vector of a wrong size");
  const std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context(::EVP_CIPHER_CTX_new());
  Bytes out(plain.size());
  int size = 0;
  if (!context ||
      ::EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), iv.data()) != 1 ||
      ::EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(),
                          static_cast<int>(plain.size())) != 1 ||
      size != static_cast<int>(plain.size()))
    return openssl_fail(ErrorKind::kInternal, "aes: cannot encrypt");
  return out;
}

}  // namespace keyward::crypto
