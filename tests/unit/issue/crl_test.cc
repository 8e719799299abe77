// Tests the revocation list: its octets, by OpenSSL's judgement, what is in it and for how long,
// when a new one is made, and what a restart and an absent token leave of it.
#include "firmware/issue/crl.h"

#include <chrono>

#include "firmware/x509/certificate.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;

class CrlTest : public GateTest {
 protected:
  CrlTest() {
    config_.crl_validity_ms = kDayMs;
    config_.time.jump_ms = 0;  // the tests' clock leaps by months
  }
  Bytes certify(const std::string& name) {
    prove(client_, dns(name));
    const auto made = order(client_, {dns(name)});
    const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, {dns(name)})));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->chain[0] : Bytes();
  }
  void revoke(const Bytes& der, const std::string& reason = "") {
    const auto reply = gate_->revoke(
        {client_.jwk(), client_.sign(std::string(kBaseUrl) + "/acme/revoke-cert",
                                     R"({"certificate":")" + base64url_encode(der) + "\"" +
                                         (reason.empty() ? "" : ",\"reason\":" + reason) + "}")});
    EXPECT_TRUE(reply) << reply.error().code;
  }
  std::string make() {
    const auto made = gate_->crl().make();
    return made ? std::to_string(*made) : made.error().code;
  }
  std::string get_code(const wire::CrlGet& request) {
    const auto reply = gate_->crl_part(request);
    return reply ? "part" : reply.error().code;
  }
  Bytes whole() {
    Bytes out;
    wire::CrlGet request;
    do {
      const auto reply = gate_->crl_part(request);
      EXPECT_TRUE(reply) << reply.error().code;
      if (!reply) return {};
      append(out, reply->part);
      request.number = reply->number;
      request.offset = out.size();
      if (out.size() == reply->total_bytes) return out;
    } while (true);
  }
  // What OpenSSL reads in it, its signature checked.
  std::string text() {
    write_file(directory_.path("list.der"), whole());
    write_file(directory_.path("chain.pem"), view_of(ca_->chain_pem));
    const auto shown =
        run_command({"openssl", "crl", "-inform", "DER", "-in", directory_.path("list.der"),
                     "-CAfile", directory_.path("chain.pem"), "-text", "-noout"});
    EXPECT_EQ(shown.status, 0);
    EXPECT_NE(shown.output.find("verify OK"), std::string::npos) << shown.output;
    return shown.output;
  }
  // openssl verify -crl_check of a leaf.
  std::string verified(const Bytes& leaf) {
    write_file(directory_.path("list.pem"), view_of(x509::to_pem("X509 CRL", whole())));
    write_file(directory_.path("leaf.pem"), view_of(x509::to_pem("CERTIFICATE", leaf)));
    write_file(directory_.path("chain.pem"), view_of(ca_->chain_pem));
    return run_command({"openssl", "verify", "-crl_check", "-CAfile", directory_.path("chain.pem"),
                        "-CRLfile", directory_.path("list.pem"), directory_.path("leaf.pem")})
        .output;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
};

TEST_F(CrlTest, RowsLost_NumbersGoOnBeyondEveryListOfBefore) {
  open();
  EXPECT_EQ(make(), "1");
  gate_->crl().skip_numbers();
  EXPECT_EQ(make(), std::to_string(clock_.utc_ms() + 1));
  open();
  EXPECT_EQ(make(), std::to_string(clock_.utc_ms() + 2));
}

