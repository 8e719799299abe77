// For n = 1, 2, ...: the nth call into the PKCS#11 module answers an error. Whatever the call and the
// error: nothing crashes, the PIN is not tried again where it was refused, no wrong signature leaves,
// and the token is ready again by itself. The default run gives each call and n one of the errors in
// turn; the long one gives it all of them, and three in a row.
#include <cstdlib>
#include <iostream>
#include <iterator>

#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include "tests/support/pkcs11_shim/shim_state.h"
#include "tests/support/softhsm/softhsm.h"

#include "helpers.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;
using hal::SignPriority;
using hal::TokenState;

constexpr CK_RV kErrors[] = {CKR_DEVICE_ERROR,          CKR_SESSION_HANDLE_INVALID,
                             CKR_DEVICE_REMOVED,        CKR_FUNCTION_FAILED,
                             CKR_GENERAL_ERROR,         CKR_HOST_MEMORY,
                             CKR_DEVICE_MEMORY,         CKR_TOKEN_NOT_PRESENT,
                             CKR_SESSION_CLOSED,        CKR_USER_NOT_LOGGED_IN,
                             CKR_SESSION_COUNT,         CKR_OPERATION_ACTIVE,
                             CKR_OBJECT_HANDLE_INVALID, 0x80000042};
constexpr ShimCall kCalls[] = {
    ShimCall::kInitialize,        ShimCall::kGetSlotList, ShimCall::kOpenSession,
    ShimCall::kCloseSession,      ShimCall::kLogin,       ShimCall::kFindObjectsInit,
    ShimCall::kGetAttributeValue, ShimCall::kSignInit,    ShimCall::kSign,
    ShimCall::kGenerateRandom};
// The card counts these, and locks itself after a few.
constexpr CK_RV kPinErrors[] = {CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED, CKR_PIN_INVALID,
                                CKR_PIN_LEN_RANGE};

bool is_long() { return std::getenv("KEYWARD_FAULTS_LONG") != nullptr; }

