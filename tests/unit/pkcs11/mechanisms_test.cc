// Bytes between our algorithms and PKCS#11's: keys and signatures made with OpenSSL as the other
// side.
#include "hal/pkcs11/mechanisms.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "hal/fake/fake_signing_token.h"
#include "hal/pkcs11/public_key.h"
#include "hal/pkcs11/return_value.h"

namespace keyward::hal::pkcs11 {
namespace {

TokenKey software_key(fake::FakeSigningToken& token, KeyAlgorithm algorithm) {
  EXPECT_TRUE(token.unlock(SecretBytes(view_of("1234"))));
  return *token.generate_key(to_string(algorithm), algorithm);
}

Bytes raw_half(ByteView der, std::size_t& at, std::size_t size) {
  const std::size_t length = der[at + 1];
  ByteView value = der.subspan(at + 2, length);
  at += 2 + length;
  while (value.size() > size) value = value.subspan(1);
  Bytes out(size - value.size(), 0);
  append(out, value);
  return out;
}

TEST(SignatureFromToken, EcdsaRawOfOpenSslSignature_GivesBackItsDer) {
  fake::FakeSigningToken token;
  for (const auto algorithm : {KeyAlgorithm::kEcdsaP256, KeyAlgorithm::kEcdsaP384}) {
    (void)software_key(token, algorithm);
    const std::size_t half = fact_of(algorithm).signature_bytes / 2;
    for (int i = 0; i < 600;
         ++i) {  // enough for halves with leading zeros and with the top bit set
      const std::string message = std::to_string(i);
      const Bytes der = *token.sign(to_string(algorithm), view_of(message),
                                    Deadline::after_ms(1'000), SignPriority::kIssuance);
      std::size_t at = 2;
      Bytes raw = raw_half(der, at, half);
      append(raw, raw_half(der, at, half));
      auto back = signature_from_token(algorithm, raw);
      ASSERT_TRUE(back);
      ASSERT_EQ(*back, der);
    }
  }
}

TEST(SignatureFromToken, WrongSizeOrZeroHalf_IsCorrupt) {
  EXPECT_EQ(signature_from_token(KeyAlgorithm::kEcdsaP256, Bytes(63, 1)).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(signature_from_token(KeyAlgorithm::kEcdsaP256, Bytes()).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(signature_from_token(KeyAlgorithm::kRsa2048, Bytes(255, 1)).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(signature_from_token(KeyAlgorithm::kEd25519, Bytes(65, 1)).error().kind,
            ErrorKind::kCorrupt);
  Bytes half_zero(64, 0);
  half_zero[40] = 1;
  EXPECT_EQ(signature_from_token(KeyAlgorithm::kEcdsaP256, half_zero).error().kind,
            ErrorKind::kCorrupt);
}

TEST(SignInput, DigestOfWrongSize_IsRefusedHereSinceModulesDoNot) {
  const Pkcs11Quirks quirks;
  EXPECT_FALSE(sign_input(KeyAlgorithm::kEcdsaP256, Bytes(5, 1), {}, quirks));
  EXPECT_FALSE(sign_input(KeyAlgorithm::kEcdsaP256, Bytes(64, 1), {}, quirks));
  EXPECT_FALSE(sign_input(KeyAlgorithm::kEcdsaP384, Bytes(32, 1), {}, quirks));
  auto rsa = sign_input(KeyAlgorithm::kRsa2048, Bytes(32, 1), {}, quirks);
  ASSERT_TRUE(rsa);
  EXPECT_EQ(rsa->mechanism, CKM_RSA_PKCS);
  EXPECT_EQ(rsa->data.size(), 19u + 32u);
}

TEST(SignInput, RsaHashInModule_PassesTheMessage) {
  Pkcs11Quirks quirks;
  quirks.rsa_hash_in_module = true;
  auto input = sign_input(KeyAlgorithm::kRsa2048, Bytes(32, 1), view_of("message"), quirks);
  ASSERT_TRUE(input);
  EXPECT_EQ(input->mechanism, CKM_SHA256_RSA_PKCS);
  EXPECT_EQ(input->data, to_bytes("message"));
}

TEST(Spki, OfEachAlgorithm_EqualsOpenSsl) {
  fake::FakeSigningToken token;
  for (const auto algorithm :
       {KeyAlgorithm::kEcdsaP256, KeyAlgorithm::kEcdsaP384, KeyAlgorithm::kEd25519}) {
    const Bytes spki = software_key(token, algorithm).spki_der;
    const std::size_t size =
        algorithm == KeyAlgorithm::kEd25519 ? 32 : 1 + fact_of(algorithm).signature_bytes;
    auto built = spki_of_point(algorithm, ByteView(spki).last(size));
    ASSERT_TRUE(built);
    EXPECT_EQ(*built, spki);
    EXPECT_TRUE(PublicKey::from_spki(algorithm, spki));
  }
  const Bytes spki = software_key(token, KeyAlgorithm::kRsa2048).spki_der;
  // 0x30 82 .. algorithm(15) 03 82 .. 00 30 82 .. 02 82 01 01 00 <modulus 256> 02 03 01 00 01
  const ByteView modulus = ByteView(spki).last(256 + 5).first(256);
  auto built = spki_of_rsa(modulus, Bytes{0x00, 0x01, 0x00, 0x01});
  ASSERT_TRUE(built);
  EXPECT_EQ(*built, spki);
}

TEST(PublicKey, OffCurveOrOtherAlgorithm_IsCorrupt) {
  fake::FakeSigningToken token;
  Bytes spki = software_key(token, KeyAlgorithm::kEcdsaP256).spki_der;
  EXPECT_EQ(PublicKey::from_spki(KeyAlgorithm::kEcdsaP384, spki).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(PublicKey::from_spki(KeyAlgorithm::kRsa2048, spki).error().kind, ErrorKind::kCorrupt);
  Bytes trailing = spki;
  trailing.push_back(0);
  EXPECT_EQ(PublicKey::from_spki(KeyAlgorithm::kEcdsaP256, trailing).error().kind,
            ErrorKind::kCorrupt);
  spki.back() ^= 1;
  EXPECT_EQ(PublicKey::from_spki(KeyAlgorithm::kEcdsaP256, spki).error().kind, ErrorKind::kCorrupt);
}

TEST(PublicKey, Default_VerifiesNothing) {
  const PublicKey none;
  EXPECT_FALSE(none.verify(Bytes(32, 1), Bytes(70, 1)));
}

TEST(PublicKey, EmptySignature_DoesNotVerify) {
  fake::FakeSigningToken token;
  const auto spki = software_key(token, KeyAlgorithm::kEcdsaP256).spki_der;
  auto key = PublicKey::from_spki(KeyAlgorithm::kEcdsaP256, spki);
  ASSERT_TRUE(key);
  EXPECT_FALSE(key->verify(Bytes(32, 1), {}));
}

TEST(PointFromAttribute, BothForms_AndNothingElse) {
  Bytes point(65, 4);
  EXPECT_EQ(*point_from_attribute(KeyAlgorithm::kEcdsaP256, point), point);
  Bytes wrapped{0x04, 65};
  append(wrapped, point);
  EXPECT_EQ(*point_from_attribute(KeyAlgorithm::kEcdsaP256, wrapped), point);
  wrapped[1] = 64;
  EXPECT_EQ(point_from_attribute(KeyAlgorithm::kEcdsaP256, wrapped).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(point_from_attribute(KeyAlgorithm::kEcdsaP384, point).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(point_from_attribute(KeyAlgorithm::kEcdsaP256, {}).error().kind, ErrorKind::kCorrupt);
}

TEST(AlgorithmOf, UnknownCurveOrSize_IsNothing) {
  EXPECT_EQ(algorithm_of(CKK_EC, fact_of(KeyAlgorithm::kEcdsaP256).ec_params, {}),
            KeyAlgorithm::kEcdsaP256);
  EXPECT_FALSE(algorithm_of(CKK_EC, Bytes{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, {}));  // P-521
  EXPECT_FALSE(algorithm_of(CKK_EC, {}, {}));
  EXPECT_FALSE(algorithm_of(CKK_RSA, {}, Bytes(128, 0xff)));
  EXPECT_EQ(algorithm_of(CKK_RSA, {}, Bytes(256, 0xff)), KeyAlgorithm::kRsa2048);
  EXPECT_FALSE(algorithm_of(CKK_RSA, {}, Bytes(256, 0x7f)));  // 2047 bits
  EXPECT_FALSE(algorithm_of(CKK_AES, {}, {}));
}

TEST(ReturnValue, Classes_AreAsTheLadderNeeds) {
  for (const CK_RV rv :
       {CKR_GENERAL_ERROR, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_OBJECT_HANDLE_INVALID,
        CKR_SESSION_HANDLE_INVALID, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED,
        CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED}) {
    EXPECT_FALSE(is_request_error(rv)) << rv_text(rv);
    EXPECT_EQ(error_of(rv, "x").kind, ErrorKind::kUnavailable);
  }
  EXPECT_TRUE(is_request_error(CKR_MECHANISM_INVALID));
  EXPECT_TRUE(is_pin_wrong(CKR_PIN_INCORRECT));
  EXPECT_FALSE(is_pin_wrong(CKR_PIN_LOCKED));
  EXPECT_TRUE(is_pin_refusal(CKR_PIN_LOCKED));
  EXPECT_FALSE(is_pin_refusal(CKR_DEVICE_ERROR));
  EXPECT_EQ(rv_text(CKR_DEVICE_ERROR), "CKR_DEVICE_ERROR (0x30)");
  EXPECT_EQ(rv_text(0x80000001), "vendor error 0x80000001");
}

}  // namespace
}  // namespace keyward::hal::pkcs11
