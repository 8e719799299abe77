// Tests of the check of one binding (RFC 8555 §7.3.4): a right one, and each refusal with its code.
#include "firmware/eab/binding.h"

#include <gtest/gtest.h>

#include "tests/support/eab/eab.h"

namespace keyward::eab {
namespace {

constexpr std::int64_t kNowMs = 1'000'000;
using test::BindingSpec;

class BindingTest : public ::testing::Test {
 protected:
  BindingTest() { EXPECT_TRUE(book_.add(test::credential())); }
  std::string code_of(const wire::EabVerify& request) {
    const auto checked = check_binding(request, &book_, kNowMs);
    if (!checked) last_ = checked.error();
    return checked ? "good" : std::string(checked.error().code);
  }
  std::string code(const BindingSpec& spec) { return code_of(test::binding(account_, spec)); }
  std::string with_header(std::string header) {
    return code(BindingSpec{.header = std::move(header)});
  }
  static std::string header(std::string_view more, std::string_view alg = "HS256") {
    return R"({"alg":")" + std::string(alg) + R"(","kid":"device-7","url":")" +
           std::string(test::kNewAccountUrl) + '"' + std::string(more) + "}";
  }
  CredentialBook book_;
  jose::Jwk account_ = test::new_account_key();
  Refusal last_;
};

TEST_F(BindingTest, Right_EachAlgorithm_Holds) {
  for (const auto* alg : {"HS256", "HS384", "HS512"}) EXPECT_EQ(code({.alg = alg}), "good") << alg;
  const auto checked = check_binding(test::binding(account_), &book_, kNowMs);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->credential, book_.find("device-7"));
  EXPECT_EQ(checked->thumbprint, account_.thumbprint());
}

// Made by `openssl dgst -sha256 -mac HMAC -macopt hexkey:42..42` over the same texts.
TEST_F(BindingTest, Right_FromAnotherImplementation_Holds) {
  wire::EabVerify request;
  request.account_jwk =
      R"({"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
  request.url = std::string(test::kNewAccountUrl);
  request.binding.protected_b64 =
      "eyJhbGciOiJIUzI1NiIsImtpZCI6ImRldmljZS03IiwidXJsIjoiaHR0cHM6Ly9jYS5leGFtcGxlL2FjbWUvbmV3LWFj"
      "Y291bnQifQ";
  request.binding.payload_b64 =
      "eyJrdHkiOiJFQyIsImNydiI6IlAtMjU2IiwieCI6ImY4M09KM0QyeEYxQmc4dnViOXRMZTFnSE16Vjc2ZThUdXM5dVBI"
      "dlJWRVUiLCJ5IjoieF9GRXpSdTltMzZITE5fdHVlNjU5TE5wWFc2cEN5U3Rpa1lqS0lXSTVhMCJ9";
  request.binding.signature = *base64url_decode("4BOTmITs3LhEzmqxDzAH5WRe3d3SOIzg6j6XWM9D6SA");
  EXPECT_EQ(code_of(request), "good");
}

TEST_F(BindingTest, Form_IsRefused) {
  EXPECT_EQ(with_header("[]"), "eab.form");
  EXPECT_EQ(with_header("{"), "eab.form");
  EXPECT_EQ(with_header(R"({"kid":"device-7","url":"u"})"), "eab.form");
  EXPECT_EQ(with_header(R"({"alg":"HS256","url":"u"})"), "eab.form");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"device-7"})"), "eab.form");
  EXPECT_EQ(with_header(header(R"(,"crit":["x"])")), "eab.form");
  EXPECT_EQ(with_header(header(R"(,"b64":false)")), "eab.form");
  EXPECT_EQ(with_header(header(R"(,"jwk":{})")), "eab.form");
  EXPECT_EQ(with_header(header(R"(,"kid":"device-7")")), "eab.form");  // twice
  auto request = test::binding(account_);
  request.binding.signature.clear();
  EXPECT_EQ(code_of(request), "eab.form");
  request = test::binding(account_);
  request.binding.protected_b64 += "=";
  EXPECT_EQ(code_of(request), "eab.form");
  request = test::binding(account_);
  request.account_jwk = "{}";
  EXPECT_EQ(code_of(request), "eab.form");
  EXPECT_EQ(last_.type, "malformed");
}

