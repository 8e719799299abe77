// Tests of firmware/jose. Vectors: RFC 7515 A.2 and A.3, RFC 7638 §3.1, RFC 8037 A.2 to A.4;
// signatures by the openssl program over texts written here.
#include <functional>

#include <gtest/gtest.h>

#include "firmware/jose/jws.h"
#include "tests/support/command/command.h"

namespace keyward::jose {
namespace {

using crypto::KeyKind;
using crypto::PrivateKey;

constexpr auto kUrl = "https://ca.example/acme/new-order";
constexpr std::string_view kRfc7638N =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
    "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W"
    "-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08q"
    "NLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
    "kEgU8awapJzKnqDKgw";
constexpr std::string_view kEcX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr std::string_view kEcY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
constexpr std::string_view kOkpX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

template <class R>
void expect_error(const R& result, ErrorKind kind, std::string_view what) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, kind);
  EXPECT_EQ(std::string_view(result.error().what), what);
}

Result<Jwk> jwk_of(const std::string& text) {
  KEYWARD_TRY(document, json::Document::parse(text));
  return Jwk::from_json(document.root());
}
std::string ec_jwk(std::string_view crv, std::string_view x, std::string_view y) {
  return R"({"kty":"EC","crv":")" + std::string(crv) + R"(","x":")" + std::string(x) +
         R"(","y":")" + std::string(y) + R"("})";
}
std::string rsa_jwk(std::string_view n, std::string_view e) {
  return R"({"kty":"RSA","n":")" + std::string(n) + R"(","e":")" + std::string(e) +
         R"(","alg":"RS256","kid":"2011-04-29"})";
}

