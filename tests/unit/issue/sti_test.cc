// Tests of telephone identities (RFC 8226, RFC 9448): what may be ordered, what the CSR must ask
// for, and the certificate octet by octet.
#include <algorithm>

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
// SEQUENCE { [0] EXPLICIT IA5String "709J" }, and the same of "1234".
constexpr std::string_view kList = "MAigBhYENzA5Sg", kOtherList = "MAigBhYEMTIzNA";
constexpr std::string_view kListOid = "1.3.6.1.5.5.7.1.26", kConstraintsOid = "1.3.6.1.5.5.7.1.27",
                           kEnhancedOid = "1.3.6.1.5.5.7.1.33";

wire::Identifier list(std::string_view value = kList) {
  return {wire::IdentifierType::kTnAuthList, std::string(value)};
}
// mustInclude [0] { "origid" }
wire::Identifier constraints(wire::IdentifierType type) {
  return {type, base64url_encode(*hex_decode("300ca00a300816066f7269676964"))};
}

class StiTest : public GateTest {
 protected:
  StiTest() {
    config_.profiles = {issue::make_profile("server", issue::ProfileKind::kServer, 90),
                        issue::make_profile("phone", issue::ProfileKind::kSti, 30)};
  }
  void vouch(const wire::Identifier& id, const std::string& ticket, std::int64_t not_after_max_ms) {
    wire::GrantAuthority grant;
    grant.thumbprint = client_.thumbprint();
    grant.identifier = id;
    grant.ticket = ticket;
    grant.expires_at_ms = clock_.utc_ms() + kHourMs;
    grant.not_after_max_ms = not_after_max_ms;
    const auto reply = gate_->grant_authority(grant);
    EXPECT_TRUE(reply) << reply.error().code;
  }
  static Bytes extension(std::string_view oid, std::string_view value_b64, bool critical = false) {
    return x509::extension_der(oid, critical, *base64url_decode(value_b64));
  }
  Bytes csr(std::vector<Bytes> extensions, const std::string& common_name = "") const {
    CsrSpec spec;
    spec.extensions = std::move(extensions);
    if (!common_name.empty()) spec.subject = {{"2.5.4.3", common_name}};
    return make_csr(*key_, spec);
  }
  // An order for the list, vouched for a year.
  wire::TicketMintReply vouched() {
    const auto made = order(client_, {list()});
    vouch(list(), made.ticket, clock_.utc_ms() + 365 * kDayMs);
    return made;
  }
  std::string answer(const Bytes& request) {
    const auto made = vouched();
    return code(gate_->issue(client_.finalize(made, request)));
  }
};

TEST_F(StiTest, Certificate_HoldsTheListOctetForOctet) {
  open();
  const auto made = vouched();
  const auto reply =
      gate_->issue(client_.finalize(made, csr({extension(kListOid, kList)}, "SHAKEN 709J")));
  ASSERT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  ASSERT_TRUE(certificate);
  // id-pe 26, not critical, the ten octets of the list.
  const Bytes wanted = *hex_decode(
      "301606082b0601050507011a040a3008a006160437303"
      "94a");
  EXPECT_NE(
      std::search(reply->chain[0].begin(), reply->chain[0].end(), wanted.begin(), wanted.end()),
      reply->chain[0].end());
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", "SHAKEN 709J"}}));
  EXPECT_EQ(certificate->extension("2.5.29.17"), nullptr);  // no other name
  EXPECT_EQ(certificate->extension("2.5.29.37"), nullptr);  // no purpose
  EXPECT_EQ(certificate->extensions.size(), 5u);
  EXPECT_EQ(certificate->basic_constraints_ca(), false);
  EXPECT_EQ(certificate->key_usage(x509::kDigitalSignature), true);
  EXPECT_EQ(certificate->key_usage(x509::kKeyCertSign), false);
}

TEST_F(StiTest, Certificate_EndsWithTheTokenAtTheLatest) {
  open();
  const auto made = order(client_, {list()});
  const auto last_ms = clock_.utc_ms() + 3 * kDayMs;
  vouch(list(), made.ticket, last_ms);
  const auto reply = gate_->issue(client_.finalize(made, csr({extension(kListOid, kList)})));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->not_after_ms, last_ms / 1'000 * 1'000);
}

TEST_F(StiTest, NotAfterBeyondTheToken_ValidityNotPermitted) {
  open();
  const auto made = gate_->mint_ticket(
      client_.new_order(R"({"identifiers":[{"type":"TNAuthList","value":")" + std::string(kList) +
                        R"("}],"notAfter":"2100-01-01T00:00:00Z"})"));
  EXPECT_EQ(code(made), "validity-not-permitted");  // the profile's own limit
  const auto ordinary = vouched();
  auto terms = wire::decode_body<wire::OrderTerms>(ordinary.terms);
  ASSERT_TRUE(terms);
  terms->not_after_ms = clock_.utc_ms() + 2 * kDayMs;
  const auto refused =
      issue::certificate_validity(*terms, config_.profiles[1], gate_->issuer(), 60'000,
                                  clock_.utc_ms() + kDayMs, clock_.utc_ms());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "validity-not-permitted");
}

