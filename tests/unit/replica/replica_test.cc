// Several tokens with the same keys: which of them signs, and what a stranger's key does.
#include <gtest/gtest.h>

#include "hal/replica/replicated_token.h"

namespace keyward::hal {
namespace {

struct Played : SigningToken {
  TokenState state = TokenState::kReady;
  Bytes spki = {1, 2, 3};
  ErrorKind unlock_error{};
  bool unlocks = true, signs = true;
  int signed_count = 0, found = 0, unlock_tries = 0;

  Status unlock(SecretBytes) override {
    ++unlock_tries;
    if (unlocks) return {};
    return fail(unlock_error, "played");
  }
  Result<TokenKey> find_key(std::string_view label) override {
    ++found;
    TokenKey key;
    key.label = std::string(label);
    key.spki_der = spki;
    return key;
  }
  Result<TokenKey> generate_key(std::string_view label, KeyAlgorithm) override {
    return find_key(label);
  }
  Result<Bytes> sign(std::string_view, ByteView, Deadline, SignPriority) override {
    ++signed_count;
    if (signs) return Bytes{9};
    return fail(ErrorKind::kUnavailable, "C_Sign");
  }
  Result<Bytes> random(std::size_t size) override { return Bytes(size); }
  bool supports(KeyAlgorithm) override { return true; }
  TokenStatus status() override {
    TokenStatus out;
    out.state = state;
    out.detail = "played";
    out.signatures_made = static_cast<std::uint64_t>(signed_count);
    return out;
  }
};

class Replica : public ::testing::Test {
 protected:
  void SetUp() override {
    auto first = std::make_unique<Played>();
    auto second = std::make_unique<Played>();
    a_ = first.get();
    b_ = second.get();
    std::vector<std::unique_ptr<SigningToken>> tokens;
    tokens.push_back(std::move(first));
    tokens.push_back(std::move(second));
    token_ = std::move(*make_replicated_token(std::move(tokens)));
  }
  Result<Bytes> sign() {
    return token_->sign("k", view_of("m"), Deadline::after_ms(1'000), SignPriority::kIssuance);
  }
  Played* a_ = nullptr;
  Played* b_ = nullptr;
  std::unique_ptr<SigningToken> token_;
};

TEST_F(Replica, BothReady_TheFirstSignsAlone) {
  ASSERT_TRUE(sign() && sign());
  EXPECT_EQ(a_->signed_count, 2);
  EXPECT_EQ(b_->signed_count, 0);
  EXPECT_EQ(a_->found, 1) << "the key was looked up for every signature";
}

TEST_F(Replica, FirstGone_SecondSignsAndStaysInUse) {
  ASSERT_TRUE(sign());
  a_->state = TokenState::kAway;
  ASSERT_TRUE(sign());
  a_->state = TokenState::kReady;
  ASSERT_TRUE(sign());
  EXPECT_EQ(a_->signed_count, 1);
  EXPECT_EQ(b_->signed_count, 2);
  EXPECT_EQ(token_->status().signatures_made, 3u);
}

TEST_F(Replica, FailedInSign_NotMadeAgainInTheOther) {
  a_->signs = false;
  EXPECT_EQ(sign().error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(b_->signed_count, 0);
}

TEST_F(Replica, NoneReady_Unavailable) {
  a_->state = TokenState::kAway;
  b_->state = TokenState::kLocked;
  EXPECT_EQ(sign().error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(token_->find_key("k").error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(token_->status().state, TokenState::kAway);
}

TEST_F(Replica, OneAway_ReadyAndSaysWhichIsNot) {
  b_->state = TokenState::kAway;
  EXPECT_EQ(token_->status().state, TokenState::kReady);
  EXPECT_NE(token_->status().detail.find("token 2 is away"), std::string::npos);
}

TEST_F(Replica, AnotherKeyUnderTheLabel_NeverUsed) {
  b_->spki = {7};
  ASSERT_TRUE(token_->find_key("k"));
  a_->state = TokenState::kAway;
  EXPECT_EQ(sign().error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(sign().error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(b_->signed_count, 0);
}

TEST_F(Replica, Unlock_OneTryEachAndOneIsEnough) {
  a_->unlocks = false;
  a_->unlock_error = ErrorKind::kRefused;
  EXPECT_TRUE(token_->unlock(SecretBytes(view_of("1234"))));
  b_->unlocks = false;
  b_->unlock_error = ErrorKind::kUnavailable;
  EXPECT_EQ(token_->unlock(SecretBytes(view_of("1234"))).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(a_->unlock_tries, 2);
}

TEST_F(Replica, Generate_Refused) {
  EXPECT_EQ(token_->generate_key("k", KeyAlgorithm::kEcdsaP256).error().kind, ErrorKind::kRefused);
}

TEST(ReplicaMaking, NoTokens_BadInput) {
  EXPECT_EQ(make_replicated_token({}).error().kind, ErrorKind::kBadInput);
}

}  // namespace
}  // namespace keyward::hal
