// The acceptance test of the product: a front end that was taken over speaks raw frames to the real
// signer and attempts what DESIGN §2 forbids. After every attempt: signatures that the module made
// == intents in the ledger, and no certificate that no validation authorised.
#include <algorithm>
#include <ctime>

#include <gtest/gtest.h>

#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/order_cancel.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/x509/csr.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;

class HostileAcme : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stage_ = std::make_unique<SignerStage>(
        "budgets.account_per_hour = 1000\nprofiles.server.star = true\n"
        "profiles.phone.kind = \"sti\"\nprofiles.phone.days = 30\n"
        "profiles.private.kind = \"device\"\nprofiles.private.days = 30\n"
        "profiles.private.san_device_id = \"omit\"\n"
        "profiles.asked.kind = \"device\"\nprofiles.asked.days = 30\n"
        "profiles.asked.san_device_id = \"include\"\n"
        "profiles.door.kind = \"third-party\"\nprofiles.door.days = 30\n"
        "profiles.measured.kind = \"server\"\nprofiles.measured.days = 30\n"
        "profiles.measured.preference = 900\n"
        "profiles.measured.attestations = [\"measured_boot\"]");
    stage_->start();
  }
  static void TearDownTestSuite() { stage_.reset(); }

  void SetUp() override { issued_before_ = stage_->ledger().issued; }
  void TearDown() override { in_step(); }

  // The invariant, from two sources that know nothing of each other.
  void in_step() {
    const auto ledger = stage_->ledger();
    EXPECT_EQ(stage_->signatures(), ledger.signatures_intended());
    EXPECT_EQ(ledger.issued - issued_before_, expected_);
    EXPECT_TRUE(stage_->alive()) << stage_->log();
  }
  wire::TicketMintReply order(const TestClient& client,
                              const std::vector<wire::Identifier>& identifiers) {
    auto reply = stage_->call(TaskId::kAcme, client.new_order(identifiers));
    EXPECT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
    return reply ? *reply : wire::TicketMintReply{};
  }
  // What the signer answers: "issued", or the reason.
  std::string attempt(const wire::CertificateIssue& request) {
    const auto reply = stage_->call(TaskId::kAcme, request);
    if (reply && !reply->replayed) ++expected_;
    return reply ? "issued" : reply.error().code;
  }
  std::string attempt_order(const wire::TicketMint& request) {
    const auto reply = stage_->call(TaskId::kAcme, request);
    return reply ? "minted" : reply.error().code;
  }
  // Sends it and expects the signer to end for it; then starts it again on the same state.
  void fatal_octets(TaskId edge, ByteView datagram, std::span<const int> descriptors = {}) {
    stage_->send(edge, datagram, descriptors);
    EXPECT_EQ(stage_->wait_exit(), kExitProtocol);
    EXPECT_EQ(stage_->signatures(), stage_->ledger().signatures_intended());
    stage_->start();
  }
  template <class Request>
  void fatal(TaskId edge, const Request& request) {
    fatal_octets(edge, wire::encode_frame(stage_->next_id(), request));
  }
  // An order of `client_` for one name that was properly proved.
  wire::TicketMintReply proved_order(const std::string& name) {
    auto made = order(client_, {dns(name)});
    EXPECT_TRUE(stage_->prove(client_, dns(name)));
    return made;
  }
  // Renewed daily for ten days.
  static std::string star_order(const std::string& name) {
    const std::time_t end = system_clock().utc_ms() / 1'000 + 10 * 86'400;
    std::tm parts{};
    ::gmtime_r(&end, &parts);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return R"({"identifiers":[{"type":"dns","value":")" + name +
           R"("}],"auto-renewal":{"end-date":")" + text + R"(","lifetime":86400}})";
  }
  wire::GrantName name_grant() const {
    return {client_.thumbprint(),
            dns("a.example"),
            false,
            wire::ValidationMethod::kHttp01,
            std::nullopt,
            system_clock().utc_ms() + 3'600'000,
            {}};
  }
  wire::GrantDevice device_grant() const {
    return {client_.thumbprint(),
            device("SN-1"),
            "tpm",
            "ticket",
            key_.public_key().spki_sha256(),
            system_clock().utc_ms() + 3'600'000,
            {}};
  }

  static std::unique_ptr<SignerStage> stage_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::uint64_t issued_before_ = 0;
  std::uint64_t expected_ = 0;  // certificates that this test is entitled to
};
std::unique_ptr<SignerStage> HostileAcme::stage_;

// ---- the honest way works, or nothing below would mean anything