TEST_F(StiTest, ListWithoutProviderCode_Pseudonym) {
  open();
  // [2] EXPLICIT IA5String "12155551212"
  const auto number = base64url_encode(*hex_decode("300fa20d160b3132313535353531323132"));
  const auto made = order(client_, {list(number)});
  vouch(list(number), made.ticket, clock_.utc_ms() + kDayMs);
  const auto reply = gate_->issue(client_.finalize(made, csr({extension(kListOid, number)})));
  ASSERT_TRUE(reply) << reply.error().code;
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  const auto pseudonym = "telephone-" + hex_encode(crypto::sha256(view_of(number))).substr(0, 32);
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", pseudonym}}));
}

TEST_F(StiTest, ListAndClaimConstraints_BothInTheCertificate) {
  open();
  for (const auto type : {wire::IdentifierType::kJwtClaimConstraints,
                          wire::IdentifierType::kEnhancedJwtClaimConstraints}) {
    const auto oid =
        type == wire::IdentifierType::kJwtClaimConstraints ? kConstraintsOid : kEnhancedOid;
    const auto claims = constraints(type);
    const auto made = order(client_, {list(), claims});
    vouch(list(), made.ticket, clock_.utc_ms() + kDayMs);
    vouch(claims, made.ticket, clock_.utc_ms() + kDayMs);
    // The CSR's own order does not matter.
    const auto reply = gate_->issue(
        client_.finalize(made, csr({extension(oid, claims.value), extension(kListOid, kList)})));
    ASSERT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
    const auto certificate = x509::parse_certificate(reply->chain[0]);
    ASSERT_NE(certificate->extension(oid), nullptr);
    EXPECT_EQ(certificate->extension(oid)->value, *base64url_decode(claims.value));
    EXPECT_FALSE(certificate->extension(oid)->critical);
    EXPECT_NE(certificate->extension(kListOid), nullptr);
  }
}

TEST_F(StiTest, OrderOfSeveralListsOrNone_ProfileIdentifiers) {
  open();
  const auto both = {list(), constraints(wire::IdentifierType::kJwtClaimConstraints),
                     constraints(wire::IdentifierType::kEnhancedJwtClaimConstraints)};
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order(both))), "profile-identifiers");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({list(), list(kOtherList)}))),
            "profile-identifiers");
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order({constraints(wire::IdentifierType::kJwtClaimConstraints)}))),
            "profile-identifiers");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({list(), dns("a.example")}))),
            "profile-identifiers");
}

TEST_F(StiTest, NoTelephoneProfile_ProfileIdentifiers) {
  config_.profiles.pop_back();
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({list()}))), "profile-identifiers");
}

TEST_F(StiTest, CsrAsksForSomethingElse_Refused) {
  open();
  EXPECT_EQ(answer(csr({})), "csr-names");
  EXPECT_EQ(answer(csr({extension(kListOid, kOtherList)})), "csr-names");
  EXPECT_EQ(answer(csr({extension(kConstraintsOid, kList)})), "csr-names");
  EXPECT_EQ(answer(csr({extension(kListOid, kList),
                        extension(kConstraintsOid,
                                  constraints(wire::IdentifierType::kJwtClaimConstraints).value)})),
            "csr-names");
  EXPECT_EQ(answer(csr({extension(kListOid, kList),
                        *x509::ext_subject_alt_name({dns("a.example")}, false)})),
            "csr-names");
  EXPECT_EQ(answer(csr({extension(kListOid, kList)}, "SHAKEN 1234")), "csr-names");
  EXPECT_EQ(answer(csr({extension(kListOid, kList), x509::ext_basic_constraints(true, 0)})),
            "csr-extension");
  EXPECT_EQ(token_.sign_calls, 0);
}

TEST_F(StiTest, KeyThatPassportCannotUse_CsrKeyRefused) {
  open();
  key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP384);
  EXPECT_EQ(answer(csr({extension(kListOid, kList)})), "csr-key-refused");
}

TEST_F(StiTest, ListInAServersCsr_CsrExtension) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(
                client_.finalize(made, csr({*x509::ext_subject_alt_name({dns("a.example")}, false),
                                            extension(kListOid, kList)})))),
            "csr-extension");
}

TEST_F(StiTest, NobodyVouches_GrantMissing) {
  open();
  const auto made = order(client_, {list()});
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr({extension(kListOid, kList)})))),
            "grant-missing");
  vouch(list(kOtherList), made.ticket, clock_.utc_ms() + kDayMs);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr({extension(kListOid, kList)})))),
            "grant-missing");
}

}  // namespace
}  // namespace keyward::test
