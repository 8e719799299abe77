// Tests of firmware/crypto. Vectors: FIPS 180-4, RFC 4231, RFC 7515, RFC 8032; keys and signatures
// made by the openssl program.
#include "firmware/crypto/crypto.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "tests/support/command/command.h"

namespace keyward::crypto {
namespace {

Bytes hex(std::string_view text) { return *hex_decode(text); }
Bytes b64(std::string_view text) { return *base64url_decode(text); }

// RFC 7515 A.3.
constexpr std::string_view kA3X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr std::string_view kA3Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
// RFC 8032 §7.1, test 1.
constexpr std::string_view kEd25519Public =
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

template <class R>
void expect_refused(const R& result, ErrorKind kind, std::string_view what) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, kind);
  EXPECT_EQ(std::string_view(result.error().what), what);
  EXPECT_EQ(::ERR_peek_error(), 0U) << "OpenSSL's error queue was left full";
}

// A public key made by the openssl program, as DER.
Bytes openssl_spki(const std::vector<std::string>& genpkey,
                   const std::vector<std::string>& pkey_options = {}) {
  const test::TempDir dir;
  std::vector<std::string> make = {"openssl", "genpkey", "-out", dir.path("key")};
  make.insert(make.end(), genpkey.begin(), genpkey.end());
  const auto made = test::run_command(make);
  EXPECT_EQ(made.status, 0) << made.output;
  std::vector<std::string> convert = {"openssl",  "pkey", "-in",  dir.path("key"), "-pubout",
                                      "-outform", "DER",  "-out", dir.path("spki")};
  convert.insert(convert.end(), pkey_options.begin(), pkey_options.end());
  const auto converted = test::run_command(convert);
  EXPECT_EQ(converted.status, 0) << converted.output;
  return test::read_whole_file(dir.path("spki"));
}

