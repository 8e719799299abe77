// keyward-attest verify on what is no attestation object: EAT and EAR as JWT and CWT, message wrappers
// in JSON and CBOR, and endorsement keys' certificates; in words, in JSON and by exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/rats/cmw.h"
#include "firmware/rats/cose.h"
#include "firmware/rats/ear.h"
#include "firmware/rats/jwt.h"
#include "firmware/wire/cbor.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kAt = 1'795'377'600'000;  // 2026-11-22T20:00:00Z
constexpr const char* kAtText = "2026-11-22T20:00:00Z";
const std::string kAuthorization = "bm9uY2U.thumbprint";

class Evidence : public ::testing::Test {
 protected:
  Evidence() {
    put("verifier.jwk", jose::Jwk::from_public_key(key_.public_key())->canonical());
    put("ear.toml",
        "name = \"result\"\nversion = \"1\"\nevidence = [\"ear\"]\nbind = [\"account\"]\n[ear]\n"
        "[[ear.verifier]]\nname = \"v\"\ndeveloper = \"https://v.example\"\nkeys = "
        "[\"verifier.jwk\"]\n");
    put("eat.toml",
        "name = \"token\"\nversion = \"1\"\nevidence = [\"eat\"]\nbind = [\"account\"]\n[eat]\n"
        "keys = [\"verifier.jwk\"]\n[[eat.claim]]\nclaim = \"swname\"\nequal = \"good-os\"\n");
  }
  void put(const std::string& name, const std::string& text) {
    test::write_file(folder_.path(name), view_of(text));
  }
  void put(const std::string& name, ByteView octets) {
    test::write_file(folder_.path(name), octets);
  }
  test::CommandResult verify(const std::string& file, const std::string& policy,
                             std::vector<std::string> more = {"--key-authorization",
                                                              kAuthorization}) const {
    std::vector<std::string> argv{std::string(::getenv("KEYWARD_BIN")) + "/keyward-attest",
                                  "verify",
                                  folder_.path(file),
                                  "--policy",
                                  folder_.path(policy),
                                  "--at",
                                  kAtText};
    argv.insert(argv.end(), more.begin(), more.end());
    return test::run_command(argv);
  }
  std::string jwt(const std::string& claims) const { return *rats::make_compact(key_, claims); }
  static std::string ear(const std::string& status, bool legacy = false) {
    const std::string dot = legacy ? "ear." : "ear_", dash = legacy ? "-" : "_";
    const auto profile = legacy ? rats::kEarProfileLegacy : rats::kEarProfile;
    return R"({"eat_profile":")" + std::string(profile) + R"(","iat":1795377600,"eat_nonce":")" +
           kAuthorization + "\",\"" + dot + "verifier" + dash +
           R"(id":{"developer":"https://v.example","build":"1"},"submods":{"host":{")" + dot +
           R"(status":")" + status + "\"}}}";
  }
  static std::string eat(const std::string& name) {
    return R"({"eat_nonce":")" + kAuthorization + R"(","swname":")" + name + "\"}";
  }
  Bytes cwt(std::uint64_t status) const {
    wire::CborWriter out;
    out.map(5);
    out.unsigned_integer(6);
    out.unsigned_integer(1'795'377'600);
    out.unsigned_integer(10);
    out.bytes(crypto::sha256(view_of(kAuthorization)));
    out.unsigned_integer(265);
    out.text(rats::kEarProfile);
    out.unsigned_integer(266);
    out.map(1);
    out.text("host");
    out.map(1);
    out.unsigned_integer(1000);
    out.unsigned_integer(status);
    out.unsigned_integer(1004);
    out.map(2);
    out.unsigned_integer(0);
    out.text("https://v.example");
    out.unsigned_integer(1);
    out.text("1");
    return *rats::make_sign1(key_, out.take());
  }

  test::TempDir folder_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(Evidence, Ear_BothNames_IsJudgedByItsTier) {
  for (const bool legacy : {false, true}) {
    put("good.jwt", jwt(ear("affirming", legacy)) + "\n");
    const auto good = verify("good.jwt", "ear.toml");
    EXPECT_EQ(good.status, 0) << good.output;
    EXPECT_THAT(good.output, HasSubstr("content: JSON web token"));
    EXPECT_THAT(good.output, HasSubstr("pass    ear.verifier"));
    EXPECT_THAT(good.output, HasSubstr("ACCEPTED"));
    put("bad.jwt", jwt(ear("warning", legacy)));
    const auto bad = verify("bad.jwt", "ear.toml");
    EXPECT_EQ(bad.status, 1);
    EXPECT_THAT(bad.output, HasSubstr("REFUSED ear.tier: host: "));
    EXPECT_THAT(bad.output, Not(HasSubstr("ACCEPTED")));
  }
}

TEST_F(Evidence, Ear_AsCwt_IsTheSame) {
  put("good.cwt", cwt(2));
  const auto good = verify("good.cwt", "ear.toml");
  EXPECT_EQ(good.status, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("content: CBOR web token"));
  put("bad.cwt", cwt(96));
  EXPECT_THAT(verify("bad.cwt", "ear.toml").output, HasSubstr("REFUSED ear.tier"));
}

TEST_F(Evidence, Eat_ClaimsAndFreshness_AreToldByTheirIds) {
  put("good.jwt", jwt(eat("good-os")));
  const auto good = verify("good.jwt", "eat.toml");
  EXPECT_EQ(good.status, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("pass    eat.signature"));
  put("other.jwt", jwt(eat("other-os")));
  EXPECT_THAT(verify("other.jwt", "eat.toml").output, HasSubstr("REFUSED claim.value"));
  const auto stale = verify("good.jwt", "eat.toml", {"--key-authorization", "b3RoZXI.thumbprint"});
  EXPECT_EQ(stale.status, 1);
  EXPECT_THAT(stale.output, HasSubstr("REFUSED eat.freshness"));
  auto spoiled = jwt(eat("good-os"));
  spoiled[spoiled.size() - 9] = spoiled[spoiled.size() - 9] == 'A' ? 'B' : 'A';
  put("spoiled.jwt", spoiled);
  EXPECT_THAT(verify("spoiled.jwt", "eat.toml").output, HasSubstr("REFUSED jws.signature"));
}

TEST_F(Evidence, Cmw_JsonAndCbor_AreOpened) {
  const std::string type =
      "application/eat+jwt; eat_profile=\"" + std::string(rats::kEarProfile) + "\"";
  const auto token = jwt(ear("affirming"));
  const auto record = rats::write_json_record(type, view_of(token));
  put("record.json", record);
  put("collection.json", R"({"result":)" + record + "}");
  put("record.cbor", rats::write_cbor_record(type, view_of(token)));
  for (const char* file : {"record.json", "collection.json", "record.cbor"}) {
    const auto good = verify(file, "ear.toml");
    EXPECT_EQ(good.status, 0) << file << ": " << good.output;
    EXPECT_THAT(good.output, HasSubstr("content: conceptual message wrapper"));
  }
  put("bad.json",
      R"({"result":)" + rats::write_json_record(type, view_of(jwt(ear("contraindicated")))) + "}");
  EXPECT_THAT(verify("bad.json", "ear.toml").output, HasSubstr("REFUSED ear.tier: result/host: "));
  put("broken.json", std::string(R"(["no media type","eA"])"));
  EXPECT_THAT(verify("broken.json", "ear.toml").output, HasSubstr("REFUSED cmw."));
  // A policy for one kind leaves the others aside, and says that nothing remained.
  EXPECT_THAT(verify("record.json", "eat.toml").output, HasSubstr("REFUSED evidence.kind"));
}

TEST_F(Evidence, Json_SaysEveryReason) {
  put("bad.jwt", jwt(ear("warning")));
  const auto result = verify("bad.jwt", "ear.toml", {"--nonce", "b3RoZXI", "--json"});
  EXPECT_EQ(result.status, 1);
  const auto document = json::Document::parse(result.output);
  ASSERT_TRUE(document.has_value()) << result.output;
  EXPECT_FALSE(document->root().get("accepted").boolean());
  EXPECT_EQ(document->root().get("content").string(), "JSON web token");
  const auto reasons = document->root().get("why_not").items();
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_EQ(reasons[0].get("id").string(), "ear.freshness");
  EXPECT_EQ(reasons[1].get("id").string(), "ear.tier");
  EXPECT_EQ(reasons[1].get("submod").string(), "host");
}

TEST_F(Evidence, WithoutAChallengeOrAPolicy_IsNotAnswered) {
  put("good.jwt", jwt(ear("affirming")));
  EXPECT_EQ(verify("good.jwt", "ear.toml", {}).status, 64);
  put("empty.toml", std::string("name = \"x\"\nversion = \"1\"\nevidence = []\n"));
  EXPECT_EQ(verify("good.jwt", "empty.toml").status, 78);
}

TEST_F(Evidence, EkCertificate_ChainAndManufacturer) {
  const test::EkMaker maker(kAt);
  put("root.pem", x509::to_pem("CERTIFICATE", maker.root().der));
  put("ek.toml", "roots = [\"" + folder_.path("root.pem") + "\"]\nmanufacturers = [\"IFX\"]\n");
  const auto intermediate = x509::to_pem("CERTIFICATE", maker.intermediate().der);
  put("ek.pem", x509::to_pem("CERTIFICATE", maker.certificate()) + intermediate);
  const auto good = verify("ek.pem", "ek.toml", {});
  EXPECT_EQ(good.status, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("content: endorsement key certificate"));
  put("alone.der", maker.certificate());  // which CA is missing is said
  const auto alone = verify("alone.der", "ek.toml", {});
  EXPECT_EQ(alone.status, 1);
  EXPECT_THAT(alone.output, HasSubstr("REFUSED ek.unknown-ca"));
  test::EkSpec other;
  other.manufacturer = "id:53544D20";
  put("other.pem", x509::to_pem("CERTIFICATE", maker.certificate(other)) + intermediate);
  const auto refused = verify("other.pem", "ek.toml", {});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, HasSubstr("REFUSED ek.manufacturer"));
  put("rootless.toml", std::string("time = \"now\"\n"));
  EXPECT_EQ(verify("ek.pem", "rootless.toml", {}).status, 78);
}

}  // namespace
}  // namespace keyward
