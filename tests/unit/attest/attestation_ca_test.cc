// The attestation CA's payloads, rules and sessions. That a TPM opens the credential is shown by a
// real one (component/attestation_ca).
#include "firmware/attest/attestation_ca.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kNowMs = 1'790'000'000'000;
constexpr std::int64_t kMinuteMs = 60'000;

Digest256 filled(std::uint8_t value) {
  Digest256 out{};
  out.fill(value);
  return out;
}

std::string begin_payload(ByteView certificate, ByteView ak, ByteView intermediate) {
  json::Writer out;
  out.begin_object().member("ekCertificate", base64url_encode(certificate));
  out.key("ekChain").begin_array().string(base64url_encode(intermediate)).end_array();
  return out.member("akPublic", base64url_encode(ak)).end_object().take();
}
std::string activate_payload(std::string_view session, ByteView secret) {
  json::Writer out;
  out.begin_object().member("session", session).member("secret", base64url_encode(secret));
  return out.end_object().take();
}

class AttestationCaTest : public ::testing::Test {
 protected:
  AttestationCaTest() : maker_(kNowMs) {
    auto name = (std::filesystem::temp_directory_path() / "keyward-ca-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    policy_.ek.roots = {maker_.root()};
  }
  ~AttestationCaTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  AttestationCa open() { return *AttestationCa::open(directory_ + "/ca.key"); }
  std::string good_payload() {
    return begin_payload(maker_.certificate(),
                         test::area_of(test::good_ak_area(), maker_.ak().public_key()),
                         maker_.intermediate().der);
  }
  std::string begin_code(std::string_view payload) {
    const auto begun = open().begin(filled(1), view_of(payload), policy_, kNowMs);
    return begun ? "" : begun.error().code;
  }
  std::string activate_code(std::string_view payload, std::int64_t now_ms = kNowMs,
                            std::uint8_t account = 1) {
    const auto grant = open().activate(filled(account), view_of(payload), policy_, now_ms);
    return grant ? "" : grant.error().code;
  }

  test::EkMaker maker_;
  std::string directory_;
  AttestationCaPolicy policy_;
};

TEST_F(AttestationCaTest, Begin_GivesACredentialAndASession) {
  const auto begun = open().begin(filled(1), view_of(good_payload()), policy_, kNowMs);
  ASSERT_TRUE(begun) << begun.error().code << " " << begun.error().detail;
  EXPECT_EQ(begun->expires_at_ms, kNowMs + 10 * kMinuteMs);
  EXPECT_EQ(begun->credential.id_object.size(), 2u + 32 + 2 + 32);
  EXPECT_EQ(begun->credential.encrypted_secret.size(), 2u + 32 + 2 + 32);
  const auto text = to_json(*begun);
  EXPECT_LE(text.size(), limits::kAkAnswerBytesMax);
  const auto document = json::Document::parse(text);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().get("session").string(), begun->session);
  EXPECT_EQ(document->root().get("expires").string().size(), 20u);
}

TEST_F(AttestationCaTest, Payload_Malformed_IsRefused) {
  const auto begin_bad = [&](std::string_view text) {
    EXPECT_EQ(begin_code(text), "payload.malformed") << text;
  };
  begin_bad("");
  begin_bad("[]");
  begin_bad("{}");
  begin_bad(R"({"ekCertificate":"AA==","akPublic":"AA"})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":""})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":7})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":"AA","ekChain":"AA"})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":"AA","ekChain":[1]})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":"AA","ekPublic":null})");
  begin_bad(R"({"ekCertificate":"AA","akPublic":"AA","other":1})");
  for (const auto* text : {"", "{}", R"({"session":1,"secret":"AA"})", R"({"session":"A"})",
                           R"({"session":"A","secret":"A="})"})
    EXPECT_EQ(activate_code(text), "payload.malformed") << text;
}

TEST_F(AttestationCaTest, Begin_PassesTheRefusalsOfEachStepOn) {
  EXPECT_EQ(begin_code(R"({"ekCertificate":"AA","akPublic":"AA"})"), "ek.certificate");
  const auto area = test::area_of(test::good_ak_area(), maker_.ak().public_key());
  EXPECT_EQ(
      begin_code(begin_payload(maker_.certificate(), view_of("x"), maker_.intermediate().der)),
      "ak.public");
  policy_.ek.roots.clear();
  EXPECT_EQ(begin_code(good_payload()), "ek.unknown-ca");
}