TEST_F(HostileAcme, HonestServerAndDevice_Issued) {
  EXPECT_EQ(attempt(client_.finalize(proved_order("honest.example"),
                                     make_csr(key_, {dns("honest.example")}))),
            "issued");
  const auto made = order(client_, {device("SN-1")});
  ASSERT_TRUE(stage_->attest(client_, device("SN-1"), made.ticket, key_.public_key()));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {device("SN-1")}))), "issued");
  EXPECT_EQ(expected_, 2u);
}

// ---- grants

TEST_F(HostileAcme, NoGrant_Refused) {
  const auto made = order(client_, {dns("a.example")});
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "no-grant");
}

TEST_F(HostileAcme, GrantForAnotherName_Refused) {
  const auto made = order(client_, {dns("bank.example")});
  ASSERT_TRUE(stage_->prove(client_, dns("a.example")));
  ASSERT_TRUE(stage_->prove(client_, dns("a.bank.example")));  // below is not above
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("bank.example")}))),
            "grant-missing");
}

TEST_F(HostileAcme, GrantExpired_Refused) {
  const auto made = order(client_, {dns("a.example")});
  ASSERT_TRUE(stage_->prove(client_, dns("a.example"), 300));
  ASSERT_TRUE(stage_->prove(client_, dns("b.example")));
  const auto ended = Deadline::after_ms(301);
  while (!ended.passed()) ASSERT_TRUE(stage_->alive());
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "grant-expired");
}

TEST_F(HostileAcme, OnlyGrantExpired_Refused) {
  const auto made = order(client_, {dns("a.example")});
  ASSERT_TRUE(stage_->prove(client_, dns("a.example"), 300));
  const auto ended = Deadline::after_ms(301);
  while (!ended.passed()) ASSERT_TRUE(stage_->alive());
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "no-grant");
}

TEST_F(HostileAcme, GrantOfAnotherAccount_Refused) {
  const TestClient victim;
  ASSERT_TRUE(stage_->prove(victim, dns("a.example")));
  const auto made = order(client_, {dns("a.example")});
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "no-grant");
  ASSERT_TRUE(stage_->prove(client_, dns("other.example")));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "grant-missing");
}

// The request is signed by the attacker, the account key shown is the victim's.
TEST_F(HostileAcme, AccountKeyOfTheVictim_Refused) {
  const TestClient victim;
  ASSERT_TRUE(stage_->prove(victim, dns("a.example")));
  const auto made = order(victim, {dns("a.example")});
  auto request = client_.finalize(made, make_csr(key_, {dns("a.example")}));
  request.account_jwk = victim.jwk();
  EXPECT_EQ(attempt(request), "jws-signature");
}

TEST_F(HostileAcme, DeviceGrantOfAnotherOrder_Refused) {
  const auto first = order(client_, {device("SN-2")}), second = order(client_, {device("SN-2")});
  ASSERT_TRUE(stage_->attest(client_, device("SN-2"), first.ticket, key_.public_key()));
  EXPECT_EQ(attempt(client_.finalize(second, make_csr(key_, {device("SN-2")}))), "grant-missing");
}

TEST_F(HostileAcme, WildcardFromHttp01_Refused) {
  const auto made = order(client_, {dns("*.plant.example")});
  ASSERT_TRUE(stage_->prove(client_, dns("plant.example")));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("*.plant.example")}))),
            "grant-wildcard");
  // Nor may validation itself claim it.
  auto grant = name_grant();
  grant.wildcard = true;
  EXPECT_EQ(stage_->call(TaskId::kValidation, grant).error().code, "grant-not-permitted");
  // And the name itself does not open what lies below it.
  const auto below = order(client_, {dns("x.plant.example")});
  EXPECT_EQ(attempt(client_.finalize(below, make_csr(key_, {dns("x.plant.example")}))),
            "grant-missing");
}

TEST_F(HostileAcme, AppliancesNameByHttp01_Refused) {
  const auto made = order(client_, {dns("ca.test.example")});
  EXPECT_EQ(stage_->prove(client_, dns("ca.test.example")).error().code, "grant-not-permitted");
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("ca.test.example")}))), "no-grant");
}

TEST_F(HostileAcme, AnotherKeyThanTheAttested_Refused) {
  const auto made = order(client_, {device("SN-3")});
  const auto attested = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  ASSERT_TRUE(stage_->attest(client_, device("SN-3"), made.ticket, attested->public_key()));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {device("SN-3")}))),
            "attested-key-mismatch");
}

TEST_F(HostileAcme, SeveralDevicesOfTwoKeys_Refused) {
  const wire::Identifier module{wire::IdentifierType::kHardwareModule, "SN-3/2.23.133.1.2"};
  const auto made = order(client_, {device("SN-3"), module});
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  ASSERT_TRUE(stage_->attest(client_, device("SN-3"), made.ticket, key_.public_key()));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {device("SN-3")}))), "grant-missing");
  ASSERT_TRUE(stage_->attest(client_, module, made.ticket, other->public_key()));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {device("SN-3")}))),
            "attested-key-mismatch");
}

