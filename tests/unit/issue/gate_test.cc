// Tests of the gate: one for each way in, one for each refusal that it can give, and the replay
// rules.
#include <algorithm>
#include <thread>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/record_file.h"
#include "firmware/issue/ticket.h"
#include "firmware/jose/jws.h"
#include "hal/base/file.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using wire::ValidationMethod;
constexpr std::int64_t kHourMs = 3'600'000;

// ---- issuance

TEST_F(GateTest, Issue_ServerWithGrant_CertificateOfProfileServer) {
  open();
  const auto made = order(client_, {dns("web.plant.example"), ip("192.0.2.1")});
  prove(client_, dns("web.plant.example"));
  prove(client_, ip("192.0.2.1"));
  const auto reply = gate_->issue(
      client_.finalize(made, make_csr(*key_, {dns("web.plant.example"), ip("192.0.2.1")})));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_FALSE(reply->replayed);
  ASSERT_EQ(reply->chain.size(), 2u);
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  ASSERT_TRUE(certificate);
  EXPECT_TRUE(x509::verify_signed_by(*certificate, token_.key()));
  EXPECT_EQ(certificate->extended_key_usages(), std::vector<std::string>{"1.3.6.1.5.5.7.3.1"});
  EXPECT_EQ(certificate->serial, reply->serial);
  EXPECT_EQ(reply->not_after_ms - reply->not_before_ms, 90 * 24 * kHourMs + 60'000 - 1'000);
  EXPECT_EQ(ledger().issued, 1u);
}

TEST_F(GateTest, Issue_DeviceWithAttestedKey_CertificateOfProfileDevice) {
  open();
  const auto made = order(client_, {device("SN-0001")});
  attest(client_, device("SN-0001"), made.ticket, key_->public_key());
  const auto reply = gate_->issue(
      client_.finalize(made, make_csr(*key_, CsrSpec{})));  // a device may leave its name out
  ASSERT_TRUE(reply) << reply.error().code;
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->extended_key_usages(), std::vector<std::string>{"1.3.6.1.5.5.7.3.2"});
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", "SN-0001"}}));
}

TEST_F(GateTest, Issue_NamesInOtherForms_AreTheSameNames) {
  open();
  const auto made = order(client_, {dns("WEB.Plant.Example."), dns("xn--bcher-kva.example")});
  prove(client_, dns("web.plant.example"));
  prove(client_, dns("xn--bcher-kva.example"));
  CsrSpec csr;
  csr.subject = {{"2.5.4.3", "Web.plant.EXAMPLE"}};
  csr.extensions = {*x509::ext_subject_alt_name({dns("xn--BCHER-kva.example")}, false)};
  const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, csr)));
  EXPECT_EQ(code(reply), "issued");
}

TEST_F(GateTest, Issue_EveryAcceptedKeyKind_IsIssued) {
  open();
  prove(client_, dns("a.example"));
  for (const auto kind : {crypto::KeyKind::kEcP256, crypto::KeyKind::kEcP384,
                          crypto::KeyKind::kEd25519, crypto::KeyKind::kRsa}) {
    const auto made = order(client_, {dns("a.example")});
    const auto key = crypto::PrivateKey::generate(kind);
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key, {dns("a.example")})))),
              "issued")
        << static_cast<int>(kind);
  }
}

TEST_F(GateTest, Issue_Wildcard_WithGrantForAllBelow_IsIssued) {
  open();
  const auto made = order(client_, {dns("*.plant.example")});
  wire::GrantName grant{
      client_.thumbprint(), dns("plant.example"),      true, ValidationMethod::kDns01,
      std::nullopt,         clock_.utc_ms() + kHourMs, {},   false,
      std::nullopt};
  ASSERT_TRUE(gate_->grant_name(grant));
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("*.plant.example")})))),
            "issued");
}

// ---- who asks

