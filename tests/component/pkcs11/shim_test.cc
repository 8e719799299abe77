// The signing token over SoftHSM behind the shim: each loss, refusal and wrong answer, provoked.
#include <array>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "tests/support/pkcs11_shim/shim_state.h"
#include "tests/support/softhsm/softhsm.h"

#include "helpers.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;
using hal::SignPriority;
using hal::TokenState;

// Of what a module is given to sign for this message.
std::uint8_t first_digest_octet(std::string_view message) {
  std::array<std::uint8_t, 32> digest{};
  EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest[0];
}

class Shimmed : public testing::Test {
 protected:
  hal::Pkcs11Config config() const {
    auto config = hsm_.config();
    config.environment.emplace_back("KEYWARD_SHIM_MODULE", config.module_path);
    config.environment.emplace_back("KEYWARD_SHIM_STATE", shim_.path());
    config.module_path = KEYWARD_SHIM_PATH;
    return config;
  }
  void open(hal::Pkcs11Config config) {
    token_.reset();
    auto opened = hal::open_pkcs11_token(std::move(config));
    ASSERT_TRUE(opened);
    token_ = std::move(*opened);
  }
  void open_with_key(hal::Pkcs11Config config) {
    open(std::move(config));
    ASSERT_TRUE(token_->unlock(hsm_.pin())) << token_->status().detail;
    auto key = token_->generate_key("issuing", KeyAlgorithm::kEcdsaP256);
    ASSERT_TRUE(key);
    key_ = *key;
  }
  Result<Bytes> sign(std::int64_t ms = 10'000, SignPriority priority = SignPriority::kIssuance) {
    return token_->sign("issuing", view_of("a message"), in_ms(ms), priority);
  }

  SoftHsm hsm_;
  ShimControl shim_{hsm_.directory() + "/shim"};
  std::unique_ptr<hal::SigningToken> token_;
  hal::TokenKey key_;
};

TEST_F(Shimmed, Unlock_WrongPin_IsSentOnceEver) {
  auto config = this->config();
  config.refused_pins_path = hsm_.directory() + "/refused";
  open(config);
  const SecretBytes wrong(view_of("9999-wrong"));
  EXPECT_EQ(token_->unlock(wrong.clone()).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(token_->status().state, TokenState::kLocked);
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), 1u);
  EXPECT_EQ(token_->unlock(wrong.clone()).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), 1u);
  open(config);  // as after a restart of the task
  EXPECT_EQ(token_->unlock(wrong.clone()).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), 1u);
  EXPECT_TRUE(token_->unlock(hsm_.pin()));
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), 2u);
}

TEST_F(Shimmed, Unlock_RefusedPinsFileDamaged_RefusesEveryPin) {
  auto config = this->config();
  config.refused_pins_path = hsm_.directory() + "/refused";
  ASSERT_TRUE(replace_file(config.refused_pins_path, view_of("nonsense"), 0600));
  open(config);
  EXPECT_EQ(token_->unlock(hsm_.pin()).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), 0u);
}

