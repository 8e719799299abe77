// Proves policies and decisions: what does not load, and each reason why evidence is not accepted.
#include "firmware/appraise/policy.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/appraise/decision.h"
#include "firmware/appraise/versions.h"
#include "firmware/jose/jwk.h"
#include "firmware/rats/jwt.h"
#include "tests/support/quote/quote.h"

namespace keyward::appraise {
namespace {

using test::QuoteMaker;
using test::QuoteSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kAtS = kAt / 1'000;
constexpr const char* kNonce = "bm9uY2Utb2YtdGhpcnR5LXR3by1vY3RldHMtYW5kLW1v";

class Folder {
 public:
  Folder() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-appraise-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Appraise : public ::testing::Test {
 protected:
  Appraise() {
    folder_.write("ak.pem", x509::to_pem("CERTIFICATE", quotes_.anchor().der));
    folder_.write("verifier.jwk", jose::Jwk::from_public_key(key_.public_key())->canonical());
    record_ = quotes_.record(quote());
  }
  QuoteSpec quote() const {
    QuoteSpec out;
    out.extra_data = to_bytes(crypto::sha256(view_of(authorization())));
    return out;
  }
  static std::string authorization() { return std::string(kNonce) + ".thumbprint"; }
  std::optional<AppraisalPolicy> parse(const std::string& toml) {
    problems_.clear();
    return parse_policy(toml, "test.toml", folder_.path(), problems_);
  }
  AppraisalPolicy must_parse(const std::string& toml) {
    auto out = parse(toml);
    EXPECT_TRUE(out) << (problems_.empty() ? "" : problems_.front());
    return out.value_or(AppraisalPolicy{});
  }
  // "" if it loads, else what is wrong with it, first.
  std::string wrong(const std::string& toml) {
    return parse(toml) || problems_.empty() ? "" : problems_.front();
  }
  std::string head(std::string_view evidence) const {
    return "name = \"test\"\nversion = \"1\"\nevidence = [\"" + std::string(evidence) + "\"]\n";
  }
  std::string hex(unsigned pcr) const { return hex_encode(record_.pcrs.at(Bank::kSha256).at(pcr)); }
  std::string tpm(const std::string& more = "") const {
    return head("tpm-quote") + "[tpm]\nak_roots = [\"ak.pem\"]\n" + more +
           "[[tpm.pcr_set]]\nname = \"good\"\npcrs = { 0 = [\"" + hex(0) + "\"], 4 = [\"" + hex(4) +
           "\"] }\n";
  }
  Decision judge(const AppraisalPolicy& policy, std::string_view media_type, ByteView value,
                 std::optional<Bytes> relayed = {}) const {
    const auto cmw = rats::parse_cmw(rats::write_cbor_record(media_type, value));
    EXPECT_TRUE(cmw);
    Question question;
    question.fresh.token = kNonce;
    question.fresh.key_authorization = authorization();
    question.at_utc_ms = kAt;
    question.relayed = std::move(relayed);
    return appraise(policy, rats::ResponsePayload(*cmw), question);
  }
  static std::string ids(const Decision& decision) {
    std::string out;
    for (const auto& reason : decision.why_not) out += (out.empty() ? "" : " ") + reason.id;
    return out;
  }
  std::string judge_quote(const std::string& toml, const QuoteSpec& spec) {
    last_ = judge(must_parse(toml), kTpmQuoteMediaType, write_quote_record(quotes_.record(spec)));
    return ids(last_);
  }
  std::string token(const std::string& claims) const { return *rats::make_compact(key_, claims); }
  std::string judge_eat(const std::string& rules, const std::string& claims,
                        const std::string& bind = "bind = [\"nonce\"]\n") {
    last_ = judge(must_parse(head("eat") + bind + "[eat]\nkeys = [\"verifier.jwk\"]\n" + rules),
                  "application/eat+jwt", view_of(token(claims)));
    return ids(last_);
  }
  std::string ear_policy(const std::string& more = "") const {
    return head("ear") + "bind = [\"nonce\"]\n[ear]\n" + more +
           "[[ear.verifier]]\nname = \"own\"\ndeveloper = \"https://verifier.example\"\nkeys = "
           "[\"verifier.jwk\"]\n";
  }
  static std::string ear(const std::string& status, const std::string& vector,
                         const std::string& developer = "https://verifier.example") {
    return R"({"eat_profile":"tag:ietf.org,2026:rats/ear#03","iat":)" + std::to_string(kAtS) +
           R"(,"ear_verifier_id":{"developer":")" + developer + R"(","build":"1"},"eat_nonce":")" +
           kNonce + R"(","submods":{"host":{"ear_status":")" + status +
           R"(","ear_trustworthiness_vector":{)" + vector +
           R"(},"ear_appraisal_policy_ids":["urn:policy"]}}})";
  }
  std::string judge_ear(const std::string& toml, const std::string& result) {
    last_ = judge(must_parse(toml),
                  "application/eat+jwt; eat_profile=\"tag:ietf.org,2026:rats/ear#03\"",
                  view_of(token(result)));
    return ids(last_);
  }

  Folder folder_;
  QuoteMaker quotes_{kAt};
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  QuoteRecord record_;
  std::vector<std::string> problems_;
  Decision last_;
};

TEST_F(Appraise, PolicyThatComparesNothing_DoesNotLoad) {
  using ::testing::HasSubstr;
  EXPECT_THAT(wrong(head("tpm-quote") + "[tpm]\nak_roots = [\"ak.pem\"]\n"),
              HasSubstr("compares nothing"));
  EXPECT_THAT(wrong(head("tpm-quote") + "[tpm]\nak_roots = [\"ak.pem\"]\n[[tpm.event]]\nrule = "
                                        "\"forbidden\"\npcr = 4\ntype = \"EV_IPL\"\n"),
              HasSubstr("compares nothing"));
  EXPECT_THAT(wrong(head("eat") + "[eat]\nkeys = [\"verifier.jwk\"]\n"),
              HasSubstr("compares nothing"));
  EXPECT_THAT(
      wrong(head("eat") + "[eat]\nkeys = [\"verifier.jwk\"]\n[[eat.claim]]\nclaim = \"ueid\"\n"),
      HasSubstr("compares nothing"));
  EXPECT_THAT(wrong(head("pkix") + "[pkix]\narc = \"1.2.3\"\nkeys = [\"verifier.jwk\"]\n"),
              HasSubstr("compares nothing"));
  EXPECT_THAT(wrong(head("ear") + "[ear]\n"), HasSubstr("no verifier"));
  EXPECT_THAT(wrong("name = \"x\"\nversion = \"1\"\n"), HasSubstr("accepts none"));
}

TEST_F(Appraise, PolicyWithAnUnknownKeyOrWord_DoesNotLoad) {
  using ::testing::HasSubstr;
  EXPECT_EQ(wrong(tpm()), "");
  EXPECT_THAT(wrong(tpm("acept = true\n")), HasSubstr("unknown key"));
  EXPECT_THAT(wrong(tpm() + "[eat]\nkeys = []\n"), HasSubstr("unknown key"));
  EXPECT_THAT(wrong("bind = [\"all\"]\n" + tpm()), HasSubstr("bind"));
  EXPECT_THAT(wrong(head("any")), HasSubstr("evidence"));
  EXPECT_THAT(wrong(head("tpm-quote") + "[tpm]\nak_roots = [\"none.pem\"]\n"),
              HasSubstr("no certificate"));
  EXPECT_THAT(wrong(ear_policy("minimum = \"none\"\n")), HasSubstr("minimum tier"));
  EXPECT_THAT(wrong("relay = \"other\"\n" + tpm()), HasSubstr("relay needs"));
}

TEST_F(Appraise, PolicySet_OwnProfileBeforeAny_AndHsmBindsTheKey) {
  folder_.write("any.toml", tpm());
  folder_.write("hsm.toml", "bind = [\"account\"]\n" + tpm());
  const auto any = folder_.path() + "/any.toml";
  std::vector<std::string> problems;
  const auto set = PolicySet::load({{"*/measured_boot", any}, {"laptop/", any}}, problems);
  ASSERT_TRUE(set) << problems.front();
  EXPECT_NE(set->find("x", "measured_boot"), nullptr);
  EXPECT_NE(set->find("laptop", ""), nullptr);
  EXPECT_EQ(set->find("x", ""), nullptr);
  EXPECT_FALSE(PolicySet::load({{"*/hsm", folder_.path() + "/hsm.toml"}}, problems));
  EXPECT_FALSE(PolicySet::load({{"measured_boot", any}}, problems));
}

TEST_F(Appraise, Quote_Good_IsAcceptedAndNamesTheDevice) {
  EXPECT_EQ(judge_quote(tpm(), quote()), "");
  ASSERT_EQ(last_.findings.devices.size(), 1u);
  EXPECT_EQ(last_.findings.devices[0].value, "DEVICE-1");
  EXPECT_FALSE(last_.findings.key);
}

// The signer is told of one attestation key's certificate, which it may have revoked.
TEST_F(Appraise, TwoQuotes_OfTwoAttestationKeys_AreRefused) {
  const auto both = [&](const QuoteRecord& first, const QuoteRecord& second) {
    rats::Cmw cmw;
    for (const auto* record : {&first, &second}) {
      rats::Cmw one;
      one.record.emplace();
      one.record->media_type.type = kTpmQuoteMediaType;
      one.record->value = write_quote_record(*record);
      cmw.entries.push_back({std::to_string(cmw.entries.size()), std::move(one)});
    }
    Question question;
    question.fresh.token = kNonce;
    question.fresh.key_authorization = authorization();
    question.at_utc_ms = kAt;
    last_ = appraise(must_parse(tpm()), rats::ResponsePayload(std::move(cmw)), question);
    return ids(last_);
  };
  EXPECT_EQ(both(record_, record_), "");
  EXPECT_EQ(last_.findings.ak_serial, x509::parse_certificate(record_.x5c.at(0))->serial);
  EXPECT_EQ(both(record_, quotes_.record(quote())), "bind.keys");
}

TEST_F(Appraise, Quote_ChangedBoot_NamesRegisterAndEvent) {
  std::string reference = "reference_log = [";
  const auto log = parse_event_log(*record_.event_log);
  for (const auto& event : log->events)
    reference += "\"" + std::to_string(event.pcr) + " " + event_type_name(event.type) +
                 " sha256:" + hex_encode(event.digests.at(Bank::kSha256)) + " recorded\",";
  auto spec = quote();
  spec.log.events[3] = {4, 0x0000000D, "grub_cmd: linux /other", "linux /other"};
  EXPECT_EQ(judge_quote(tpm(reference + "]\n"), spec), "pcr.value");
  EXPECT_THAT(last_.why_not[0].words, ::testing::HasSubstr("PCR 4 (sha256)"));
  EXPECT_THAT(last_.why_not[0].words, ::testing::HasSubstr("event 4 (PCR 4, EV_IPL"));
  EXPECT_THAT(last_.why_not[0].words, ::testing::HasSubstr("linux /other"));
}

TEST_F(Appraise, Quote_EachFault_IsToldByItsId) {
  auto spec = quote();
  spec.pcrs = {0, 7};
  EXPECT_EQ(judge_quote(tpm(), spec), "pcr.missing");
  spec = quote();
  spec.has_log = false;
  EXPECT_EQ(judge_quote(tpm(), spec), "");
  EXPECT_EQ(judge_quote(tpm("require_event_log = true\n"), spec), "log.missing");
  spec = quote();
  auto record = quotes_.record(spec);
  auto other = spec.log;
  other.events.push_back({4, 5, "more", {}});
  record.event_log = test::event_log(other);
  EXPECT_EQ(ids(judge(must_parse(tpm()), kTpmQuoteMediaType, write_quote_record(record))),
            "log.replay");
  other = spec.log;
  other.algorithms = {0x000C};
  record.event_log = test::event_log(other);
  EXPECT_EQ(ids(judge(must_parse(tpm()), kTpmQuoteMediaType, write_quote_record(record))),
            "log.bank");
  EXPECT_EQ(ids(judge(must_parse("bind = [\"key\"]\n" + tpm()), kTpmQuoteMediaType,
                      write_quote_record(record_))),
            "bind.none");
  EXPECT_EQ(ids(judge(must_parse(tpm()), "application/eat+jwt", view_of("x"))), "evidence.kind");
}

TEST_F(Appraise, Events_EachRule_IsToldByItsId) {
  const auto rule = [](const std::string& verb, unsigned pcr, const std::string& what) {
    return "[[tpm.event]]\nrule = \"" + verb + "\"\npcr = " + std::to_string(pcr) + "\n" + what;
  };
  const std::string linux_line = "description = \"linux /vmlinuz\"\n";
  EXPECT_EQ(judge_quote(tpm() + rule("required", 4, linux_line), quote()), "");
  EXPECT_EQ(judge_quote(tpm() + rule("required", 4, "description = \"linux /x\"\n"), quote()),
            "event.missing");
  // The path of the loader is only the log's word.
  EXPECT_EQ(judge_quote(tpm() + rule("required", 4, "description = \"shimx64\"\n"), quote()),
            "event.missing");
  EXPECT_EQ(judge_quote(tpm() + rule("forbidden", 4, "description = \"shimx64\"\n"), quote()),
            "event.forbidden");
  EXPECT_EQ(judge_quote(tpm() + rule("allowed", 4, linux_line), quote()), "event.not-allowed");
  const auto loader = hex_encode(crypto::sha256(view_of("the loader's code")));
  EXPECT_EQ(judge_quote(tpm() + rule("allowed", 4, linux_line) +
                            rule("allowed", 4, "digests = [\"" + loader + "\"]\n"),
                        quote()),
            "");
  EXPECT_EQ(judge_quote(tpm() + rule("required", 5, linux_line), quote()), "pcr.missing");
  // A log without any event of a register hides nothing of what the register holds.
  auto record = record_;
  auto stripped = quote().log;
  std::erase_if(stripped.events, [](const auto& event) { return event.pcr == 4; });
  record.event_log = test::event_log(stripped);
  const auto policy = must_parse(tpm() + rule("forbidden", 4, "description = \"shimx64\"\n"));
  EXPECT_EQ(ids(judge(policy, kTpmQuoteMediaType, write_quote_record(record))), "log.replay");
}

struct LogField {
  const char* name;
  std::size_t at;
  std::uint8_t mask;
  const char* ids;  // "": not judged
};

// Header of the log: pcrIndex 0, eventType 4, digest 8, size 28, signature 32, platformClass 48,
// versions 52, hashes 56 (algorithm 60, size 62), vendorInfo 64. An event: pcrIndex 0, eventType 4,
// digests 8 (algorithm 12, digest 14), size 46, data 50.
TEST_F(Appraise, EventLogMutation_EachField_IsToldByItsId) {
  const auto policy = must_parse(
      tpm() + "[[tpm.event]]\nrule = \"required\"\npcr = 4\ndescription = \"linux /vmlinuz\"\n");
  const auto good = *record_.event_log;
  const std::size_t last = good.size() - 50 - std::string_view("grub_cmd: linux /vmlinuz").size();
  const LogField fields[] = {
      {"header, size", 28, 1, "log.malformed"},
      {"header, signature", 32, 1, "log.malformed"},
      {"header, platformClass", 48, 1, ""},
      {"header, number of hashes", 56, 2, "log.malformed"},
      {"header, hash", 60, 0x07, "log.malformed"},
      {"header, size of the hash", 62, 1, "log.malformed"},
      {"header, vendorInfo", 64, 1, "log.malformed"},
      {"pcrIndex", last, 1, "log.replay"},
      {"pcrIndex, beyond 23", last, 0x20, "log.pcr"},
      {"eventType, how the data reads", last + 4, 1, "event.missing"},
      {"eventType, one that is not extended", last + 4, 0x0E, "log.replay"},
      {"number of digests", last + 8, 2, "log.digests"},
      {"algorithm of the digest", last + 12, 7, "log.digests"},
      {"digest", last + 14, 1, "log.replay"},
      {"digest, its last octet", last + 45, 1, "log.replay"},
      {"size", last + 46, 1, "log.malformed"},
      {"data", good.size() - 1, 1, "event.missing"},
  };
  for (const auto& field : fields) {
    auto record = record_;
    record.event_log->at(field.at) ^= field.mask;
    EXPECT_EQ(ids(judge(policy, kTpmQuoteMediaType, write_quote_record(record))), field.ids)
        << field.name;
  }
}

TEST_F(Appraise, Eat_EachFault_IsToldByItsId) {
  const auto claims = [](const std::string& more) {
    return std::string(R"({"eat_nonce":")") + kNonce + "\"" + more + "}";
  };
  const auto rule = [](const std::string& text) { return "[[eat.claim]]\n" + text; };
  const auto name = rule("claim = \"swname\"\nequal = \"debian\"\n");
  EXPECT_EQ(judge_eat(name, claims(R"(,"swname":"debian")")), "");
  EXPECT_EQ(judge_eat(name, claims(R"(,"swname":"other")")), "claim.value");
  EXPECT_EQ(judge_eat(name, claims("")), "claim.missing");
  EXPECT_EQ(judge_eat(name, R"({"eat_nonce":"another-nonce","swname":"debian"})"), "eat.freshness");
  EXPECT_EQ(judge_eat("profile = \"urn:x\"\n" + name, claims(R"(,"swname":"debian")")),
            "eat.profile-other");
  const auto version = rule("claim = \"swversion\"\nminimum_version = \"6.10\"\n");
  EXPECT_EQ(judge_eat(version, claims(R"(,"swversion":["6.10.1"])")), "");
  EXPECT_EQ(judge_eat(version, claims(R"(,"swversion":["6.9"])")), "claim.version");
  const auto boots = rule("claim = \"bootcount\"\nminimum = 3\n");
  EXPECT_EQ(judge_eat(boots, claims(R"(,"bootcount":2)")), "claim.minimum");
  const auto debug = rule("claim = \"dbgstat\"\nat_least = \"disabled-since-boot\"\n");
  EXPECT_EQ(judge_eat(debug, claims(R"(,"dbgstat":"disabled")")), "claim.debug");
  EXPECT_EQ(judge_eat(debug, claims(R"(,"dbgstat":"disabled-permanently")")), "");
  const auto age = rule("claim = \"swversion\"\nage_max_days = 30\n");
  EXPECT_EQ(judge_eat(age, claims(R"(,"swversion":["2020-01-01"])")), "claim.age");
  const auto submod = rule("claim = \"swname\"\nequal = \"x\"\nsubmod = \"os\"\n");
  EXPECT_EQ(judge_eat(submod, claims("")), "claim.submod");
  EXPECT_EQ(judge_eat(submod, claims(R"(,"submods":{"os":{"swname":"x"}})")), "");
  EXPECT_EQ(judge_eat(name + version, claims(R"(,"swname":"y","swversion":["1"])")),
            "claim.value claim.version");
  EXPECT_EQ(judge_eat(name, claims(R"(,"swname":"debian")"), ""), "bind.none");
}

TEST_F(Appraise, Ear_EachTierAndFault_IsToldByItsId) {
  EXPECT_EQ(judge_ear(ear_policy(), ear("affirming", R"("hardware":2,"executables":3)")), "");
  EXPECT_EQ(judge_ear(ear_policy(), ear("warning", R"("hardware":32)")), "ear.tier ear.tier");
  EXPECT_EQ(judge_ear(ear_policy(), ear("contraindicated", R"("hardware":97)")),
            "ear.tier ear.tier");
  EXPECT_EQ(judge_ear(ear_policy(), ear("none", R"("hardware":1)")), "ear.tier ear.tier");
  EXPECT_EQ(judge_ear(ear_policy("minimum = \"warning\"\n"), ear("warning", R"("hardware":32)")),
            "");
  EXPECT_EQ(
      judge_ear(ear_policy("required = [\"file-system\"]\n"), ear("affirming", R"("hardware":2)")),
      "ear.required");
  EXPECT_EQ(
      judge_ear(ear_policy("policy_ids = [\"urn:other\"]\n"), ear("affirming", R"("hardware":2)")),
      "ear.policy-id-other");
  EXPECT_EQ(judge_ear(ear_policy(), ear("affirming", R"("hardware":2)", "https://x.example")),
            "ear.verifier");
}

TEST_F(Appraise, Relay_FirstAsksThenJudgesTheResult) {
  const auto policy =
      must_parse("relay = \"other\"\nrelay_media_types = [\"application/x\"]\n" + ear_policy());
  const auto first = judge(policy, "application/x", view_of("evidence"));
  ASSERT_TRUE(first.relay);
  EXPECT_EQ(first.relay->verifier, "other");
  EXPECT_FALSE(first.is_accepted());
  const auto result = to_bytes(token(ear("affirming", R"("hardware":2)")));
  EXPECT_TRUE(judge(policy, "application/x", view_of("evidence"), result).is_accepted());
  const auto bad = to_bytes(token(ear("warning", R"("hardware":32)")));
  EXPECT_EQ(ids(judge(policy, "application/x", view_of("evidence"), bad)), "ear.tier ear.tier");
  EXPECT_EQ(ids(judge(policy, "application/y", view_of("evidence"))), "evidence.relay");
}

TEST(Versions, Comparison_IsByNumbers) {
  EXPECT_LT(*compare_versions("6.9", "6.10"), 0);
  EXPECT_EQ(*compare_versions("6.1", "6.1.0"), 0);
  EXPECT_GT(*compare_versions("2026-11-05", "2026-10"), 0);
  EXPECT_FALSE(compare_versions("6.x", "6.1"));
  EXPECT_FALSE(compare_versions("6.", "6.1"));
  EXPECT_FALSE(compare_versions("", "1"));
  EXPECT_EQ(read_date_ms("1970-01-02"), 86'400'000);
  EXPECT_EQ(read_date_ms("197001"), 0);
  EXPECT_FALSE(read_date_ms("2026-13-01"));
}

}  // namespace
}  // namespace keyward::appraise