TEST_F(GateTest, Issue_NothingProved_NoGrant) {
  open();
  const auto made = order(client_, {dns("a.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "no-grant");
}

TEST_F(GateTest, Issue_OnlyExpiredGrants_NoGrant) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"), 1'000);
  clock_.advance(1'000);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "no-grant");
}

TEST_F(GateTest, Mint_JwkNotCanonical_JwkMalformed) {
  open();
  auto request = client_.new_order({dns("a.example")});
  request.account_jwk.insert(1, " ");
  EXPECT_EQ(code(gate_->mint_ticket(request)), "jwk-malformed");
}

TEST_F(GateTest, Issue_GrantForTheDigestOfGarbage_JwkMalformed) {
  open();
  const auto made = order(client_, {dns("a.example")});
  wire::GrantName grant{crypto::sha256(view_of("garbage")),
                        dns("a.example"),
                        false,
                        ValidationMethod::kHttp01,
                        std::nullopt,
                        clock_.utc_ms() + kHourMs,
                        {},
                        false,
                        std::nullopt};
  ASSERT_TRUE(gate_->grant_name(grant));
  auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  request.account_jwk = "garbage";
  EXPECT_EQ(code(gate_->issue(request)), "jwk-malformed");
}

TEST_F(GateTest, Issue_PayloadChangedAfterSigning_JwsSignature) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  const auto thief = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  request.jws.payload_b64 =
      client_.finalize(made, make_csr(*thief, {dns("a.example")})).jws.payload_b64;
  EXPECT_EQ(code(gate_->issue(request)), "jws-signature");
}

TEST_F(GateTest, Issue_AlgorithmOfAnotherKeyKind_JwsAlgorithm) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  for (const std::string alg : {"RS256", "none", "HS256"}) {
    auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
    request.jws.protected_b64 =
        base64url_encode(view_of(R"({"alg":")" + alg + R"(","kid":"x","nonce":"AAAA","url":")" +
                                 TestClient::finalize_url(made.ticket) + R"("})"));
    EXPECT_EQ(code(gate_->issue(request)), "jws-algorithm") << alg;
  }
}

TEST_F(GateTest, Issue_HeaderIsNoHeader_JwsMalformed) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  request.jws.protected_b64 = base64url_encode(view_of("{}"));
  EXPECT_EQ(code(gate_->issue(request)), "jws-malformed");
}

TEST_F(GateTest, Mint_EmbeddedKey_JwsMalformed) {
  open();
  auto request = client_.new_order({dns("a.example")});
  const auto jws =
      jose::sign(client_.key(), {std::string(kBaseUrl) + "/acme/new-order", "AAAA", std::nullopt,
                                 TestClient::order_payload({dns("a.example")})});
  request.jws = {jws->protected_b64, jws->payload_b64, jws->signature};
  EXPECT_EQ(code(gate_->mint_ticket(request)), "jws-malformed");
}

TEST_F(GateTest, Mint_AnotherUrl_JwsUrl) {
  open();
  wire::TicketMint request{client_.jwk(),
                           client_.sign(std::string(kBaseUrl) + "/acme/new-account",
                                        TestClient::order_payload({dns("a.example")}))};
  EXPECT_EQ(code(gate_->mint_ticket(request)), "jws-url");
}

TEST_F(GateTest, Issue_AnotherUrl_JwsUrl) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  const std::string payload =
      "{\"csr\":\"" + base64url_encode(make_csr(*key_, {dns("a.example")})) + "\"}";
  for (const auto& url : {std::string(kBaseUrl) + "/acme/order/" + made.ticket,
                          "https://other.example/acme/order/" + made.ticket + "/finalize",
                          std::string(kBaseUrl) + "/acme/order/finalize"}) {
    EXPECT_EQ(code(gate_->issue({client_.jwk(), client_.sign(url, payload), made.terms})),
              "jws-url")
        << url;
  }
}

// ---- tickets