TEST(Hash_KnownVectors, Match) {
  const auto abc = view_of("abc");
  EXPECT_EQ(hex_encode(hash(HashAlgorithm::kSha1, abc)),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_encode(sha256(abc)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_encode(hash(HashAlgorithm::kSha384, abc)),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baec"
            "a134c825a7");
  EXPECT_EQ(hex_encode(hash(HashAlgorithm::kSha512, abc)).substr(0, 32),
            "ddaf35a193617abacc417349ae204131");
  EXPECT_EQ(hex_encode(sha256({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const auto a : {HashAlgorithm::kSha1, HashAlgorithm::kSha256, HashAlgorithm::kSha384,
                       HashAlgorithm::kSha512}) {
    EXPECT_EQ(hash(a, abc).size(), digest_bytes(a));
  }
}

TEST(Hash_TwoParts, IsTheHashOfTheConcatenation) {
  EXPECT_EQ(sha256(view_of("ab"), view_of("c")), sha256(view_of("abc")));
  EXPECT_EQ(sha256({}, view_of("abc")), sha256(view_of("abc")));
}

TEST(Hmac_Rfc4231, Match) {
  EXPECT_EQ(hex_encode(hmac_sha256(view_of("Jefe"), view_of("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      hex_encode(hmac_sha256(Bytes(131, 0xaa),
                             view_of("Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hex_encode(hmac_sha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// RFC 4231 §4.3 and §4.7.
TEST(Hmac_OfEachHash, IsTheRfcs) {
  const auto mac = [](HashAlgorithm algorithm, ByteView key, std::string_view text) {
    return hex_encode(hmac(algorithm, key, view_of(text)));
  };
  const auto key = view_of("Jefe");
  const std::string_view text = "what do ya want for nothing?";
  EXPECT_EQ(mac(HashAlgorithm::kSha256, key, text),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(mac(HashAlgorithm::kSha384, key, text),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649");
  EXPECT_EQ(mac(HashAlgorithm::kSha512, key, text),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
  const Bytes long_key(131, 0xaa);
  const std::string_view long_text = "Test Using Larger Than Block-Size Key - Hash Key First";
  EXPECT_EQ(mac(HashAlgorithm::kSha256, long_key, long_text),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(mac(HashAlgorithm::kSha384, long_key, long_text),
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
            "0c2ef6ab4030fe8296248df163f44952");
  EXPECT_EQ(mac(HashAlgorithm::kSha512, long_key, long_text),
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598");
}

TEST(EcKey_PointOnCurve, IsMade) {
  const auto key = PublicKey::from_ec(KeyKind::kEcP256, b64(kA3X), b64(kA3Y));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->kind(), KeyKind::kEcP256);
  EXPECT_EQ(key->bits(), 256);
  EXPECT_EQ(key->spki_sha256(), sha256(key->spki_der()));
  const auto again = PublicKey::from_spki(key->spki_der());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->spki_der(), key->spki_der());
}

TEST(EcKey_PointOffCurve, IsRefused) {
  auto y = b64(kA3Y);
  y.back() ^= 1;
  expect_refused(PublicKey::from_ec(KeyKind::kEcP256, b64(kA3X), y), ErrorKind::kBadInput,
                 "EC key: the point is not on its curve");
}

TEST(EcKey_CoordinateAboveTheField, IsRefused) {
  expect_refused(PublicKey::from_ec(KeyKind::kEcP256, Bytes(32, 0xff), b64(kA3Y)),
                 ErrorKind::kBadInput, "EC key: the point is not on its curve");
}

TEST(EcKey_CoordinateOfAnotherLength, IsRefused) {
  auto longer = b64(kA3X);
  longer.insert(longer.begin(), 0);
  expect_refused(PublicKey::from_ec(KeyKind::kEcP256, longer, b64(kA3Y)), ErrorKind::kBadInput,
                 "EC key: a coordinate has not the curve's size");
}

TEST(EcKey_KindIsNotEc, IsRefused) {
  expect_refused(PublicKey::from_ec(KeyKind::kRsa, {}, {}), ErrorKind::kRefused,
                 "EC key: not an EC kind");
}

Bytes modulus_of_bits(int bits) {
  Bytes n(static_cast<std::size_t>((bits + 7) / 8), 0x5b);
  n[0] = static_cast<std::uint8_t>(1U << ((bits - 1) % 8));
  return n;
}
const Bytes kF4{1, 0, 1};

TEST(RsaKey_Sizes, AreHeldToTheLimits) {
  expect_refused(PublicKey::from_rsa(modulus_of_bits(1024), kF4), ErrorKind::kRefused,
                 "RSA key: modulus too short");
  expect_refused(PublicKey::from_rsa(modulus_of_bits(2047), kF4), ErrorKind::kRefused,
                 "RSA key: modulus too short");
  expect_refused(PublicKey::from_rsa(modulus_of_bits(4097), kF4), ErrorKind::kRefused,
                 "RSA key: modulus too long");
  for (const int bits : {2048, 3072, 4096}) {
    const auto key = PublicKey::from_rsa(modulus_of_bits(bits), kF4);
    ASSERT_TRUE(key) << bits;
    EXPECT_EQ(key->bits(), bits);
    const auto numbers = key->rsa_numbers();
    ASSERT_TRUE(numbers);
    EXPECT_EQ(numbers->modulus, modulus_of_bits(bits));
    EXPECT_EQ(numbers->exponent, kF4);
    EXPECT_TRUE(PublicKey::from_spki(key->spki_der()));
  }
}

TEST(RsaKey_EvenModulus, IsRefused) {
  auto n = modulus_of_bits(2048);
  n.back() = 0x5a;
  expect_refused(PublicKey::from_rsa(n, kF4), ErrorKind::kRefused, "RSA key: even modulus");
}

TEST(RsaKey_Exponent, IsHeldToTheLimits) {
  const auto n = modulus_of_bits(2048);
  const auto refused = "RSA key: exponent not accepted";
  expect_refused(PublicKey::from_rsa(n, Bytes{1}), ErrorKind::kRefused, refused);
  expect_refused(PublicKey::from_rsa(n, Bytes{1, 0, 0}), ErrorKind::kRefused, refused);
  expect_refused(PublicKey::from_rsa(n, Bytes{1, 0, 0, 0, 1}), ErrorKind::kRefused, refused);
  expect_refused(PublicKey::from_rsa(n, Bytes{0}), ErrorKind::kBadInput,
                 "RSA key: zero modulus or exponent");
  EXPECT_TRUE(PublicKey::from_rsa(n, Bytes{3}));
  EXPECT_TRUE(PublicKey::from_rsa(n, (Bytes{0xff, 0xff, 0xff, 0xff})));
}

TEST(Ed25519Key_SmallOrderOrNotCanonical, IsRefused) {
  const auto what = "Ed25519 key: not canonical, or of small order";
  for (const auto text : {"0100000000000000000000000000000000000000000000000000000000000000",
                          "0000000000000000000000000000000000000000000000000000000000000000",
                          "0000000000000000000000000000000000000000000000000000000000000080",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                          "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}) {
    expect_refused(PublicKey::from_ed25519(hex(text)), ErrorKind::kRefused, what);
  }
  expect_refused(PublicKey::from_ed25519(Bytes(31, 7)), ErrorKind::kBadInput,
                 "Ed25519 key: not 32 octets");
  EXPECT_TRUE(PublicKey::from_ed25519(hex(kEd25519Public)));
}

TEST(Spki_KeysOfTheOpensslProgram, AreReadAndWrittenEqually) {
  const std::vector<std::pair<std::vector<std::string>, KeyKind>> cases = {
      {{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, KeyKind::kEcP256},
      {{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, KeyKind::kEcP384},
      {{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"}, KeyKind::kEcP521},
      {{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, KeyKind::kRsa},
      {{"-algorithm", "ED25519"}, KeyKind::kEd25519},
  };
  for (const auto& [arguments, kind] : cases) {
    const auto spki = openssl_spki(arguments);
    const auto key = PublicKey::from_spki(spki);
    ASSERT_TRUE(key) << arguments.back();
    EXPECT_EQ(key->kind(), kind);
    EXPECT_EQ(key->spki_der(), spki);
    auto longer = spki;
    longer.push_back(0);
    EXPECT_FALSE(PublicKey::from_spki(longer)) << "trailing octet: " << arguments.back();
    EXPECT_FALSE(PublicKey::from_spki(ByteView(spki).first(spki.size() - 1)))
        << "truncated: " << arguments.back();
  }
}

TEST(Spki_OtherForms, AreRefused) {
  const std::vector<std::string> p256 = {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"};
  const auto ec = "EC key: another curve, explicit parameters, or a compressed point";
  expect_refused(PublicKey::from_spki(openssl_spki(p256, {"-ec_conv_form", "compressed"})),
                 ErrorKind::kRefused, ec);
  expect_refused(PublicKey::from_spki(openssl_spki(p256, {"-ec_param_enc", "explicit"})),
                 ErrorKind::kRefused, ec);
  expect_refused(PublicKey::from_spki(
                     openssl_spki({"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"})),
                 ErrorKind::kRefused, ec);
  expect_refused(PublicKey::from_spki(openssl_spki({"-algorithm", "ED448"})), ErrorKind::kRefused,
                 "public key algorithm is not accepted");
  expect_refused(
      PublicKey::from_spki(openssl_spki({"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"})),
      ErrorKind::kRefused, "RSA key: modulus too short");
  expect_refused(PublicKey::from_spki(view_of("hello")), ErrorKind::kBadInput,
                 "public key is not a SubjectPublicKeyInfo");
  expect_refused(PublicKey::from_spki({}), ErrorKind::kBadInput,
                 "public key is not a SubjectPublicKeyInfo");
}

TEST(Spki_RsaWithoutNullOrWithLongLengths, IsRefused) {
  const auto key = PublicKey::from_rsa(modulus_of_bits(2048), kF4);
  ASSERT_TRUE(key);
  auto no_null = key->spki_der();  // 30 82 01 22  30 0d 06 09 ... 05 00  03 ...
  ASSERT_EQ(no_null[17], 0x05);
  no_null.erase(no_null.begin() + 17, no_null.begin() + 19);
  no_null[5] = 0x0b;
  no_null[3] = static_cast<std::uint8_t>(no_null[3] - 2);
  expect_refused(PublicKey::from_spki(no_null), ErrorKind::kBadInput,
                 "RSA key is not in its one DER form");
}

TEST(Verify_Rfc7515A2, Rs256) {
  const auto n =
      b64("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
          "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
          "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
          "KXBdQOS-UTo7WTBEMa2R2CapHg"
          "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
          "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");
  const auto signature =
      b64("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
          "O8W2Fp5jujGbds9uJdbF9CUAr7t1d"
          "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
          "eSN9383LcOLn6_dO--xi12jzDwus"
          "C-"
          "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVr"
          "Bp0igcN_IoypGlUPQGe77Rw");
  const auto input = view_of(
      "eyJhbGciOiJSUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ");
  const auto key = PublicKey::from_rsa(n, kF4);
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->verify(SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256, input, signature));
  expect_refused(key->verify(SignatureScheme::kRsaPss, HashAlgorithm::kSha256, input, signature),
                 ErrorKind::kRefused, "the signature does not verify");
  expect_refused(key->verify(SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha384, input, signature),
                 ErrorKind::kRefused, "the signature does not verify");
}

TEST(Verify_Rfc7515A3, Es256) {
  const auto input = view_of(
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ");
  auto signature =
      b64("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  const auto key = PublicKey::from_ec(KeyKind::kEcP256, b64(kA3X), b64(kA3Y));
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->verify(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256, input, signature));
  const auto der = ecdsa_raw_to_der(signature);
  ASSERT_TRUE(der);
  EXPECT_TRUE(key->verify(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, input, *der));
  expect_refused(key->verify(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256, input, *der),
                 ErrorKind::kBadInput, "ecdsa signature has not the curve's size");
  signature[40] ^= 1;
  expect_refused(key->verify(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256, input, signature),
                 ErrorKind::kRefused, "the signature does not verify");
  expect_refused(key->verify(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256, input, Bytes(64)),
                 ErrorKind::kRefused, "the signature does not verify");
  expect_refused(key->verify(SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256, input, signature),
                 ErrorKind::kRefused, "signature scheme does not fit the key");
}

TEST(Verify_Rfc8032Test1, Ed25519) {
  const auto key = PublicKey::from_ed25519(hex(kEd25519Public));
  ASSERT_TRUE(key);
  auto signature =
      hex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
          "1cf9b46bd25bf5f0595bbe2465514143"
          "8e7a100b");
  EXPECT_TRUE(key->verify(SignatureScheme::kEd25519, HashAlgorithm::kSha512, {}, signature));
  expect_refused(
      key->verify(SignatureScheme::kEd25519, HashAlgorithm::kSha512, view_of("x"), signature),
      ErrorKind::kRefused, "the signature does not verify");
}

TEST(EcdsaForms_RoundTrip, KeepsEveryShape) {
  for (const std::size_t size : {32U, 48U, 66U}) {
    for (const unsigned first : {0x00U, 0x01U, 0x7fU, 0x80U, 0xffU}) {
      Bytes raw(2 * size, 0x11);
      raw[0] = raw[size] = static_cast<std::uint8_t>(first);
      const auto der = ecdsa_raw_to_der(raw);
      ASSERT_TRUE(der);
      EXPECT_EQ(*ecdsa_der_to_raw(*der, size), raw);
    }
  }
  expect_refused(ecdsa_raw_to_der(Bytes(63)), ErrorKind::kBadInput,
                 "ecdsa signature has an impossible length");
  expect_refused(ecdsa_raw_to_der({}), ErrorKind::kBadInput,
                 "ecdsa signature has an impossible length");
}

TEST(EcdsaForms_NotDer, IsRefused) {
  const auto what = "ecdsa signature is not DER";
  for (const auto text : {"", "3006020101020101", "300602010102010100",
                          "3081060201010201"
                          "01",
                          "30060201ff020101",
                          "3007020200010201"
                          "01",
                          "3006020101030101", "3005020101020101", "30080200020101020101"}) {
    if (std::string_view(text) == "3006020101020101") {
      EXPECT_TRUE(ecdsa_der_to_raw(hex(text), 32)) << "the good one";
      continue;
    }
    expect_refused(ecdsa_der_to_raw(hex(text), 32), ErrorKind::kBadInput, what);
  }
  Bytes wide(2 * 48, 0x11);
  expect_refused(ecdsa_der_to_raw(*ecdsa_raw_to_der(wide), 32), ErrorKind::kBadInput, what);
}

TEST(PrivateKey_EveryKind, SignsWhatItsPublicHalfVerifies) {
  const std::vector<std::pair<KeyKind, SignatureScheme>> cases = {
      {KeyKind::kEcP256, SignatureScheme::kEcdsa},
      {KeyKind::kEcP256, SignatureScheme::kEcdsaRaw},
      {KeyKind::kEcP384, SignatureScheme::kEcdsaRaw},
      {KeyKind::kEcP521, SignatureScheme::kEcdsaRaw},
      {KeyKind::kRsa, SignatureScheme::kRsaPkcs1},
      {KeyKind::kRsa, SignatureScheme::kRsaPss},
      {KeyKind::kEd25519, SignatureScheme::kEd25519},
  };
  for (const auto& [kind, scheme] : cases) {
    const auto key = PrivateKey::generate(kind);
    ASSERT_TRUE(key);
    const auto pem = key->to_pem();
    ASSERT_TRUE(pem);
    const auto again = PrivateKey::from_pem(text_of(pem->view()));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->public_key().spki_der(), key->public_key().spki_der());
    const auto signature = again->sign(scheme, HashAlgorithm::kSha384, view_of("message"));
    ASSERT_TRUE(signature);
    EXPECT_TRUE(
        key->public_key().verify(scheme, HashAlgorithm::kSha384, view_of("message"), *signature));
    EXPECT_FALSE(
        key->public_key().verify(scheme, HashAlgorithm::kSha384, view_of("another"), *signature));
  }
}

TEST(PrivateKey_WrongUse, IsRefused) {
  expect_refused(PrivateKey::generate(KeyKind::kRsa, 1024), ErrorKind::kRefused,
                 "RSA key: size not accepted");
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  ASSERT_TRUE(key);
  expect_refused(key->sign(SignatureScheme::kEd25519, HashAlgorithm::kSha256, {}),
                 ErrorKind::kRefused, "signature scheme does not fit the key");
  expect_refused(PrivateKey::from_pem("no key"), ErrorKind::kBadInput,
                 "no unencrypted PKCS#8 private key in the PEM text");
}

TEST(PrivateKey_EncryptedPem, IsRefusedWithoutAskingForAPassword) {
  const test::TempDir dir;
  const auto made = test::run_command({"openssl", "genpkey", "-algorithm", "ED25519", "-aes256",
                                       "-pass", "pass:secret", "-out", dir.path("key")});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto pem = test::read_whole_file(dir.path("key"));
  expect_refused(PrivateKey::from_pem(text_of(pem)), ErrorKind::kBadInput,
                 "no unencrypted PKCS#8 private key in the PEM text");
}

TEST(Verify_PssOfTheOpensslProgram, DependsOnTheSalt) {
  const test::TempDir dir;
  const auto key = PrivateKey::generate(KeyKind::kRsa);
  ASSERT_TRUE(key);
  test::write_file(dir.path("key"), key->to_pem()->view());
  test::write_file(dir.path("message"), view_of("message"));
  const auto sign = [&](const std::string& salt) {
    const auto done = test::run_command(
        {"openssl", "dgst", "-sha256", "-sign", dir.path("key"), "-sigopt", "rsa_padding_mode:pss",
         "-sigopt", "rsa_pss_saltlen:" + salt, "-out", dir.path("signature"), dir.path("message")});
    EXPECT_EQ(done.status, 0) << done.output;
    return test::read_whole_file(dir.path("signature"));
  };
  EXPECT_TRUE(key->public_key().verify(SignatureScheme::kRsaPss, HashAlgorithm::kSha256,
                                       view_of("message"), sign("32")));
  expect_refused(key->public_key().verify(SignatureScheme::kRsaPss, HashAlgorithm::kSha256,
                                          view_of("message"), sign("20")),
                 ErrorKind::kRefused, "the signature does not verify");
}

}  // namespace
}  // namespace keyward::crypto
