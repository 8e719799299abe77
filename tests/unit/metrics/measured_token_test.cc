// Proves that the measured token asks and answers as the one behind it, and what it counts.
#include "firmware/metrics/measured_token.h"

#include <thread>

#include <gtest/gtest.h>

#include "firmware/metrics/metrics.h"
#include "hal/fake/fake_signing_token.h"
#include "hal/fault/faulty_signing_token.h"

namespace keyward::metrics {
namespace {

using hal::SignPriority;
using hal::fault::TokenCall;

std::int64_t value_of(std::string_view name, std::string_view labels) {
  for (const auto& sample : snapshot()) {
    if (sample.name == name && sample.labels == labels) return sample.value;
  }
  return -1;
}

class MeasuredTokenTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(measured_.unlock(SecretBytes(Bytes{'1', '2', '3', '4'})));
    ASSERT_TRUE(measured_.generate_key("ca", hal::KeyAlgorithm::kEcdsaP256));
  }
  Result<Bytes> sign(SignPriority priority) {
    return measured_.sign("ca", Bytes{1, 2, 3}, Deadline::after_ms(30'000), priority);
  }
  hal::fake::FakeSigningToken fake_{"1234"};
  hal::fault::FaultySigningToken faulty_{fake_};
  MeasuredToken measured_{faulty_};
};

TEST_F(MeasuredTokenTest, Sign_IsObservedByPriority_AndAFailureByKind) {
  constexpr std::string_view kSigns = "keyward_signer_hsm_sign_duration_seconds";
  EXPECT_TRUE(sign(SignPriority::kUrgent));
  EXPECT_TRUE(sign(SignPriority::kUrgent));
  EXPECT_TRUE(sign(SignPriority::kBackground));
  EXPECT_EQ(value_of("keyward_signer_hsm_failures_total", R"(kind="unavailable")"), -1);
  faulty_.fail_nth(TokenCall::kSign, 1, Error{ErrorKind::kUnavailable, "away", 0});
  const auto failed = sign(SignPriority::kIssuance);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(value_of(kSigns, R"(priority="urgent")"), 2);
  EXPECT_EQ(value_of(kSigns, R"(priority="background")"), 1);
  EXPECT_EQ(value_of(kSigns, R"(priority="issuance")"), 1);
  EXPECT_EQ(value_of("keyward_signer_hsm_failures_total", R"(kind="unavailable")"), 1);
  EXPECT_EQ(value_of("keyward_signer_hsm_calls", ""), 0);
  EXPECT_EQ(measured_.status().signatures_made, 3u);
}

TEST_F(MeasuredTokenTest, CallsThatHang_AreSeenWaiting) {
  faulty_.stall(TokenCall::kSign);
  std::thread first([&] { EXPECT_TRUE(sign(SignPriority::kIssuance)); });
  std::thread second([&] { EXPECT_TRUE(sign(SignPriority::kIssuance)); });
  const auto deadline = Deadline::after_ms(30'000);
  while (faulty_.stalled(TokenCall::kSign) < 2 && !deadline.passed()) std::this_thread::yield();
  EXPECT_GE(value_of("keyward_signer_hsm_calls", ""), 1);
  faulty_.release(TokenCall::kSign);
  first.join();
  second.join();
}

TEST_F(MeasuredTokenTest, Agree_WithoutSuchAKey_IsCountedAsAFailure) {
  EXPECT_FALSE(measured_.agree("none", Bytes(65, 4), Deadline::after_ms(1'000)));
  EXPECT_GE(value_of("keyward_signer_hsm_failures_total", R"(kind="bad-input")"), 1);
}

}  // namespace
}  // namespace keyward::metrics
