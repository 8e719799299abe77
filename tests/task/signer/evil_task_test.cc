// Each verifier, and the front end, replaced by a hostile one at the real signer: what it obtains and
// what it does not is docs/threat-model.md's table, row by row; the last test compares the two. What
// a hostile front end does not obtain stands in hostile_acme_test and its neighbours.
#include <fstream>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/grant_ak.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_remote.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/x509/csr.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr int kBudget = 3;  // certificates an hour, of one account

// An installation as a plant would have it: names bounded, accounts admitted by credentials, every
// kind of profile offered.
constexpr const char* kInstallation =
    "permitted_dns = [\"plant.example\"]\nexternal_account_required = true\n"
    "budgets.account_per_hour = 3\n"
    "profiles.phone.kind = \"sti\"\nprofiles.phone.days = 30\n"
    "profiles.door.kind = \"third-party\"\nprofiles.door.days = 30\n"
    "profiles.ak.kind = \"attestation-key\"\nprofiles.ak.days = 30\n"
    "profiles.measured.kind = \"server\"\nprofiles.measured.days = 30\n"
    "profiles.measured.preference = 900\nprofiles.measured.attestations = [\"measured_boot\"]\n";

class EvilTask : public ::testing::Test {
 protected:
  // One stage for all suites: what one left behind gives the next nothing, or a test fails.
  static SignerStage& stage() {
    static SignerStage* const kept = [] {
      auto* made = new SignerStage(kInstallation);
      made->start();
      return made;
    }();
    return *kept;
  }
  void SetUp() override { issued_before_ = stage().ledger().issued; }
  void TearDown() override {
    const auto ledger = stage().ledger();
    EXPECT_EQ(stage().signatures(), ledger.signatures_intended());
    EXPECT_EQ(ledger.issued - issued_before_, obtained_);
    EXPECT_TRUE(stage().alive()) << stage().log();
  }

  template <class Request>
  std::string say(TaskId edge, const Request& request) {
    const auto reply = stage().call(edge, request);
    return reply ? "taken" : reply.error().code;
  }
  // The signer ends for it, and is as before when it is started again.
  template <class Request>
  void fatal(TaskId edge, const Request& request) {
    stage().send(edge, wire::encode_frame(stage().next_id(), request));
    EXPECT_EQ(stage().wait_exit(), kExitProtocol) << Request::kName;
    stage().start();
  }
  // Order and finalize as a client that is the attacker's own signs them; "issued", or the reason.
  std::string obtain(const TestClient& client, const std::vector<wire::Identifier>& names,
                     const std::string& profile, auto&& before_finalize,
                     const std::optional<Bytes>& csr = std::nullopt) {
    const auto made =
        stage().call(TaskId::kAcme, client.new_order(TestClient::order_payload(names, profile)));
    if (!made) return made.error().code;
    before_finalize(*made);
    return finish(client.finalize(*made, csr ? *csr : make_csr(key_, names)));
  }
  std::string finish(const wire::CertificateIssue& request) {
    const auto reply = stage().call(TaskId::kAcme, request);
    if (reply && !reply->replayed) ++obtained_;
    return reply ? "issued" : reply.error().code;
  }
  // An honest attestation task admitted this account.
  void admit(const TestClient& client) {
    ASSERT_EQ(say(TaskId::kAttestation, admission(client)), "taken");
  }

