// Tests of admissions: what the signer is told, when, and what a restart keeps.
#include "firmware/eab/admissions.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "hal/base/file.h"
#include "tests/support/eab/eab.h"

namespace keyward::eab {
namespace {

constexpr std::int64_t kNowMs = 1'000'000;

class AdmissionsTest : public ::testing::Test {
 protected:
  AdmissionsTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-eab-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    open();
  }
  ~AdmissionsTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void open() {
    auto opened = Admissions::open(directory_, [this](const wire::GrantAccount& grant) {
      if (away_) {
        return Admissions::Told(tl::unexpected(
            wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "away")));
      }
      if (grant.thumbprint == refused_) {
        return Admissions::Told(tl::unexpected(
            wire::Failure::of(wire::FailureKind::kRefused, "account-withdrawn", "no")));
      }
      told_.push_back(grant);
      return Admissions::Told();
    });
    ASSERT_TRUE(opened) << opened.error().what;
    admissions_ = std::move(*opened);
  }
  // A credential; `change` sets what is not the default.
  template <class Change>
  void credential(const std::string& kid, Change change) {
    auto* found = book_.find(kid);
    if (found == nullptr) {
      ASSERT_TRUE(book_.add(test::credential(kid)));
      found = book_.find(kid);
    }
    change(*found);
    save(book_);
  }
  void credential(const std::string& kid = "device-7") {
    credential(kid, [](auto&) {});
  }
  void save(const CredentialBook& book) {
    auto folder = operate::OperatorDirectory::open(directory_, std::string(kFolder));
    ASSERT_TRUE(folder);
    ASSERT_TRUE(folder->replace(std::string(kCredentialsFile), book.to_lines().view()));
  }
  // "good", the problem's code, or the failure's.
  std::string verify(const jose::Jwk& account, const test::BindingSpec& spec = {}) {
    const auto answer = admissions_->verify(test::binding(account, spec), kNowMs);
    if (!answer) return answer.error().code;
    reply_ = *answer;
    return answer->problem ? answer->problem->code : "good";
  }
  std::string record() const { return directory_ + "/eab/bindings.jsonl"; }

  std::string directory_;
  CredentialBook book_;
  bool away_ = false;
  Digest256 refused_{};
  std::vector<wire::GrantAccount> told_;
  wire::EabVerifyReply reply_;
  std::unique_ptr<Admissions> admissions_;
  jose::Jwk account_ = test::new_account_key();
};

TEST_F(AdmissionsTest, Good_TheSignerIsToldFirst) {
  credential("device-7", [](auto& c) {
    c.profiles = {"device"};
    c.quota = 5;
    c.recovers_account = "acct-1";
  });
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(reply_.kid, "device-7");
  EXPECT_EQ(reply_.profiles, std::vector<std::string>{"device"});
  EXPECT_EQ(reply_.recovers_account, "acct-1");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].thumbprint, account_.thumbprint());
  EXPECT_EQ(told_[0].kid, "device-7");
  EXPECT_EQ(told_[0].profiles, std::vector<std::string>{"device"});
  EXPECT_EQ(told_[0].quota, 5u);
  EXPECT_FALSE(told_[0].withdrawn);
  EXPECT_GT(told_[0].expires_at_ms, kNowMs);
  EXPECT_TRUE(admissions_->turn());
  EXPECT_EQ(told_.size(), 1u);  // it knows
}

TEST_F(AdmissionsTest, Refused_TheSignerHearsNothing) {
  EXPECT_EQ(verify(account_), "eab.mac");  // no file at all
  credential();
  EXPECT_EQ(verify(account_, {.kid = "other"}), "eab.mac");
  EXPECT_EQ(verify(account_, {.payload = "{}"}), "eab.key");
  EXPECT_TRUE(told_.empty());
}

TEST_F(AdmissionsTest, SignerAway_NothingIsPromisedAndTheSameBindingSucceedsLater) {
  credential("device-7", [](auto& c) { c.accounts_max = 1; });
  away_ = true;
  EXPECT_EQ(verify(account_), "peer-lost");
  EXPECT_FALSE(admissions_->turn());
  away_ = false;
  EXPECT_EQ(verify(account_), "good");
  EXPECT_TRUE(admissions_->turn());
}

TEST_F(AdmissionsTest, AccountsMax_OneMoreIsRefused_OverRestarts) {
  credential("device-7", [](auto& c) { c.accounts_max = 1; });
  EXPECT_EQ(verify(account_), "good");
  const auto second = test::new_account_key();
  EXPECT_EQ(verify(second), "eab.used");
  open();
  EXPECT_EQ(verify(second), "eab.used");
  EXPECT_EQ(verify(account_), "good");  // the same account again is none more
  for (const auto& grant : told_) EXPECT_EQ(grant.thumbprint, account_.thumbprint());
}

TEST_F(AdmissionsTest, AccountsMax_WithRevoke_WithdrawsAllOverRestarts) {
  credential("device-7", [](auto& c) {
    c.accounts_max = 1;
    c.on_excess = OnExcess::kRevoke;
  });
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(verify(test::new_account_key()), "eab.used");
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_TRUE(told_[1].withdrawn);
  EXPECT_EQ(told_[1].thumbprint, account_.thumbprint());
  EXPECT_EQ(verify(account_), "eab.revoked");
  open();
  EXPECT_EQ(verify(account_), "eab.revoked");
  EXPECT_TRUE(admissions_->turn());
  EXPECT_TRUE(told_.back().withdrawn);
}