TEST_F(GateTest, Issue_NoTicketInPath_TicketMalformed) {
  open();
  auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  for (const auto& ticket :
       {std::string(""), std::string("x/y"), made.ticket.substr(1), made.ticket + "AAAA"}) {
    made.ticket = ticket;
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
              "ticket-malformed")
        << ticket;
  }
}

TEST_F(GateTest, Issue_EveryOctetOfTheTicketChanged_TicketForged) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  const Bytes raw = *base64url_decode(made.ticket);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    Bytes changed = raw;
    changed[i] ^= 0x01;
    auto forged = made;
    forged.ticket = base64url_encode(changed);
    ASSERT_EQ(code(gate_->issue(client_.finalize(forged, make_csr(*key_, {dns("a.example")})))),
              "ticket-forged")
        << i;
  }
}

TEST_F(GateTest, Issue_TermsOfAnotherOrder_TicketForged) {
  open();
  auto made = order(client_, {dns("a.example")});
  const auto other = order(client_, {dns("b.example")});
  prove(client_, dns("a.example"));
  prove(client_, dns("b.example"));
  made.terms = other.terms;
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("b.example")})))),
            "ticket-forged");
}

TEST_F(GateTest, Issue_AnotherAccountsOrder_TicketForged) {
  open();
  const TestClient other;
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  prove(other, dns("b.example"));
  EXPECT_EQ(code(gate_->issue(other.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "ticket-forged");
}

TEST_F(GateTest, Issue_AfterTheOrdersEnd_TicketExpired) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"), 48 * kHourMs);
  clock_.advance(limits::kOrderLifetimeMs);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "ticket-expired");
}

TEST_F(GateTest, Issue_TermsThatAreNone_TicketTerms) {
  open();
  prove(client_, dns("a.example"));
  const auto key = issue::TicketKey::load_or_create(
      directory_.path("ticket.key"));  // as a former version might have minted
  wire::TicketMintReply made;
  made.terms = to_bytes("no terms");
  made.ticket = key->mint(client_.thumbprint(), made.terms, clock_.utc_ms() + kHourMs).text;
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "ticket-terms");
}

TEST_F(GateTest, Ticket_AfterRestart_IsStillGood) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  open();
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "issued");
}

// ---- newOrder

TEST_F(GateTest, Mint_PayloadIsNoOrder_PayloadMalformed) {
  open();
  for (const std::string payload :
       {"", "[]", "{}", R"({"identifiers":{}})", R"({"identifiers":[]})",
        R"({"identifiers":[{"type":"dns"}]})"}) {
    EXPECT_EQ(code(gate_->mint_ticket(client_.new_order(payload))), "payload-malformed") << payload;
  }
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order(std::vector<wire::Identifier>(
                limits::kIdentifiersPerOrderMax + 1, dns("a.example"))))),
            "payload-malformed");
}

TEST_F(GateTest, Mint_IdentifierTypes_RefusedByReason) {
  open();
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order(R"({"identifiers":[{"type":"email","value":"a@b"}]})"))),
            "identifier-unsupported");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a..example")}))),
            "identifier-malformed");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order(
                R"({"identifiers":[{"type":"permanent-identifier","value":"a\u0007b"}]})"))),
            "identifier-not-permitted");
}

TEST_F(GateTest, Mint_OutsideTheSubtrees_IdentifierNotPermitted) {
  config_.names.permitted_dns = {"plant.example"};
  config_.names.appliance_names = {dns("ca.other.example"), ip("192.0.2.9")};
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("web.plant.example")}))), "minted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("ca.other.example"), ip("192.0.2.9")}))),
            "minted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({device("SN-1")}))), "minted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("web.notplant.example")}))),
            "identifier-not-permitted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("*.example")}))),
            "identifier-not-permitted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({ip("192.0.2.8")}))),
            "identifier-not-permitted");
}

TEST_F(GateTest, Issue_SubtreesNarrowedAfterTheOrder_IdentifierNotPermitted) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  config_.names.permitted_dns = {"plant.example"};
  open();
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "identifier-not-permitted");
}

