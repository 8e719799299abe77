// Owns private keys in software. Never a CA key.
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "firmware/crypto/openssl.h"
#include "hal/base/limits.h"

namespace keyward::crypto {
namespace {

Result<PrivateKey> adopt(PkeyPtr pkey) {
  unsigned char* der = nullptr;
  const int size = ::i2d_PUBKEY(pkey.get(), &der);
  if (size <= 0) return openssl_fail(ErrorKind::kBadInput, "private key without a public half");
  auto public_key = PublicKey::from_spki({der, static_cast<std::size_t>(size)});
  ::OPENSSL_free(der);
  if (!public_key) return fail(public_key.error());
  return PrivateKey(std::make_shared<PrivateKey::Impl>(
      PrivateKey::Impl{std::move(pkey), std::move(*public_key)}));
}

}  // namespace

Result<PrivateKey> PrivateKey::generate(KeyKind kind, int rsa_bits) {
  EVP_PKEY* raw = nullptr;
  switch (kind) {
    case KeyKind::kEcP256:
      raw = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
      break;
    case KeyKind::kEcP384:
      raw = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
      break;
    case KeyKind::kEcP521:
      raw = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-521");
      break;
    case KeyKind::kEd25519:
      raw = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
    case KeyKind::kRsa:
      if (rsa_bits < limits::kRsaBitsMin || rsa_bits > limits::kRsaBitsMax) {
        return fail(ErrorKind::kRefused, "RSA key: size not accepted", rsa_bits);
      }
      raw = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(rsa_bits));
      break;
  }
  PkeyPtr pkey(raw);
  if (!pkey) return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot generate a key");
  return adopt(std::move(pkey));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const BioPtr in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!in) return openssl_fail(ErrorKind::kInternal, "OpenSSL is out of memory");
  // Reads "PRIVATE KEY" blocks alone: an encrypted key would make OpenSSL ask a terminal.
  PKCS8_PRIV_KEY_INFO* info =
      ::PEM_read_bio_PKCS8_PRIV_KEY_INFO(in.get(), nullptr, nullptr, nullptr);
  if (info == nullptr)
    return openssl_fail(ErrorKind::kBadInput, "no unencrypted PKCS#8 private key in the PEM text");
  PkeyPtr pkey(::EVP_PKCS82PKEY(info));
  ::PKCS8_PRIV_KEY_INFO_free(info);
  if (!pkey) return openssl_fail(ErrorKind::kBadInput, "private key cannot be read");
  return adopt(std::move(pkey));
}

Result<SecretBytes> PrivateKey::to_pem() const {
  const BioPtr out(::BIO_new(::BIO_s_mem()));
  if (!out || ::PEM_write_bio_PKCS8PrivateKey(out.get(), impl_->pkey.get(), nullptr, nullptr, 0,
                                              nullptr, nullptr) != 1) {
    return openssl_fail(ErrorKind::kInternal, "private key cannot be written");
  }
  char* text = nullptr;
  const long size = ::BIO_get_mem_data(out.get(), &text);
  return SecretBytes(view_of({text, static_cast<std::size_t>(size)}));
}

const PublicKey& PrivateKey::public_key() const { return impl_->public_key; }

Result<Bytes> PrivateKey::sign(SignatureScheme scheme, HashAlgorithm hash_algorithm,
                               ByteView message) const {
  const auto kind = impl_->public_key.kind();
  if (!scheme_fits(scheme, kind))
    return fail(ErrorKind::kRefused, "signature scheme does not fit the key");
  const DigestContextPtr context(::EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (!context ||
      ::EVP_DigestSignInit(context.get(), &parameters, scheme_digest(scheme, hash_algorithm),
                           nullptr, impl_->pkey.get()) != 1 ||
      !set_padding(scheme, parameters)) {
    return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot set up a signature");
  }
  std::size_t size = 0;
  if (::EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot sign");
  }
  Bytes signature(size);
  if (::EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) !=
      1) {
    return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot sign");
  }
  signature.resize(size);
  if (scheme == SignatureScheme::kEcdsaRaw)
    return ecdsa_der_to_raw(signature, coordinate_bytes(kind));
  return signature;
}

}  // namespace keyward::crypto