// Profile and CSR are the client's, by its signatures: nobody between it and the signer can make a
// certificate say which device it is, or keep it from saying so (D-D10).
TEST_F(HostileAcme, DeviceName_IsTheProfilesToShow) {
  const std::string name = "SN-PRIVATE-1";
  const auto made = stage_->call(
      TaskId::kAcme, client_.new_order(TestClient::order_payload({device(name)}, "private")));
  ASSERT_TRUE(made) << made.error().code;
  ASSERT_TRUE(stage_->attest(client_, device(name), made->ticket, key_.public_key()));
  auto terms = *wire::decode_body<wire::OrderTerms>(made->terms);
  for (const char* profile : {"device", "asked"}) {
    terms.profile = profile;
    auto forged = *made;
    forged.terms = wire::encode_body(terms);
    EXPECT_EQ(attempt(client_.finalize(forged, make_csr(key_, {device(name)}))), "ticket-forged");
  }
  // A CSR that holds the name instead of the client's own.
  auto request = client_.finalize(*made, make_csr(key_, CsrSpec{}));
  const auto swapped = client_.finalize(*made, make_csr(key_, {device(name)}));
  auto both = request;
  both.jws.payload_b64 = swapped.jws.payload_b64;
  EXPECT_EQ(attempt(both), "jws-signature");
  const auto reply = stage_->call(TaskId::kAcme, swapped);
  ASSERT_TRUE(reply) << reply.error().code;
  ++expected_;
  const auto shown = text_of(reply->chain.at(0)).find(name);
  EXPECT_EQ(shown, std::string_view::npos);
}

// ---- the client's signature

TEST_F(HostileAcme, CsrSwappedAfterSigning_Refused) {
  const auto made = proved_order("swap.example");
  const auto thief = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  auto request = client_.finalize(made, make_csr(key_, {dns("swap.example")}));
  request.jws.payload_b64 = base64url_encode(
      view_of("{\"csr\":\"" + base64url_encode(make_csr(*thief, {dns("swap.example")})) + "\"}"));
  EXPECT_EQ(attempt(request), "jws-signature");
}

TEST_F(HostileAcme, SignatureOrHeaderChanged_Refused) {
  const auto made = proved_order("changed.example");
  const auto good = client_.finalize(made, make_csr(key_, {dns("changed.example")}));
  auto request = good;
  request.jws.signature[10] ^= 1;
  EXPECT_EQ(attempt(request), "jws-signature");
  request = good;
  request.jws.signature.clear();
  EXPECT_EQ(attempt(request), "jws-malformed");
  request = good;
  request.jws.protected_b64 =
      base64url_encode(view_of(R"({"alg":"none","kid":"x","nonce":"AAAA","url":")" +
                               TestClient::finalize_url(made.ticket) + "\"}"));
  EXPECT_EQ(attempt(request), "jws-algorithm");
  request.jws.protected_b64 = "!";
  EXPECT_EQ(attempt(request), "jws-malformed");
}

// Another message that the client signed, shown as a finalize.
TEST_F(HostileAcme, AnotherSignedRequestAsFinalize_Refused) {
  const auto made = proved_order("replayed.example");
  const auto new_order = client_.new_order({dns("replayed.example")});
  EXPECT_EQ(attempt({client_.jwk(), new_order.jws, made.terms}), "jws-url");
  const auto elsewhere = client_.sign(
      "https://other-ca.example/acme/order/" + made.ticket + "/finalize",
      "{\"csr\":\"" + base64url_encode(make_csr(key_, {dns("replayed.example")})) + "\"}");
  EXPECT_EQ(attempt({client_.jwk(), elsewhere, made.terms}), "jws-url");
  EXPECT_EQ(attempt_order({client_.jwk(),
                           client_.finalize(made, make_csr(key_, {dns("replayed.example")})).jws}),
            "jws-url");
}

TEST_F(HostileAcme, JwkInAnotherSpelling_Refused) {
  const auto made = proved_order("spelling.example");
  auto request = client_.finalize(made, make_csr(key_, {dns("spelling.example")}));
  request.account_jwk.insert(1, " ");
  EXPECT_EQ(attempt(request), "no-grant");  // another text is another thumbprint
}

// ---- tickets