TEST_F(GateTest, Mint_Profiles_ByNameOrByIdentifiers) {
  open();
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order(TestClient::order_payload({dns("a.example")}, "server")))),
            "minted");
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order(TestClient::order_payload({dns("a.example")}, "ca")))),
            "profile-unknown");
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order(TestClient::order_payload({dns("a.example")}, "device")))),
            "profile-identifiers");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a.example"), device("SN-1")}))),
            "profile-identifiers");
}

TEST_F(GateTest, Mint_SameNameInTwoForms_OneIdentifierInTheTerms) {
  open();
  const auto made = order(client_, {dns("A.example"), dns("a.example.")});
  const auto terms = wire::decode_body<wire::OrderTerms>(made.terms);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->identifiers, std::vector<wire::Identifier>{dns("a.example")});
  EXPECT_EQ(terms->profile, "server");
}

// ---- CSR

class CsrTest : public GateTest {
 protected:
  std::string finalize_with(ByteView csr) {
    const auto made = order(client_, {dns("a.example")});
    prove(client_, dns("a.example"));
    return code(gate_->issue(client_.finalize(made, csr)));
  }
};

TEST_F(CsrTest, Issue_PayloadIsNoFinalize_PayloadMalformed) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  const std::string padded = R"({"csr":"AAA="})";
  for (const auto& payload :
       {std::string("{}"), std::string("x"), std::string(R"({"csr":1})"), padded}) {
    EXPECT_EQ(code(gate_->issue({client_.jwk(),
                                 client_.sign(TestClient::finalize_url(made.ticket), payload),
                                 made.terms})),
              "payload-malformed")
        << payload;
  }
}

TEST_F(CsrTest, Issue_Garbage_CsrMalformed) {
  open();
  EXPECT_EQ(finalize_with(to_bytes("no csr")), "csr-malformed");
  EXPECT_EQ(finalize_with({}), "csr-malformed");
  EXPECT_EQ(finalize_with(Bytes(limits::kCsrBytesMax + 1, 0x30)), "csr-malformed");
}

TEST_F(CsrTest, Issue_NoProofOfPossession_CsrSignature) {
  open();
  CsrSpec spec;
  spec.extensions = {*x509::ext_subject_alt_name({dns("a.example")}, false)};
  spec.break_signature = true;
  EXPECT_EQ(finalize_with(make_csr(*key_, spec)), "csr-signature");
}

TEST_F(CsrTest, Issue_KeyOfRefusedKind_CsrKeyRefused) {
  open();
  CsrSpec spec;
  spec.extensions = {*x509::ext_subject_alt_name({dns("a.example")}, false)};
  Bytes spki = key_->public_key().spki_der();
  const Bytes p256 = *hex_decode("06082a8648ce3d030107"),
              other = *hex_decode("06082a8648ce3d030102");  // prime192v2
  const auto at = std::search(spki.begin(), spki.end(), p256.begin(), p256.end());
  ASSERT_NE(at, spki.end());
  std::copy(other.begin(), other.end(), at);
  spec.spki = spki;
  EXPECT_EQ(finalize_with(make_csr(*key_, spec)), "csr-key-refused");
}

TEST_F(CsrTest, Key_P521_CsrKeyRefused) {
  const auto big = crypto::PrivateKey::generate(crypto::KeyKind::kEcP521);
  ASSERT_TRUE(big);
  const auto verdict = issue::check_csr_key(big->public_key(), client_.key().public_key());
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, "csr-key-refused");
}

TEST_F(CsrTest, Issue_TheAccountsKey_CsrKeyIsAccountKey) {
  open();
  EXPECT_EQ(finalize_with(make_csr(client_.key(), {dns("a.example")})), "csr-key-is-account-key");
}

