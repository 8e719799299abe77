// Operators' orders before the auditor: each signature is verified, and a signer that writes an order
// which nobody gave is found out.
#include "firmware/operate/order.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

#include "stage.h"

namespace keyward::test {
namespace {

std::string file_of(const crypto::PrivateKey& key) {
  return R"({"version":1,"unit":"unit7","operators":[{"name":"ann","jwk":)" +
         jose::Jwk::from_public_key(key.public_key())->canonical() + R"(,"roles":["revoke"]}]})";
}

class OrdersAuditTest : public AuditStage {
 protected:
  OrdersAuditTest() {
    operators_ = *operate::Operators::parse(file_of(ann_));
    fill(3);
  }
  Bytes revocation(const crypto::PrivateKey& key, std::int64_t issued_ms) const {
    operate::OrderHead head{"revoke", "unit7", {}, issued_ms / 1'000 * 1'000, 0, "lost"};
    random_fill(head.id);
    head.expires_ms = head.issued_ms + 60'000;
    return to_bytes(*operate::sign_order(
        key, operate::order_payload(head, "\"serials\":[\"" + hex_encode(serials_[1]) + "\"]")));
  }
  // As a signer would that does what it likes.
  void write_order(const Bytes& jws) {
    const auto order = operate::recorded_order(jws);
    ASSERT_TRUE(order);
    ASSERT_TRUE(gate_->ledger().append_operator_order(
        {order->head().id, order->head().order, jws, operators_->digest()}));
  }
  std::string named(const audit::AuditReport& report) const {
    return report.broken
               ? std::string(audit::to_string(report.broken->flaw)) + ": " + report.broken->detail
               : "whole";
  }
  static std::int64_t now_ms() { return system_clock().utc_ms(); }

  crypto::PrivateKey ann_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey eve_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(OrdersAuditTest, Order_OfAnOperator_VerifiedAndNamedByWhy) {
  ASSERT_TRUE(gate_->carry_out({revocation(ann_, now_ms())}));
  const auto path = export_ledger("x");
  const auto report = judge(path, {std::nullopt, {file_of(ann_)}, {}});
  EXPECT_EQ(named(report), "whole");
  EXPECT_EQ(report.orders, 1u);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("by ann"), std::string::npos) << report.notes[0];
  auto bundle = audit::Bundle::open(path);
  ASSERT_TRUE(bundle);
  const auto found = audit::find_issuance(*bundle, serials_[1]);
  ASSERT_TRUE(found && *found);
  ASSERT_TRUE((*found)->order);
  EXPECT_EQ((*found)->order_signatories, std::vector<std::string>{"ann"});
  const auto other = audit::find_issuance(*bundle, serials_[0]);
  EXPECT_FALSE((*other)->order);
}

TEST_F(OrdersAuditTest, Order_OfAStranger_Forged) {
  write_order(revocation(eve_, now_ms()));
  EXPECT_EQ(named(judge()), "forged: the order: order-key-unknown");
}

TEST_F(OrdersAuditTest, Order_OfAnotherTime_Forged) {
  write_order(revocation(ann_, now_ms() - 3'600'000));
  EXPECT_EQ(named(judge()), "forged: the order: order-expired");
}

TEST_F(OrdersAuditTest, Operators_OtherThanTheAuditors_Forged) {
  EXPECT_EQ(named(judge(export_ledger("x"), {std::nullopt, {file_of(eve_)}, {}})),
            "forged: the operators are not those that were given");
  // Without any, whom the ledger names is noted.
  const auto report = judge();
  EXPECT_EQ(named(report), "whole");
  EXPECT_EQ(report.notes.size(), 1u);
}

TEST_F(OrdersAuditTest, Order_TwiceOrWithoutOperators_Inconsistent) {
  const auto jws = revocation(ann_, now_ms());
  write_order(jws);
  write_order(jws);
  EXPECT_EQ(named(judge()), "inconsistent: an operator's order stands twice");
}

TEST_F(OrdersAuditTest, Order_JudgedByOtherOperators_Inconsistent) {
  const auto jws = revocation(ann_, now_ms());
  const auto order = operate::recorded_order(jws);
  ASSERT_TRUE(
      gate_->ledger().append_operator_order({order->head().id, "revoke", jws, Digest256{1}}));
  EXPECT_EQ(named(judge()), "inconsistent: an order that was not judged by the operators in force");
}

TEST_F(OrdersAuditTest, Revocation_ByAnOperatorWithoutOrder_Inconsistent) {
  const auto first = issue::read_ledger(state() + "/ledger",
                                        [](const auto&, const auto&) -> Status { return {}; });
  ASSERT_TRUE(first);
  issue::RevocationRow row;
  EXPECT_TRUE(issue::read_ledger(state() + "/ledger",
                                 [&](const issue::LedgerRow& r, const auto&) -> Status {
                                   if (r.intent) {
                                     row.intent_row = r.number;
                                     row.serial = r.intent->serial;
                                   }
                                   return {};
                                 }));
  row.authority = issue::RevocationAuthority::kOperator;
  ASSERT_TRUE(gate_->ledger().append_revocation(row));
  EXPECT_EQ(named(judge()), "inconsistent: a revocation by an operator without his order");
}

}  // namespace
}  // namespace keyward::test