TEST_F(HostileAcme, TicketForgedAlteredOrProlonged_Refused) {
  const auto made = proved_order("ticket.example");
  const Bytes csr = make_csr(key_, {dns("ticket.example")});
  Bytes raw = *base64url_decode(made.ticket);
  const auto with = [&](const Bytes& ticket) {
    auto changed = made;
    changed.ticket = base64url_encode(ticket);
    return attempt(client_.finalize(changed, csr));
  };
  Bytes prolonged = raw;
  prolonged[5] ^= 0x01;  // the expiry
  EXPECT_EQ(with(prolonged), "ticket-forged");
  Bytes other_id = raw;
  other_id[9] ^= 0x01;
  EXPECT_EQ(with(other_id), "ticket-forged");
  Bytes mac = raw;
  mac.back() ^= 0x01;
  EXPECT_EQ(with(mac), "ticket-forged");
  EXPECT_EQ(with(Bytes(raw.size(), 0)), "ticket-forged");
  raw.pop_back();
  EXPECT_EQ(with(raw), "ticket-malformed");
  EXPECT_EQ(with({}), "ticket-malformed");
}

TEST_F(HostileAcme, TermsSwapped_Refused) {
  auto made = proved_order("terms.example");
  made.terms = order(client_, {dns("bank.example")}).terms;
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("bank.example")}))),
            "ticket-forged");
  made.terms = wire::encode_body(wire::OrderTerms{
      {dns("terms.example"), dns("bank.example")}, "server", std::nullopt, std::nullopt});
  EXPECT_EQ(
      attempt(client_.finalize(made, make_csr(key_, {dns("terms.example"), dns("bank.example")}))),
      "ticket-forged");
  made.terms.clear();
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("terms.example")}))),
            "ticket-forged");
}

TEST_F(HostileAcme, TicketOfAnotherAccount_Refused) {
  const TestClient victim;
  const auto made = order(victim, {dns("a.example")});
  ASSERT_TRUE(stage_->prove(victim, dns("a.example")));
  ASSERT_TRUE(stage_->prove(client_, dns("a.example")));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))), "ticket-forged");
}

// The finalize was signed for one order; the front end shows it with another order's terms.
TEST_F(HostileAcme, TicketOfAnotherOrder_Refused) {
  const auto wide = order(client_, {dns("one.example"), dns("two.example")});
  const auto narrow = proved_order("one.example");
  auto request = client_.finalize(narrow, make_csr(key_, {dns("one.example")}));
  request.terms = wide.terms;
  EXPECT_EQ(attempt(request), "ticket-forged");
}

// ---- the CSR

TEST_F(HostileAcme, CsrWithAccountKey_Refused) {
  EXPECT_EQ(attempt(client_.finalize(proved_order("self.example"),
                                     make_csr(client_.key(), {dns("self.example")}))),
            "csr-key-is-account-key");
}

TEST_F(HostileAcme, CsrThatAsksForCa_Refused) {
  CsrSpec spec;
  spec.extensions = {*x509::ext_subject_alt_name({dns("ca.example")}, false),
                     x509::ext_basic_constraints(true, std::nullopt)};
  EXPECT_EQ(attempt(client_.finalize(proved_order("ca.example"), make_csr(key_, spec))),
            "csr-extension");
}

TEST_F(HostileAcme, CsrWithMoreOrOtherNames_Refused) {
  const auto made = proved_order("names.example");
  EXPECT_EQ(
      attempt(client_.finalize(made, make_csr(key_, {dns("names.example"), dns("bank.example")}))),
      "csr-names");
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("bank.example")}))), "csr-names");
  CsrSpec spec;
  spec.subject = {{"2.5.4.3", "bank.example"}};
  spec.extensions = {*x509::ext_subject_alt_name({dns("names.example")}, false)};
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, spec))), "csr-names");
  spec.subject.clear();
  spec.extensions = {x509::extension_der("2.5.29.17", false,
                                         *hex_decode("300d8105"
                                                     "614062"
                                                     "2e63"
                                                     "8204"
                                                     "612e6263"))};  // with an email
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, spec))), "csr-names");
}

TEST_F(HostileAcme, CsrWithoutProofOfPossession_Refused) {
  CsrSpec spec;
  spec.extensions = {*x509::ext_subject_alt_name({dns("pop.example")}, false)};
  spec.break_signature = true;
  EXPECT_EQ(attempt(client_.finalize(proved_order("pop.example"), make_csr(key_, spec))),
            "csr-signature");
  const auto made = proved_order("garbage.example");
  EXPECT_EQ(attempt(client_.finalize(made, to_bytes("garbage"))), "csr-malformed");
  EXPECT_EQ(attempt(client_.finalize(made, Bytes(limits::kCsrBytesMax + 1))), "csr-malformed");
}

// ---- replay