TEST_F(AdmissionsTest, RevokedCredential_ItsAccountsAreWithdrawnInTheNextTurn) {
  credential("device-7");
  credential("other");
  const auto second = test::new_account_key();
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(verify(second, {.kid = "other"}), "good");
  told_.clear();
  credential("device-7", [](auto& c) { c.revoked_ms = 3; });
  EXPECT_TRUE(admissions_->turn());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].thumbprint, account_.thumbprint());
  EXPECT_TRUE(told_[0].withdrawn);
  EXPECT_EQ(verify(account_), "eab.revoked");
}

TEST_F(AdmissionsTest, IsAdmitted_WhileTheCredentialStands) {
  credential();
  EXPECT_FALSE(admissions_->is_admitted(account_.thumbprint()));
  EXPECT_EQ(verify(account_), "good");
  EXPECT_TRUE(admissions_->is_admitted(account_.thumbprint()));
  EXPECT_FALSE(admissions_->is_admitted(test::new_account_key().thumbprint()));
  credential("device-7", [](auto& c) { c.revoked_ms = 1; });
  EXPECT_FALSE(admissions_->is_admitted(account_.thumbprint()));
}

TEST_F(AdmissionsTest, ChangedTerms_AreToldAgain) {
  credential("device-7");
  EXPECT_EQ(verify(account_), "good");
  told_.clear();
  credential("device-7", [](auto& c) { c.expires_ms = 9; });  // not of the admission
  EXPECT_TRUE(admissions_->turn());
  EXPECT_TRUE(told_.empty());
  credential("device-7", [](auto& c) { c.quota = 7; });
  EXPECT_TRUE(admissions_->turn());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].quota, 7u);
}

TEST_F(AdmissionsTest, CredentialGoneFromTheFile_IsWithdrawn_ABadFileIsNot) {
  credential("device-7");
  EXPECT_EQ(verify(account_), "good");
  told_.clear();
  auto folder = operate::OperatorDirectory::open(directory_, std::string(kFolder));
  ASSERT_TRUE(folder);
  ASSERT_TRUE(folder->replace(std::string(kCredentialsFile), view_of("{")));
  EXPECT_TRUE(admissions_->turn());
  EXPECT_TRUE(told_.empty());
  ASSERT_TRUE(folder->replace(std::string(kCredentialsFile), {}));
  EXPECT_TRUE(admissions_->turn());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].withdrawn);
}

TEST_F(AdmissionsTest, Restart_TellsTheSignerOfAllAgain_WithdrawalsFirst) {
  credential("device-7");
  credential("other");
  const auto second = test::new_account_key();
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(verify(second, {.kid = "other"}), "good");
  credential("other", [](auto& c) { c.revoked_ms = 3; });
  told_.clear();
  open();
  EXPECT_TRUE(admissions_->turn());
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_TRUE(told_[0].withdrawn);
  EXPECT_EQ(told_[0].thumbprint, second.thumbprint());
  EXPECT_FALSE(told_[1].withdrawn);
  EXPECT_TRUE(admissions_->turn());
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(AdmissionsTest, OneThatTheSignerRefuses_DoesNotHoldUpTheOthers) {
  credential("device-7");
  const auto second = test::new_account_key();
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(verify(second), "good");
  told_.clear();
  refused_ = std::min(account_.thumbprint(), second.thumbprint());  // asked first
  open();
  EXPECT_TRUE(admissions_->turn());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].thumbprint, refused_);
  EXPECT_EQ(verify(account_.thumbprint() == refused_ ? account_ : second), "account-withdrawn");
}

TEST_F(AdmissionsTest, SameKeyUnderAnotherCredential_FollowsTheNewOne) {
  credential("device-7");
  credential("other");
  EXPECT_EQ(verify(account_), "good");
  EXPECT_EQ(verify(account_, {.kid = "other"}), "good");
  told_.clear();
  credential("device-7", [](auto& c) { c.revoked_ms = 3; });
  EXPECT_TRUE(admissions_->turn());
  EXPECT_TRUE(told_.empty());
}

TEST_F(AdmissionsTest, TornLastLine_IsCutAndABrokenOneBeforeItIsCorrupt) {
  credential("device-7", [](auto& c) { c.accounts_max = 1; });
  EXPECT_EQ(verify(account_), "good");
  const auto whole = *read_text_file(record(), 10'000);
  ASSERT_TRUE(replace_file(record(), view_of(whole + R"({"kid":"dev)"), 0600));
  open();
  EXPECT_EQ(*read_text_file(record(), 10'000), whole);
  ASSERT_TRUE(replace_file(record(), view_of(whole + std::string(8, '\0') + "\n"), 0600));
  open();
  EXPECT_EQ(*read_text_file(record(), 10'000), whole);
  EXPECT_EQ(verify(test::new_account_key()), "eab.used");
  ASSERT_TRUE(replace_file(record(), view_of("{}\n" + whole), 0600));
  const auto broken = Admissions::open(directory_, [](const auto&) { return Admissions::Told(); });
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(broken.error().native, 1);
}

}  // namespace
}  // namespace keyward::eab
