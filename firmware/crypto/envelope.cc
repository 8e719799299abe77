// Owns AES-GCM, AES key wrap, ECDH and RSA-OAEP over OpenSSL. Must not know JOSE.
#include "firmware/crypto/envelope.h"

#include <openssl/rsa.h>

#include "firmware/crypto/openssl.h"

namespace keyward::crypto {
namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* p) const { ::EVP_CIPHER_CTX_free(p); }
};
using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

int size_of(ByteView bytes) { return static_cast<int>(bytes.size()); }

constexpr std::size_t kSizeMax = 1u << 24;  // far below int; callers' own limits are smaller

Status set_oaep(EVP_PKEY_CTX* context) {
  const bool right = ::EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                     ::EVP_PKEY_CTX_set_rsa_oaep_md(context, ::EVP_sha256()) == 1 &&
                     ::EVP_PKEY_CTX_set_rsa_mgf1_md(context, ::EVP_sha256()) == 1;
  if (!right) return openssl_fail(ErrorKind::kInternal, "OpenSSL does not do OAEP");
  return {};
}

}  // namespace

Result<GcmSealed> aes256_gcm_seal(ByteView key, ByteView nonce, ByteView associated,
                                  ByteView plaintext) {
  if (key.size() != kAesKeyBytes || nonce.size() != kGcmNonceBytes || plaintext.size() > kSizeMax)
    return fail(ErrorKind::kBadInput, "AES-GCM: sizes");
  const CipherPtr context(::EVP_CIPHER_CTX_new());
  GcmSealed out{Bytes(plaintext.size()), Bytes(kGcmTagBytes)};
  int written = 0;
  const bool sealed =
      context &&
      ::EVP_EncryptInit_ex(context.get(), ::EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) ==
          1 &&
      (associated.empty() || ::EVP_EncryptUpdate(context.get(), nullptr, &written,
                                                 associated.data(), size_of(associated)) == 1) &&
      (plaintext.empty() || ::EVP_EncryptUpdate(context.get(), out.ciphertext.data(), &written,
                                                plaintext.data(), size_of(plaintext)) == 1) &&
      ::EVP_EncryptFinal_ex(context.get(), out.tag.data(), &written) == 1 &&
      ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kGcmTagBytes, out.tag.data()) == 1;
  if (!sealed) return openssl_fail(ErrorKind::kInternal, "AES-GCM");
  return out;
}

Result<Bytes> aes256_gcm_open(ByteView key, ByteView nonce, ByteView associated,
                              ByteView ciphertext, ByteView tag) {
  if (key.size() != kAesKeyBytes || nonce.size() != kGcmNonceBytes || tag.size() != kGcmTagBytes ||
      ciphertext.size() > kSizeMax)
    return fail(ErrorKind::kBadInput, "AES-GCM: sizes");
  const CipherPtr context(::EVP_CIPHER_CTX_new());
  Bytes out(ciphertext.size());
  Bytes expected = to_bytes(tag);
  std::uint8_t last[16];
  int written = 0;
  const bool opened =
      context &&
      ::EVP_DecryptInit_ex(context.get(), ::EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) ==
          1 &&
      (associated.empty() || ::EVP_DecryptUpdate(context.get(), nullptr, &written,
                                                 associated.data(), size_of(associated)) == 1) &&
      (ciphertext.empty() || ::EVP_DecryptUpdate(context.get(), out.data(), &written,
                                                 ciphertext.data(), size_of(ciphertext)) == 1) &&
      ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kGcmTagBytes, expected.data()) ==
          1 &&
      ::EVP_DecryptFinal_ex(context.get(), last, &written) == 1;
  if (!opened) return openssl_fail(ErrorKind::kRefused, "AES-GCM: the tag does not verify");
  return out;
}