  static std::int64_t in_ms(std::int64_t ms) { return system_clock().utc_ms() + ms; }
  static wire::GrantName name_grant(const TestClient& client, const std::string& name) {
    return {client.thumbprint(), dns(name),      false,       wire::ValidationMethod::kDns01,
            std::nullopt,        in_ms(kHourMs), Digest256{7}};
  }
  static wire::GrantAccount admission(const TestClient& client) {
    return {client.thumbprint(), "kid-1", {}, std::nullopt, in_ms(kHourMs), false};
  }
  wire::GrantDevice device_grant(const TestClient& client, const std::string& ticket) const {
    return {client.thumbprint(), device("BREAKER-1"), "tpm", ticket, spki(),
            in_ms(kHourMs),      Digest256{7}};
  }
  static wire::GrantAuthority word(const TestClient& client, const wire::Identifier& about,
                                   const std::string& ticket) {
    wire::GrantAuthority grant;
    grant.thumbprint = client.thumbprint();
    grant.identifier = about;
    grant.ticket = ticket;
    grant.expires_at_ms = in_ms(kHourMs);
    return grant;
  }
  static wire::GrantRemote appraisal(const TestClient& client, const std::string& ticket) {
    wire::GrantRemote grant;
    grant.thumbprint = client.thumbprint();
    grant.hint = "measured_boot";
    grant.profile = "measured";
    grant.policy = "none";
    grant.ticket = ticket;
    grant.expires_at_ms = in_ms(kHourMs);
    return grant;
  }
  wire::GrantAk activation(const TestClient& client) const {
    wire::GrantAk grant;
    grant.thumbprint = client.thumbprint();
    grant.session_sha256 = crypto::sha256(view_of("S1"));
    grant.spki = key_.public_key().spki_der();
    grant.manufacturer = "id:00001014";
    grant.model = "none";
    grant.version = "id:20191023";
    grant.identifiers = {device("BREAKER-1")};
    grant.expires_at_ms = in_ms(600'000);
    return grant;
  }
  static wire::AkIssue ak_request(const TestClient& client) {
    return {client.jwk(), client.sign(std::string(kBaseUrl) + "/acme/attestation-ca/activate",
                                      R"({"session":"S1","secret":"AAAA"})")};
  }
  Digest256 spki() const { return key_.public_key().spki_sha256(); }

  static inline const wire::Identifier kMac{wire::IdentifierType::kMac, "00:24:98:7b:19:02"};
  static inline const wire::Identifier kTelephone{wire::IdentifierType::kTnAuthList,
                                                  "MAigBhYENzA5Sg"};
  static inline const wire::Identifier kService{wire::IdentifierType::kUri,
                                                "sip:door.plant.example"};
  TestClient mine_, victim_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::uint64_t issued_before_ = 0, obtained_ = 0;
};
void nothing_more(const wire::TicketMintReply&) {}

// ---- a hostile validation task; the front end helps it

class EvilValidation : public EvilTask {
 protected:
  std::string assert_name(const TestClient& client, const std::string& name) {
    return say(TaskId::kValidation, name_grant(client, name));
  }
};

TEST_F(EvilValidation, UnprovedNameWithinTheConstraints_Obtained) {
  admit(mine_);
  EXPECT_EQ(assert_name(mine_, "door.plant.example"), "taken");
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "server", nothing_more), "issued");
}

TEST_F(EvilValidation, UnprovedWildcardByClaimingDns01_Obtained) {
  admit(mine_);
  auto grant = name_grant(mine_, "plant.example");
  grant.wildcard = true;
  EXPECT_EQ(say(TaskId::kValidation, grant), "taken");
  EXPECT_EQ(obtain(mine_, {dns("*.plant.example")}, "server", nothing_more), "issued");
}

TEST_F(EvilValidation, AppliancesOwnName_Obtained) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    auto grant = name_grant(mine_, "ca.test.example");
    grant.method = wire::ValidationMethod::kAppliance;
    grant.ticket = made.ticket;
    EXPECT_EQ(say(TaskId::kValidation, grant), "taken");
  };
  EXPECT_EQ(obtain(mine_, {dns("ca.test.example")}, "server", claim), "issued");
}

TEST_F(EvilValidation, NameOutsideTheConstraints_Refused) {
  admit(mine_);
  EXPECT_EQ(assert_name(mine_, "bank.example"), "taken");  // it may say so; it is worth nothing
  EXPECT_EQ(obtain(mine_, {dns("bank.example")}, "server", nothing_more),
            "identifier-not-permitted");
}

TEST_F(EvilValidation, AccountThatNobodyAdmitted_Refused) {
  EXPECT_EQ(assert_name(mine_, "door.plant.example"), "taken");
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "server", nothing_more),
            "account-not-admitted");
  fatal(TaskId::kValidation, admission(mine_));
}

TEST_F(EvilValidation, WithoutTheClientsSignature_Refused) {
  admit(victim_);
  EXPECT_EQ(assert_name(victim_, "door.plant.example"), "taken");
  const auto made = stage().call(TaskId::kAcme, victim_.new_order({dns("door.plant.example")}));
  ASSERT_TRUE(made) << made.error().code;
  auto forged = mine_.finalize(*made, make_csr(key_, {dns("door.plant.example")}));
  forged.account_jwk = victim_.jwk();
  EXPECT_EQ(finish(forged), "jws-signature");
}

TEST_F(EvilValidation, Device_Refused) {
  admit(mine_);
  auto grant = name_grant(mine_, "door.plant.example");
  grant.identifier = device("BREAKER-1");
  EXPECT_EQ(say(TaskId::kValidation, grant), "grant-not-permitted");
  EXPECT_EQ(assert_name(mine_, "door.plant.example"), "taken");
  EXPECT_EQ(obtain(mine_, {device("BREAKER-1")}, "device", nothing_more), "grant-missing");
  fatal(TaskId::kValidation, device_grant(mine_, "ticket"));
}

