// A neighbour that was taken over and what remote attestations brought to the signer: words of
// attestation from another socket, the key for encrypted evidence, and parts of a revocation list.
// Frames on the wrong socket end the signer; nothing of them stays.
#include <limits>

#include <gtest/gtest.h>

#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/crl_get.h"
#include "firmware/wire/messages/evidence_agree.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/grant_ak.h"
#include "firmware/wire/messages/grant_remote.h"
#include "firmware/x509/csr.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;
constexpr std::int64_t kHourMs = 3'600'000;

class HostileEvidence : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stage_ = std::make_unique<SignerStage>(
        "crl_hours = 24\nbudgets.account_per_hour = 1000\nprofiles.ak.kind = \"attestation-key\"\n"
        "profiles.ak.days = 30\nprofiles.measured.kind = \"server\"\nprofiles.measured.days = 30\n"
        "profiles.measured.attestations = [\"measured_boot\"]");
    stage_->start();
  }
  static void TearDownTestSuite() { stage_.reset(); }
  void SetUp() override { issued_before_ = stage_->ledger().issued; }
  void TearDown() override {
    EXPECT_EQ(stage_->ledger().issued, issued_before_);
    EXPECT_TRUE(stage_->alive()) << stage_->log();
  }

  template <class Request>
  void fatal(TaskId edge, const Request& request) {
    stage_->send(edge, wire::encode_frame(stage_->next_id(), request));
    EXPECT_EQ(stage_->wait_exit(), kExitProtocol) << Request::kName;
    stage_->start();
  }
  template <class Request>
  std::string ask(TaskId edge, const Request& request) {
    const auto reply = stage_->call(edge, request);
    return reply ? "answered" : reply.error().code;
  }
  wire::GrantRemote word(const std::string& ticket) const {
    wire::GrantRemote grant;
    grant.thumbprint = client_.thumbprint();
    grant.hint = "measured_boot";
    grant.profile = "measured";
    grant.policy = "boot/1";
    grant.ticket = ticket;
    grant.expires_at_ms = system_clock().utc_ms() + kHourMs;
    return grant;
  }
  wire::GrantAk activation() const {
    wire::GrantAk grant;
    grant.thumbprint = client_.thumbprint();
    grant.session_sha256 = crypto::sha256(view_of("S1"));
    grant.spki = key_.public_key().spki_der();
    grant.manufacturer = "id:00001014";
    grant.model = "swtpm";
    grant.version = "id:20191023";
    grant.identifiers = {device("LAPTOP-7")};
    grant.expires_at_ms = system_clock().utc_ms() + kHourMs;
    return grant;
  }
  // The first part of the newest list; lists are made beside everything else.
  wire::CrlGetReply list() {
    const auto deadline = Deadline::after_ms(20'000);
    while (!deadline.passed()) {
      const auto reply = stage_->call(TaskId::kAcme, wire::CrlGet{});
      if (reply) return *reply;
      EXPECT_EQ(reply.error().code, "crl-missing");
    }
    ADD_FAILURE() << "no list: " << stage_->log();
    return {};
  }

  static std::unique_ptr<SignerStage> stage_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::uint64_t issued_before_ = 0;
};
std::unique_ptr<SignerStage> HostileEvidence::stage_;

TEST_F(HostileEvidence, RemoteWordFromOthers_FatalAndNothingStays) {
  const auto made = stage_->call(
      TaskId::kAcme,
      client_.new_order(
          R"({"identifiers":[{"type":"dns","value":"a.example"}],"profile":"measured"})"));
  ASSERT_TRUE(made) << made.error().code;
  fatal(TaskId::kAcme, word(made->ticket));
  fatal(TaskId::kValidation, word(made->ticket));
  ASSERT_TRUE(stage_->prove(client_, dns("a.example")));
  EXPECT_EQ(ask(TaskId::kAcme, client_.finalize(*made, make_csr(key_, {dns("a.example")}))),
            "attestation-missing");
}

TEST_F(HostileEvidence, ActivationAndItsCertificateOnOtherSockets_Fatal) {
  fatal(TaskId::kAcme, activation());
  fatal(TaskId::kValidation, activation());
  const wire::AkIssue request{client_.jwk(),
                              client_.sign(std::string(kBaseUrl) + "/acme/attestation-ca/activate",
                                           R"({"session":"S1","secret":"AAAA"})")};
  fatal(TaskId::kValidation, request);
  fatal(TaskId::kAttestation, request);
  EXPECT_EQ(ask(TaskId::kAcme, request), "no-grant");
}

TEST_F(HostileEvidence, KeyForEncryptedEvidence_IsAttestationsAlone) {
  const wire::EvidenceAgree agree{key_.public_key().spki_der()};
  for (const auto edge : {TaskId::kAcme, TaskId::kValidation}) {
    fatal(edge, agree);
    fatal(edge, wire::EvidenceKeyFind{});
  }
  EXPECT_EQ(ask(TaskId::kAttestation, agree), "evidence-key-missing");  // none is configured here
  const auto found = stage_->call(TaskId::kAttestation, wire::EvidenceKeyFind{});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->spki);
}

TEST_F(HostileEvidence, PartsOfTheRevocationList_NeverBeyondIt) {
  const auto first = list();
  ASSERT_GT(first.total_bytes, 2u);
  EXPECT_EQ(first.part.size(), first.total_bytes);  // a short one comes in one part
  const auto at = [&](std::uint64_t number, std::uint64_t offset) {
    return stage_->call(TaskId::kAcme, wire::CrlGet{number, offset});
  };
  const auto rest = at(first.number, 2);
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->part, Bytes(first.part.begin() + 2, first.part.end()));
  const auto end = at(first.number, first.total_bytes);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->part.empty());
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t offset : {first.total_bytes + 1, kMost / 2 + 1, kMost}) {
    const auto beyond = at(first.number, offset);
    ASSERT_FALSE(beyond) << offset;
    EXPECT_EQ(beyond.error().code, "crl-offset");
  }
  for (const std::uint64_t number : {std::uint64_t{0}, first.number + 1, kMost}) {
    const auto other = at(number, 0);
    ASSERT_FALSE(other) << number;
    EXPECT_EQ(other.error().code, "crl-replaced");
  }
}

TEST_F(HostileEvidence, RevocationListOnOtherSockets_Fatal) {
  fatal(TaskId::kValidation, wire::CrlGet{});
  fatal(TaskId::kAttestation, wire::CrlGet{});
}

}  // namespace
}  // namespace keyward::test