Result<Bytes> aes256_key_wrap(ByteView key, ByteView to_wrap) {
  if (key.size() != kAesKeyBytes || to_wrap.size() < 16 || to_wrap.size() % 8 != 0 ||
      to_wrap.size() > 512)
    return fail(ErrorKind::kBadInput, "AES key wrap: sizes");
  const CipherPtr context(::EVP_CIPHER_CTX_new());
  Bytes out(to_wrap.size() + 8);
  int written = 0;
  if (context) ::EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  const bool wrapped = context &&
                       ::EVP_EncryptInit_ex(context.get(), ::EVP_aes_256_wrap(), nullptr,
                                            key.data(), nullptr) == 1 &&
                       ::EVP_EncryptUpdate(context.get(), out.data(), &written, to_wrap.data(),
                                           size_of(to_wrap)) == 1 &&
                       written == static_cast<int>(out.size());
  if (!wrapped) return openssl_fail(ErrorKind::kInternal, "AES key wrap");
  return out;
}

Result<SecretBytes> aes256_key_unwrap(ByteView key, ByteView wrapped) {
  if (key.size() != kAesKeyBytes || wrapped.size() < 24 || wrapped.size() % 8 != 0 ||
      wrapped.size() > 512)
    return fail(ErrorKind::kBadInput, "AES key wrap: sizes");
  const CipherPtr context(::EVP_CIPHER_CTX_new());
  SecretBytes out(wrapped.size());  // OpenSSL may write a whole block more than it leaves
  int written = 0;
  if (context) ::EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  const bool unwrapped = context &&
                         ::EVP_DecryptInit_ex(context.get(), ::EVP_aes_256_wrap(), nullptr,
                                              key.data(), nullptr) == 1 &&
                         ::EVP_DecryptUpdate(context.get(), out.data(), &written, wrapped.data(),
                                             size_of(wrapped)) == 1 &&
                         written == size_of(wrapped) - 8;
  if (!unwrapped) return openssl_fail(ErrorKind::kRefused, "AES key wrap: does not verify");
  return SecretBytes(out.view().first(wrapped.size() - 8));
}

Result<SecretBytes> ecdh(const PrivateKey& key, const PublicKey& peer) {
  const auto kind = key.public_key().kind();
  const auto bytes = coordinate_bytes(kind);
  if (bytes == 0 || peer.kind() != kind)
    return fail(ErrorKind::kBadInput, "ECDH: the keys are not of one curve");
  const PkeyContextPtr context(::EVP_PKEY_CTX_new(key.impl().pkey.get(), nullptr));
  SecretBytes out(bytes);
  std::size_t size = bytes;
  const bool derived = context && ::EVP_PKEY_derive_init(context.get()) == 1 &&
                       ::EVP_PKEY_derive_set_peer(context.get(), peer.impl().pkey.get()) == 1 &&
                       ::EVP_PKEY_derive(context.get(), out.data(), &size) == 1 && size == bytes;
  if (!derived) return openssl_fail(ErrorKind::kBadInput, "ECDH");
  return out;
}

Result<SecretBytes> rsa_oaep_decrypt(const PrivateKey& key, ByteView encrypted) {
  if (key.public_key().kind() != KeyKind::kRsa)
    return fail(ErrorKind::kBadInput, "OAEP: not an RSA key");
  const PkeyContextPtr context(::EVP_PKEY_CTX_new(key.impl().pkey.get(), nullptr));
  if (!context || ::EVP_PKEY_decrypt_init(context.get()) != 1)
    return openssl_fail(ErrorKind::kInternal, "OAEP");
  KEYWARD_CHECK(set_oaep(context.get()));
  std::size_t size = static_cast<std::size_t>(key.public_key().bits()) / 8 + 1;
  SecretBytes out(size);
  if (::EVP_PKEY_decrypt(context.get(), out.data(), &size, encrypted.data(), encrypted.size()) != 1)
    return openssl_fail(ErrorKind::kRefused, "OAEP: does not open");
  return SecretBytes(out.view().first(size));
}

}  // namespace keyward::crypto
