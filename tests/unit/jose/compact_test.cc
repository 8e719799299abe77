// Tests of the compact form: three parts and no more, and the chain of a header.
#include "firmware/jose/compact.h"

#include <string>

#include <gtest/gtest.h>

#include "hal/base/limits.h"

namespace keyward::jose {
namespace {

std::string b64(std::string_view text) { return base64url_encode(view_of(text)); }

TEST(CompactJws, ThreeParts_AreCut) {
  const auto token = b64("{}") + "." + b64("what it says") + "." + b64("signature");
  const auto jws = parse_compact(token);
  ASSERT_TRUE(jws);
  EXPECT_EQ(jws->protected_b64, b64("{}"));
  EXPECT_EQ(jws->payload_b64, b64("what it says"));
  EXPECT_EQ(jws->signing_input, b64("{}") + "." + b64("what it says"));
  EXPECT_EQ(text_of(jws->signature), "signature");
}

TEST(CompactJws, AnotherForm_IsRefused) {
  const auto why = [](const std::string& token) -> std::string {
    const auto jws = parse_compact(token);
    return jws ? "" : jws.error().what;
  };
  const std::string kForm = "not a compact JWS";
  const std::string kSignature = "the signature is not base64url of a signature's size";
  EXPECT_EQ(why(""), kForm);
  EXPECT_EQ(why("e30"), kForm);
  EXPECT_EQ(why("e30.e30"), kForm);
  EXPECT_EQ(why("e30.e30.AAAA.AAAA"), kForm);
  EXPECT_EQ(why("e30.e30.AAAA.AAAA.AAAA"), kForm) << "a JWE";
  EXPECT_EQ(why("e30.e30."), kSignature) << "unsecured";
  EXPECT_EQ(why("e30.e30.AA=="), kSignature);
  EXPECT_EQ(why("e30.e30.A A"), kSignature);
  EXPECT_EQ(why("e30.e30." + b64(std::string(limits::kJwsSignatureBytesMax + 1, 's'))), kSignature);
  EXPECT_EQ(why("e30.e30." + b64(std::string(limits::kJwsSignatureBytesMax, 's'))), "");
}

TEST(X5c, Chain_IsReadInItsOrder_OrRefused) {
  const auto read = [](const std::string& text) {
    const auto document = json::Document::parse(text);
    EXPECT_TRUE(document) << text;
    return parse_x5c(document->root());
  };
  const auto chain = read(R"(["/+8=","AAAA"])");
  ASSERT_TRUE(chain);
  ASSERT_EQ(chain->size(), 2u);
  EXPECT_EQ(hex_encode((*chain)[0]), "ffef");
  EXPECT_EQ(hex_encode((*chain)[1]), "000000");
  std::string long_chain = "[\"AAAA\"";
  for (std::size_t i = 1; i < limits::kChainCertificatesMax; ++i) long_chain += ",\"AAAA\"";
  EXPECT_TRUE(read(long_chain + "]"));
  for (const auto& text :
       {std::string("[]"), std::string("{}"), std::string("\"AAAA\""), std::string("[1]"),
        std::string("[\"\"]"), std::string("[\"_-8=\"]"), long_chain + ",\"AAAA\"]"}) {
    const auto refused = read(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
    EXPECT_STREQ(refused.error().what, "x5c is not a chain of certificates");
  }
}

}  // namespace
}  // namespace keyward::jose