TEST_F(HostileAcme, Replay_SameCertificateOneSignature) {
  const auto request =
      client_.finalize(proved_order("again.example"), make_csr(key_, {dns("again.example")}));
  const auto first = stage_->call(TaskId::kAcme, request);
  ASSERT_TRUE(first) << first.error().code;
  ++expected_;
  const auto signatures = stage_->signatures();
  for (int i = 0; i < 5; ++i) {
    const auto again = stage_->call(TaskId::kAcme, request);
    ASSERT_TRUE(again) << again.error().code;
    EXPECT_TRUE(again->replayed);
    EXPECT_EQ(again->chain, first->chain);
  }
  EXPECT_EQ(stage_->signatures(), signatures);
  EXPECT_EQ(stage_->stop(), 0);
  stage_->start();
  const auto after = stage_->call(TaskId::kAcme, request);
  ASSERT_TRUE(after) << after.error().code;
  EXPECT_EQ(after->chain, first->chain);
  EXPECT_EQ(stage_->signatures(), signatures);
}

TEST_F(HostileAcme, ReplayInABurst_OneSignature) {
  const auto request =
      client_.finalize(proved_order("burst.example"), make_csr(key_, {dns("burst.example")}));
  const auto signatures = stage_->signatures();
  constexpr int kCopies = 8;
  for (int i = 0; i < kCopies; ++i)
    stage_->send(TaskId::kAcme, wire::encode_frame(stage_->next_id(), request));
  std::vector<Bytes> serials;
  for (int i = 0; i < kCopies; ++i) {
    const auto reply = stage_->receive<wire::CertificateIssueReply>(TaskId::kAcme);
    ASSERT_TRUE(reply) << reply.error().code;
    serials.push_back(reply->serial);
  }
  ++expected_;
  EXPECT_EQ(std::count(serials.begin(), serials.end(), serials[0]), kCopies);
  EXPECT_EQ(stage_->signatures(), signatures + 1);
}

TEST_F(HostileAcme, IssuedOrderWithAnotherCsr_Refused) {
  const auto made = proved_order("second.example");
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("second.example")}))), "issued");
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(*other, {dns("second.example")}))),
            "order-already-issued");
}

// ---- names in other forms

// ---- automatic renewal (RFC 8739)

TEST_F(HostileAcme, RenewalEarlyWithAnotherCsrOrAfterTheEnd_Refused) {
  const auto made = stage_->call(
      TaskId::kAcme,
      client_.new_order(R"({"identifiers":[{"type":"dns","value":"star.example"}],"auto-renewal":)"
                        R"({"end-date":"2036-01-01T00:00:00Z","lifetime":86400}})"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, "star-terms");  // longer than the profile's max-duration
  const auto order = stage_->call(TaskId::kAcme, client_.new_order(star_order("star.example")));
  ASSERT_TRUE(order) << order.error().code << " " << order.error().detail;
  const auto finalize = client_.finalize(*order, make_csr(key_, {dns("star.example")}));
  EXPECT_EQ(attempt(finalize), "no-grant");
  ASSERT_TRUE(stage_->prove(client_, dns("star.example")));
  EXPECT_EQ(attempt(finalize), "issued");
  const auto again = stage_->call(TaskId::kAcme, finalize);  // nothing is due yet
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->replayed);
  ASSERT_TRUE(again->star_next_at_ms);
  EXPECT_GT(*again->star_next_at_ms, system_clock().utc_ms());
  const auto other = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(attempt(client_.finalize(*order, make_csr(other, {dns("star.example")}))),
            "order-already-issued");
  auto longer = finalize;
  auto terms = wire::decode_body<wire::OrderTerms>(order->terms);
  ASSERT_TRUE(terms && terms->star);
  terms->star->lifetime_ms /= 2;
  longer.terms = wire::encode_body(*terms);
  EXPECT_EQ(attempt(longer), "ticket-forged");
  const wire::OrderCancel cancel{
      client_.jwk(),
      client_.sign(std::string(kBaseUrl) + "/acme/order/" + order->ticket,
                   R"({"status":"canceled"})"),
      order->terms};
  ASSERT_TRUE(stage_->call(TaskId::kAcme, cancel));
  EXPECT_EQ(attempt(finalize), "star-canceled");
  EXPECT_EQ(expected_, 1u);
}

