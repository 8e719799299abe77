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
  Bytes whole(const std::string& list = "") {
    Bytes out;
    wire::CrlGet request;
    if (!list.empty()) request.list = list;
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
  // Makes what is due until nothing is: "whole delta shard-2-0", in that order.
  std::string make_all_due() {
    std::string out;
    for (int i = 0; i < 100; ++i) {
      const auto made = gate_->crl().make_due();
      EXPECT_TRUE(made) << made.error().code;
      if (!made || !*made) break;
      const auto& name = (*made)->list;
      out += (out.empty() ? "" : " ") + (name.empty() ? std::string("whole") : name);
    }
    return out;
  }
  // Each list keeps its own pause, so that the shard may be due a moment after the whole list.
  std::string make_whole_and_shard() {
    EXPECT_TRUE(gate_->crl().wait_until_due(5'000));
    auto made = make_all_due();
    if (made == "whole" && gate_->crl().wait_until_due(5'000)) made += " " + make_all_due();
    return made;
  }
  void make_due_after_a_change() {
    EXPECT_TRUE(gate_->crl().wait_until_due(5'000));
    make_all_due();
  }
  // What OpenSSL reads in it, its signature checked.
  std::string text(const std::string& list = "") {
    write_file(directory_.path("list.der"), whole(list));
    write_file(directory_.path("chain.pem"), view_of(ca_->chain_pem));
    const auto shown =
        run_command({"openssl", "crl", "-inform", "DER", "-in", directory_.path("list.der"),
                     "-CAfile", directory_.path("chain.pem"), "-text", "-noout"});
    EXPECT_EQ(shown.status, 0);
    EXPECT_NE(shown.output.find("verify OK"), std::string::npos) << shown.output;
    return shown.output;
  }
  // openssl verify of a leaf with these lists and options.
  std::string verified_by(const Bytes& leaf, const std::vector<std::string>& lists,
                          const std::vector<std::string>& options) {
    write_file(directory_.path("leaf.pem"), view_of(x509::to_pem("CERTIFICATE", leaf)));
    write_file(directory_.path("chain.pem"), view_of(ca_->chain_pem));
    std::vector<std::string> command = {"openssl", "verify", "-crl_check", "-CAfile",
                                        directory_.path("chain.pem")};
    command.insert(command.end(), options.begin(), options.end());
    for (const auto& list : lists) {
      const auto path = directory_.path("of-" + list + ".pem");
      write_file(path, view_of(x509::to_pem("X509 CRL", whole(list))));
      command.insert(command.end(), {"-CRLfile", path});
    }
    command.push_back(directory_.path("leaf.pem"));
    return run_command(command).output;
  }
  // The whole list as it is now, for a relying party that keeps it.
  void keep_whole_as(const std::string& file) {
    write_file(directory_.path(file), view_of(x509::to_pem("X509 CRL", whole())));
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

// ---- delta, shards, long

class OtherListsTest : public CrlTest {
 protected:
  OtherListsTest() { crl_url_ = "http://crl.example/crl"; }
  std::string number_in(const std::string& shown, const std::string& title) {
    const auto at = shown.find(title);
    if (at == std::string::npos) return "none";
    auto begin = shown.find_first_of("0123456789", at + title.size());
    return shown.substr(begin, shown.find_first_not_of("0123456789xABCDEF", begin) - begin);
  }
};

TEST_F(OtherListsTest, NothingConfigured_OneListAlone) {
  open();
  EXPECT_EQ(make_all_due(), "whole");
  for (const auto* list : {"delta", "long", "shard-4-0", "x"}) {
    wire::CrlGet request;
    request.list = list;
    EXPECT_EQ(get_code(request), "crl-not-offered") << list;
  }
  EXPECT_EQ(text().find("Freshest"), std::string::npos);
}

// RFC 5280 §5.2.3, §5.2.4: the number of the whole list that was made with it, and a base that is older.
TEST_F(OtherListsTest, Delta_BringsAnOlderWholeListUpToDate_OpensslRefusesTheRevoked) {
  config_.crl_delta = true;
  open();
  const Bytes old = certify("old.example"), bad = certify("bad.example"),
              good = certify("good.example");
  revoke(old);
  EXPECT_EQ(make_all_due(), "whole delta");
  keep_whole_as("kept.pem");
  EXPECT_TRUE(has(text(), "X509v3 Freshest CRL")) << text();
  EXPECT_TRUE(has(text(), "URI:http://crl.example/crl/delta")) << text();
  revoke(bad, "4");
  make_due_after_a_change();
  const auto shown = text("delta");
  EXPECT_TRUE(has(shown, "X509v3 Delta CRL Indicator: critical")) << shown;
  EXPECT_EQ(number_in(shown, "Delta CRL Indicator: critical"), "1") << shown;
  EXPECT_EQ(number_in(shown, "CRL Number:"), "2") << shown;
  EXPECT_FALSE(has(shown, "Freshest")) << "never in a delta";
  EXPECT_TRUE(has(shown, "Superseded")) << shown;
  EXPECT_EQ(shown.find("Serial Number"), shown.rfind("Serial Number")) << "the change alone";
  const std::vector<std::string> with_the_old = {"-extended_crl", "-use_deltas", "-CRLfile",
                                                 directory_.path("kept.pem")};
  EXPECT_TRUE(has(verified_by(bad, {"delta"}, with_the_old), "certificate revoked"));
  EXPECT_TRUE(has(verified_by(old, {"delta"}, with_the_old), "certificate revoked"));
  EXPECT_TRUE(has(verified_by(good, {"delta"}, with_the_old), ": OK"));
  // The old list alone would have let it pass: it is the delta that says so.
  EXPECT_TRUE(has(verified_by(bad, {}, {"-CRLfile", directory_.path("kept.pem")}), ": OK"));
}

TEST_F(OtherListsTest, Delta_BaseIsTheListThatHoldsNoMore_NotOlder) {
  config_.crl_delta = true;
  open();
  for (int i = 0; i < 6; ++i) {  // a list each half day; each holds a day
    revoke(certify("n" + std::to_string(i) + ".example"));
    make_due_after_a_change();
    clock_.advance(kDayMs / 2);
  }
  clock_.advance(1'000);  // at the second of its nextUpdate number 5 still holds
  EXPECT_EQ(make_all_due(), "whole delta");
  const auto shown = text("delta");
  EXPECT_EQ(number_in(shown, "CRL Number:"), "7") << shown;
  // Number 5 ended just now, 6 holds.
  EXPECT_EQ(number_in(shown, "Delta CRL Indicator: critical"), "5") << shown;
  open();
  EXPECT_EQ(make_all_due(), "") << "a restart makes nothing anew";
  EXPECT_EQ(text("delta"), shown);
}

TEST_F(OtherListsTest, Delta_ThatCouldNotBeSigned_IsMadeNextWithItsListsNumber) {
  config_.crl_delta = true;
  open();
  EXPECT_EQ(make(), "1");
  token_.instead = []() -> std::optional<Result<Bytes>> {
    return fail(ErrorKind::kUnavailable, "pulled out");
  };
  const auto failed = gate_->crl().make_due();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "hsm-away");
  token_.instead = nullptr;
  open();
  EXPECT_EQ(make_all_due(), "delta");
  EXPECT_EQ(number_in(text("delta"), "CRL Number:"), "1");
}

TEST_F(OtherListsTest, Shards_EachCertificateNamesItsOwn_AndThatOneAloneIsMadeAnew) {
  config_.crl_shards = 4;
  open();
  EXPECT_EQ(make_all_due(), "whole shard-4-0 shard-4-1 shard-4-2 shard-4-3");
  const Bytes bad = certify("bad.example");
  const auto certificate = x509::parse_certificate(bad);
  ASSERT_TRUE(certificate);
  const auto shard = issue::shard_of(certificate->serial, 4);
  verified_by(bad, {}, {});  // writes leaf.pem
  const auto leaf =
      run_command({"openssl", "x509", "-noout", "-text", "-in", directory_.path("leaf.pem")})
          .output;
  EXPECT_TRUE(has(leaf, "URI:http://crl.example/crl/" + shard)) << leaf;
  EXPECT_TRUE(has(verified_by(bad, {shard}, {"-extended_crl"}), ": OK"));
  revoke(bad);
  EXPECT_EQ(make_whole_and_shard(), "whole " + shard);
  EXPECT_TRUE(has(text(shard), "X509v3 Issuing Distribution Point: critical")) << text(shard);
  EXPECT_TRUE(has(verified_by(bad, {shard}, {"-extended_crl"}), "certificate revoked"));
  EXPECT_TRUE(has(verified(bad), "certificate revoked")) << "the whole list has it too";
  // A shard of others says nothing about it.
  const auto other = issue::shard_name(4, shard == "shard-4-0" ? 1 : 0);
  EXPECT_TRUE(has(text(other), "No Revoked Certificates"));
  EXPECT_FALSE(has(verified_by(bad, {other}, {"-extended_crl"}), ": OK"));
}

TEST_F(OtherListsTest, Shards_NumberChanged_ListsOfBeforeGoOn) {
  config_.crl_shards = 2;
  open();
  const Bytes bad = certify("bad.example");
  const auto shard = issue::shard_of(x509::parse_certificate(bad)->serial, 2);
  make_all_due();
  config_.crl_shards = 1;
  open();
  EXPECT_EQ(make_all_due(), "");
  revoke(bad);
  EXPECT_EQ(make_whole_and_shard(), "whole " + shard);
  open();
  EXPECT_TRUE(has(verified_by(bad, {shard}, {"-extended_crl"}), "certificate revoked"));
}

TEST_F(OtherListsTest, Shards_EndedEntry_StaysUntilItsShardWasMadeOnceMore) {
  config_.crl_shards = 2;
  open();
  const Bytes bad = certify("bad.example");
  const auto shard = issue::shard_of(x509::parse_certificate(bad)->serial, 2);
  revoke(bad);
  make_due_after_a_change();
  clock_.advance(91 * kDayMs);
  EXPECT_NE(make(), "");  // the whole one alone
  EXPECT_NE(make(), "");
  EXPECT_TRUE(has(text(), "Serial Number")) << "the shard has not carried it once more yet";
  make_all_due();
  EXPECT_TRUE(has(text(shard), "Serial Number"));
  EXPECT_NE(make(), "");
  EXPECT_FALSE(has(text(), "Serial Number"));
}

TEST_F(OtherListsTest, Long_HoldsForWeeks_AndIsMadeOnceADay) {
  config_.crl_long_validity_ms = 45 * kDayMs;
  open();
  const Bytes bad = certify("bad.example");
  EXPECT_EQ(make_all_due(), "whole long");
  revoke(bad);
  EXPECT_TRUE(gate_->crl().wait_until_due(5'000));
  EXPECT_EQ(make_all_due(), "whole") << "not with each revocation";
  clock_.advance(kDayMs + 1'000);
  EXPECT_EQ(make_all_due(), "whole long");
  EXPECT_TRUE(has(verified_by(bad, {"long"}, {}), "certificate revoked"));
  wire::CrlGet request;
  request.list = "long";
  const auto part = gate_->crl_part(request);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->next_update_ms - part->this_update_ms, 45 * kDayMs);
}

TEST_F(OtherListsTest, RowsLost_EveryListIsMadeAnewBeyondTheNumbersOfBefore) {
  config_.crl_delta = true;
  config_.crl_shards = 2;
  config_.crl_long_validity_ms = 45 * kDayMs;
  open();
  make_all_due();
  gate_->crl().skip_numbers();
  EXPECT_EQ(make_all_due(), "whole delta shard-2-0 shard-2-1 long");
  for (const auto* list : {"delta", "shard-2-0", "shard-2-1", "long"})
    EXPECT_GE(number_in(text(list), "CRL Number:").size(), 10u) << text(list);
}

TEST_F(OtherListsTest, MoreShardsEverThanThereMayBeLists_DoesNotOpen) {
  for (std::uint64_t of = 61; of < 64; ++of) {
    config_.crl_shards = of;
    open();
    for (std::uint64_t i = 0; i < of; ++i) ASSERT_TRUE(gate_->crl().make_due());
    make_all_due();
  }
  config_.crl_shards = 60;
  EXPECT_FALSE(try_open());
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

TEST_F(CrlTest, Ledger_DeltaBeforeItsList_Corrupt) {
  open();
  EXPECT_EQ(make(), "1");
  issue::ListIntentRow intent;
  intent.number = 2;
  intent.list = "delta";
  ASSERT_TRUE(gate_->ledger().append_list_intent(intent));
  EXPECT_FALSE(try_open());
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
