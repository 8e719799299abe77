// The real signer with an audit key and the platform's counter: heads are signed and anchored, over
// restarts and kills, and a ledger that was put back is noticed before anything is issued.
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "firmware/audit/head_file.h"
#include "firmware/audit/notary.h"
#include "hal/base/file.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using wire::TaskId;

constexpr const char* kAudit =
    "audit_key_label = \"audit\"\naudit_anchor = \"tpm\"\naudit_every_rows = 4\naudit_every_s = "
    "1\n";

class SignerAudit : public ::testing::Test {
 protected:
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

  SignerStage stage_{kAudit};
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
  EXPECT_NE(stage_.log().find("ledger-rolled-back"), std::string::npos);
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

}  // namespace
}  // namespace keyward::test