struct AkCase {
  const char* name;
  const char* code;
  test::AreaSpec spec;
};
class AkRefusal : public ::testing::TestWithParam<AkCase> {};
TEST_P(AkRefusal, IsReachedExactly) {
  static const test::EkMaker maker(kNowMs);
  const auto result = check_ak_public(test::area_of(GetParam().spec, maker.ak().public_key()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, GetParam().code);
}
test::AreaSpec flipped(unsigned bit) {
  auto out = test::good_ak_area();
  out.attributes ^= 1u << bit;
  return out;
}
template <class Change>
test::AreaSpec ak_with(Change change) {
  auto out = test::good_ak_area();
  change(out);
  return out;
}
std::string case_name(const ::testing::TestParamInfo<AkCase>& tested) { return tested.param.name; }
INSTANTIATE_TEST_SUITE_P(
    All, AkRefusal,
    ::testing::Values(AkCase{"FixedTpm", "ak.fixed-tpm", flipped(1)},
                      AkCase{"FixedParent", "ak.fixed-parent", flipped(4)},
                      AkCase{"Origin", "ak.origin", flipped(5)},
                      AkCase{"Restricted", "ak.restricted", flipped(16)},
                      AkCase{"Decrypt", "ak.decrypt", flipped(17)},
                      AkCase{"Sign", "ak.sign", flipped(18)},
                      AkCase{"Type", "ak.type", ak_with([](auto& s) { s.curve = 0x0005; })},
                      AkCase{"Scheme", "ak.scheme", ak_with([](auto& s) { s.scheme = 0x0010; })},
                      AkCase{"NameAlg", "ak.name-alg",
                             ak_with([](auto& s) { s.name_alg = 0x0004; })}),
    case_name);

TEST_F(AttestationCaTest, Inventory_DecidesWhoIsTakenAndHowItIsCalled) {
  DeviceQuestion asked;
  std::optional<KnownDevice> answer;
  policy_.find_device = [&](const DeviceQuestion& question) {
    asked = question;
    return answer;
  };
  EXPECT_EQ(begin_code(good_payload()), "");
  EXPECT_EQ(asked.ek_spki_sha256, maker_.ek().public_key().spki_sha256());
  EXPECT_EQ(asked.ak_spki_sha256, maker_.ak().public_key().spki_sha256());
  policy_.must_be_known = true;
  EXPECT_EQ(begin_code(good_payload()), "device.unknown");
  answer = KnownDevice{DeviceStanding::kQuarantined, {}};
  EXPECT_EQ(begin_code(good_payload()), "device.quarantined");
  answer->standing = DeviceStanding::kRetired;
  EXPECT_EQ(begin_code(good_payload()), "device.retired");
  answer->standing = DeviceStanding::kGood;
  EXPECT_EQ(begin_code(good_payload()), "");
}

TEST_F(AttestationCaTest, WrongSecret_IsRefused) {
  // A program that plays a TPM and shows another's EK certificate gets no further than this.
  const auto begun = open().begin(filled(1), view_of(good_payload()), policy_, kNowMs);
  ASSERT_TRUE(begun);
  EXPECT_EQ(activate_code(activate_payload(begun->session, filled(9))), "ak.credential");
  EXPECT_EQ(activate_code(activate_payload(begun->session, ByteView(filled(9)).first(8))),
            "ak.credential");
}

TEST_F(AttestationCaTest, ExpiredSession_IsRefused) {
  const auto begun = open().begin(filled(1), view_of(good_payload()), policy_, kNowMs);
  ASSERT_TRUE(begun);
  const auto payload = activate_payload(begun->session, filled(9));
  EXPECT_EQ(activate_code(payload, kNowMs + 10 * kMinuteMs - 1), "ak.credential");
  EXPECT_EQ(activate_code(payload, kNowMs + 10 * kMinuteMs), "session.expired");
}

TEST_F(AttestationCaTest, SessionOfAnotherAccountKeyOrInstallation_IsForged) {
  const auto begun = open().begin(filled(1), view_of(good_payload()), policy_, kNowMs);
  ASSERT_TRUE(begun);
  const auto payload = activate_payload(begun->session, filled(9));
  EXPECT_EQ(activate_code(payload, kNowMs, 2), "session.forged");
  auto octets = *base64url_decode(begun->session);
  for (std::size_t at = 0; at < octets.size(); at += 7) {
    octets[at] ^= 1;
    EXPECT_EQ(activate_code(activate_payload(base64url_encode(octets), filled(9))),
              "session.forged");
    octets[at] ^= 1;
  }
  EXPECT_EQ(activate_code(activate_payload("AAAA", filled(9))), "session.forged");
  std::filesystem::remove(directory_ + "/ca.key");
  EXPECT_EQ(activate_code(payload), "session.forged");
}

TEST_F(AttestationCaTest, KeyOfAWrongSize_DoesNotOpen) {
  ASSERT_TRUE(replace_file(directory_ + "/ca.key", view_of("short"), 0600));
  const auto opened = AttestationCa::open(directory_ + "/ca.key");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
}

TEST(AttestationCaProblems, EachKindOfCode_HasItsType) {
  EXPECT_EQ(problem_type_of("payload.malformed"), "malformed");
  EXPECT_EQ(problem_type_of("session.expired"), "unauthorized");
  EXPECT_EQ(problem_type_of("device.retired"), "unauthorized");
  EXPECT_EQ(problem_type_of("ek.unknown-ca"), "badAttestationStatement");
  EXPECT_EQ(problem_type_of("ak.credential"), "badAttestationStatement");
}

}  // namespace
}  // namespace keyward::attest
