// Tests of operators' orders at the gate: what each does, what it refuses, that it stands in the
// ledger first, and what a restart leaves of it.
#include <algorithm>

#include "firmware/issue/policy_text.h"
#include "firmware/json/json.h"
#include "firmware/operate/order.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::RevocationAuthority;
constexpr std::int64_t kHourMs = 3'600'000;

template <class T>
std::string said(const issue::Verdict<T>& verdict) {
  return verdict ? "done" : verdict.error().code;
}

std::string entry(const std::string& name, const crypto::PrivateKey& key) {
  const auto jwk = jose::Jwk::from_public_key(key.public_key());
  return R"({"name":")" + name + R"(","jwk":)" + jwk->canonical() +
         R"(,"roles":["revoke","policy","eab","account","ca"]})";
}

class OperatorGateTest : public GateTest {
 protected:
  OperatorGateTest() { config_.operators = *operate::Operators::parse(file()); }
  std::string file(const std::string& dual = "") const {
    return R"({"version":1,"unit":"unit7","operators":[)" + entry("ann", ann_) + "," +
           entry("bob", bob_) + R"(],"dual_control":[)" + dual + "]}";
  }
  Bytes jws(const std::string& order, const std::string& arguments = "",
            const std::string& reason = "") {
    operate::OrderHead head{order, "unit7", {}, clock_.utc_ms() / 1'000 * 1'000, 0, reason};
    head.id[0] = ++orders_;
    head.expires_ms = head.issued_ms + kHourMs;
    return to_bytes(*operate::sign_order(ann_, operate::order_payload(head, arguments)));
  }
  std::string give(const std::string& order, const std::string& arguments = "",
                   const std::string& reason = "") {
    return said(gate_->carry_out({jws(order, arguments, reason)}));
  }
  Bytes certify(const std::string& name) {
    prove(client_, dns(name));
    const auto reply =
        gate_->issue(client_.finalize(order(client_, {dns(name)}), make_csr(*key_, {dns(name)})));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->serial : Bytes();
  }
  std::string attempt(const TestClient& client, const std::string& name) {
    prove(client, dns(name));
    const auto made = gate_->mint_ticket(client.new_order({dns(name)}));
    if (!made) return made.error().code;
    return said(gate_->issue(client.finalize(*made, make_csr(*key_, {dns(name)}))));
  }
  std::vector<issue::LedgerRow> rows(issue::RowKind kind) const {
    std::vector<issue::LedgerRow> out;
    EXPECT_TRUE(
        issue::read_ledger(directory_.path("ledger"), [&](const auto& row, const auto&) -> Status {
          if (row.kind == kind) out.push_back(row);
          return {};
        }));
    return out;
  }
  static std::string serials(const std::vector<Bytes>& list, const std::string& more = "") {
    std::string out;
    for (const auto& serial : list) out += (out.empty() ? "\"" : ",\"") + hex_encode(serial) + "\"";
    return "\"serials\":[" + out + "]" + more;
  }
  static std::string account(const TestClient& client) {
    return R"("thumbprint":")" + base64url_encode(client.thumbprint()) + "\"";
  }

  crypto::PrivateKey ann_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey bob_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEd25519);
  TestClient other_;
  std::uint8_t orders_ = 0;
};

TEST_F(OperatorGateTest, Revoke_OfSeveral_EachStandsInTheLedgerWithItsOrder) {
  open();
  const auto one = certify("a.example"), two = certify("b.example");
  const auto order = jws("revoke", serials({one, two}, ",\"reason_code\":4"), "ticket 17");
  const auto reply = gate_->carry_out({order});
  ASSERT_TRUE(reply) << reply.error().code;
  const auto answer = json::Document::parse(reply->answer);
  EXPECT_EQ(answer->root().get("revoked").integer(), 2);
  EXPECT_EQ(answer->root().get("operators").items().at(0).string(), "ann");
  const auto orders = rows(issue::RowKind::kOperatorOrder);
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].operator_order->jws, order);
  const auto revoked = rows(issue::RowKind::kRevocation);
  ASSERT_EQ(revoked.size(), 2u);
  for (const auto& row : revoked) {
    EXPECT_EQ(row.revocation->authority, RevocationAuthority::kOperator);
    EXPECT_EQ(row.revocation->order_row, orders[0].number);
    EXPECT_EQ(row.revocation->reason, 4u);
    EXPECT_EQ(row.revocation->jws_sha256, crypto::sha256(order));
  }
  EXPECT_EQ(ledger().orders, 1u);
}