TEST_F(EvilValidation, TelephoneMacAndService_Refused) {
  admit(mine_);
  EXPECT_EQ(assert_name(mine_, "plant.example"), "taken");
  for (const auto& about : {kMac, kTelephone, kService}) {
    auto grant = name_grant(mine_, "plant.example");
    grant.identifier = about;
    EXPECT_EQ(say(TaskId::kValidation, grant), "grant-not-permitted") << about.value;
  }
  EXPECT_EQ(obtain(mine_, {kMac}, "door", nothing_more, *x509::build_csr(key_, {kMac})),
            "grant-missing");
  fatal(TaskId::kValidation, word(mine_, kMac, "ticket"));
}

TEST_F(EvilValidation, AttestationThatAProfileAsksFor_Refused) {
  admit(mine_);
  EXPECT_EQ(assert_name(mine_, "door.plant.example"), "taken");
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "measured", nothing_more),
            "attestation-missing");
  fatal(TaskId::kValidation, appraisal(mine_, "ticket"));
}

TEST_F(EvilValidation, AttestationKey_Refused) {
  admit(mine_);
  EXPECT_EQ(say(TaskId::kAcme, ak_request(mine_)), "no-grant");
  fatal(TaskId::kValidation, activation(mine_));
  EXPECT_EQ(say(TaskId::kAcme, ak_request(mine_)), "no-grant");
}

TEST_F(EvilValidation, CaCertificate_Refused) {
  admit(mine_);
  EXPECT_EQ(assert_name(mine_, "door.plant.example"), "taken");
  CsrSpec spec;
  spec.extensions = {x509::ext_basic_constraints(true, std::nullopt),
                     *x509::ext_subject_alt_name({dns("door.plant.example")}, false)};
  EXPECT_EQ(
      obtain(mine_, {dns("door.plant.example")}, "server", nothing_more, make_csr(key_, spec)),
      "csr-extension");
}

TEST_F(EvilValidation, MoreThanTheBudget_Refused) {
  admit(mine_);
  for (int n = 0; n <= kBudget; ++n) {
    const std::string name = "n" + std::to_string(n) + ".plant.example";
    EXPECT_EQ(assert_name(mine_, name), "taken");
    EXPECT_EQ(obtain(mine_, {dns(name)}, "server", nothing_more),
              n < kBudget ? "issued" : "rate-account");
  }
}

TEST_F(EvilValidation, GrantThatLivesLong_Refused) {
  auto grant = name_grant(mine_, "door.plant.example");
  grant.expires_at_ms = INT64_MAX;
  EXPECT_EQ(say(TaskId::kValidation, grant), "grant-not-permitted");
}

TEST_F(EvilValidation, AskingForCertificatesItself_Fatal) {
  admit(mine_);
  const auto made = stage().call(TaskId::kAcme, mine_.new_order({dns("door.plant.example")}));
  ASSERT_TRUE(made);
  fatal(TaskId::kValidation, mine_.new_order({dns("door.plant.example")}));
  fatal(TaskId::kValidation, mine_.finalize(*made, make_csr(key_, {dns("door.plant.example")})));
  fatal(TaskId::kValidation,
        wire::CertificateRevoke{mine_.jwk(), made ? mine_.sign("x", "{}") : wire::ClientJws{}});
}

// ---- a hostile attestation task; the front end helps it

class EvilAttestation : public EvilTask {};

TEST_F(EvilAttestation, AdmittedAccount_Obtained) {
  EXPECT_EQ(say(TaskId::kAttestation, admission(mine_)), "taken");
  ASSERT_TRUE(stage().prove(mine_, dns("own.plant.example")));  // honestly
  EXPECT_EQ(obtain(mine_, {dns("own.plant.example")}, "server", nothing_more), "issued");
}

TEST_F(EvilAttestation, DeviceThatIsNone_Obtained) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    EXPECT_EQ(say(TaskId::kAttestation, device_grant(mine_, made.ticket)), "taken");
  };
  EXPECT_EQ(obtain(mine_, {device("BREAKER-1")}, "device", claim), "issued");
}