TEST(Jwk_Rfc7638Example, HasItsThumbprint) {
  const auto jwk = jwk_of(rsa_jwk(kRfc7638N, "AQAB"));
  ASSERT_TRUE(jwk) << jwk.error().what;
  EXPECT_EQ(jwk->thumbprint_text(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  EXPECT_EQ(jwk->canonical(),
            R"({"e":"AQAB","kty":"RSA","n":")" + std::string(kRfc7638N) + R"("})");
}

TEST(Jwk_Rfc8037A3, HasItsThumbprint) {
  const auto jwk = jwk_of(R"({"kty":"OKP","crv":"Ed25519","x":")" + std::string(kOkpX) + R"("})");
  ASSERT_TRUE(jwk);
  EXPECT_EQ(jwk->thumbprint_text(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST(Jwk_EveryKind_ComesBackFromItsCanonicalForm, WithTheSameThumbprint) {
  for (const auto kind :
       {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kEcP521, KeyKind::kRsa, KeyKind::kEd25519}) {
    const auto key = PrivateKey::generate(kind);
    ASSERT_TRUE(key);
    const auto jwk = Jwk::from_public_key(key->public_key());
    ASSERT_TRUE(jwk);
    const auto again = Jwk::from_canonical(jwk->canonical());
    ASSERT_TRUE(again) << jwk->canonical();
    EXPECT_EQ(again->thumbprint(), jwk->thumbprint());
    EXPECT_EQ(again->key().spki_der(), key->public_key().spki_der());
  }
}

TEST(Jwk_NotCanonicalText, IsRefusedWhereOnlyCanonicalIsRead) {
  const auto what = "jwk: not in canonical form";
  const std::string x(kOkpX);
  expect_error(Jwk::from_canonical(R"({"kty":"OKP","crv":"Ed25519","x":")" + x + R"("})"),
               ErrorKind::kBadInput, what);
  expect_error(Jwk::from_canonical(R"({"crv":"Ed25519", "kty":"OKP","x":")" + x + R"("})"),
               ErrorKind::kBadInput, what);
  expect_error(
      Jwk::from_canonical(R"({"crv":"Ed25519","kty":"OKP","x":")" + x + R"(","use":"sig"})"),
      ErrorKind::kBadInput, what);
}

TEST(Jwk_Malformed, IsBadInput) {
  const auto bad = ErrorKind::kBadInput;
  expect_error(jwk_of("[]"), bad, "jwk: not an object");
  expect_error(jwk_of(R"({"kty":"RSA","n":"AQAB"})"), bad, "jwk: a required member is missing");
  expect_error(jwk_of(rsa_jwk(kRfc7638N, "AQAB=")), bad, "jwk: a member is not base64url");
  expect_error(jwk_of(rsa_jwk(kRfc7638N, "AAEAAQ")), bad, "jwk: an integer has a leading zero");
  expect_error(jwk_of(rsa_jwk("", "AQAB")), bad, "jwk: an integer has a leading zero");
  expect_error(jwk_of(ec_jwk("P-256", kEcX, kEcX)), bad, "EC key: the point is not on its curve");
  expect_error(jwk_of(ec_jwk("P-384", kEcX, kEcY)), bad,
               "EC key: a coordinate has not the curve's size");
  expect_error(jwk_of(R"({"kty":5})"), bad, "json: a required string is missing");
}

TEST(Jwk_KindNotAllowed, IsRefused) {
  const auto refused = ErrorKind::kRefused;
  expect_error(jwk_of(R"({"kty":"oct"})"), refused, "jwk: key type is not accepted");
  expect_error(jwk_of(R"({"kty":"oct","k":"AAAA"})"), refused, "jwk: carries a private key");
  expect_error(jwk_of(ec_jwk("secp256k1", kEcX, kEcY)), refused, "jwk: curve is not accepted");
  expect_error(jwk_of(R"({"kty":"OKP","crv":"Ed448","x":"AAAA"})"), refused,
               "jwk: curve is not accepted");
  expect_error(jwk_of(rsa_jwk(base64url_encode(Bytes(128, 0xdb)), "AQAB")), refused,
               "RSA key: modulus too short");
  auto with_d = ec_jwk("P-256", kEcX, kEcY);
  with_d.insert(with_d.size() - 1, R"(,"d":"AAAA")");
  expect_error(jwk_of(with_d), refused, "jwk: carries a private key");
}

TEST(KeyAuthorization_Rfc8555Section8_1, IsTokenDotThumbprint) {
  const auto jwk = jwk_of(rsa_jwk(kRfc7638N, "AQAB"));
  ASSERT_TRUE(jwk);
  EXPECT_EQ(key_authorization("token", jwk->thumbprint()),
            "token.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

// ---- JWS

FlattenedJws signed_by(const PrivateKey& key, const std::string& payload = R"({"a":1})") {
  return *sign(key, {.url = kUrl,
                     .nonce = "bm9uY2U",
                     .kid = "https://ca.example/acme/account/1",
                     .payload = payload});
}

// A JWS with any protected header, signed over it with RFC 7515's rules by this test.
FlattenedJws with_header(const PrivateKey& key, const std::string& header,
                         const std::string& payload_b64 = "e30") {
  FlattenedJws jws;
  jws.protected_b64 = base64url_encode(view_of(header));
  jws.payload_b64 = payload_b64;
  const auto kind = key.public_key().kind();
  const auto scheme = kind == KeyKind::kEd25519 ? crypto::SignatureScheme::kEd25519
                      : kind == KeyKind::kRsa   ? crypto::SignatureScheme::kRsaPkcs1
                                                : crypto::SignatureScheme::kEcdsaRaw;
  jws.signature = *key.sign(scheme, crypto::HashAlgorithm::kSha256,
                            view_of(jws.protected_b64 + "." + jws.payload_b64));
  return jws;
}

TEST(Jws_EveryAcceptedAlgorithm_VerifiesWithItsKeyAlone, AndGivesThePayload) {
  const auto other = PrivateKey::generate(KeyKind::kEcP256);
  for (const auto& [kind, alg] :
       {std::pair{KeyKind::kEcP256, "ES256"}, std::pair{KeyKind::kEcP384, "ES384"},
        std::pair{KeyKind::kRsa, "RS256"}, std::pair{KeyKind::kEd25519, "EdDSA"}}) {
    const auto key = PrivateKey::generate(kind);
    const auto jws = signed_by(*key);
    const auto received = FlattenedJws::parse(to_json(jws));
    ASSERT_TRUE(received) << received.error().what;
    const auto verified = verify(*received, key->public_key());
    ASSERT_TRUE(verified) << alg << verified.error().what;
    EXPECT_EQ(text_of(verified->payload()), R"({"a":1})");
    EXPECT_EQ(verified->header().alg_text, alg);
    EXPECT_EQ(verified->header().url, kUrl);
    EXPECT_EQ(verified->header().nonce, "bm9uY2U");
    EXPECT_EQ(verified->header().kid, "https://ca.example/acme/account/1");
    EXPECT_FALSE(verified->header().jwk);
    EXPECT_FALSE(verify(*received, other->public_key()));
  }
}

TEST(Jws_EmbeddedJwk, IsReadFromTheHeader) {
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  const auto jws =
      sign(*key, {.url = kUrl, .nonce = std::nullopt, .kid = std::nullopt, .payload = ""});
  ASSERT_TRUE(jws);
  const auto header = parse_protected(jws->protected_b64);
  ASSERT_TRUE(header);
  ASSERT_TRUE(header->jwk);
  EXPECT_EQ(header->jwk->key().spki_der(), key->public_key().spki_der());
  EXPECT_FALSE(header->nonce);
  const auto verified = verify(*jws, header->jwk->key());
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->payload_is_empty());
}

TEST(Jws_AnyChangedOctet, DoesNotVerify) {
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  const auto jws = signed_by(*key);
  auto payload = jws;
  payload.payload_b64 = base64url_encode(view_of(R"({"a":2})"));
  expect_error(verify(payload, key->public_key()), ErrorKind::kRefused,
               "the signature does not verify");
  auto header = jws;
  header.protected_b64 =
      base64url_encode(view_of(R"({"alg":"ES256","kid":"x","url":"https://ca.example/other"})"));
  expect_error(verify(header, key->public_key()), ErrorKind::kRefused,
               "the signature does not verify");
  for (std::size_t i = 0; i < jws.signature.size(); i += 7) {
    auto changed = jws;
    changed.signature[i] ^= 0x20;
    EXPECT_FALSE(verify(changed, key->public_key())) << i;
  }
}

TEST(Jws_PayloadIsDecodedAfterTheSignature, AndStrictly) {
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  const std::string header = R"({"alg":"ES256","kid":"k","url":"u"})";
  for (const auto payload : {"e30=", "e3 0", "e", "e3+", "e31"}) {
    expect_error(verify(with_header(*key, header, payload), key->public_key()),
                 ErrorKind::kBadInput, "jws: payload is not unpadded base64url");
    auto unsigned_one = with_header(*key, header, "e30");
    unsigned_one.payload_b64 = payload;
    expect_error(verify(unsigned_one, key->public_key()), ErrorKind::kRefused,
                 "the signature does not verify");
  }
}

TEST(Jws_SignatureOfAnotherLength, IsRefused) {
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  auto jws = signed_by(*key);
  jws.signature = *crypto::ecdsa_raw_to_der(jws.signature);
  expect_error(verify(jws, key->public_key()), ErrorKind::kBadInput,
               "ecdsa signature has not the curve's size");
  jws.signature.resize(63);
  expect_error(verify(jws, key->public_key()), ErrorKind::kBadInput,
               "ecdsa signature has not the curve's size");
}

TEST(Jws_Algorithm, IsHeldToTheKeyAndTheList) {
  const auto p256 = PrivateKey::generate(KeyKind::kEcP256);
  const auto rsa = PrivateKey::generate(KeyKind::kRsa);
  for (const auto alg : {"none", "HS256", "ES512", "PS256", "RS384", "es256", ""}) {
    const auto jws =
        with_header(*p256, R"({"alg":")" + std::string(alg) + R"(","kid":"k","url":"u"})");
    const auto header = parse_protected(jws.protected_b64);
    ASSERT_TRUE(header);
    EXPECT_FALSE(header->alg) << alg;
    EXPECT_EQ(header->alg_text, alg);
    expect_error(verify(jws, p256->public_key()), ErrorKind::kRefused,
                 "jws: algorithm is not accepted");
  }
  for (const auto alg : {"ES384", "RS256", "EdDSA"}) {
    const auto jws =
        with_header(*p256, R"({"alg":")" + std::string(alg) + R"(","kid":"k","url":"u"})");
    expect_error(verify(jws, p256->public_key()), ErrorKind::kRefused,
                 "jws: algorithm does not fit the key");
  }
  expect_error(
      verify(with_header(*rsa, R"({"alg":"ES256","kid":"k","url":"u"})"), rsa->public_key()),
      ErrorKind::kRefused, "jws: algorithm does not fit the key");
  EXPECT_EQ(jws_algorithm_from("ES512"), JwsAlgorithm::kEs512);
  EXPECT_FALSE(is_accepted(JwsAlgorithm::kEs512));
}

TEST(ProtectedHeader_Malformed, IsRefusedForItsReason) {
  const auto check = [](const std::string& text, std::string_view what,
                        ErrorKind kind = ErrorKind::kBadInput) {
    expect_error(parse_protected(base64url_encode(view_of(text))), kind, what);
  };
  check(R"(["ES256"])", "jws: protected header is not an object");
  check(R"({"alg":"ES256","url":"u","kid":"k","crit":["exp"]})", "jws: crit is not supported");
  check(R"({"alg":"ES256","url":"u","kid":"k","b64":false})", "jws: b64 is not supported");
  check(R"({"alg":"ES256","url":"u","kid":"k","b64":true})", "jws: b64 is not supported");
  check(R"({"url":"u","kid":"k"})", "jws: alg is missing");
  check(R"({"alg":"ES256","kid":"k"})", "jws: url is missing");
  check(R"({"alg":7,"url":"u","kid":"k"})", "jws: a header member is not a string");
  check(R"({"alg":"ES256","url":null,"kid":"k"})", "jws: a header member is not a string");
  check(R"({"alg":"ES256","url":"u","kid":"k","nonce":1})", "jws: a header member is not a string");
  check(R"({"alg":"ES256","url":"u"})", "jws: exactly one of jwk and kid is needed");
  check(R"({"alg":"ES256","url":"u","kid":"k","jwk":{}})",
        "jws: exactly one of jwk and kid is needed");
  check(R"({"alg":"ES256","url":"u","jwk":"k"})", "jws: jwk is not an object");
  check(R"({"alg":"ES256","alg":"none","url":"u","kid":"k"})", "json: duplicate member");
  check(R"({"alg":"ES256","url":"u","kid":"k"} )" + std::string(limits::kJwsProtectedBytesMax, ' '),
        "jws: protected header over its limit");
  expect_error(parse_protected("e30="), ErrorKind::kBadInput,
               "jws: protected header is not unpadded base64url");
  expect_error(parse_protected(""), ErrorKind::kBadInput, "json: a digit was expected");
}

TEST(ProtectedHeader_KeyThatIsRefused, IsSaidApart) {
  const auto header = parse_protected(
      base64url_encode(view_of(R"({"alg":"RS256","url":"u","jwk":)" +
                               rsa_jwk(base64url_encode(Bytes(128, 0xdb)), "AQAB") + "}")));
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->jwk_refused);
  EXPECT_FALSE(header->jwk);
  EXPECT_STREQ(header->jwk_problem, "RSA key: modulus too short");
}

TEST(FlattenedJws_Malformed, IsRefusedForItsReason) {
  const auto check = [](const std::string& body, std::string_view what,
                        ErrorKind kind = ErrorKind::kBadInput) {
    expect_error(FlattenedJws::parse(body), kind, what);
  };
  check("[]", "jws: not an object");
  check(R"({"protected":"e30","payload":"","signatures":[]})",
        "jws: several signatures are not supported");
  check(R"({"protected":"e30","payload":"","signature":"AAAA","header":{}})",
        "jws: an unprotected header is not supported");
  check(R"({"protected":"e30","signature":"AAAA"})",
        "jws: protected, payload and signature must be strings");
  check(R"({"protected":"e30","payload":null,"signature":"AAAA"})",
        "jws: protected, payload and signature must be strings");
  check(R"({"protected":"e30","payload":"","signature":"AAAA","x":1})", "jws: unknown member");
  check(R"({"protected":"e30","payload":"","signature":"AAAA="})",
        "jws: signature is not unpadded base64url");
  check(R"({"protected":"e30","payload":"","signature":"AAA+"})",
        "jws: signature is not unpadded base64url");
  check(R"({"protected":"e30","payload":"","signature":""})",
        "jws: signature has an impossible length");
  check(R"({"protected":"e30","payload":"","payload":"e30","signature":"AAAA"})",
        "json: duplicate member");
  check(R"({"protected":"e30","payload":"","signature":")" + std::string(1400, 'A') + R"("})",
        "jws: signature has an impossible length");
  check(R"({"protected":")" + std::string(12000, 'A') + R"(","payload":"","signature":"AAAA"})",
        "jws: protected header over its limit");
  check(std::string(limits::kRequestBodyBytesMax + 1, ' '), "json: text over its limit",
        ErrorKind::kExhausted);
  check("eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "json: a digit was expected");
}

// ---- against the openssl program: what it signs is verified here, and the other way round.

TEST(Jws_SignedByTheOpensslProgram, Verifies) {
  const test::TempDir dir;
  const auto key = PrivateKey::generate(KeyKind::kEcP256);
  test::write_file(dir.path("key"), key->to_pem()->view());
  FlattenedJws jws;
  jws.protected_b64 = base64url_encode(view_of(R"({"alg":"ES256","kid":"k","url":"u"})"));
  jws.payload_b64 = base64url_encode(view_of("payload"));
  test::write_file(dir.path("input"), view_of(jws.protected_b64 + "." + jws.payload_b64));
  const auto done = test::run_command({"openssl", "dgst", "-sha256", "-sign", dir.path("key"),
                                       "-out", dir.path("sig"), dir.path("input")});
  ASSERT_EQ(done.status, 0) << done.output;
  jws.signature = *crypto::ecdsa_der_to_raw(test::read_whole_file(dir.path("sig")), 32);
  const auto verified = verify(jws, key->public_key());
  ASSERT_TRUE(verified);
  EXPECT_EQ(text_of(verified->payload()), "payload");
}

TEST(Jws_SignedHere, VerifiesWithTheOpensslProgram) {
  const test::TempDir dir;
  const auto key = PrivateKey::generate(KeyKind::kEcP384);
  const auto jws = signed_by(*key);
  test::write_file(dir.path("key"), key->to_pem()->view());
  test::write_file(dir.path("input"), view_of(jws.protected_b64 + "." + jws.payload_b64));
  test::write_file(dir.path("sig"), *crypto::ecdsa_raw_to_der(jws.signature));
  const auto done = test::run_command({"openssl", "dgst", "-sha384", "-prverify", dir.path("key"),
                                       "-signature", dir.path("sig"), dir.path("input")});
  EXPECT_EQ(done.status, 0) << done.output;
}

TEST(Jws_Rfc8037A4, Verifies) {
  const auto jwk = jwk_of(R"({"kty":"OKP","crv":"Ed25519","x":")" + std::string(kOkpX) + R"("})");
  ASSERT_TRUE(jwk);
  EXPECT_TRUE(jwk->key().verify(
      crypto::SignatureScheme::kEd25519, crypto::HashAlgorithm::kSha512,
      view_of("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
      *base64url_decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-"
                        "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")));
}

}  // namespace
}  // namespace keyward::jose