TEST_F(OperatorGateTest, Revoke_WhatIsNotHere_ChangesNothing) {
  open();
  const auto one = certify("a.example");
  EXPECT_EQ(give("revoke", serials({one, Bytes(16, 7)})), "certificate-unknown");
  EXPECT_EQ(give("revoke", serials({one}, ",\"reason_code\":6")), "revocation-reason");
  EXPECT_EQ(give("revoke"), "order-payload");
  EXPECT_EQ(ledger().orders, 0u);
  EXPECT_EQ(ledger().revoked, 0u);
  EXPECT_EQ(give("revoke", serials({one})), "done");
  EXPECT_EQ(give("revoke", serials({one})), "revocation-already");
  const auto two = certify("b.example");
  EXPECT_EQ(give("revoke", serials({one, two})), "done");
  EXPECT_EQ(ledger().revoked, 2u);
}

TEST_F(OperatorGateTest, Revoke_KeyCompromise_KeyIsNeverCertifiedAgain) {
  open();
  EXPECT_EQ(give("revoke", serials({certify("a.example")}, ",\"reason_code\":1")), "done");
  EXPECT_EQ(attempt(client_, "b.example"), "csr-key-compromised");
  open();
  EXPECT_EQ(attempt(client_, "b.example"), "csr-key-compromised");
}

TEST_F(OperatorGateTest, Order_Twice_Replayed) {
  open();
  const auto hold = jws("hold-issuance");
  EXPECT_EQ(said(gate_->carry_out({hold})), "done");
  EXPECT_EQ(said(gate_->carry_out({hold})), "order-replayed");
  open();
  EXPECT_EQ(said(gate_->carry_out({hold})), "order-replayed");
  EXPECT_EQ(ledger().orders, 1u);
}

TEST_F(OperatorGateTest, Order_AfterTheClockWentBack_DoesNotGetYounger) {
  open();
  const auto hold = jws("hold-issuance");
  clock_.advance(2 * kHourMs);
  certify("a.example");  // the ledger has seen that time
  clock_.advance(-2 * kHourMs);
  EXPECT_EQ(said(gate_->carry_out({hold})), "order-expired");
}

TEST_F(OperatorGateTest, Order_WithoutAnOperatorsFile_Refused) {
  const auto hold = jws("hold-issuance");
  config_.operators.reset();
  open();
  EXPECT_EQ(said(gate_->carry_out({hold})), "operators-none");
  EXPECT_TRUE(rows(issue::RowKind::kOperators).empty());
}

TEST_F(OperatorGateTest, Operators_OtherThanBefore_StandInTheLedger) {
  open();
  open();
  ASSERT_EQ(rows(issue::RowKind::kOperators).size(), 1u);
  EXPECT_EQ(give("hold-issuance"), "done");
  config_.operators = *operate::Operators::parse(file("\"ca\""));
  open();
  ASSERT_EQ(rows(issue::RowKind::kOperators).size(), 2u);
  EXPECT_EQ(give("resume-issuance"), "order-dual-control");
  EXPECT_EQ(text_of(rows(issue::RowKind::kOperators)[1].operators->file), file("\"ca\""));
  config_.operators.reset();
  open();
  EXPECT_TRUE(rows(issue::RowKind::kOperators).at(2).operators->file.empty());
}