class FaultLoop : public testing::Test {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(token_->unlock(hsm_.pin())) << token_->status().detail;
    auto key = token_->generate_key("issuing", KeyAlgorithm::kEcdsaP256);
    ASSERT_TRUE(key);
    key_ = *key;
  }
  void open() {
    token_.reset();
    auto config = hsm_.config();
    config.environment.emplace_back("KEYWARD_SHIM_MODULE", config.module_path);
    config.environment.emplace_back("KEYWARD_SHIM_STATE", shim_.path());
    config.module_path = KEYWARD_SHIM_PATH;
    auto opened = hal::open_pkcs11_token(std::move(config));
    ASSERT_TRUE(opened);
    token_ = std::move(*opened);
  }
  // A signature that leaves is a good one.
  bool sign() {
    const auto signature =
        token_->sign("issuing", view_of("a message"), in_ms(10'000), SignPriority::kIssuance);
    if (signature) {
      EXPECT_TRUE(verifies(key_, view_of("a message"), *signature));
    }
    return signature.has_value();
  }
  // False: the life ended before the nth call.
  bool live(ShimCall call, std::uint64_t nth, std::uint64_t in_a_row, CK_RV error) {
    const auto reached = shim_.calls(call) + nth;
    const auto logins = shim_.calls(ShimCall::kLogin);
    open();
    shim_.fail(call, nth, in_a_row, error);
    (void)token_->unlock(hsm_.pin());
    (void)token_->find_key("issuing");
    (void)token_->random(16);
    (void)sign();
    (void)sign();
    EXPECT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
    EXPECT_TRUE(eventually([&] { return sign(); })) << token_->status().detail;
    // One when it opens, and one for each connection that was lost.
    EXPECT_LE(shim_.calls(ShimCall::kLogin) - logins, 2 + 2 * in_a_row);
    return shim_.calls(call) >= reached;
  }
  int each_nth(ShimCall call, std::uint64_t in_a_row, CK_RV only) {
    int lives = 0;
    for (std::uint64_t nth = 1; nth < 60; ++nth, ++lives) {
      const CK_RV error = only != CKR_OK ? only : kErrors[turn_++ % std::size(kErrors)];
      SCOPED_TRACE("call " + std::to_string(static_cast<int>(call)) + ", nth " +
                   std::to_string(nth) + ", error " + std::to_string(error));
      const bool reached = live(call, nth, in_a_row, error);
      shim_.heal(call);
      if (!reached || HasFailure()) break;
    }
    return lives;
  }

  SoftHsm hsm_;
  ShimControl shim_{hsm_.directory() + "/shim"};
  std::unique_ptr<hal::SigningToken> token_;
  hal::TokenKey key_;
  std::size_t turn_ = 0;
};

TEST_F(FaultLoop, Life_NthCallFails_IsReadyAgain) {
  int lives = 0;
  for (const auto call : kCalls) {
    if (!is_long()) {
      lives += each_nth(call, 1, CKR_OK);
      continue;
    }
    for (const auto error : kErrors)
      for (const std::uint64_t in_a_row : {1, 3}) lives += each_nth(call, in_a_row, error);
  }
  EXPECT_GE(lives, 10) << "a comparison of nothing";
  std::cout << "[faults] PKCS#11: " << lives << " lives\n";
}

// Wrong: that PIN never again. Locked or expired: no try by itself; who unlocks the token again has
// put it right at the HSM, where the same PIN may then be the right one.
TEST_F(FaultLoop, Login_PinRefused_IsNotTriedAgain) {
  for (const auto error : kPinErrors) {
    SCOPED_TRACE(error);
    open();
    const bool wrong = error != CKR_PIN_LOCKED && error != CKR_PIN_EXPIRED;
    auto logins = shim_.calls(ShimCall::kLogin) + 1;
    shim_.fail(ShimCall::kLogin, 1, 1'000, error);
    EXPECT_FALSE(token_->unlock(hsm_.pin()));
    EXPECT_FALSE(sign());
    EXPECT_EQ(shim_.calls(ShimCall::kLogin), logins);
    EXPECT_FALSE(token_->unlock(hsm_.pin()));
    if (!wrong) ++logins;
    EXPECT_FALSE(sign());
    EXPECT_NE(token_->status().state, TokenState::kReady);
    // Longer than any back-off.
    EXPECT_FALSE(eventually([&] { return shim_.calls(ShimCall::kLogin) > logins; }, 2'500));
    EXPECT_EQ(shim_.calls(ShimCall::kLogin), logins) << "the PIN was tried again";
    shim_.heal(ShimCall::kLogin);
  }
}

// A reconnection that finds its PIN refused: once, and not with every back-off.
TEST_F(FaultLoop, Reconnection_PinRefused_IsNotTriedAgain) {
  ASSERT_TRUE(sign());
  const auto logins = shim_.calls(ShimCall::kLogin);
  shim_.fail(ShimCall::kLogin, 1, 1'000, CKR_PIN_INCORRECT);
  shim_.fail(ShimCall::kSign, 1, 1, CKR_DEVICE_REMOVED);
  EXPECT_FALSE(sign());
  ASSERT_TRUE(eventually([&] { return shim_.calls(ShimCall::kLogin) > logins; }));
  EXPECT_FALSE(eventually([&] { return shim_.calls(ShimCall::kLogin) > logins + 1; }, 5'000));
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), logins + 1) << "the PIN was tried again";
  EXPECT_FALSE(sign());
}

TEST_F(FaultLoop, Generate_NthCallFails_SaysSoAndCanBeDoneAgain) {
  int number = 0;
  for (const auto call : {ShimCall::kGenerateKeyPair, ShimCall::kGetAttributeValue,
                          ShimCall::kFindObjectsInit, ShimCall::kSignInit, ShimCall::kSign}) {
    for (std::uint64_t nth = 1; nth < 20; ++nth) {
      const auto error = kErrors[turn_++ % std::size(kErrors)];
      SCOPED_TRACE("call " + std::to_string(static_cast<int>(call)) + ", nth " +
                   std::to_string(nth) + ", error " + std::to_string(error));
      ASSERT_TRUE(becomes(*token_, TokenState::kReady));
      const auto reached = shim_.calls(call) + nth;
      const std::string label = "key" + std::to_string(number++);
      shim_.fail(call, nth, 1, error);
      const auto made = token_->generate_key(label, KeyAlgorithm::kEcdsaP256);
      const bool was_reached = shim_.calls(call) >= reached;
      shim_.heal(call);
      ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
      // Made and lost on the way, or never made: the label has one key or none, and never two.
      auto found = token_->find_key(label);
      if (made) {
        ASSERT_TRUE(found) << found.error().what;
        EXPECT_EQ(found->spki_der, made->spki_der);
      } else if (!found) {
        EXPECT_TRUE(token_->generate_key(label, KeyAlgorithm::kEcdsaP256))
            << "neither there nor to be made";
      }
      if (!was_reached || HasFailure()) break;
    }
  }
}

}  // namespace
}  // namespace keyward::test