TEST_F(CsrTest, Issue_OtherNamesThanTheOrders_CsrNames) {
  open();
  EXPECT_EQ(finalize_with(make_csr(*key_, {dns("b.example")})), "csr-names");
  EXPECT_EQ(finalize_with(make_csr(*key_, {dns("a.example"), dns("b.example")})), "csr-names");
  EXPECT_EQ(finalize_with(make_csr(*key_, {dns("a.example"), ip("192.0.2.1")})), "csr-names");
  EXPECT_EQ(finalize_with(make_csr(*key_, {dns("a.example"), device("SN-1")})), "csr-names");
  EXPECT_EQ(finalize_with(make_csr(*key_, CsrSpec{})), "csr-names");
  CsrSpec with_cn;
  with_cn.subject = {{"2.5.4.3", "b.example"}};
  with_cn.extensions = {*x509::ext_subject_alt_name({dns("a.example")}, false)};
  EXPECT_EQ(finalize_with(make_csr(*key_, with_cn)), "csr-names");
}

TEST_F(CsrTest, Issue_NameThatIsNone_CsrNames) {
  open();
  CsrSpec spec;
  spec.extensions = {x509::extension_der("2.5.29.17", false,
                                         *hex_decode("3006820461"
                                                     "2e2e62"))};  // dNSName "a..b"
  EXPECT_EQ(finalize_with(make_csr(*key_, spec)), "csr-names");
}

TEST_F(CsrTest, Issue_AsksForCaOrUnknownExtension_CsrExtension) {
  open();
  CsrSpec spec;
  spec.extensions = {*x509::ext_subject_alt_name({dns("a.example")}, false),
                     x509::ext_basic_constraints(true, std::nullopt)};
  EXPECT_EQ(finalize_with(make_csr(*key_, spec)), "csr-extension");
  spec.extensions[1] = x509::ext_name_constraints_dns({"example"});
  EXPECT_EQ(finalize_with(make_csr(*key_, spec)), "csr-extension");
}

// ---- grants

TEST_F(GateTest, Issue_OneNameNotProved_GrantMissing) {
  open();
  const auto made = order(client_, {dns("a.example"), dns("b.example")});
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(
                client_.finalize(made, make_csr(*key_, {dns("a.example"), dns("b.example")})))),
            "grant-missing");
}

TEST_F(GateTest, Issue_ProvedForAnotherAccount_GrantMissing) {
  open();
  const TestClient other;
  const auto made = order(client_, {dns("a.example")});
  prove(other, dns("a.example"));
  prove(client_, dns("b.example"));
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "grant-missing");
}

TEST_F(GateTest, Issue_DeviceProvedForAnotherOrder_GrantMissing) {
  open();
  const auto first = order(client_, {device("SN-1")});
  const auto second = order(client_, {device("SN-1")});
  attest(client_, device("SN-1"), first.ticket, key_->public_key());
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {device("SN-1")})))),
            "grant-missing");
}

TEST_F(GateTest, Issue_OneProofTooOld_GrantExpired) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"), 1'000);
  prove(client_, dns("b.example"));
  clock_.advance(1'000);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "grant-expired");
}

TEST_F(GateTest, Issue_WildcardWithProofOfTheNameAlone_GrantWildcard) {
  open();
  const auto made = order(client_, {dns("*.plant.example")});
  prove(client_, dns("plant.example"));
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("*.plant.example")})))),
            "grant-wildcard");
}

TEST_F(GateTest, Issue_AnotherKeyThanTheAttested_AttestedKeyMismatch) {
  open();
  const auto made = order(client_, {device("SN-1")});
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  attest(client_, device("SN-1"), made.ticket, other->public_key());
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {device("SN-1")})))),
            "attested-key-mismatch");
}

TEST_F(GateTest, AttestedKeys_NothingToCompare_AttestedKeyMissing) {
  const issue::Profiles profiles(365, 90);
  const auto none = issue::check_attested_keys(*profiles.find("device"), {}, key_->public_key());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, "attested-key-missing");
  issue::Grant grant;
  grant.identifier = device("SN-1");
  for (const auto& digest : {std::optional<Digest256>(), std::optional<Digest256>(Digest256{})}) {
    grant.spki_sha256 = digest;
    const auto empty =
        issue::check_attested_keys(*profiles.find("device"), {grant}, key_->public_key());
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code, "attested-key-missing");
  }
}