TEST_F(CrlTest, NearlyFull_NothingIsIssuedAndRevocationsGoOn) {
  config_.crl_entries_bytes_max = 150;  // four entries of 35 octets
  open();
  std::vector<Bytes> leaves;
  for (int i = 0; i < 5; ++i) leaves.push_back(certify("n" + std::to_string(i) + ".example"));
  for (int i = 0; i < 4; ++i) revoke(leaves[static_cast<std::size_t>(i)]);
  prove(client_, dns("late.example"));
  const auto made = order(client_, {dns("late.example")});
  const auto csr = make_csr(*key_, {dns("late.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr))), "crl-full");
  EXPECT_TRUE(has(gate_->why_not_issuing(), "nearly full"));
  revoke(leaves[4]);  // on record, whatever the list holds
  EXPECT_EQ(ledger().revoked, 5u);
  clock_.advance(400 * kDayMs);  // they end; a list after that carries them once more
  EXPECT_EQ(make(), "1");
  EXPECT_EQ(gate_->why_not_issuing(), "");
}

TEST_F(CrlTest, NothingRevoked_EmptyListVerifies) {
  open();
  EXPECT_EQ(get_code({}), "crl-missing");
  EXPECT_TRUE(gate_->crl().wait_until_due(0));
  EXPECT_EQ(make(), "1");
  EXPECT_FALSE(gate_->crl().wait_until_due(0));
  const auto shown = text();
  EXPECT_TRUE(has(shown, "Version 2")) << shown;
  EXPECT_TRUE(has(shown, "X509v3 Authority Key Identifier")) << shown;
  EXPECT_TRUE(has(shown, "X509v3 CRL Number: \n                1")) << shown;
  EXPECT_TRUE(has(shown, "No Revoked Certificates")) << shown;
  EXPECT_EQ(ledger().lists_issued, 1u);
  EXPECT_EQ(read_whole_file(directory_.path("crl.der")), whole());
}

TEST_F(CrlTest, Revoked_InTheNextList_OpensslRefusesIt) {
  open();
  const Bytes good = certify("good.example");
  const Bytes bad = certify("bad.example");
  EXPECT_EQ(make(), "1");
  EXPECT_TRUE(has(verified(bad), ": OK"));
  revoke(bad, "4");
  EXPECT_TRUE(gate_->crl().wait_until_due(2'000));
  EXPECT_EQ(make(), "2");
  EXPECT_TRUE(has(verified(bad), "certificate revoked")) << verified(bad);
  EXPECT_TRUE(has(verified(good), ": OK")) << verified(good);
  const auto shown = text();
  EXPECT_TRUE(has(shown, "Superseded")) << shown;
  EXPECT_TRUE(has(shown, "CRL Number: \n                2")) << shown;
}

// RFC 5280 §5.3.1: no reason, and unspecified, are no extension.
TEST_F(CrlTest, RevokedWithoutReason_NoReasonCode) {
  open();
  revoke(certify("a.example"));
  revoke(certify("b.example"), "0");
  EXPECT_EQ(make(), "1");
  EXPECT_FALSE(has(text(), "Reason Code"));
  EXPECT_TRUE(has(text(), "Serial Number"));
}

TEST_F(CrlTest, ManyRevocationsAtOnce_OneListIsDueWithinASecond) {
  open();
  EXPECT_EQ(make(), "1");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) revoke(certify("n" + std::to_string(i) + ".example"));
  EXPECT_TRUE(gate_->crl().wait_until_due(5'000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(make(), "2");
  EXPECT_FALSE(gate_->crl().wait_until_due(0));
  EXPECT_EQ(ledger().lists, 2u);
}

TEST_F(CrlTest, HalfOfItsTimeOver_NextListIsDue) {
  open();
  EXPECT_EQ(make(), "1");
  clock_.advance(kDayMs / 2 - 2'000);
  EXPECT_FALSE(gate_->crl().wait_until_due(0));
  clock_.advance(3'000);
  EXPECT_TRUE(gate_->crl().wait_until_due(0));
}

TEST_F(CrlTest, Restart_SameListAndTheNumberGoesOn) {
  open();
  const Bytes bad = certify("bad.example");
  revoke(bad);
  EXPECT_EQ(make(), "1");
  const Bytes before = whole();
  open();
  EXPECT_FALSE(gate_->crl().wait_until_due(0));
  EXPECT_EQ(whole(), before);
  EXPECT_EQ(make(), "2");
  EXPECT_TRUE(has(verified(bad), "certificate revoked"));
}

TEST_F(CrlTest, RestartAfterARevocationWithoutList_ListIsDue) {
  open();
  const Bytes bad = certify("bad.example");
  EXPECT_EQ(make(), "1");
  revoke(bad);
  open();
  EXPECT_TRUE(gate_->crl().wait_until_due(2'000));
  EXPECT_EQ(make(), "2");
  EXPECT_TRUE(has(verified(bad), "certificate revoked"));
}

TEST_F(CrlTest, FileDamagedOrGone_NotServed_NumberGoesOn) {
  open();
  EXPECT_EQ(make(), "1");
  Bytes other = whole();
  other.back() ^= 1;
  gate_.reset();
  write_file(directory_.path("crl.der"), other);
  open();
  EXPECT_EQ(get_code({}), "crl-missing");
  EXPECT_TRUE(gate_->crl().wait_until_due(0));
  EXPECT_EQ(make(), "2");
}

// RFC 5280 §3.3: not before a list was issued after the certificate's end.
TEST_F(CrlTest, CertificateEnded_OnceMoreInAList_ThenNoMore) {
  open();
  revoke(certify("a.example"));
  EXPECT_EQ(make(), "1");
  clock_.advance(91 * kDayMs);
  EXPECT_EQ(make(), "2");
  EXPECT_TRUE(has(text(), "Serial Number"));
  open();
  EXPECT_EQ(make(), "3");
  EXPECT_TRUE(has(text(), "No Revoked Certificates"));
}

TEST_F(CrlTest, TokenAway_OldListStays_RetriedWithAnotherNumber) {
  open();
  EXPECT_EQ(make(), "1");
  const Bytes before = whole();
  const Bytes bad = certify("bad.example");
  revoke(bad);
  token_.state = hal::TokenState::kAway;
  EXPECT_EQ(make(), "hsm-away");
  EXPECT_EQ(ledger().lists, 1u);  // not even asked for
  token_.state = hal::TokenState::kReady;
  token_.instead = []() -> std::optional<Result<Bytes>> {
    return fail(ErrorKind::kUnavailable, "pulled out");
  };
  EXPECT_EQ(make(), "hsm-away");
  EXPECT_EQ(whole(), before);
  token_.instead = nullptr;
  EXPECT_TRUE(gate_->crl().wait_until_due(2'000));
  EXPECT_EQ(make(), "3");
  EXPECT_TRUE(has(verified(bad), "certificate revoked"));
}

TEST_F(CrlTest, TokenSignsWrongly_HsmSignature) {
  open();
  token_.instead = []() -> std::optional<Result<Bytes>> {
    return fail(ErrorKind::kCorrupt, "does not verify");
  };
  EXPECT_EQ(make(), "hsm-signature");
  EXPECT_EQ(get_code({}), "crl-missing");
}

TEST_F(CrlTest, KeyNotChecked_HsmAway) {
  open();
  gate_->set_key_ready(false);
  EXPECT_EQ(make(), "hsm-away");
}

TEST_F(CrlTest, ClockBehindTheLedger_NoList) {
  open();
  EXPECT_EQ(make(), "1");
  clock_.advance(-kHourMs);
  EXPECT_EQ(make(), "clock-behind-ledger");
  clock_.advance(kHourMs);
}

TEST_F(CrlTest, Part_OfAnotherListOrBeyondTheEnd_Refused) {
  open();
  EXPECT_EQ(make(), "1");
  EXPECT_EQ(get_code({2, 0}), "crl-replaced");
  EXPECT_EQ(get_code({1, whole().size() + 1}), "crl-offset");
  EXPECT_EQ(get_code({1, whole().size()}), "part");
}

TEST_F(CrlTest, Off_NotOffered) {
  config_.crl_validity_ms = 0;
  open();
  EXPECT_EQ(make(), "crl-not-offered");
  EXPECT_EQ(get_code({}), "crl-not-offered");
  EXPECT_FALSE(gate_->crl().wait_until_due(0));
}

TEST_F(CrlTest, IssuerMayNotSignLists_NotOffered) {
  ca_spec_.may_sign_lists = false;
  open();
  EXPECT_NE(gate_->crl().off(), "");
  EXPECT_EQ(make(), "crl-not-offered");
}

// ---- the ledger's part

TEST_F(CrlTest, EndedBetweenIntentAndOutcome_Abandoned_NumberIsUsed) {
  open();
  EXPECT_EQ(make(), "1");
  issue::ListIntentRow intent;
  intent.number = 2;
  ASSERT_TRUE(gate_->ledger().append_list_intent(intent));
  ++token_.sign_calls;  // nobody knows
  open();
  EXPECT_TRUE(ledger().open_lists.empty());
  EXPECT_EQ(make(), "3");
}

TEST_F(CrlTest, Ledger_NumberThatDoesNotGrow_Corrupt) {
  open();
  EXPECT_EQ(make(), "1");
  issue::ListIntentRow intent;
  intent.number = 1;
  ASSERT_TRUE(gate_->ledger().append_list_intent(intent));
  EXPECT_FALSE(try_open());
}

// ---- many

TEST(RevokedEntries, HundredThousand_BuiltWithinASecond_AllOfThemThere) {
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto ca = make_test_ca(key.public_key().spki_der());
  const auto issuer = issue::load_issuer(ca.chain_pem, system_clock().utc_ms());
  ASSERT_TRUE(issuer);
  issue::RevokedEntries entries;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    Bytes serial(16, 0x55);
    for (int octet = 0; octet < 4; ++octet)
      serial[15 - octet] = static_cast<std::uint8_t>(i >> (8 * octet));
    ASSERT_TRUE(entries.add({serial, 1'700'000'000'000, i % 2 == 0 ? 4u : 0u, kDayMs, i}));
  }
  const auto begin = std::chrono::steady_clock::now();
  const Bytes joined = entries.joined();
  const Bytes tbs =
      issue::build_crl_tbs(*issuer, {1, 1'700'000'000'000, 1'700'000'100'000, joined});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_GT(tbs.size(), 100'000u * 35);
  EXPECT_EQ(entries.count(), 100'000u);
  entries.drop_ended(kDayMs + 1, 49'999);
  EXPECT_EQ(entries.count(), 50'000u);
  entries.drop_ended(kDayMs, 99'999);
  EXPECT_EQ(entries.count(), 50'000u);
}

TEST(RevokedEntries, TooMany_Exhausted) {
  issue::RevokedEntries entries;
  const issue::RevokedCertificate one{Bytes(16, 0x55), 1'700'000'000'000, 4, kDayMs, 1};
  Status added;
  std::size_t count = 0;
  while ((added = entries.add(one))) ++count;
  EXPECT_EQ(added.error().kind, ErrorKind::kExhausted);
  EXPECT_GT(count, 300'000u);
}

}  // namespace
}  // namespace keyward::test
