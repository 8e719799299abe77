// The store while its files fail: accounts, orders, certificates on SQLite. A whole order with file
// call number n failing; then the store is opened again on a sound disk: what was promised to be
// durable is there, the file is whole, and the order can be finished.
#include <cstdlib>
#include <iostream>

#include "tests/unit/store/fixture.h"

#include "faulty_files.h"

namespace keyward::store {
namespace {

using test::FaultKind;
using test::FaultyFiles;

constexpr FaultKind kKinds[] = {FaultKind::kInputOutput, FaultKind::kNoSpace,
                                FaultKind::kShortWrite, FaultKind::kDiskGone};

class Life {
 public:
  void run(FaultKind kind, std::uint64_t nth, bool from_the_start) {
    if (!from_the_start) {
      ASSERT_TRUE(open());
    }
    FaultyFiles::arm(directory_.path(), kind, nth);
    if (!from_the_start || open()) first_life();
    store_.reset();
    FaultyFiles::disarm();
    reached_ = FaultyFiles::happened();
    next_life();
  }
  bool reached() const { return reached_; }

 private:
  bool open() {
    Options options;
    options.directory = directory_.path();
    auto opened = Store::open(options, clock_);
    if (!opened) return false;
    store_ = std::move(*opened);
    return true;
  }
  template <class T>
  bool acknowledged(const Answer<T>& answer) {
    if (answer) return true;
    EXPECT_TRUE(answer.error().code == "store-full" || answer.error().code == "store-failed" ||
                answer.error().code == "store-unavailable" || is_follower_)
        << answer.error().code << " " << answer.error().detail;
    is_follower_ = true;  // what builds on it is refused by its absence
    return false;
  }
  wire::OrderUpdate update(wire::OrderStatus from, wire::OrderStatus to) const {
    wire::OrderUpdate out;
    out.ticket = "t";
    out.expected = from;
    out.status = to;
    if (to == wire::OrderStatus::kProcessing) out.finalize = finalize();
    if (to == wire::OrderStatus::kValid) out.certificate = certificate("alice", "t");
    return out;
  }
  bool put_order() {
    return acknowledged(store_->order_put(order("alice", "t"))) &&
           acknowledged(store_->challenge_update({"t-a0-c0",
                                                  wire::ChallengeStatus::kPending,
                                                  wire::ChallengeStatus::kValid,
                                                  kNowMs,
                                                  {},
                                                  {}})) &&
           acknowledged(store_->order_update(
               update(wire::OrderStatus::kReady, wire::OrderStatus::kProcessing)));
  }
  void first_life() {
    has_account_ = acknowledged(store_->account_put({account("alice")}));
    if (!has_account_) return;
    if (!put_order()) return;
    const auto done =
        store_->order_update(update(wire::OrderStatus::kProcessing, wire::OrderStatus::kValid));
    has_certificate_ = acknowledged(done) && done->applied;
    has_second_ = acknowledged(store_->account_put({account("bob")}));
    (void)store_->flush();
    (void)store_->sweep();
  }
  bool is_there(const std::string& id) {
    wire::AccountGet get;
    get.id = id;
    const auto found = store_->account_get(get);
    return found && found->account;
  }
  void next_life() {
    ASSERT_TRUE(open()) << "the store does not open after " << FaultyFiles::where();
    EXPECT_TRUE(store_->check_integrity());
    if (has_account_) {
      EXPECT_TRUE(is_there("alice")) << "an account was lost";
    }
    if (has_second_) {
      EXPECT_TRUE(is_there("bob")) << "an account was lost";
    }
    const auto kept = store_->certificate_get({"cert-t", "alice"});
    if (has_certificate_) {
      EXPECT_TRUE(kept && kept->certificate) << "a certificate was lost";
    }
    if (!is_there("alice")) {
      ASSERT_TRUE(store_->account_put({account("alice")}));
    }
    finish_order();
    EXPECT_TRUE(store_->check_integrity());
    store_.reset();
  }
  // From wherever it stands.
  void finish_order() {
    auto found = store_->order_get({"t", "alice"});
    ASSERT_TRUE(found);
    if (!found->order) {
      ASSERT_TRUE(store_->order_put(order("alice", "t")));
    }
    (void)store_->challenge_update({"t-a0-c0",
                                    wire::ChallengeStatus::kPending,
                                    wire::ChallengeStatus::kValid,
                                    kNowMs,
                                    {},
                                    {}});
    (void)store_->order_update(update(wire::OrderStatus::kReady, wire::OrderStatus::kProcessing));
    (void)store_->order_update(update(wire::OrderStatus::kProcessing, wire::OrderStatus::kValid));
    found = store_->order_get({"t", "alice"});
    ASSERT_TRUE(found && found->order);
    EXPECT_EQ(found->order->status, wire::OrderStatus::kValid);
    const auto kept = store_->certificate_get({"cert-t", "alice"});
    EXPECT_TRUE(kept && kept->certificate);
  }

  TemporaryDirectory directory_;
  SetClock clock_;
  std::unique_ptr<Store> store_;
  bool has_account_ = false, has_certificate_ = false, has_second_ = false;
  bool is_follower_ = false, reached_ = false;
};

std::uint64_t every_nth_of(FaultKind kind, bool from_the_start) {
  // Much alike: the default run takes a part of them.
  const bool all = std::getenv("KEYWARD_FAULTS_LONG") != nullptr;
  return test::every_nth<Life>(kind, from_the_start, all ? 1 : from_the_start ? 23 : 5, 5'000);
}

class FaultyStore : public testing::TestWithParam<FaultKind> {};

TEST_P(FaultyStore, Order_NthFileCallFails_NothingDurableIsLost) {
  const auto lives = every_nth_of(GetParam(), false);
  EXPECT_GE(lives, 6U) << "a comparison of nothing";
  std::cout << "[faults] store, " << name_of(GetParam()) << ": " << lives << " lives\n";
}

TEST_P(FaultyStore, FirstStart_NthFileCallFails_OpensTheNextTime) {
  const auto lives = every_nth_of(GetParam(), true);
  EXPECT_GE(lives, 4U) << "a comparison of nothing";
  std::cout << "[faults] store's first start, " << name_of(GetParam()) << ": " << lives
            << " lives\n";
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultyStore, testing::ValuesIn(kKinds));

}  // namespace
}  // namespace keyward::store