TEST_F(GateTest, Grants_AfterRestart_AreStillThere) {
  open();
  const auto made = order(client_, {device("SN-1")});
  attest(client_, device("SN-1"), made.ticket, key_->public_key());
  open();
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {device("SN-1")})))),
            "issued");
}

// ---- budgets and time

// ---- what a profile wants beside that

TEST_F(GateTest, Issue_KeyThatTheProfileDoesNotTake_CsrKeyProfile) {
  auto server = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  server.keys = {crypto::KeyKind::kEcP384, crypto::KeyKind::kRsa};
  server.rsa_bits_min = 3'072;
  config_.profiles = {server};
  open();
  prove(client_, dns("a.example"), 5 * kHourMs);
  const auto made = order(client_, {dns("a.example")});
  const auto with = [&](const crypto::PrivateKey& key) {
    return code(gate_->issue(client_.finalize(made, make_csr(key, {dns("a.example")}))));
  };
  EXPECT_EQ(with(*key_), "csr-key-profile");  // P-256
  EXPECT_EQ(with(*crypto::PrivateKey::generate(crypto::KeyKind::kRsa, 2'048)), "csr-key-profile");
  EXPECT_EQ(with(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP384)), "issued");
}

TEST_F(GateTest, Issue_SubjectAndBackdatingOfTheProfile_StandInTheCertificate) {
  auto server = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  server.subject = {"CH", "Plant", {"East"}};
  server.backdate_ms = kHourMs;
  config_.profiles = {server};
  open();
  prove(client_, dns("a.example"), 5 * kHourMs);
  const auto made = order(client_, {dns("a.example")});
  const auto issued = gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})));
  ASSERT_EQ(code(issued), "issued");
  const auto certificate = x509::parse_certificate(issued->chain.front());
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.6", "CH"},
                                                      {"2.5.4.10", "Plant"},
                                                      {"2.5.4.11", "East"},
                                                      {"2.5.4.3", "a.example"}}));
  EXPECT_EQ(certificate->not_before_ms, clock_.utc_ms() - clock_.utc_ms() % 1'000 - kHourMs);
}

TEST_F(GateTest, Issue_ProfileOverItsBudget_RateProfile) {
  auto tight = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  tight.overall_per_hour = 1;
  config_.profiles = {tight};
  open();
  prove(client_, dns("a.example"), 5 * kHourMs);
  const auto first = order(client_, {dns("a.example")}),
             second = order(client_, {dns("a.example")});
  const auto finalize = [&](const auto& which) {
    return gate_->issue(client_.finalize(which, make_csr(*key_, {dns("a.example")})));
  };
  EXPECT_EQ(code(finalize(first)), "issued");
  const auto refused = finalize(second);
  ASSERT_EQ(code(refused), "rate-profile");
  EXPECT_TRUE(refused.error().retry_after_ms.has_value());
  config_.profiles[0].overall_per_hour.reset();
  config_.profiles[0].account_per_hour = 1;
  open();  // the ledger remembers
  EXPECT_EQ(code(finalize(second)), "rate-profile-account");
  clock_.advance(kHourMs);
  EXPECT_EQ(code(finalize(second)), "issued");
}

TEST_F(GateTest, Issue_AccountOverItsBudget_RateAccount) {
  config_.account_per_hour = 1;
  open();
  prove(client_, dns("a.example"), 5 * kHourMs);
  const auto first = order(client_, {dns("a.example")}),
             second = order(client_, {dns("a.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(first, make_csr(*key_, {dns("a.example")})))),
            "issued");
  const auto refused = gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})));
  ASSERT_EQ(code(refused), "rate-account");
  EXPECT_TRUE(refused.error().retry_after_ms.has_value());
  open();  // the ledger remembers
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})))),
            "rate-account");
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})))),
            "issued");
}

