// Orders that renew their certificate by themselves (RFC 8739).
#include <gmock/gmock.h>

#include "firmware/wire/messages/order_terms.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using ::testing::ElementsAre;
using wire::OrderStatus;

class RenewalsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    add_account("alice");
    add_account("bob");
  }
  // Renewed daily for ten days.
  void begin(const std::string& ticket, bool certificate_get = false) {
    auto put = order("alice", ticket);
    wire::OrderTerms terms;
    terms.identifiers = put.order.identifiers;
    terms.profile = "short";
    terms.star = wire::StarTerms{kNowMs, kNowMs + 10 * kDayMs, kDayMs, kDayMs / 2, certificate_get};
    put.order.terms = wire::encode_body(terms);
    put.order.certificate_get = certificate_get;
    const auto stored = store_->order_put(put);
    ASSERT_TRUE(stored) << stored.error().code;
    prove(ticket);
    ASSERT_TRUE(move(ticket, OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  }
  static wire::OrderUpdate made(const std::string& ticket, OrderStatus from, int number,
                                std::optional<std::int64_t> next_at_ms) {
    wire::OrderUpdate update;
    update.ticket = ticket;
    update.expected = from;
    update.status = OrderStatus::kValid;
    update.certificate = certificate("alice", ticket);
    update.certificate->id += "-" + std::to_string(number);
    update.certificate->serial[0] = static_cast<std::uint8_t>(number + 1);
    update.certificate->not_after_ms = kNowMs + (number + 1) * kDayMs;
    update.star_next_at_ms = next_at_ms;
    return update;
  }
  void first(const std::string& ticket, std::optional<std::int64_t> next_at_ms) {
    const auto reply = store_->order_update(made(ticket, OrderStatus::kProcessing, 0, next_at_ms));
    ASSERT_TRUE(reply) << reply.error().detail;
    ASSERT_TRUE(reply->applied);
  }
  wire::OrderRecord order_of(const std::string& ticket) {
    return *store_->order_get({ticket, "alice"})->order;
  }
  std::vector<std::string> due() {
    std::vector<std::string> tickets;
    const auto work = store_->work_list({});
    for (const auto& one : work->renewals) tickets.push_back(one.ticket);
    return tickets;
  }
};

TEST_F(RenewalsTest, First_KeepsFinalizeAndSaysWhenTheNextIsDue) {
  begin("s1");
  first("s1", kNowMs + kDayMs / 2);
  const auto got = order_of("s1");
  EXPECT_EQ(got.status, OrderStatus::kValid);
  EXPECT_EQ(got.certificate_id, "cert-s1-0");
  EXPECT_EQ(got.star_next_at_ms, kNowMs + kDayMs / 2);
  ASSERT_TRUE(got.finalize);
  EXPECT_EQ(got.finalize->payload_b64, finalize().payload_b64);
  EXPECT_EQ(got.certificate_get, false);
  EXPECT_TRUE(due().empty());
  clock_.now_ms = kNowMs + kDayMs / 2;
  EXPECT_THAT(due(), ElementsAre("s1"));
  EXPECT_EQ(store_->work_list({})->renewals[0].account_id, "alice");
  EXPECT_THAT(store_->order_list({"alice", {}})->tickets, ElementsAre("s1"));
}

TEST_F(RenewalsTest, Renewal_SetsTheCertificateUntilTheLast) {
  begin("s1");
  first("s1", kNowMs + kDayMs / 2);
  auto second = made("s1", OrderStatus::kValid, 1, kNowMs + kDayMs);
  second.finalize = finalize();  // may come along; what is kept stays
  ASSERT_TRUE(store_->order_update(second)->applied);
  EXPECT_EQ(order_of("s1").certificate_id, "cert-s1-1");
  EXPECT_EQ(order_of("s1").star_next_at_ms, kNowMs + kDayMs);
  EXPECT_TRUE(order_of("s1").finalize);
  ASSERT_TRUE(store_->order_update(made("s1", OrderStatus::kValid, 2, {}))->applied);
  EXPECT_EQ(order_of("s1").certificate_id, "cert-s1-2");
  EXPECT_FALSE(order_of("s1").star_next_at_ms);
  EXPECT_FALSE(order_of("s1").finalize);
  EXPECT_EQ(code_of(store_->order_update(made("s1", OrderStatus::kValid, 3, {}))),
            "edge-not-allowed");
  for (const char* id : {"cert-s1-0", "cert-s1-1", "cert-s1-2"})
    EXPECT_TRUE(store_->certificate_get({id, "alice"})->certificate) << id;
}

TEST_F(RenewalsTest, Renewal_WithTheCertificateThatIsThere_IsNotApplied) {
  begin("s1");
  first("s1", kNowMs + kDayMs / 2);
  auto same = made("s1", OrderStatus::kValid, 0, kNowMs + kDayMs);
  same.certificate->id = "another-id";
  const auto reply = store_->order_update(same);
  ASSERT_TRUE(reply && reply->order);
  EXPECT_FALSE(reply->applied);
  EXPECT_EQ(reply->order->certificate_id, "cert-s1-0");
  EXPECT_EQ(order_of("s1").star_next_at_ms, kNowMs + kDayMs / 2);
}

TEST_F(RenewalsTest, OrderThatDoesNotRenew_TakesNeitherRenewalNorCancellation) {
  add_order("alice", "t1");
  prove("t1");
  ASSERT_TRUE(move("t1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  auto claimed = made("t1", OrderStatus::kProcessing, 0, kNowMs + kDayMs);
  EXPECT_EQ(code_of(store_->order_update(claimed)), "record-malformed");
  claimed.star_next_at_ms.reset();
  ASSERT_TRUE(store_->order_update(claimed)->applied);
  EXPECT_EQ(code_of(store_->order_update(made("t1", OrderStatus::kValid, 1, kNowMs + kDayMs))),
            "edge-not-allowed");
  EXPECT_EQ(code_of(move("t1", OrderStatus::kValid, OrderStatus::kCanceled)), "edge-not-allowed");
  EXPECT_EQ(order_status("t1"), OrderStatus::kValid);
  wire::OrderUpdate early{"t1", OrderStatus::kReady, OrderStatus::kInvalid, {}, {}, {}, kNowMs};
  EXPECT_EQ(code_of(store_->order_update(early)), "record-malformed");
  auto born = order("alice", "t2");
  born.order.star_next_at_ms = kNowMs;
  EXPECT_EQ(code_of(store_->order_put(born)), "record-malformed");
}

TEST_F(RenewalsTest, Cancel_EndsTheRenewalsAndIsListed) {
  begin("s1");
  EXPECT_EQ(code_of(move("s1", OrderStatus::kProcessing, OrderStatus::kCanceled)),
            "edge-not-allowed");
  first("s1", kNowMs);
  EXPECT_THAT(due(), ElementsAre("s1"));
  const auto canceled = move("s1", OrderStatus::kValid, OrderStatus::kCanceled);
  ASSERT_TRUE(canceled && canceled->applied);
  EXPECT_EQ(order_status("s1"), OrderStatus::kCanceled);
  EXPECT_FALSE(order_of("s1").finalize);
  EXPECT_FALSE(order_of("s1").star_next_at_ms);
  EXPECT_EQ(order_of("s1").certificate_id, "cert-s1-0");
  EXPECT_TRUE(due().empty());
  EXPECT_THAT(store_->order_list({"alice", {}})->tickets, ElementsAre("s1"));
  const auto late = store_->order_update(made("s1", OrderStatus::kValid, 1, kNowMs + kDayMs));
  EXPECT_FALSE(late->applied);
  EXPECT_EQ(late->order->status, OrderStatus::kCanceled);
}

TEST_F(RenewalsTest, CertificateGet_ByTicket_IsTheOneThatIsGoodNow) {
  begin("closed");
  begin("open", true);
  EXPECT_FALSE(store_->certificate_get({{}, "alice", "closed"})->certificate);  // none yet
  first("closed", kNowMs);
  first("open", kNowMs);
  ASSERT_TRUE(store_->order_update(made("open", OrderStatus::kValid, 1, {}))->applied);
  const auto own = store_->certificate_get({{}, "alice", "closed"});
  ASSERT_TRUE(own && own->certificate);
  EXPECT_EQ(own->certificate->id, "cert-closed-0");
  EXPECT_EQ(own->order_status, OrderStatus::kValid);
  EXPECT_EQ(own->star_end_ms, kNowMs + 10 * kDayMs);
  EXPECT_FALSE(store_->certificate_get({{}, "bob", "closed"})->certificate);
  EXPECT_FALSE(store_->certificate_get({{}, "", "closed"})->order_status);  // not negotiated
  EXPECT_EQ(store_->certificate_get({{}, "", "open"})->certificate->id, "cert-open-1");
  EXPECT_FALSE(store_->certificate_get({{}, "bob", "open"})->certificate);
  EXPECT_FALSE(store_->certificate_get({{}, "", "nothing"})->certificate);
  ASSERT_TRUE(move("open", OrderStatus::kValid, OrderStatus::kCanceled)->applied);
  EXPECT_EQ(store_->certificate_get({{}, "", "open"})->order_status, OrderStatus::kCanceled);
}

TEST_F(RenewalsTest, CertificateGet_MalformedOrOfAnotherOrder_IsRefusedOrAbsent) {
  EXPECT_EQ(code_of(store_->certificate_get({"c", "alice", "t"})), "record-malformed");
  EXPECT_EQ(code_of(store_->certificate_get({{}, "alice"})), "record-malformed");
  EXPECT_EQ(code_of(store_->certificate_get({"c", ""})), "record-malformed");
  add_order("alice", "t1");
  issue("t1");
  EXPECT_FALSE(store_->certificate_get({{}, "alice", "t1"})->certificate);
  EXPECT_FALSE(store_->certificate_get({{}, "", "t1"})->certificate);
}

TEST_F(RenewalsTest, WorkList_OfADeactivatedAccount_HasNoRenewals) {
  begin("s1");
  first("s1", kNowMs);
  ASSERT_TRUE(store_->account_update({"alice", {}, wire::AccountStatus::kDeactivated, {}}));
  EXPECT_TRUE(due().empty());
}

TEST_F(RenewalsTest, Sweep_OrdersThatRenew_LiveUntilTheirRenewalsEnd) {
  begin("s1");
  first("s1", kNowMs + kDayMs / 2);
  begin("single");
  first("single", {});  // one certificate to the very end
  EXPECT_EQ(order_of("s1").expires_at_ms, kNowMs + 10 * kDayMs);
  clock_.now_ms = kNowMs + 10 * kDayMs + limits::kOrderRetentionMs - 1;
  EXPECT_EQ(store_->sweep()->orders, 0);
  EXPECT_TRUE(store_->certificate_get({{}, "alice", "single"})->certificate);
  clock_.now_ms = kNowMs + 10 * kDayMs + limits::kOrderRetentionMs;
  EXPECT_EQ(store_->sweep()->orders, 2);
  EXPECT_TRUE(due().empty());
}

}  // namespace
}  // namespace keyward::store