TEST_F(OperatorGateTest, Hold_UntilResumed_NothingIsIssuedAndOldAnswersStay) {
  open();
  prove(client_, dns("a.example"));
  const auto request =
      client_.finalize(order(client_, {dns("a.example")}), make_csr(*key_, {dns("a.example")}));
  EXPECT_EQ(said(gate_->issue(request)), "done");
  EXPECT_EQ(give("hold-issuance", "", "suspicion"), "done");
  EXPECT_NE(gate_->why_not_issuing().find("suspicion"), std::string::npos);
  EXPECT_EQ(attempt(client_, "b.example"), "issuance-held");
  EXPECT_EQ(said(gate_->issue(request)), "done");  // the same certificate
  open();
  EXPECT_EQ(attempt(client_, "b.example"), "issuance-held");
  EXPECT_EQ(give("resume-issuance"), "done");
  EXPECT_EQ(gate_->why_not_issuing(), "");
  EXPECT_EQ(attempt(client_, "b.example"), "done");
  EXPECT_EQ(give("resume-issuance", "\"more\":1"), "order-payload");
}

TEST_F(OperatorGateTest, AccountRevoke_NothingMoreForIt_OthersGoOn) {
  open();
  const auto serial = certify("a.example");
  EXPECT_EQ(give("account-revoke", account(client_)), "done");
  EXPECT_EQ(attempt(client_, "b.example"), "account-revoked");
  EXPECT_EQ(attempt(other_, "b.example"), "done");
  EXPECT_EQ(give("account-revoke"), "order-payload");
  open();
  EXPECT_EQ(attempt(client_, "b.example"), "account-revoked");
  EXPECT_EQ(ledger().revoked, 0u);
}

TEST_F(OperatorGateTest, AccountRevoke_OfAKeyOfBefore_HoldsForTheAccount) {
  open();
  prove(client_, dns("a.example"));
  const auto request =
      client_.finalize(order(client_, {dns("a.example")}), make_csr(*key_, {dns("a.example")}));
  const std::string jwk = jose::Jwk::from_public_key(other_.key().public_key())->canonical();
  EXPECT_EQ(give("account-rekey", account(client_) + ",\"jwk\":" + jwk), "done");
  EXPECT_EQ(give("account-revoke", account(other_)), "done");
  EXPECT_EQ(attempt(other_, "b.example"), "account-revoked");
  // What the key before had ordered is the account's, too.
  EXPECT_NE(said(gate_->issue(request)), "done");
}

TEST_F(OperatorGateTest, AccountRekey_NewKeyHasWhatWasProved_OldOneIsReplaced) {
  open();
  prove(client_, dns("a.example"));
  const std::string jwk = jose::Jwk::from_public_key(other_.key().public_key())->canonical();
  const std::string arguments = account(client_) + ",\"jwk\":" + jwk;
  EXPECT_EQ(give("account-rekey", arguments), "done");
  EXPECT_EQ(said(gate_->mint_ticket(client_.new_order({dns("a.example")}))), "key-replaced");
  const auto reply = gate_->issue(
      other_.finalize(order(other_, {dns("a.example")}), make_csr(*key_, {dns("a.example")})));
  EXPECT_TRUE(reply) << reply.error().code;
  TestClient third;
  const std::string another = account(client_) + ",\"jwk\":" +
                              jose::Jwk::from_public_key(third.key().public_key())->canonical();
  EXPECT_EQ(give("account-rekey", another), "key-replaced");
  EXPECT_EQ(ledger().orders, 1u);
}

TEST_F(OperatorGateTest, EabRevoke_ItsAccountsGetNothingMore) {
  open();
  wire::GrantAccount admission;
  admission.thumbprint = client_.thumbprint();
  admission.kid = "k1";
  admission.expires_at_ms = clock_.utc_ms() + kHourMs;
  ASSERT_TRUE(gate_->grant_account(admission));
  EXPECT_EQ(attempt(client_, "a.example"), "done");
  EXPECT_EQ(give("eab-revoke", R"("kid":"k1")"), "done");
  EXPECT_EQ(attempt(client_, "b.example"), "account-withdrawn");
  open();
  EXPECT_EQ(attempt(client_, "b.example"), "account-withdrawn");
}

