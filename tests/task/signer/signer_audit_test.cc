// The real signer with an audit key and the platform's counter: heads are signed and anchored, over
// restarts and kills, and a ledger that was put back is noticed before anything is issued.
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "firmware/audit/head_file.h"
#include "firmware/audit/notary.h"
#include "firmware/operate/order.h"
#include "firmware/wire/messages/audit_head_get.h"
#include "hal/base/file.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using wire::TaskId;

constexpr int kExitProtocol = 70;
constexpr const char* kAudit =
    "audit_key_label = \"audit\"\naudit_anchor = \"tpm\"\naudit_every_rows = 4\naudit_every_s = "
    "1\n";

class SignerAudit : public ::testing::Test {
 protected:
  explicit SignerAudit(const std::string& more = "") : stage_(kAudit + more) {}
  task::Answer<wire::CertificateIssueReply> issue(const std::string& name) {
    const auto made = stage_.call(TaskId::kAcme, client_.new_order({dns(name)}));
    EXPECT_TRUE(made) << made.error().code;
    EXPECT_TRUE(stage_.prove(client_, dns(name)));
    return stage_.call(TaskId::kAcme, client_.finalize(*made, make_csr(key_, {dns(name)})));
  }
  std::uint64_t heads() const {
    const auto text = read_text_file(audit_file("heads.jsonl"), 1u << 20).value_or("");
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::optional<audit::Head> last() const {
    auto file = audit::HeadFile::open(audit_file("heads.jsonl"));
    if (!file || !file->last()) return std::nullopt;
    return file->last()->head;
  }
  std::string audit_file(const std::string& name) const {
    return stage_.state_directory() + "/audit/" + name;
  }
  template <class Condition>
  bool wait_until(Condition condition) {
    const auto deadline = Deadline::after_ms(20'000);
    while (!condition()) {
      if (deadline.passed()) return false;
      ::usleep(50'000);
    }
    return true;
  }
  bool wait_covered() {
    return wait_until([&] {
      const auto head = last();
      return head && head->row + 1 == stage_.ledger().rows &&
             stage_.counter().value == head->counter;
    });
  }
  void copy(const std::string& from, const std::string& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }

  SignerStage stage_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  TempDir elsewhere_;
};

TEST_F(SignerAudit, IssuesAndStops_HeadCoversTheLastRow) {
  stage_.start();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(issue("n" + std::to_string(i) + ".example"));
  EXPECT_EQ(stage_.stop(), 0);
  const auto head = last();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->row + 1, stage_.ledger().rows);
  EXPECT_EQ(head->counter, stage_.counter().value.load());
  // Heads are counted apart from what certificates cost.
  EXPECT_LE(stage_.signatures(), stage_.ledger().signatures_intended() + heads());
}

TEST_F(SignerAudit, AdminAsksForTheHead_GetsTheNewestLine_AndAcmeMayNot) {
  stage_.start();
  ASSERT_TRUE(issue("one.example"));
  ASSERT_TRUE(wait_covered());
  const auto head = stage_.call(TaskId::kAdmin, wire::AuditHeadGet{});
  ASSERT_TRUE(head) << head.error().code;
  const auto text = read_text_file(audit_file("heads.jsonl"), 1u << 20).value_or("");
  EXPECT_TRUE(text.ends_with(head->line + "\n"));
  const auto parsed = audit::parse_line(head->line);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->head.row, last()->row);
  EXPECT_FALSE(stage_.call(TaskId::kAcme, wire::AuditHeadGet{}));
  EXPECT_EQ(stage_.wait_exit(), kExitProtocol)
      << "a request that is not in the table ends the task";
}

class SignerFigures : public SignerAudit {
 protected:
  SignerFigures() : SignerAudit("crl_hours = 24\n") {}
  std::int64_t metric(const std::string& what, std::int64_t at_least = 1,
                      const std::string& labels = "") {
    return stage_.wait_metric("keyward_signer_" + what, labels, at_least);
  }
};

TEST_F(SignerFigures, OfTokenLedgerAndLists_AreReported) {
  stage_.start();
  ASSERT_TRUE(issue("one.example"));
  ASSERT_TRUE(wait_covered());
  EXPECT_GE(metric("hsm_sign_duration_seconds", 1, R"(priority="issuance")"), 1);
  EXPECT_GE(metric("hsm_sign_duration_seconds", 1, R"(priority="background")"), 1);
  EXPECT_EQ(metric("hsm_calls", 0), 0);
  EXPECT_GE(metric("crl_number"), 1);
  EXPECT_GT(metric("crl_bytes"), 0);
  EXPECT_EQ(metric("crl_entries", 0), 0);
  const auto made = metric("crl_this_update_seconds");
  EXPECT_EQ(metric("crl_next_update_seconds"), made + 24 * 3'600);
  const auto rows = metric("ledger_rows", 3);
  EXPECT_GE(rows, 3);
  EXPECT_GT(metric("ledger_bytes"), rows * 32);
  EXPECT_GE(metric("audit_unsigned_rows", 0), 0);
  EXPECT_GE(metric("audit_head_seconds"), last()->time_ms / 1'000);
  EXPECT_GT(metric("disk_free_bytes"), 0);
  EXPECT_GT(metric("disk_size_bytes"), 0);
}

TEST_F(SignerAudit, QuietAfterAFewRows_HeadByTime) {
  stage_.start();
  ASSERT_TRUE(issue("one.example"));  // two rows: fewer than four
  EXPECT_TRUE(wait_covered());
}

TEST_F(SignerAudit, KilledBetweenRowAndHead_NextStartSignsIt) {
  stage_.start();
  ASSERT_TRUE(wait_covered());
  ASSERT_TRUE(issue("one.example"));
  stage_.kill();
  const auto before = last()->row;
  stage_.start();
  EXPECT_TRUE(wait_covered());
  EXPECT_GE(last()->row, before);
  EXPECT_EQ(stage_.ledger().issued, 1u);
}

TEST_F(SignerAudit, TpmAway_IssuesOnAndSaysSoThenCatchesUp) {
  stage_.start();
  ASSERT_TRUE(wait_covered());
  stage_.counter().away = true;
  ASSERT_TRUE(issue("one.example"));
  EXPECT_TRUE(stage_.wait_state("degraded"));
  ASSERT_TRUE(issue("two.example"));
  stage_.counter().away = false;
  EXPECT_TRUE(stage_.wait_state("operational"));
  EXPECT_TRUE(wait_covered());
}

TEST_F(SignerAudit, HsmStalls_HeadIsRetried) {
  stage_.start();
  ASSERT_TRUE(wait_covered());
  ASSERT_TRUE(issue("one.example"));
  stage_.shim().stall(ShimCall::kSign);
  ASSERT_TRUE(wait_until([&] {
    return stage_.shim().waiting(ShimCall::kSign) > 0 || last()->row + 1 == stage_.ledger().rows;
  }));
  stage_.shim().resume(ShimCall::kSign);
  EXPECT_TRUE(wait_covered());
}

TEST_F(SignerAudit, StateRolledBack_IssuesNothingUntilTheOperatorAccepts) {
  stage_.start();
  ASSERT_TRUE(issue("one.example"));
  EXPECT_EQ(stage_.stop(), 0);
  copy(stage_.state_directory(), elsewhere_.path("old"));
  stage_.start();
  ASSERT_TRUE(issue("two.example"));
  EXPECT_EQ(stage_.stop(), 0);
  copy(elsewhere_.path("old"), stage_.state_directory());

  stage_.start("degraded");
  ASSERT_TRUE(wait_until([&] { return file_exists(audit_file("refused.json")); }));
  EXPECT_TRUE(
      wait_until([&] { return stage_.log().find("ledger-rolled-back") != std::string::npos; }));
  const auto refused = issue("three.example");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "hsm-away");
  EXPECT_EQ(stage_.ledger().issued, 1u);

  const auto accepted = run_command({std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl",
                                     "audit", "accept-rollback", stage_.state_directory(),
                                     "--reason", "put back by the test"});
  ASSERT_EQ(accepted.status, 0) << accepted.output;
  EXPECT_TRUE(stage_.wait_state("operational"));
  EXPECT_TRUE(issue("four.example"));
  EXPECT_TRUE(wait_covered());
  EXPECT_NE(read_text_file(audit_file("heads.jsonl"), 1u << 20).value_or("").size(), 0u);
  EXPECT_FALSE(file_exists(audit_file("accepted.json")));
}

// With an operators file the word of whoever can write into the signer's folder is not enough.
class SignerAuditOperators : public SignerAudit {
 protected:
  SignerAuditOperators() : SignerAudit("operators = \"" + operators_path() + "\"\n") {
    write_file(operators_path(),
               view_of(R"({"version":1,"unit":"unit7","operators":[{"name":"ann","jwk":)" +
                       jose::Jwk::from_public_key(ann_.public_key())->canonical() +
                       R"(,"roles":["audit"]}]})"));
    write_file(folder().path("ann.pem"), ann_.to_pem()->view());
  }
  static TempDir& folder() {
    static TempDir directory;
    return directory;
  }
  static std::string operators_path() { return folder().path("operators.json"); }
  CommandResult ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl");
    return run_command(arguments);
  }
  crypto::PrivateKey ann_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(SignerAuditOperators, StateRolledBack_OnlyASignedOrderIsAccepted) {
  stage_.start();
  EXPECT_EQ(stage_.stop(), 0);
  copy(stage_.state_directory(), elsewhere_.path("old"));
  stage_.start();
  ASSERT_TRUE(issue("one.example"));
  EXPECT_EQ(stage_.stop(), 0);
  copy(elsewhere_.path("old"), stage_.state_directory());
  stage_.start("degraded");
  ASSERT_TRUE(wait_until([&] { return file_exists(audit_file("refused.json")); }));

  const auto told = ctl({"audit", "accept-rollback", stage_.state_directory(), "--reason", "mine"});
  EXPECT_EQ(told.status, 1);
  EXPECT_NE(told.output.find("the signer takes their order alone"), std::string::npos);
  EXPECT_FALSE(file_exists(audit_file("accepted.json")));
  ASSERT_EQ(ctl({"audit", "accept-rollback", stage_.state_directory(), "--reason", "mine",
                 "--no-operators"})
                .status,
            0);
  ASSERT_TRUE(wait_until([&] {
    return stage_.log().find("the acceptance is no operator's order") != std::string::npos;
  }));
  EXPECT_EQ(issue("two.example").error().code, "hsm-away");

  const auto signed_order =
      ctl({"order", "sign", "accept-rollback", "--operators", operators_path(), "--key",
           folder().path("ann.pem"), "--refused", audit_file("refused.json"), "--reason",
           "put back by the test", "--out", folder().path("accept.jws")});
  ASSERT_EQ(signed_order.status, 0) << signed_order.output;
  ASSERT_EQ(ctl({"audit", "accept-rollback", stage_.state_directory(), "--order",
                 folder().path("accept.jws")})
                .status,
            0);
  EXPECT_TRUE(stage_.wait_state("operational"));
  EXPECT_TRUE(issue("three.example"));
  EXPECT_TRUE(wait_covered());
  const auto heads_text = read_text_file(audit_file("heads.jsonl"), 1u << 20).value_or("");
  // The head is a JWS: its payload is in base64url.
  bool named = false;
  std::istringstream lines(heads_text);
  for (std::string line; std::getline(lines, line);) {
    const auto parsed = audit::parse_line(line);
    named = named || (parsed && parsed->head.accepted &&
                      parsed->head.accepted->reason == "put back by the test (ordered by ann)");
  }
  EXPECT_TRUE(named);
}

}  // namespace
}  // namespace keyward::test