TEST_F(Shimmed, Unlock_SecondPinWhileReady_IsRefusedUnseen) {
  open_with_key(config());
  const auto logins = shim_.calls(ShimCall::kLogin);
  EXPECT_EQ(token_->unlock(SecretBytes(view_of("other"))).error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(token_->unlock(hsm_.pin()));
  EXPECT_EQ(shim_.calls(ShimCall::kLogin), logins);
}

// Each of these means "the HSM is gone" (limits of the modules tried, and of p11-kit-client).
TEST_F(Shimmed, Sign_EachErrorOfALostHsm_IsUnavailableAndRecovers) {
  open_with_key(config());
  constexpr CK_RV kLost[] = {CKR_GENERAL_ERROR,
                             CKR_FUNCTION_FAILED,
                             CKR_DEVICE_ERROR,
                             CKR_DEVICE_REMOVED,
                             CKR_OBJECT_HANDLE_INVALID,
                             CKR_SESSION_CLOSED,
                             CKR_SESSION_HANDLE_INVALID,
                             CKR_TOKEN_NOT_PRESENT,
                             CKR_TOKEN_NOT_RECOGNIZED,
                             CKR_USER_NOT_LOGGED_IN,
                             CKR_CRYPTOKI_NOT_INITIALIZED,
                             CKR_KEY_HANDLE_INVALID,
                             CKR_DEVICE_MEMORY,
                             0x80000123};
  for (const auto rv : kLost) {
    SCOPED_TRACE(rv);
    const auto reconnects = token_->status().reconnects;
    shim_.fail(ShimCall::kSign, 1, 1, rv);
    auto lost = sign();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::kUnavailable);
    EXPECT_EQ(static_cast<CK_RV>(lost.error().native), rv);
    ASSERT_TRUE(eventually([&] { return token_->status().reconnects == reconnects + 1; }));
    auto again = sign();
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_TRUE(verifies(key_, view_of("a message"), *again));
  }
}

// Nothing was signed yet, so the call may be made again without the caller noticing.
TEST_F(Shimmed, Sign_SignInitFails_IsRepeatedAfterReconnection) {
  open_with_key(config());
  shim_.fail(ShimCall::kSignInit, 1, 1, CKR_DEVICE_ERROR);
  auto signature = sign();
  ASSERT_TRUE(signature) << signature.error().what;
  EXPECT_TRUE(verifies(key_, view_of("a message"), *signature));
  EXPECT_EQ(token_->status().reconnects, 1);
}

TEST_F(Shimmed, Sign_FailsForEver_BacksOffAndStaysBounded) {
  open_with_key(config());
  shim_.fail(ShimCall::kSign, 1, 1'000'000, CKR_DEVICE_ERROR);
  EXPECT_EQ(sign().error().kind, ErrorKind::kUnavailable);
  ASSERT_TRUE(becomes(*token_, TokenState::kAway));
  EXPECT_EQ(sign().error().kind, ErrorKind::kUnavailable);
  shim_.heal(ShimCall::kSign);
  ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
  EXPECT_TRUE(sign());
}

// The nth call of each kind fails, for n = 1, 2, ... until a whole life passes without reaching it.
TEST_F(Shimmed, Life_NthCallFails_EndsReady) {
  open_with_key(config());
  for (const auto call :
       {ShimCall::kInitialize, ShimCall::kGetSlotList, ShimCall::kOpenSession, ShimCall::kLogin,
        ShimCall::kFindObjectsInit, ShimCall::kGetAttributeValue, ShimCall::kSignInit,
        ShimCall::kSign, ShimCall::kGenerateRandom}) {
    for (std::uint64_t nth = 1; nth < 60; ++nth) {
      SCOPED_TRACE(static_cast<int>(call) * 1000 + static_cast<int>(nth));
      const auto reached = shim_.calls(call) + nth;
      open(config());
      shim_.fail(call, nth, 1, CKR_DEVICE_ERROR);
      (void)token_->unlock(hsm_.pin());
      ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
      (void)token_->find_key("issuing");
      (void)token_->random(16);
      (void)sign();
      ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
      ASSERT_TRUE(eventually([&] { return sign().has_value(); })) << token_->status().detail;
      if (shim_.calls(call) < reached) break;
    }
    shim_.heal(call);
  }
}

TEST_F(Shimmed, Sign_WrongSignature_IsCorruptAndNeverReturned) {
  open_with_key(config());
  shim_.corrupt_signatures(1);
  auto wrong = sign();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCorrupt);
  ASSERT_TRUE(eventually([&] { return token_->status().reconnects == 1; }));
  EXPECT_TRUE(sign());
}