TEST_F(HostileAcme, CancellationThatNobodySigned_Refused) {
  const auto order = stage_->call(TaskId::kAcme, client_.new_order(star_order("kept.example")));
  ASSERT_TRUE(order) << order.error().code;
  ASSERT_TRUE(stage_->prove(client_, dns("kept.example")));
  const auto finalize = client_.finalize(*order, make_csr(key_, {dns("kept.example")}));
  EXPECT_EQ(attempt(finalize), "issued");
  const auto code = [&](const wire::OrderCancel& request) {
    const auto reply = stage_->call(TaskId::kAcme, request);
    return reply ? "canceled" : reply.error().code;
  };
  const TestClient other;
  const std::string url = std::string(kBaseUrl) + "/acme/order/" + order->ticket;
  const std::string body = R"({"status":"canceled"})";
  EXPECT_EQ(code({client_.jwk(), other.sign(url, body), order->terms}), "jws-signature");
  EXPECT_EQ(code({other.jwk(), other.sign(url, body), order->terms}), "ticket-forged");
  EXPECT_EQ(code({client_.jwk(), finalize.jws, order->terms}), "ticket-malformed");
  EXPECT_EQ(code({client_.jwk(), client_.sign(url, "{}"), order->terms}), "payload-malformed");
  EXPECT_EQ(attempt(finalize), "issued");  // the one there is
  EXPECT_EQ(expected_, 1u);
}

// ---- telephone identities (RFC 8226)

TEST_F(HostileAcme, TelephoneIdentityThatNoTokenVouchesFor_Refused) {
  const wire::Identifier list{wire::IdentifierType::kTnAuthList, "MAigBhYENzA5Sg"};
  const auto made = order(client_, {list});
  CsrSpec spec;
  spec.extensions = {
      x509::extension_der("1.3.6.1.5.5.7.1.26", false, *base64url_decode("MAigBhYENzA5Sg"))};
  const auto finalize = client_.finalize(made, make_csr(key_, spec));
  EXPECT_EQ(attempt(finalize), "no-grant");
  ASSERT_TRUE(stage_->prove(client_, dns("a.example")));
  EXPECT_EQ(attempt(finalize), "grant-missing");
}

// What a vendor granted for one order, as `attestation` sends it.
wire::GrantAuthority vendors_word(const TestClient& client, const wire::Identifier& mac,
                                  const std::string& ticket) {
  wire::GrantAuthority grant;
  grant.thumbprint = client.thumbprint();
  grant.identifier = mac;
  grant.ticket = ticket;
  grant.expires_at_ms = system_clock().utc_ms() + 600'000;
  grant.method = wire::ValidationMethod::kVendorJwt01;
  grant.domains = {"customer.example"};
  return grant;
}

TEST_F(HostileAcme, UriAddedToAVendorsOrder_NeverCertified) {
  const wire::Identifier mac{wire::IdentifierType::kMac, "00:24:98:7b:19:02"},
      service{wire::IdentifierType::kUri, "sip:a.customer.example"};
  auto made = order(client_, {mac});
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, vendors_word(client_, mac, made.ticket)));
  ASSERT_TRUE(stage_->prove(client_, dns("customer.example")));
  const auto csr = x509::build_csr(key_, {mac, service});
  ASSERT_TRUE(csr);
  EXPECT_EQ(attempt(client_.finalize(made, *csr)), "csr-names");
  auto terms = wire::decode_body<wire::OrderTerms>(made.terms);
  ASSERT_TRUE(terms);
  terms->identifiers.push_back(service);
  made.terms = wire::encode_body(*terms);
  EXPECT_EQ(attempt(client_.finalize(made, *csr)), "ticket-forged");
}

TEST_F(HostileAcme, VendorsWordForOneOrder_IsNoneForAnother) {
  const wire::Identifier mac{wire::IdentifierType::kMac, "00:24:98:7b:19:04"};
  const auto one = order(client_, {mac}), other = order(client_, {mac});
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, vendors_word(client_, mac, one.ticket)));
  const auto csr = x509::build_csr(key_, {mac});
  ASSERT_TRUE(csr);
  EXPECT_EQ(attempt(client_.finalize(other, *csr)), "grant-missing");
}

TEST_F(HostileAcme, RequiredAttestationDroppedByAnotherProfile_TicketForged) {
  auto made = stage_->call(TaskId::kAcme, client_.new_order(TestClient::order_payload(
                                              {dns("measured.example")}, "measured")));
  ASSERT_TRUE(made) << made.error().code;
  ASSERT_TRUE(stage_->prove(client_, dns("measured.example")));
  const auto csr = make_csr(key_, {dns("measured.example")});
  EXPECT_EQ(attempt(client_.finalize(*made, csr)), "attestation-missing");
  auto terms = wire::decode_body<wire::OrderTerms>(made->terms);
  ASSERT_TRUE(terms);
  terms->profile = "server";
  terms->attestations.reset();
  made->terms = wire::encode_body(*terms);
  EXPECT_EQ(attempt(client_.finalize(*made, csr)), "ticket-forged");
}