TEST_F(EvilAttestation, TelephoneIdentity_Obtained) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    auto grant = word(mine_, kTelephone, made.ticket);
    grant.not_after_max_ms = in_ms(30 * 24 * kHourMs);
    EXPECT_EQ(say(TaskId::kAttestation, grant), "taken");
  };
  CsrSpec spec;
  spec.extensions = {
      x509::extension_der("1.3.6.1.5.5.7.1.26", false, *base64url_decode(kTelephone.value))};
  EXPECT_EQ(obtain(mine_, {kTelephone}, "phone", claim, make_csr(key_, spec)), "issued");
}

TEST_F(EvilAttestation, VendorsDevice_Obtained) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    auto grant = word(mine_, kMac, made.ticket);
    grant.method = wire::ValidationMethod::kVendorJwt01;
    EXPECT_EQ(say(TaskId::kAttestation, grant), "taken");
  };
  EXPECT_EQ(obtain(mine_, {kMac}, "door", claim, *x509::build_csr(key_, {kMac})), "issued");
}

TEST_F(EvilAttestation, MeasuredBootThatWasNot_Obtained) {
  admit(mine_);
  ASSERT_TRUE(stage().prove(mine_, dns("own.plant.example")));  // honestly
  const auto claim = [&](const wire::TicketMintReply& made) {
    EXPECT_EQ(say(TaskId::kAttestation, appraisal(mine_, made.ticket)), "taken");
  };
  EXPECT_EQ(obtain(mine_, {dns("own.plant.example")}, "measured", claim), "issued");
}

TEST_F(EvilAttestation, AttestationKeyInNoTpm_Obtained) {
  admit(mine_);
  EXPECT_EQ(say(TaskId::kAttestation, activation(mine_)), "taken");
  const auto reply = stage().call(TaskId::kAcme, ak_request(mine_));
  EXPECT_TRUE(reply) << reply.error().code;
  if (reply) ++obtained_;
}

TEST_F(EvilAttestation, Name_Refused) {
  admit(mine_);
  for (const auto& name : {dns("door.plant.example"), ip("192.0.2.1")}) {
    auto grant = device_grant(mine_, "ticket");
    grant.identifier = name;
    EXPECT_EQ(say(TaskId::kAttestation, grant), "grant-not-permitted") << name.value;
    EXPECT_EQ(say(TaskId::kAttestation, word(mine_, name, "ticket")), "grant-not-permitted");
  }
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "server", nothing_more), "no-grant");
  fatal(TaskId::kAttestation, name_grant(mine_, "door.plant.example"));
}

TEST_F(EvilAttestation, ServiceUnderADomainThatNobodyProved_Refused) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    auto grant = word(mine_, kMac, made.ticket);
    grant.method = wire::ValidationMethod::kVendorJwt01;
    grant.domains = {"plant.example"};
    EXPECT_EQ(say(TaskId::kAttestation, grant), "taken");
  };
  EXPECT_EQ(
      obtain(mine_, {kMac, kService}, "door", claim, *x509::build_csr(key_, {kMac, kService})),
      "service-domain-unproved");
}

TEST_F(EvilAttestation, WithoutTheClientsSignature_Refused) {
  admit(victim_);
  const auto made = stage().call(TaskId::kAcme, victim_.new_order({device("BREAKER-1")}));
  ASSERT_TRUE(made) << made.error().code;
  EXPECT_EQ(say(TaskId::kAttestation, device_grant(victim_, made->ticket)), "taken");
  auto forged = mine_.finalize(*made, make_csr(key_, {device("BREAKER-1")}));
  forged.account_jwk = victim_.jwk();
  EXPECT_EQ(finish(forged), "jws-signature");
}

TEST_F(EvilAttestation, GrantWithoutKeyOrOrder_Refused) {
  auto grant = device_grant(mine_, "ticket");
  grant.spki_sha256 = {};
  EXPECT_EQ(say(TaskId::kAttestation, grant), "attested-key-missing");
  EXPECT_EQ(say(TaskId::kAttestation, device_grant(mine_, "")), "grant-not-permitted");
}

TEST_F(EvilAttestation, CaCertificate_Refused) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    EXPECT_EQ(say(TaskId::kAttestation, device_grant(mine_, made.ticket)), "taken");
  };
  CsrSpec spec;
  spec.extensions = {x509::ext_basic_constraints(true, std::nullopt)};
  EXPECT_EQ(obtain(mine_, {device("BREAKER-1")}, "device", claim, make_csr(key_, spec)),
            "csr-extension");
}

