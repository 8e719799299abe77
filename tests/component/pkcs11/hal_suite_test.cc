// The contract of hal::SigningToken, on each real module.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend.h"
#include "helpers.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;
using hal::SignPriority;
using hal::TokenState;

constexpr KeyAlgorithm kAll[] = {KeyAlgorithm::kEcdsaP256, KeyAlgorithm::kEcdsaP384,
                                 KeyAlgorithm::kRsa2048,   KeyAlgorithm::kRsa3072,
                                 KeyAlgorithm::kRsa4096,   KeyAlgorithm::kEd25519};

struct Module {
  const char* name;
  std::unique_ptr<Backend> (*make)();
};
void PrintTo(const Module& module, std::ostream* out) { *out << module.name; }

class HalSuite : public testing::TestWithParam<Module> {
 protected:
  void SetUp() override {
    backend_ = GetParam().make();
    open();
    ASSERT_TRUE(unlock());
  }
  void open() {
    token_.reset();
    auto opened = hal::open_pkcs11_token(backend_->config());
    ASSERT_TRUE(opened);
    token_ = std::move(*opened);
  }
  testing::AssertionResult unlock() {
    const auto status = token_->unlock(backend_->pin());
    if (status) return testing::AssertionSuccess();
    return testing::AssertionFailure() << status.error().what << ": " << token_->status().detail;
  }
  Result<Bytes> sign(std::string_view label, std::int64_t ms = 20'000) {
    return token_->sign(label, view_of("a message"), in_ms(ms), SignPriority::kIssuance);
  }
  hal::TokenKey make_key(std::string_view label = "issuing") {
    auto key = token_->generate_key(label, KeyAlgorithm::kEcdsaP256);
    EXPECT_TRUE(key) << key.error().what << " " << std::hex << key.error().native;
    return key ? *key : hal::TokenKey{};
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<hal::SigningToken> token_;
};

TEST_P(HalSuite, GenerateKey_EachAlgorithm_SignsWhatOpenSslVerifies) {
  for (const auto algorithm : kAll) {
    SCOPED_TRACE(to_string(algorithm));
    token_.reset();
    if (backend_->flush_device() || token_ == nullptr) {
      open();
      ASSERT_TRUE(unlock());
    }
    ASSERT_EQ(token_->supports(algorithm), backend_->has(algorithm));
    auto key = token_->generate_key(to_string(algorithm), algorithm);
    if (!backend_->has(algorithm)) {
      ASSERT_FALSE(key);
      EXPECT_EQ(key.error().kind, ErrorKind::kBadInput);
      continue;
    }
    ASSERT_TRUE(key) << key.error().what << " " << std::hex << key.error().native;
    EXPECT_EQ(key->algorithm, algorithm);
    auto signature = sign(to_string(algorithm));
    ASSERT_TRUE(signature) << signature.error().what << " " << std::hex << signature.error().native;
    EXPECT_TRUE(verifies(*key, view_of("a message"), *signature));
    EXPECT_FALSE(verifies(*key, view_of("another message"), *signature));
  }
}

TEST_P(HalSuite, GenerateKey_Attributes_AreThoseOfTheContract) {
  const auto key = make_key();
  EXPECT_TRUE(key.sensitive);
  EXPECT_FALSE(key.extractable);
  EXPECT_TRUE(key.always_sensitive);
  EXPECT_TRUE(key.never_extractable);
  EXPECT_TRUE(key.local);
}

TEST_P(HalSuite, GenerateKey_LabelExists_IsRefused) {
  make_key();
  auto second = token_->generate_key("issuing", KeyAlgorithm::kEcdsaP256);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(sign("issuing"));
}

TEST_P(HalSuite, FindKey_AfterNewProcessLife_IsTheSameKey) {
  const auto made = make_key();
  open();
  EXPECT_EQ(token_->find_key("issuing").error().kind, ErrorKind::kUnavailable);  // still locked
  ASSERT_TRUE(unlock());
  auto found = token_->find_key("issuing");
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->spki_der, made.spki_der);
  EXPECT_EQ(found->algorithm, KeyAlgorithm::kEcdsaP256);
}