TEST_F(Shimmed, SelfTest_WrongSignature_KeepsTheTokenAway) {
  open_with_key(config());
  shim_.corrupt_signatures(1'000'000);
  open(config());
  EXPECT_EQ(token_->unlock(hsm_.pin()).error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(token_->status().detail, testing::HasSubstr("does not verify"));
  shim_.corrupt_signatures(0);
  EXPECT_TRUE(becomes(*token_, TokenState::kReady));
}

TEST_F(Shimmed, Sign_ModuleStalls_CallerLeavesAtItsDeadline) {
  auto config = this->config();
  config.quirks.max_sessions = 2;
  open_with_key(config);
  shim_.stall(ShimCall::kSign);
  const auto start = system_clock().monotonic_ms();
  auto late = sign(200);
  const auto took = system_clock().monotonic_ms() - start;
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kUnavailable);
  EXPECT_GE(took, 190);
  EXPECT_LT(took, 2'000);
  EXPECT_EQ(token_->status().state, TokenState::kReady);  // status() does not block either
  shim_.resume(ShimCall::kSign);
  EXPECT_TRUE(sign());
  EXPECT_TRUE(
      eventually([&] { return token_->status().signatures_made == 2; }));  // the late one counts
}

// A firewall forgot the connections: calls in the old sessions hang, new sessions work.
TEST_F(Shimmed, Sign_StuckWorkers_AreReplaced) {
  auto config = this->config();
  config.quirks.max_sessions = 2;
  config.quirks.stall_ms = 100;
  open_with_key(config);
  shim_.stall(ShimCall::kSign);
  std::thread other([&] { EXPECT_FALSE(sign(300)); });
  EXPECT_FALSE(sign(300));
  other.join();
  EXPECT_EQ(shim_.waiting(ShimCall::kSign), 2u);
  EXPECT_THAT(token_->status().detail, testing::HasSubstr("stuck in the module: 2"));
  // Two further workers took over; they stick too, and then the token counts as away.
  std::thread third([&] { EXPECT_FALSE(sign(300)); });
  EXPECT_FALSE(sign(300));
  third.join();
  EXPECT_TRUE(eventually([&] {
    (void)sign(150);
    return token_->status().state == TokenState::kAway;
  }));
  // The keeper's own self-test is stuck as well: calls are refused at once.
  const auto start = system_clock().monotonic_ms();
  EXPECT_EQ(sign(5'000).error().kind, ErrorKind::kUnavailable);
  EXPECT_LT(system_clock().monotonic_ms() - start, 2'000);
  shim_.resume(ShimCall::kSign);
  ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
  EXPECT_TRUE(sign());
  EXPECT_TRUE(
      eventually([&] { return token_->status().detail.find("stuck") == std::string::npos; }));
}

TEST_F(Shimmed, Sign_QueueFull_IsExhausted) {
  auto config = this->config();
  config.quirks.max_sessions = 1;
  open_with_key(config);
  shim_.stall(ShimCall::kSign);
  std::vector<std::thread> threads;
  std::atomic<int> exhausted = 0;
  std::atomic<int> ended = 0;
  const auto callers = limits::kSignQueueMax + 9;  // one in the module, eight too many
  for (std::size_t i = 0; i < callers; ++i)
    threads.emplace_back([&] {
      auto signature = sign(20'000);
      if (!signature && signature.error().kind == ErrorKind::kExhausted) ++exhausted;
      ++ended;
    });
  EXPECT_TRUE(eventually([&] { return exhausted == 8; }));
  EXPECT_EQ(ended, 8);
  shim_.resume(ShimCall::kSign);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(exhausted, 8);
}

TEST_F(Shimmed, Sign_UrgentComesLast_GoesBeforeIssuance) {
  auto config = this->config();
  config.quirks.max_sessions = 1;
  open_with_key(config);
  shim_.stall(ShimCall::kSign);
  std::vector<std::thread> threads;
  // Until the queue has taken it: the probe below may sit in its place for a moment.
  const auto start = [&](std::string_view message, SignPriority priority) {
    threads.emplace_back([this, message, priority] {
      const auto until = in_ms(20'000);
      while (!until.passed()) {
        const auto made = token_->sign("issuing", view_of(message), until, priority);
        if (made || made.error().kind != ErrorKind::kExhausted) break;
      }
    });
  };
  start("first", SignPriority::kIssuance);
  const bool stalled = eventually([&] { return shim_.waiting(ShimCall::kSign) == 1; });
  for (std::size_t i = 1; i < limits::kSignQueueMax; ++i) start("order", SignPriority::kIssuance);
  start("list", SignPriority::kUrgent);
  // Full: all of them wait.
  const bool full = eventually([&] {
    const auto probe = sign(1);
    return !probe && probe.error().kind == ErrorKind::kExhausted;
  });
  const auto before = shim_.succeeded(ShimCall::kSign);
  shim_.resume(ShimCall::kSign);
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(stalled);
  ASSERT_TRUE(full);
  EXPECT_EQ(shim_.succeeded(ShimCall::kSign) - before, limits::kSignQueueMax + 1);
  EXPECT_EQ(shim_.signed_octet(before), first_digest_octet("first"));
  EXPECT_EQ(shim_.signed_octet(before + 1), first_digest_octet("list"));
  EXPECT_EQ(shim_.signed_octet(before + 2), first_digest_octet("order"));
}

TEST_F(Shimmed, Sessions_NeverMoreThanAllowed_NeverTwoCallsInOne) {
  auto config = this->config();
  config.quirks.max_sessions = 3;
  open_with_key(config);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) good += sign() ? 1 : 0;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
  EXPECT_LE(shim_.inside_max(ShimCall::kSign), 3u);
  EXPECT_LE(shim_.succeeded(ShimCall::kOpenSession) - shim_.succeeded(ShimCall::kCloseSession), 3u);
}

TEST_F(Shimmed, OpenSession_ModuleAllowsFewer_MakesDo) {
  open_with_key(config());
  shim_.fail(ShimCall::kOpenSession, 1, 1'000'000, CKR_SESSION_COUNT);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 10; ++n) good += sign() ? 1 : 0;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 80);
  EXPECT_EQ(token_->status().reconnects, 0);
}

TEST_F(Shimmed, Health_Interval_NoticesALossWhileIdle) {
  auto config = this->config();
  config.quirks.health_interval_ms = 50;
  open_with_key(config);
  shim_.fail(ShimCall::kSign, 1, 1'000'000, CKR_DEVICE_ERROR);
  EXPECT_TRUE(becomes(*token_, TokenState::kAway));
  shim_.heal(ShimCall::kSign);
  EXPECT_TRUE(becomes(*token_, TokenState::kReady));
  EXPECT_EQ(token_->status().signatures_made, 0u);  // self-tests are not counted
}

TEST_F(Shimmed, Signatures_Counter_EqualsTheModulesOwnCount) {
  open_with_key(config());
  const auto before = shim_.succeeded(ShimCall::kSign);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(sign());
  EXPECT_EQ(shim_.succeeded(ShimCall::kSign) - before, 10u);
  EXPECT_EQ(token_->status().signatures_made, 10u);
}

TEST_F(Shimmed, End_CallStuckInTheModule_DoesNotHang) {
  auto config = this->config();
  open_with_key(config);
  shim_.stall(ShimCall::kSign);
  EXPECT_FALSE(sign(50));
  const auto start = system_clock().monotonic_ms();
  token_.reset();
  EXPECT_LT(system_clock().monotonic_ms() - start, 10'000);
  EXPECT_EQ(shim_.calls(ShimCall::kFinalize), 0u);  // never beside a running call
  shim_.resume(ShimCall::kSign);
  EXPECT_TRUE(
      eventually([&] { return shim_.calls(ShimCall::kFinalize) == 1; }));  // the last one out
}

}  // namespace
}  // namespace keyward::test