TEST_F(EvilAttestation, MoreThanTheBudget_Refused) {
  admit(mine_);
  const auto claim = [&](const wire::TicketMintReply& made) {
    EXPECT_EQ(say(TaskId::kAttestation, device_grant(mine_, made.ticket)), "taken");
  };
  for (int n = 0; n <= kBudget; ++n) {
    EXPECT_EQ(obtain(mine_, {device("BREAKER-1")}, "device", claim),
              n < kBudget ? "issued" : "rate-account");
  }
}

TEST_F(EvilAttestation, GrantThatLivesLong_Refused) {
  auto grant = device_grant(mine_, "ticket");
  grant.expires_at_ms = INT64_MAX;
  EXPECT_EQ(say(TaskId::kAttestation, grant), "grant-not-permitted");
}

TEST_F(EvilAttestation, AskingForCertificatesItself_Fatal) {
  admit(mine_);
  const auto made = stage().call(TaskId::kAcme, mine_.new_order({device("BREAKER-1")}));
  ASSERT_TRUE(made);
  fatal(TaskId::kAttestation, mine_.new_order({device("BREAKER-1")}));
  fatal(TaskId::kAttestation, mine_.finalize(*made, make_csr(key_, {device("BREAKER-1")})));
  fatal(TaskId::kAttestation, ak_request(mine_));
}

// ---- a hostile front end: what it obtains

class EvilFrontEnd : public EvilTask {};

// validation grants these for any account by the installation file; the front end serves under them.
TEST_F(EvilFrontEnd, AppliancesOwnName_Obtained) {
  admit(mine_);
  const auto honest = [&](const wire::TicketMintReply& made) {
    auto grant = name_grant(mine_, "ca.test.example");
    grant.method = wire::ValidationMethod::kAppliance;
    grant.ticket = made.ticket;
    EXPECT_EQ(say(TaskId::kValidation, grant), "taken");
  };
  EXPECT_EQ(obtain(mine_, {dns("ca.test.example")}, "server", honest), "issued");
}

// What a client signed may be handed on late, while the order lives: it is that client's certificate.
TEST_F(EvilFrontEnd, SignedRequestHandedOnLate_Obtained) {
  admit(victim_);
  ASSERT_TRUE(stage().prove(victim_, dns("late.plant.example")));
  const auto made = stage().call(TaskId::kAcme, victim_.new_order({dns("late.plant.example")}));
  ASSERT_TRUE(made);
  const auto held_back = victim_.finalize(*made, make_csr(key_, {dns("late.plant.example")}));
  EXPECT_TRUE(stage().alive());
  EXPECT_EQ(finish(held_back), "issued");
  EXPECT_EQ(finish(held_back), "issued");  // the same one: counted once
}

TEST_F(EvilFrontEnd, NameThatNobodyProved_Refused) {
  admit(mine_);
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "server", nothing_more), "no-grant");
  fatal(TaskId::kAcme, name_grant(mine_, "door.plant.example"));
  fatal(TaskId::kAcme, device_grant(mine_, "ticket"));
  fatal(TaskId::kAcme, admission(mine_));
  fatal(TaskId::kAcme, word(mine_, kMac, "ticket"));
  fatal(TaskId::kAcme, appraisal(mine_, "ticket"));
  fatal(TaskId::kAcme, activation(mine_));
  EXPECT_EQ(obtain(mine_, {dns("door.plant.example")}, "server", nothing_more), "no-grant");
}

// ---- the page

// Rows of the page's table: | `Suite` | `Case` | words |
std::set<std::string> rows_of_the_page() {
  const char* source = std::getenv("KEYWARD_SOURCE");
  std::ifstream page(std::string(source != nullptr ? source : ".") + "/docs/threat-model.md");
  const std::regex row(R"(^\| `(Evil\w+)\.(\w+)` \|.*)");
  std::set<std::string> rows;
  std::string line;
  for (std::smatch found; std::getline(page, line);)
    if (std::regex_match(line, found, row)) rows.insert(found[1].str() + "." + found[2].str());
  return rows;
}

TEST(ThreatModel, TableOfHostileTasks_IsExactlyWhatIsTested) {
  std::set<std::string> tested;
  const auto& program = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < program.total_test_suite_count(); ++s) {
    const auto& suite = *program.GetTestSuite(s);
    if (std::string(suite.name()).rfind("Evil", 0) != 0) continue;
    for (int t = 0; t < suite.total_test_count(); ++t)
      tested.insert(std::string(suite.name()) + "." + suite.GetTestInfo(t)->name());
  }
  EXPECT_FALSE(tested.empty());
  EXPECT_EQ(rows_of_the_page(), tested);
}

}  // namespace
}  // namespace keyward::test
