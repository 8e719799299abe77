// Proves that a transcript says what was done and by whom it was sealed, and that each way of changing
// it afterwards is found.
#include "firmware/ceremony/transcript.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/ceremony/ceremony.h"
#include "firmware/ceremony/products.h"
#include "hal/fake/fake_signing_token.h"

namespace keyward::ceremony {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> codes(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const auto& finding : findings) out.push_back(finding.code);
  return out;
}

class TranscriptTest : public testing::Test {
 protected:
  TranscriptTest() : now_ms_(system_clock().utc_ms()) {
    EXPECT_TRUE(token_.unlock(SecretBytes(view_of("1234"))).has_value());
    root_plan_.key_label = "root";
    root_plan_.common_name = "R";
    root_plan_.lifetime_days = 100;
    root_der_ = make_root_named("root");
    audit_spki_ = token_.generate_key("audit", hal::KeyAlgorithm::kEcdsaP256)->spki_der;
    audit_der_ =
        *certify_audit({token_, "root", root_der_}, {"A", "", "", 50}, audit_spki_, "", now_ms_);
  }
  Bytes make_root_named(const std::string& label) {
    auto plan = root_plan_;
    plan.key_label = label;
    EXPECT_TRUE(make_key(token_, plan).has_value());
    return *make_root(token_, plan, now_ms_);
  }
  Sealer sealer(const std::string& label = "audit") {
    return {{audit_der_}, hal::KeyAlgorithm::kEcdsaP256, [this, label](ByteView message) {
              return token_.sign(label, message, Deadline::after_ms(5'000),
                                 hal::SignPriority::kUrgent);
            }};
  }
  std::string time() const { return utc_text(now_ms_); }
  Transcript made() {
    TranscriptHead head;
    head.unit = "u1";
    head.title = "Founding \"one\"";
    head.started = time();
    head.plan_file = "plan.toml";
    head.plan_sha256 = crypto::sha256(view_of("plan"));
    head.present = {"Anna"};
    head.modules = {{"root", "module"}};
    auto out = *Transcript::begin(head);
    EXPECT_TRUE(out.append(
        {"plan", time(), "Take it", "", {{"plan.toml", crypto::sha256(view_of("plan")), false}}}));
    EXPECT_TRUE(out.append({"root",
                            time(),
                            "Make the root",
                            "made",
                            {{"root.pem", crypto::sha256(view_of("root")), false},
                             {"handover/s.txt", crypto::sha256(view_of("share")), true}}}));
    EXPECT_TRUE(out.append({"end", time(), "Last", "", {}}));
    return out;
  }
  std::string sealed() {
    auto out = made();
    EXPECT_TRUE(out.seal(sealer(), time(), true));
    return out.text();
  }
  std::vector<std::string> judged(const std::string& text) {
    const auto read = Transcript::parse(text);
    if (!read) return {"not readable"};
    return codes(check_transcript(*read, root_der_));
  }
  static std::string changed(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  }

  std::int64_t now_ms_;
  hal::fake::FakeSigningToken token_;
  CaPlan root_plan_;
  Bytes root_der_, audit_spki_, audit_der_;
};

TEST_F(TranscriptTest, SealedAndReadAgain_IsWhole) {
  const auto text = sealed();
  EXPECT_THAT(judged(text), IsEmpty());
  const auto read = Transcript::parse(text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->head().title, "Founding \"one\"");
  EXPECT_EQ(read->steps().at(1).words, "Make the root");
  EXPECT_TRUE(read->steps().at(1).products.at(1).leaves);
  EXPECT_TRUE(read->has_step("end"));
  EXPECT_EQ(read->text(), text);
}

TEST_F(TranscriptTest, StepChanged_IsNamed) {
  const auto found = judged(changed(sealed(), "Make the root", "Make the fruit"));
  EXPECT_THAT(found, ElementsAre("step-changed", "seal-hash"));
  EXPECT_THAT(judged(changed(sealed(), "\"unit\":\"u1\"", "\"unit\":\"u2\"")),
              Contains("step-changed"));
}

TEST_F(TranscriptTest, StepDroppedInTheMiddleOrAtTheEnd_IsNamed) {
  const auto text = sealed();
  const auto begin = text.find("{\"hash\"", text.find("{\"hash\"") + 1);
  const auto end = text.find("{\"hash\"", begin + 1);
  auto middle = text;
  middle.erase(begin, end - begin);
  EXPECT_THAT(judged(middle), ElementsAre("step-changed", "step-missing"));
  auto last = text;
  const auto comma = text.rfind(',', end);
  last.erase(comma, text.find("\n],\n\"seals\"") - comma);
  EXPECT_THAT(judged(last), ElementsAre("step-missing"));
}

TEST_F(TranscriptTest, SealMissingOrOfSomebodyElse_IsNamed) {
  EXPECT_THAT(judged(made().text()), ElementsAre("seal-missing"));
  ASSERT_TRUE(token_.generate_key("other", hal::KeyAlgorithm::kEcdsaP256).has_value());
  auto other = made();
  ASSERT_TRUE(other.seal(sealer("other"), time(), true));
  EXPECT_THAT(judged(other.text()), ElementsAre("seal-signature"));
  // Another root's audit key.
  const auto text = sealed();
  root_der_ = make_root_named("second-root");
  EXPECT_THAT(judged(text), ElementsAre("seal-foreign"));
}

TEST_F(TranscriptTest, SealByACaKey_IsForeign) {
  auto plan = root_plan_;
  plan.common_name = "I";
  plan.key_label = "issuing";
  plan.path_length = 0;
  const auto key = make_key(token_, plan);
  ASSERT_TRUE(key.has_value());
  audit_der_ = *certify_ca({token_, "root", root_der_}, plan, key->spki_der, "", now_ms_);
  auto text = made();
  ASSERT_TRUE(text.seal(sealer("issuing"), time(), true));
  EXPECT_THAT(judged(text.text()), ElementsAre("seal-foreign"));
}

TEST_F(TranscriptTest, NotCompleteOrNotSealedToTheEnd_IsNamed) {
  auto open = made();
  ASSERT_TRUE(open.seal(sealer(), time(), false));
  EXPECT_THAT(judged(open.text()), ElementsAre("not-complete"));
  auto longer = made();
  ASSERT_TRUE(longer.seal(sealer(), time(), true));
  ASSERT_TRUE(longer.append({"more", time(), "Unsigned", "", {}}));
  EXPECT_THAT(judged(longer.text()), ElementsAre("step-unsealed"));
}

TEST_F(TranscriptTest, StepAddedAfterwards_IsSealedAgain) {
  const auto text = append_sealed_step(
      sealed(), {"destruction", time(), "Destroy all keys", "2 keys gone", {}}, sealer());
  ASSERT_TRUE(text.has_value());
  EXPECT_THAT(judged(*text), IsEmpty());
  EXPECT_EQ(Transcript::parse(*text)->seals().size(), 2u);
}

TEST_F(TranscriptTest, ProductsAgainstTheFolder_EachDifferenceIsNamed) {
  const auto transcript = made();
  std::map<std::string, std::string> disk{
      {"plan.toml", "plan"}, {"root.pem", "root"}, {"handover/s.txt", "share"}};
  const auto judge = [&] {
    Folder folder;
    for (const auto& [name, content] : disk) folder.files.push_back(name);
    folder.read = [&](const std::string& name) -> std::optional<Bytes> {
      const auto at = disk.find(name);
      if (at == disk.end()) return std::nullopt;
      return to_bytes(at->second);
    };
    return codes(check_products(transcript, folder));
  };
  EXPECT_THAT(judge(), IsEmpty());
  disk.erase("handover/s.txt");  // carried away
  EXPECT_THAT(judge(), IsEmpty());
  disk["handover/s.txt"] = "another share";
  EXPECT_THAT(judge(), ElementsAre("product-changed"));
  disk.erase("handover/s.txt");
  disk["more.pem"] = "x";
  EXPECT_THAT(judge(), ElementsAre("product-extra"));
  disk.erase("more.pem");
  disk["root.pem"] = "Root";
  EXPECT_THAT(judge(), ElementsAre("product-changed"));
  disk.erase("root.pem");
  EXPECT_THAT(judge(), ElementsAre("product-missing"));
}

TEST_F(TranscriptTest, PlanOtherThanCarriedOut_IsNamed) {
  const auto read = Transcript::parse(changed(sealed(), hex_encode(crypto::sha256(view_of("plan"))),
                                              hex_encode(crypto::sha256(view_of("x")))));
  ASSERT_TRUE(read.has_value());
  EXPECT_THAT(
      codes(check_products(
          *read, {{}, [](const std::string&) { return std::optional<Bytes>(to_bytes("plan")); }})),
      Contains("plan-other"));
}

TEST_F(TranscriptTest, ProductNamedOutsideTheFolder_IsNeverOpened) {
  auto transcript = made();
  for (const auto* name : {"../x", "/etc/passwd", "a//b", "a/./b", ""})
    ASSERT_TRUE(transcript.append({"bad", time(), "", "", {{name, {}, false}}}));
  std::vector<std::string> opened;
  const auto found = codes(check_products(transcript, {{}, [&](const std::string& name) {
                                                         opened.push_back(name);
                                                         return std::optional<Bytes>();
                                                       }}));
  EXPECT_EQ(std::count(found.begin(), found.end(), "product-name"), 5);
  EXPECT_THAT(opened, testing::UnorderedElementsAre("plan.toml", "root.pem", "handover/s.txt"));
}

TEST_F(TranscriptTest, TextThatIsNone_IsRefused) {
  for (const auto* text : {"", "{}", "[]", "{\"version\":2}", "nonsense"})
    EXPECT_FALSE(Transcript::parse(text).has_value()) << text;
  EXPECT_FALSE(Transcript::parse(changed(sealed(), "\"kind\"", "\"more\":1,\"kind\"")).has_value());
}

// ---- products are judged as a stranger judges them

TEST_F(TranscriptTest, ResponderCertificate_HasItsTwoMarks) {
  const auto spki = token_.generate_key("ocsp", hal::KeyAlgorithm::kEcdsaP256)->spki_der;
  const auto der = certify_ocsp({token_, "root", root_der_}, {"O", "", "", 10}, spki, now_ms_);
  ASSERT_TRUE(der.has_value());
  EXPECT_TRUE(lint_ocsp_certificate(root_der_, *der, now_ms_).has_value());
  EXPECT_FALSE(lint_ocsp_certificate(root_der_, audit_der_, now_ms_).has_value());
  EXPECT_FALSE(lint_audit_certificate(root_der_, *der, now_ms_).has_value());
}

TEST_F(TranscriptTest, List_HoldsExactlyItsTerms) {
  const std::int64_t second = now_ms_ / 1'000 * 1'000;
  const CrlTerms terms{1, second, second + 86'400'000, {}};
  const auto der = make_crl({token_, "root", root_der_}, terms);
  ASSERT_TRUE(der.has_value());
  EXPECT_TRUE(lint_crl(root_der_, *der, terms).has_value());
  EXPECT_FALSE(lint_crl(root_der_, *der, {2, second, second + 86'400'000, {}}).has_value());
  auto spoilt = *der;
  spoilt.back() ^= 1;
  EXPECT_FALSE(lint_crl(root_der_, spoilt, terms).has_value());
}

TEST_F(TranscriptTest, CertificateOfAnotherKey_SignsNothing) {
  make_root_named("second-root");
  EXPECT_EQ(
      certify_ocsp({token_, "second-root", root_der_}, {"O", "", "", 10}, audit_spki_, now_ms_)
          .error()
          .kind,
      ErrorKind::kCorrupt);
}

TEST_F(TranscriptTest, ConstraintsOtherThanThePlans_AreFound) {
  CaPlan plan;
  plan.key_label = "issuing";
  plan.common_name = "I";
  plan.lifetime_days = 10;
  plan.path_length = 0;
  plan.permitted_dns = {"plant.example"};
  plan.permitted_ip = {"10.20.0.0/16"};
  const auto key = make_key(token_, plan);
  const auto der = certify_ca({token_, "root", root_der_}, plan, key->spki_der, "", now_ms_);
  ASSERT_TRUE(der.has_value());
  EXPECT_TRUE(lint_ca_below(plan, root_der_, *der, now_ms_).has_value());
  auto other = plan;
  other.permitted_ip = {"10.21.0.0/16"};
  EXPECT_FALSE(lint_ca_below(other, root_der_, *der, now_ms_).has_value());
  other = plan;
  other.permitted_dns.clear();
  EXPECT_FALSE(lint_ca_below(other, root_der_, *der, now_ms_).has_value());
  other = plan;
  other.path_length.reset();
  EXPECT_FALSE(lint_ca_below(other, root_der_, *der, now_ms_).has_value());
}

}  // namespace
}  // namespace keyward::ceremony