TEST_P(HalSuite, FindKeyAndSign_NoSuchLabel_AreBadInput) {
  EXPECT_EQ(token_->find_key("nobody").error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(sign("nobody").error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(token_->find_key("").error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(token_->status().state, TokenState::kReady);
}

TEST_P(HalSuite, Sign_EightThreads_AllVerifyAndAreCounted) {
  const auto key = make_key();
  constexpr int kThreads = 8;
  constexpr int kEach = 25;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        const std::string message = std::to_string(i) + "/" + std::to_string(n);
        auto signature =
            token_->sign("issuing", view_of(message), in_ms(30'000), SignPriority::kIssuance);
        if (signature && verifies(key, view_of(message), *signature)) ++good;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kEach);
  EXPECT_EQ(token_->status().signatures_made, static_cast<std::uint64_t>(kThreads * kEach));
}

TEST_P(HalSuite, Random_TwoCalls_Differ) {
  auto one = token_->random(32);
  auto two = token_->random(32);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->size(), 32u);
  EXPECT_NE(*one, *two);
  EXPECT_EQ(token_->random(0).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(token_->random(limits::kTokenRandomBytesMax + 1).error().kind, ErrorKind::kBadInput);
}

TEST_P(HalSuite, Hsm_GoesAwayAndComesBack_RecoversByItself) {
  const auto key = make_key();
  ASSERT_TRUE(sign("issuing"));
  backend_->take_away();
  auto lost = sign("issuing", 5'000);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(becomes(*token_, TokenState::kAway));
  EXPECT_EQ(token_->find_key("issuing").error().kind, ErrorKind::kUnavailable);
  backend_->bring_back();
  ASSERT_TRUE(becomes(*token_, TokenState::kReady)) << token_->status().detail;
  auto signature = sign("issuing");
  ASSERT_TRUE(signature) << signature.error().what << " " << token_->status().detail;
  EXPECT_TRUE(verifies(key, view_of("a message"), *signature));
  EXPECT_GE(token_->status().reconnects, 1);
  EXPECT_EQ(token_->status().signatures_made, 2u);
}

TEST_P(HalSuite, Hsm_AwayUnderLoad_EveryAnswerIsGoodOrUnavailable) {
  const auto key = make_key();
  std::atomic<bool> stop = false;
  std::atomic<int> good = 0;
  std::atomic<int> unavailable = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (!stop) {
        auto signature = sign("issuing", 5'000);
        if (signature && verifies(key, view_of("a message"), *signature))
          ++good;
        else if (!signature && signature.error().kind == ErrorKind::kUnavailable)
          ++unavailable;
        else
          ++wrong;
        if (!signature) ::usleep(2'000);
      }
    });
  EXPECT_TRUE(eventually([&] { return good > 20; }));
  backend_->take_away();
  EXPECT_TRUE(eventually([&] { return unavailable > 20; }));
  backend_->bring_back();
  const int before = good;
  EXPECT_TRUE(eventually([&] { return good > before + 20; })) << token_->status().detail;
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(HalSuite, Open_HsmAbsent_StartsAwayAndBecomesReady) {
  make_key();
  token_.reset();
  backend_->take_away();
  open();
  ASSERT_TRUE(becomes(*token_, TokenState::kAway));
  EXPECT_EQ(token_->unlock(backend_->pin()).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(sign("issuing").error().kind, ErrorKind::kUnavailable);
  backend_->bring_back();
  ASSERT_TRUE(becomes(*token_, TokenState::kReady))
      << token_->status().detail;  // with the PIN it kept
  EXPECT_TRUE(sign("issuing"));
}

INSTANTIATE_TEST_SUITE_P(Modules, HalSuite,
                         testing::Values(Module{"SoftHsm", make_softhsm_backend},
                                         Module{"SoftHsmInProcess", make_in_process_backend},
                                         Module{"P11KitServer", make_p11kit_backend},
                                         Module{"Tpm2Pkcs11", make_tpm2_backend}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace keyward::test