TEST_F(BindingTest, Algorithm_OtherThanHmac_IsRefused) {
  for (const auto* alg : {"none", "ES256", "RS256", "HS1", "hs256", ""})
    EXPECT_EQ(with_header(header("", alg)), "eab.alg") << alg;
}

TEST_F(BindingTest, Nonce_IsRefused) {
  EXPECT_EQ(with_header(header(R"(,"nonce":"abc")")), "eab.nonce");
}

TEST_F(BindingTest, UrlOfAnotherResource_IsRefused) {
  EXPECT_EQ(code({.url = std::string(test::kNewAccountUrl) + "/"}), "eab.url");
}

TEST_F(BindingTest, UnknownKidAndWrongMac_LookTheSameOutside) {
  EXPECT_EQ(code({.kid = "device-8"}), "eab.kid");
  const auto unknown = to_problem(last_);
  EXPECT_EQ(code({.mac_key = Bytes(32, 0x43)}), "eab.mac");
  const auto wrong = to_problem(last_);
  EXPECT_EQ(unknown.type, wrong.type);
  EXPECT_EQ(unknown.code, wrong.code);
  EXPECT_EQ(unknown.detail, wrong.detail);
  EXPECT_EQ(wrong.code, "eab.mac");
  EXPECT_EQ(wrong.type, "unauthorized");
  const auto nobody = check_binding(test::binding(account_), nullptr, kNowMs);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, "eab.kid");
}

TEST_F(BindingTest, Mac_ChangedOrCut_IsRefused) {
  auto request = test::binding(account_);
  request.binding.signature[31] ^= 1;
  EXPECT_EQ(code_of(request), "eab.mac");
  request.binding.signature.resize(16);
  EXPECT_EQ(code_of(request), "eab.mac");
  // The MAC of another algorithm than the header's.
  request = test::binding(account_, {.alg = "HS512"});
  request.binding.signature.resize(32);
  EXPECT_EQ(code_of(request), "eab.mac");
}

// Nothing of the payload is read before the MAC holds.
TEST_F(BindingTest, BadPayloadUnderAWrongMac_IsTheMac) {
  EXPECT_EQ(code({.mac_key = Bytes(32, 1), .payload = "{"}), "eab.mac");
}

TEST_F(BindingTest, Payload_OtherThanTheAccountsKey_IsRefused) {
  EXPECT_EQ(code({.payload = test::new_account_key().canonical()}), "eab.key");
  EXPECT_EQ(code({.payload = "{"}), "eab.key");
  EXPECT_EQ(code({.payload = ""}), "eab.key");
  EXPECT_EQ(code({.payload = "[]"}), "eab.key");
}

TEST_F(BindingTest, SameKeyWrittenOtherwise_Holds) {
  auto text = account_.canonical();
  text.insert(1, R"("use":"sig", )");
  EXPECT_EQ(code({.payload = text}), "good");
}

TEST_F(BindingTest, ExpiredOrRevoked_IsSaidToTheHolderAlone) {
  book_.find("device-7")->expires_ms = kNowMs + 1;
  EXPECT_EQ(code(BindingSpec{}), "good");
  book_.find("device-7")->expires_ms = kNowMs;
  EXPECT_EQ(code(BindingSpec{}), "eab.expired");
  EXPECT_EQ(code({.mac_key = Bytes(32, 1)}), "eab.mac");
  book_.find("device-7")->revoked_ms = 1;
  EXPECT_EQ(code(BindingSpec{}), "eab.revoked");
  EXPECT_EQ(code({.mac_key = Bytes(32, 1)}), "eab.mac");
}

}  // namespace
}  // namespace keyward::eab
