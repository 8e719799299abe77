// The fake and the fault decorator keep the contract they stand in for, and fail when told.
#include <thread>

#include <gtest/gtest.h>

#include "hal/fake/fake_clock.h"
#include "hal/fake/fake_signing_token.h"
#include "hal/fault/faulty_signing_token.h"

namespace keyward::hal {
namespace {

using fault::TokenCall;

class Faulty : public testing::Test {
 protected:
  Faulty() {
    EXPECT_TRUE(fake_.unlock(SecretBytes(view_of("1234"))));
    EXPECT_TRUE(fake_.generate_key("k", KeyAlgorithm::kEcdsaP256));
  }
  Result<Bytes> sign(std::int64_t ms = 5'000) {
    return token_.sign("k", view_of("m"), Deadline::after_ms(ms), SignPriority::kIssuance);
  }
  fake::FakeSigningToken fake_;
  fault::FaultySigningToken token_{fake_};
};

TEST(FakeSigningToken, LockedAwayAndWrongPin_AreAsTheContractSays) {
  fake::FakeSigningToken token;
  EXPECT_EQ(token.find_key("k").error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(token.unlock(SecretBytes(view_of("wrong"))).error().kind, ErrorKind::kRefused);
  ASSERT_TRUE(token.unlock(SecretBytes(view_of("1234"))));
  EXPECT_EQ(token.find_key("k").error().kind, ErrorKind::kBadInput);
  ASSERT_TRUE(token.generate_key("k", KeyAlgorithm::kEd25519));
  EXPECT_EQ(token.generate_key("k", KeyAlgorithm::kEd25519).error().kind, ErrorKind::kRefused);
  token.take_away();
  EXPECT_EQ(token.status().state, TokenState::kAway);
  EXPECT_EQ(token.random(8).error().kind, ErrorKind::kUnavailable);
  token.bring_back();
  EXPECT_TRUE(token.find_key("k"));
}

TEST_F(Faulty, FailNth_ExactlyThatCallFails) {
  token_.fail_nth(TokenCall::kSign, 2, Error{ErrorKind::kUnavailable, "told to", 0});
  EXPECT_TRUE(sign());
  EXPECT_EQ(sign().error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(sign());
  EXPECT_EQ(fake_.status().signatures_made, 2u);
}

TEST_F(Faulty, FailNthAfter_TheSignatureIsMadeAndLost) {
  token_.fail_nth(TokenCall::kSign, 1, Error{ErrorKind::kUnavailable, "told to", 0}, true);
  EXPECT_FALSE(sign());
  EXPECT_EQ(fake_.status().signatures_made, 1u);
}

TEST_F(Faulty, Stall_EndsAtTheDeadlineOrTheRelease) {
  token_.stall(TokenCall::kSign);
  EXPECT_EQ(sign(30).error().kind, ErrorKind::kUnavailable);
  std::thread waiting([&] { EXPECT_TRUE(sign(30'000)); });
  while (token_.stalled(TokenCall::kSign) == 0) std::this_thread::yield();
  token_.release(TokenCall::kSign);
  waiting.join();
}

TEST_F(Faulty, CorruptNext_ChangesOneSignature) {
  token_.corrupt_next_signature();
  auto wrong = sign();
  ASSERT_TRUE(wrong);
  EXPECT_EQ(token_.calls(TokenCall::kSign), 1);
}

TEST(FakeClock, MovesOnlyWhenTold) {
  fake::FakeClock clock(1'000);
  const auto start = clock.monotonic_ms();
  EXPECT_EQ(clock.utc_ms(), 1'000);
  clock.advance_ms(5);
  EXPECT_EQ(clock.utc_ms(), 1'005);
  EXPECT_EQ(clock.monotonic_ms(), start + 5);
  clock.set_utc_ms(7);
  EXPECT_EQ(clock.monotonic_ms(), start + 5);
}

}  // namespace
}  // namespace keyward::hal