TEST_F(HostileAcme, CaseAndTrailingDot_AreTheSameNameAndNoOther) {
  const auto made = order(client_, {dns("MIXED.Example.")});
  ASSERT_TRUE(stage_->prove(client_, dns("mixed.example")));
  CsrSpec spec;
  spec.extensions = {x509::extension_der(
      "2.5.29.17", false,
      *hex_decode("3010820e4d697865642e6578616d706c652e"))};  // dNSName "Mixed.example."
  const auto reply = stage_->call(TaskId::kAcme, client_.finalize(made, make_csr(key_, spec)));
  ASSERT_TRUE(reply) << reply.error().code << reply.error().detail;
  ++expected_;
  const auto wanted = *x509::ext_subject_alt_name({dns("mixed.example")}, false);
  EXPECT_NE(
      std::search(reply->chain[0].begin(), reply->chain[0].end(), wanted.begin(), wanted.end()),
      reply->chain[0].end());
  // The proof is of one name; a name that only looks like it has none.
  for (const auto& name :
       {"mixed.example.com", "m1xed.example", "mixed.examp1e", "xmixed.example"}) {
    const auto other = order(client_, {dns(name)});
    EXPECT_EQ(attempt(client_.finalize(other, make_csr(key_, {dns(name)}))), "grant-missing")
        << name;
  }
  for (const auto& name : {"mixed.example..", ".mixed.example", "mixed..example", "mixed.example/",
                           "mixed.example:80", " mixed.example", "-mixed.example"}) {
    EXPECT_EQ(attempt_order(client_.new_order({dns(name)})), "identifier-malformed") << name;
  }
}

// A NUL is refused by the parsers themselves: nothing behind it is ever compared.
TEST_F(HostileAcme, ControlCharactersInAName_Refused) {
  EXPECT_EQ(attempt_order(client_.new_order({dns("nul.example\n")})), "identifier-not-permitted");
  EXPECT_EQ(attempt_order(client_.new_order({dns("xn--\x7f.example")})),
            "identifier-not-permitted");
  EXPECT_EQ(attempt_order(client_.new_order(
                R"({"identifiers":[{"type":"dns","value":"nul.example\u0000.bank.example"}]})")),
            "payload-malformed");
  CsrSpec spec;
  spec.extensions = {
      x509::extension_der("2.5.29.17", false, *hex_decode("300e820c6e756c2e6578616d706c6500"))};
  EXPECT_EQ(attempt(client_.finalize(proved_order("nul.example"), make_csr(key_, spec))),
            "csr-malformed");
}

TEST_F(HostileAcme, ALabels_ProvedAsWritten) {
  const auto made = order(client_, {dns("XN--BCHER-kva.example")});
  ASSERT_TRUE(stage_->prove(client_, dns("bcher-kva.example")));  // a look-alike is another name
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("xn--bcher-kva.example")}))),
            "grant-missing");
  ASSERT_TRUE(stage_->prove(client_, dns("xn--bcher-kva.example")));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("xn--bcher-kva.example")}))),
            "issued");
  EXPECT_EQ(attempt_order(client_.new_order({dns("b\xc3\xbc"
                                                 "cher.example")})),
            "identifier-malformed");
  EXPECT_EQ(attempt_order(client_.new_order({dns("xn--a.example")})),
            "identifier-malformed");  // no valid punycode
}

TEST_F(HostileAcme, IpForms_OneAddressOneForm) {
  const auto made = order(client_, {ip("2001:DB8:0:0::1")});
  ASSERT_TRUE(stage_->prove(client_, ip("2001:db8::1")));
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {ip("2001:db8::1")}))), "issued");
  for (const auto& address : {"192.0.2.01", "192.0.2", "0xc0000201", "3221225985", "192.0.2.1/24",
                              "[2001:db8::1]", "2001:db8::1%eth0", "192.0.2.1."}) {
    EXPECT_EQ(attempt_order(client_.new_order({ip(address)})), "identifier-malformed") << address;
  }
  // An address is no dns name, and the other way round.
  EXPECT_EQ(attempt_order(client_.new_order({dns("192.0.2.1")})), "identifier-malformed");
  ASSERT_TRUE(stage_->prove(client_, ip("192.0.2.1")));
  const auto other = order(client_, {ip("192.0.2.2")});
  EXPECT_EQ(attempt(client_.finalize(other, make_csr(key_, {ip("192.0.2.2")}))), "grant-missing");
}

