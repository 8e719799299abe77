// When the ledger's head is signed and anchored, and what is noticed at the next start.
#include <filesystem>

#include "hal/base/file.h"

#include "stage.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;

class NotaryTest : public AuditStage {
 protected:
  void save(const std::string& name) {
    fs::remove_all(directory_.path(name));
    fs::copy(state(), directory_.path(name), fs::copy_options::recursive);
  }
  void put_back(const std::string& name) {
    notary_.reset();
    gate_.reset();
    fs::remove_all(state());
    fs::copy(directory_.path(name), state(), fs::copy_options::recursive);
  }
  void restart() {
    open_ledger();
    open_notary();
  }
  void accept(const std::string& reason) {
    auto found = audit::parse_acceptance(
        read_text_file(state() + "/audit/refused.json", 4'096).value_or(""));
    ASSERT_TRUE(found);
    found->reason = reason;
    write_file(state() + "/audit/accepted.json", view_of(audit::acceptance_text(*found)));
  }
};

TEST_F(NotaryTest, NothingNew_NoHead) {
  fill(2);
  const auto made = notary_->signatures_made();
  EXPECT_FALSE(notary_->due());
  EXPECT_TRUE(notary_->make("stop"));
  EXPECT_EQ(notary_->signatures_made(), made);
}

TEST_F(NotaryTest, Restarted_GoesOn) {
  fill(2);
  fill(2);
  const auto report = judge();
  EXPECT_TRUE(report.proven());
  EXPECT_EQ(report.last_head->counter, counter_.value);
}

TEST_F(NotaryTest, LedgerAndHeadsRolledBack_RefusedUntilAccepted) {
  fill(2);
  save("old");
  fill(2);
  put_back("old");
  restart();
  EXPECT_EQ(code(check()), "ledger-rolled-back");
  EXPECT_FALSE(notary_->cleared());
  EXPECT_EQ(code(notary_->make("rows")), "audit-not-cleared");
  accept("restored from the backup of Monday");
  ASSERT_TRUE(check());
  ASSERT_TRUE(notary_->make("start"));
  EXPECT_FALSE(file_exists(state() + "/audit/accepted.json"));
  const auto report = judge();
  EXPECT_TRUE(report.proven()) << report.broken->detail;
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("restored from the backup of Monday"), std::string::npos);
  restart();
  EXPECT_TRUE(check());
  EXPECT_TRUE(notary_->last_head_accepts());
  fill(1);
  ASSERT_TRUE(notary_->make("rows"));
  EXPECT_FALSE(notary_->last_head_accepts());
}

TEST_F(NotaryTest, RowsCutOffAlone_RefusedUntilAccepted) {
  fill(4);
  const auto all = bodies();
  write_bodies({all.begin(), all.begin() + 5});
  restart();
  EXPECT_EQ(code(check()), "ledger-behind-head");
  accept("disk lost its end");
  ASSERT_TRUE(check());
  ASSERT_TRUE(notary_->make("start"));
  issue_one("after.example");
  ASSERT_TRUE(notary_->make("stop"));
  const auto report = judge();
  EXPECT_TRUE(report.proven()) << report.broken->detail;
  EXPECT_EQ(report.notes.size(), 1u);
}

TEST_F(NotaryTest, HeadsDeleted_Refused) {
  fill(2);
  notary_.reset();
  fs::remove(heads_path());
  restart();
  EXPECT_EQ(code(check()), "ledger-rolled-back");
}

TEST_F(NotaryTest, AcceptedForAnotherFinding_StillRefused) {
  fill(1);
  save("old");
  fill(1);
  put_back("old");
  restart();
  EXPECT_EQ(code(check()), "ledger-rolled-back");
  accept("this one");
  ++*counter_.value;
  EXPECT_EQ(code(check()), "ledger-rolled-back");
}

TEST_F(NotaryTest, AnotherTpm_AnchorForeign) {
  fill(3);
  counter_.value = 3;
  restart();
  EXPECT_EQ(code(check()), "anchor-foreign");
  counter_.value.reset();
  EXPECT_EQ(code(check()), "anchor-lost");
}

TEST_F(NotaryTest, AnotherAuditKey_HeadNotOurs) {
  fill(1);
  token_.replace_key("audit");
  restart();
  EXPECT_EQ(code(check()), "head-not-ours");
}

// The row of the newest head changed and chained anew: the heads are whole, the ledger is another.
TEST_F(NotaryTest, AnotherLedgerOfTheSameLength_BehindHead) {
  fill(3);
  auto all = bodies();
  all.back() = with_later_time(all.back(), 1);
  write_bodies(all, true);
  restart();
  EXPECT_EQ(code(check()), "ledger-behind-head");
}

TEST_F(NotaryTest, CrashBetweenHeadAndCounter_EndedAtTheNextStart) {
  fill(1);
  issue_one("x.example");
  counter_.away = true;
  EXPECT_EQ(code(notary_->make("rows")), "tpm-away");  // signed, not counted
  counter_.away = false;
  restart();
  ASSERT_TRUE(check());
  EXPECT_TRUE(notary_->due());
  ASSERT_TRUE(notary_->make("time"));
  const auto report = judge();
  EXPECT_TRUE(report.proven());
  EXPECT_EQ(report.last_head->counter, counter_.value);
}

TEST_F(NotaryTest, ReplyOfTheCounterLost_CountsOnce) {
  fill(1);
  issue_one("x.example");
  counter_.lose_reply = true;
  EXPECT_EQ(code(notary_->make("rows")), "peer-timeout");
  counter_.lose_reply = false;
  const auto value = counter_.value;
  ASSERT_TRUE(notary_->make("time"));
  EXPECT_EQ(counter_.value, value);
  EXPECT_TRUE(judge().proven());
}

TEST_F(NotaryTest, TpmAwayForLong_HeadsAreSignedAndCountedOnceAfterwards) {
  fill(1);
  counter_.away = true;
  for (const char* name : {"a.example", "b.example"}) {
    issue_one(name);
    EXPECT_EQ(code(notary_->make("rows")), "tpm-away");
  }
  counter_.away = false;
  ASSERT_TRUE(notary_->make("time"));
  const auto report = judge();
  EXPECT_TRUE(report.proven()) << report.broken->detail;
  EXPECT_EQ(report.unsigned_rows, 0u);
  EXPECT_EQ(report.last_head->counter, counter_.value);
}

TEST_F(NotaryTest, HsmAway_HeadIsRetried) {
  fill(1);
  for (const char* name : {"a.example", "b.example"}) issue_one(name);
  token_.away = true;
  EXPECT_EQ(code(notary_->make("rows")), "hsm-away");
  EXPECT_TRUE(notary_->due());
  token_.away = false;
  ASSERT_TRUE(notary_->make("rows"));
  EXPECT_TRUE(judge().proven());
}

TEST_F(NotaryTest, TornHead_CutAndSignedAnew) {
  fill(2);
  auto text = read_text_file(heads_path(), 1u << 20).value_or("");
  text.resize(text.size() - 7);  // the counter had not been asked yet
  write_file(heads_path(), view_of(text));
  --*counter_.value;
  restart();
  ASSERT_TRUE(check());
  ASSERT_TRUE(notary_->make("time"));
  EXPECT_TRUE(judge().proven());
}

}  // namespace
}  // namespace keyward::test