TEST_F(GateTest, Issue_InstallationOverItsBudget_RateOverall) {
  config_.overall_per_hour = 1;
  open();
  const TestClient other;
  prove(client_, dns("a.example"));
  prove(other, dns("b.example"));
  const auto first = order(client_, {dns("a.example")}), second = order(other, {dns("b.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(first, make_csr(*key_, {dns("a.example")})))),
            "issued");
  EXPECT_EQ(code(gate_->issue(other.finalize(second, make_csr(*key_, {dns("b.example")})))),
            "rate-overall");
}

TEST_F(GateTest, Issue_RefusedAfterTheBudgetStep_CostsNoBudget) {
  config_.account_per_hour = 1;
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  token_.state = hal::TokenState::kAway;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
              "hsm-away");
  token_.state = hal::TokenState::kReady;
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "issued");
}

TEST_F(GateTest, Issue_ClockSetBack_ClockBehindLedger) {
  open();
  prove(client_, dns("a.example"));
  const auto first = order(client_, {dns("a.example")}),
             second = order(client_, {dns("a.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(first, make_csr(*key_, {dns("a.example")})))),
            "issued");
  clock_.advance(-limits::kClockStepBackMsMax - 1);
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})))),
            "clock-behind-ledger");
  clock_.advance(1);
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})))),
            "issued");
}

TEST_F(GateTest, Issue_IssuerAtItsEnd_IssuerExpired) {
  ca_spec_.not_after_ms = (clock_.utc_ms() / 1000 + 600) * 1000;
  open();
  prove(client_, dns("a.example"));
  const auto first = order(client_, {dns("a.example")}),
             second = order(client_, {dns("a.example")});
  const auto reply = gate_->issue(client_.finalize(first, make_csr(*key_, {dns("a.example")})));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->not_after_ms, ca_spec_.not_after_ms);  // never beyond its issuer
  clock_.advance(600'000);
  EXPECT_EQ(code(gate_->issue(client_.finalize(second, make_csr(*key_, {dns("a.example")})))),
            "issuer-expired");
}

TEST_F(GateTest, Issue_NameOutsideTheIssuersConstraints_LintFailed) {
  ca_spec_.permitted_dns = {"plant.example"};
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto refused = gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})));
  ASSERT_EQ(code(refused), "lint-failed");
  EXPECT_EQ(refused.error().detail,
            "name-constraints: a name outside the issuer's name constraints");
  EXPECT_EQ(ledger().intents, 0u);
}

// ---- the HSM

TEST_F(GateTest, Issue_HsmKnownAway_NoIntent) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  gate_->set_key_ready(false);
  const auto refused = gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})));
  EXPECT_EQ(code(refused), "hsm-away");
  EXPECT_EQ(refused.error().kind, wire::FailureKind::kUnavailable);
  EXPECT_TRUE(refused.error().retry_after_ms.has_value());
  EXPECT_EQ(ledger().intents, 0u);
}

TEST_F(GateTest, Issue_HsmGoesWhileSigning_FailedOutcomeThenAnotherTry) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  token_.instead = [] {
    return std::optional<Result<Bytes>>(fail(ErrorKind::kUnavailable, "away"));
  };
  EXPECT_EQ(code(gate_->issue(request)), "hsm-away");
  EXPECT_EQ(ledger().failed, 1u);
  token_.instead = nullptr;
  EXPECT_EQ(code(gate_->issue(request)), "issued");
  EXPECT_EQ(ledger().intents, 2u);
}

TEST_F(GateTest, Issue_HsmSignsWrongly_HsmSignature) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  token_.instead = [] {
    return std::optional<Result<Bytes>>(fail(ErrorKind::kCorrupt, "does not verify"));
  };
  EXPECT_EQ(code(gate_->issue(request)), "hsm-signature");
  EXPECT_EQ(ledger().failed, 1u);
}

