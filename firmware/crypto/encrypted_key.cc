// Owns PKCS#8 under a passphrase, over OpenSSL 3.
#include "firmware/crypto/encrypted_key.h"

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

namespace keyward::crypto {
namespace {

constexpr int kRounds = 600'000;  // a stick that was lost is tried offline
constexpr std::string_view kMark = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

template <class T, void (*F)(T*)>
struct Freer {
  void operator()(T* p) const { F(p); }
};
using InfoPtr =
    std::unique_ptr<PKCS8_PRIV_KEY_INFO, Freer<PKCS8_PRIV_KEY_INFO, ::PKCS8_PRIV_KEY_INFO_free>>;
using SigPtr = std::unique_ptr<X509_SIG, Freer<X509_SIG, ::X509_SIG_free>>;
struct BioFreer {
  void operator()(BIO* p) const { ::BIO_free_all(p); }
};
using BioOwner = std::unique_ptr<BIO, BioFreer>;

BioOwner reader(std::string_view pem) {
  return BioOwner(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

SecretBytes taken(BIO* bio) {
  char* text = nullptr;
  const long size = ::BIO_get_mem_data(bio, &text);
  SecretBytes out(view_of({text, static_cast<std::size_t>(size)}));
  ::OPENSSL_cleanse(text, static_cast<std::size_t>(size));
  return out;
}

}  // namespace

bool is_encrypted_key(std::string_view pem) { return pem.find(kMark) != pem.npos; }

Result<SecretBytes> decrypt_key_pem(std::string_view pem, std::string_view passphrase) {
  const auto in = reader(pem);
  const SigPtr sealed(in ? ::PEM_read_bio_PKCS8(in.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!sealed) return fail(ErrorKind::kBadInput, "no encrypted PKCS#8 private key in the PEM text");
  const InfoPtr info(
      ::PKCS8_decrypt(sealed.get(), passphrase.data(), static_cast<int>(passphrase.size())));
  if (!info) return fail(ErrorKind::kRefused, "the passphrase does not open the key");
  const BioOwner out(::BIO_new(::BIO_s_mem()));
  if (!out || ::PEM_write_bio_PKCS8_PRIV_KEY_INFO(out.get(), info.get()) != 1)
    return fail(ErrorKind::kInternal, "the key cannot be written");
  return taken(out.get());
}

Result<SecretBytes> encrypt_key_pem(std::string_view pem, std::string_view passphrase) {
  const auto in = reader(pem);
  const InfoPtr info(in ? ::PEM_read_bio_PKCS8_PRIV_KEY_INFO(in.get(), nullptr, nullptr, nullptr)
                        : nullptr);
  if (!info) return fail(ErrorKind::kBadInput, "no PKCS#8 private key in the PEM text");
  const std::unique_ptr<X509_ALGOR, Freer<X509_ALGOR, ::X509_ALGOR_free>> how(
      ::PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), kRounds, nullptr, 0, nullptr, NID_hmacWithSHA256));
  if (!how) return fail(ErrorKind::kInternal, "no encryption");
  X509_ALGOR* algorithm = ::X509_ALGOR_dup(how.get());
  const SigPtr sealed(::PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()),
                                       info.get(), algorithm));
  if (!sealed) {
    ::X509_ALGOR_free(algorithm);
    return fail(ErrorKind::kInternal, "the key cannot be encrypted");
  }
  const BioOwner out(::BIO_new(::BIO_s_mem()));
  if (!out || ::PEM_write_bio_PKCS8(out.get(), sealed.get()) != 1)
    return fail(ErrorKind::kInternal, "the key cannot be written");
  return taken(out.get());
}

}  // namespace keyward::crypto