TEST_F(HostileAcme, DeviceNames_OctetForOctet) {
  const auto upper = order(client_, {device("SN-9A")});
  ASSERT_TRUE(stage_->attest(client_, device("sn-9a"), upper.ticket, key_.public_key()));
  EXPECT_EQ(attempt(client_.finalize(upper, make_csr(key_, {device("SN-9A")}))), "grant-missing");
  const auto assigned = order(client_, {device("SN-9B/1.2.3")});
  ASSERT_TRUE(stage_->attest(client_, device("SN-9B"), assigned.ticket, key_.public_key()));
  EXPECT_EQ(attempt(client_.finalize(assigned, make_csr(key_, {device("SN-9B/1.2.3")}))),
            "grant-missing");
}

// ---- the wire: fatal to the signer, useless to the front end

TEST_F(HostileAcme, GrantsFromTheFrontEnd_Fatal) {
  fatal(TaskId::kAcme, name_grant());
  fatal(TaskId::kAcme, device_grant());
  const auto made = order(client_, {dns("a.example")});
  EXPECT_EQ(attempt(client_.finalize(made, make_csr(key_, {dns("a.example")}))),
            "no-grant");  // nothing stayed
}

TEST_F(HostileAcme, GrantsOnTheOtherVerifiersSocket_Fatal) {
  fatal(TaskId::kValidation, device_grant());
  fatal(TaskId::kAttestation, name_grant());
  fatal(TaskId::kValidation, client_.new_order({dns("a.example")}));
  EXPECT_EQ(stage_->prove(client_, device("SN-1")).error().code, "grant-not-permitted");
}

TEST_F(HostileAcme, UnknownTypeOrReply_Fatal) {
  for (const unsigned type :
       {0x04feu, 0x0401u, 0x0403u, 0x0001u, 0x0010u, 0x0014u, 0x0500u, 0xffffu}) {
    wire::CborWriter out;
    out.array(3);
    out.unsigned_integer(type);
    out.unsigned_integer(stage_->next_id());
    out.map(0);
    fatal_octets(TaskId::kAcme, out.take());
  }
}

TEST_F(HostileAcme, OversizeFrame_Fatal) {
  fatal_octets(TaskId::kAcme, Bytes(limits::kFrameBytesMax + 1, 0x83));
}

TEST_F(HostileAcme, OversizeField_Fatal) {
  auto request = client_.new_order({dns("a.example")});
  request.account_jwk.assign(limits::kJwkBytesMax + 1, 'x');
  fatal(TaskId::kAcme, request);
}

TEST_F(HostileAcme, TruncatedAndHalfFrames_Fatal) {
  const auto made = proved_order("half.example");
  const Bytes frame = wire::encode_frame(
      stage_->next_id(), client_.finalize(made, make_csr(key_, {dns("half.example")})));
  for (const auto size :
       {std::size_t{1}, std::size_t{4}, std::size_t{8}, frame.size() / 2, frame.size() - 1}) {
    fatal_octets(TaskId::kAcme, ByteView(frame).first(size));
  }
  fatal_octets(TaskId::kAcme, ByteView(frame).subspan(frame.size() / 2));  // the other half
}

TEST_F(HostileAcme, TrailingOctetsAndLooseEncoding_Fatal) {
  const Bytes good = wire::encode_frame(stage_->next_id(), wire::IssuerGet{});
  Bytes trailing = good;
  trailing.push_back(0);
  fatal_octets(TaskId::kAcme, trailing);
  Bytes loose = *hex_decode(
      "83190404"
      "1801"
      "a0");  // the id 1 in two octets
  fatal_octets(TaskId::kAcme, loose);
  Bytes indefinite = *hex_decode(
      "9f190404"
      "01"
      "a0ff");
  fatal_octets(TaskId::kAcme, indefinite);
  Bytes unknown_field = *hex_decode(
      "83190404"
      "01"
      "a1183f00");
  fatal_octets(TaskId::kAcme, unknown_field);
}

TEST_F(HostileAcme, AttachedDescriptor_Fatal) {
  const int descriptor = STDERR_FILENO;
  fatal_octets(TaskId::kAcme, wire::encode_frame(stage_->next_id(), wire::IssuerGet{}),
               std::span(&descriptor, 1));
}

// Grants, tickets and certificates of before are there after each of these ends.
TEST_F(HostileAcme, AfterAFatalFrame_StateIsAsBefore) {
  const auto made = proved_order("survives.example");
  const auto request = client_.finalize(made, make_csr(key_, {dns("survives.example")}));
  fatal_octets(TaskId::kAcme, Bytes{0xff});
  EXPECT_EQ(attempt(request), "issued");
  fatal_octets(TaskId::kAcme, Bytes{0xff});
  const auto again = stage_->call(TaskId::kAcme, request);
  ASSERT_TRUE(again) << again.error().code;
  EXPECT_TRUE(again->replayed);
}

}  // namespace
}  // namespace keyward::test