TEST_F(GateTest, Issue_AnotherCsrAfterAFailedSignature_OrderAlreadyIssued) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  token_.instead = [] {
    return std::optional<Result<Bytes>>(fail(ErrorKind::kUnavailable, "away"));
  };
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "hsm-away");
  token_.instead = nullptr;
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, {dns("a.example")})))),
            "order-already-issued");
}

TEST_F(GateTest, Open_LedgerDirectoryUnwritable_DoesNotOpen) {
  ASSERT_TRUE(replace_file(directory_.path("ledger"),
                           to_bytes("a file where the directory belongs"), 0600));
  EXPECT_FALSE(try_open());
}

// ---- the same again

TEST_F(GateTest, Issue_TheSameFinalizeAgain_SameCertificateOneSignature) {
  open();
  const auto made = order(client_, {device("SN-1")});
  attest(client_, device("SN-1"), made.ticket, key_->public_key());
  const auto request = client_.finalize(made, make_csr(*key_, {device("SN-1")}));
  const auto first = gate_->issue(request);
  ASSERT_TRUE(first);
  const auto second = gate_->issue(request);
  ASSERT_TRUE(second) << second.error().code;
  EXPECT_TRUE(second->replayed);
  EXPECT_EQ(second->chain, first->chain);
  EXPECT_EQ(second->ledger_row, first->ledger_row);
  open();  // and after a restart, when the grant is long gone
  clock_.advance(2 * kHourMs);
  const auto third = gate_->issue(request);
  ASSERT_TRUE(third) << third.error().code;
  EXPECT_TRUE(third->replayed);
  EXPECT_EQ(third->chain, first->chain);
  EXPECT_EQ(token_.sign_calls, 1);
}

TEST_F(GateTest, Issue_AnotherCsrForAnIssuedOrder_OrderAlreadyIssued) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "issued");
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, {dns("a.example")})))),
            "order-already-issued");
}

TEST_F(GateTest, Issue_ManyAtTheSameTime_OneSignature) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  std::vector<Bytes> serials(8);
  std::vector<std::thread> threads;
  for (auto& serial : serials) {
    threads.emplace_back([&] {
      const auto reply = gate_->issue(request);
      if (reply) serial = reply->serial;
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& serial : serials) EXPECT_EQ(serial, serials[0]);
  EXPECT_FALSE(serials[0].empty());
  EXPECT_EQ(token_.sign_calls, 1);
}

TEST_F(GateTest, Open_IntentWithoutOutcome_AbandonedAndCounted) {
  config_.account_per_hour = 2;
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")}), next = order(client_, {dns("a.example")});
  const auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  EXPECT_EQ(code(gate_->issue(request)), "issued");
  gate_.reset();
  // The power fails after the intent: what came later never reached the disk.
  const std::string segment = issue::segment_path(directory_.path("ledger"), 0);
  const Bytes whole = read_whole_file(segment);
  std::vector<std::uint64_t> offsets;
  ASSERT_TRUE(issue::scan_records(segment, limits::kLedgerRowBytesMax,
                                  [&](ByteView, const Digest256&, std::uint64_t offset) -> Status {
                                    offsets.push_back(offset);
                                    return {};
                                  }));
  ASSERT_EQ(offsets.size(), 3u);
  write_file(segment, ByteView(whole).first(static_cast<std::size_t>(offsets[2]) +
                                            20));  // and a torn row behind it
  open();
  EXPECT_EQ(ledger().abandoned, 1u);
  EXPECT_GT(gate_->ledger().torn_bytes_cut(), 0u);
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, {dns("a.example")})))),
            "order-already-issued");
  EXPECT_EQ(code(gate_->issue(request)), "issued");  // the same may go on, with a new serial
  EXPECT_EQ(code(gate_->issue(client_.finalize(next, make_csr(*key_, {dns("a.example")})))),
            "rate-account");
}

}  // namespace
}  // namespace keyward::test