TEST_F(OperatorGateTest, PolicyApprove_Required_NothingIsIssuedBefore) {
  config_.policy_approval_required = true;
  open();
  EXPECT_EQ(attempt(client_, "a.example"), "policy-not-approved");
  const auto digest = hex_encode(gate_->policy_digest());
  EXPECT_NE(gate_->why_not_issuing().find(digest), std::string::npos);
  EXPECT_EQ(give("policy-approve", "\"policy\":\"" + std::string(64, '0') + "\""), "policy-digest");
  EXPECT_EQ(give("policy-approve", "\"policy\":\"" + digest + "\""), "done");
  EXPECT_EQ(attempt(client_, "a.example"), "done");
  open();
  EXPECT_EQ(attempt(client_, "b.example"), "done");
  // Another policy must be approved anew; the earlier approval is of the earlier one.
  config_.overall_per_hour += 1;
  open();
  EXPECT_EQ(attempt(client_, "c.example"), "policy-not-approved");
}

TEST_F(OperatorGateTest, Order_OfAnotherTask_NotHere) {
  open();
  config_.operators.reset();
  EXPECT_EQ(give("zeroise"), "order-not-here");
  EXPECT_EQ(ledger().orders, 0u);
}

// The process ended after the order's row, before its effects: the next start carries them out.
TEST_F(OperatorGateTest, Revoke_CutShortAfterItsRow_IsFinishedAtTheNextStart) {
  open();
  const auto one = certify("a.example"), two = certify("b.example");
  const auto order = jws("revoke", serials({one, two}, ",\"reason_code\":1"));
  const auto permitted = operate::recorded_order(order);
  ASSERT_TRUE(permitted);
  ASSERT_TRUE(gate_->ledger().append_operator_order(
      {permitted->head().id, "revoke", order, config_.operators->digest()}));
  open();
  EXPECT_EQ(ledger().revoked, 2u);
  EXPECT_EQ(attempt(client_, "c.example"), "csr-key-compromised");
  open();
  EXPECT_EQ(ledger().revoked, 2u);
}

TEST_F(OperatorGateTest, PolicyText_EachSetting_ChangesItsDigest) {
  open();
  const auto base = gate_->policy_digest();
  std::vector<Digest256> seen{base};
  const auto differs = [&](auto change) {
    auto config = config_;
    config.profiles = {issue::make_profile("server", issue::ProfileKind::kServer, 90)};
    change(config);
    const auto digest = issue::policy_digest(config, gate_->issuer());
    EXPECT_EQ(std::ranges::count(seen, digest), 0);
    seen.push_back(digest);
  };
  differs([](auto&) {});
  differs([](auto& c) { c.backdate_ms += 1; });
  differs([](auto& c) { c.account_per_hour += 1; });
  differs([](auto& c) { c.names.permitted_dns.push_back("a.example"); });
  differs([](auto& c) { c.names.denied_dns.push_back("a.example"); });
  differs([](auto& c) { c.names.permitted_ip.push_back(*issue::IpSubtree::parse("10.0.0.0/8")); });
  differs([](auto& c) { c.names.permitted_ip.push_back(*issue::IpSubtree::parse("10.0.0.0/9")); });
  differs([](auto& c) { c.external_account_required = true; });
  differs([](auto& c) { c.possession = true; });
  differs([](auto& c) { c.tenants["t"] = {"u"}; });
  differs([](auto& c) { c.crl_validity_ms = 1; });
  differs([](auto& c) { c.profiles[0].lifetime_ms += 1; });
  differs([](auto& c) { c.profiles[0].wildcard = false; });
  differs([](auto& c) { c.profiles[0].ip = false; });
  differs([](auto& c) { c.profiles[0].methods.pop_back(); });
  differs([](auto& c) { c.profiles[0].purposes.emplace_back("1.2.3"); });
  differs([](auto& c) { c.profiles[0].attestations.emplace_back("measured_boot"); });
  differs([](auto& c) { c.profiles[0].star.emplace(); });
  differs([](auto& c) { c.profiles[0].star = issue::StarLimits{1, 2}; });
  differs([](auto& c) { c.operators.reset(); });
}

}  // namespace
}  // namespace keyward::test
