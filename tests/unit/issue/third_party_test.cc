// Tests of a vendor's devices and of tenants (D-T1 to D-T4): what may be ordered where, whose word
// counts for a MAC address and for the service behind a URI, and the certificate octet by octet.
#include "firmware/config/tenants.h"
#include "firmware/issue/profile_config.h"
#include "firmware/issue/tenants.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
using wire::IdentifierType;
using wire::ValidationMethod;

wire::Identifier mac(const std::string& value = "00:24:98:7b:19:02") {
  return {IdentifierType::kMac, value};
}
wire::Identifier uri(const std::string& value = "sip:phone@pbx.customer.example") {
  return {IdentifierType::kUri, value};
}
wire::Identifier hint(const std::string& value = "measured_boot") {
  return {IdentifierType::kRemoteAttestation, value};
}

class ThirdPartyTest : public GateTest {
 protected:
  ThirdPartyTest() {
    config_.profiles = {issue::make_profile("server", issue::ProfileKind::kServer, 90),
                        issue::make_profile("phone", issue::ProfileKind::kThirdParty, 365),
                        issue::make_profile("ak", issue::ProfileKind::kAttestationKey, 365)};
  }
  wire::GrantAuthority grant(const wire::Identifier& id, const std::string& ticket) const {
    wire::GrantAuthority out;
    out.thumbprint = client_.thumbprint();
    out.identifier = id;
    out.ticket = ticket;
    out.expires_at_ms = clock_.utc_ms() + kHourMs;
    out.method = ValidationMethod::kVendorJwt01;
    out.domains = {"customer.example"};
    return out;
  }
  void vouch(const wire::GrantAuthority& message) {
    const auto reply = gate_->grant_authority(message);
    EXPECT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
  }
  std::string refusal(const wire::GrantAuthority& message) {
    const auto reply = gate_->grant_authority(message);
    return reply ? "" : reply.error().code;
  }
  Bytes csr(const std::vector<wire::Identifier>& names) const {
    const auto out = x509::build_csr(*key_, names);
    EXPECT_TRUE(out);
    return out.value_or(Bytes());
  }
  std::string finalize(const wire::TicketMintReply& made,
                       const std::vector<wire::Identifier>& names) {
    return code(gate_->issue(client_.finalize(made, csr(names))));
  }
  std::string ordered(const std::string& identifiers, const std::string& more = "") {
    return code(gate_->mint_ticket(
        client_.new_order(R"({"identifiers":[)" + identifiers + "]" + more + "}")));
  }
};

TEST_F(ThirdPartyTest, Certificate_HoldsMacAndUriAlone) {
  open();
  const auto made = order(client_, {mac(), uri()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"));
  const auto reply = gate_->issue(client_.finalize(made, csr({mac(), uri()})));
  ASSERT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  ASSERT_TRUE(certificate);
  const auto wanted = x509::ext_subject_alt_name({mac(), uri()}, false);
  const auto* names = certificate->extension("2.5.29.17");
  ASSERT_NE(names, nullptr);
  EXPECT_EQ(x509::extension_der(names->oid, names->critical, names->value), *wanted);
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", "00:24:98:7b:19:02"}}));
  EXPECT_EQ(certificate->extended_key_usages(),
            (std::vector<std::string>{"1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"}));
}

TEST_F(ThirdPartyTest, UriThatTheOrderHasNot_CsrNames) {
  open();
  const auto made = order(client_, {mac()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"));
  EXPECT_EQ(finalize(made, {mac(), uri()}), "csr-names");
  EXPECT_EQ(finalize(made, {mac("00:24:98:7b:19:04")}), "csr-names");
}

TEST_F(ThirdPartyTest, CsrWithoutMacOrUri_CsrNames) {
  open();
  const auto made = order(client_, {mac(), uri()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"));
  EXPECT_EQ(finalize(made, {mac()}), "csr-names");
  EXPECT_EQ(finalize(made, {uri()}), "csr-names");
}

// A front end that changes the terms has no ticket for them.
TEST_F(ThirdPartyTest, UriAddedToTheTerms_TicketForged) {
  open();
  auto made = order(client_, {mac()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"));
  auto terms = wire::decode_body<wire::OrderTerms>(made.terms);
  ASSERT_TRUE(terms);
  terms->identifiers.push_back(uri());
  made.terms = wire::encode_body(*terms);
  EXPECT_EQ(finalize(made, {mac(), uri()}), "ticket-forged");
}

TEST_F(ThirdPartyTest, VendorsWordForAnotherOrder_GrantMissing) {
  open();
  const auto one = order(client_, {mac()});
  const auto other = order(client_, {mac()});
  vouch(grant(mac(), one.ticket));
  EXPECT_EQ(finalize(other, {mac()}), "grant-missing");
}

TEST_F(ThirdPartyTest, VendorsWordEnded_GrantExpired) {
  open();
  const auto made = order(client_, {mac()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"), 4 * kHourMs);
  clock_.advance(2 * kHourMs);
  EXPECT_EQ(finalize(made, {mac()}), "grant-expired");
}

TEST_F(ThirdPartyTest, ServiceOfADomainThatNoVendorNames_ServiceDomainMissing) {
  open();
  const auto elsewhere = uri("sip:phone@victim.example");
  const auto made = order(client_, {mac(), elsewhere});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("victim.example"));
  EXPECT_EQ(finalize(made, {mac(), elsewhere}), "service-domain-missing");
}

TEST_F(ThirdPartyTest, ServiceOfADomainThatIsNotTheAccounts_ServiceDomainUnproved) {
  open();
  const auto made = order(client_, {mac(), uri()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("other.example"));
  EXPECT_EQ(finalize(made, {mac(), uri()}), "service-domain-unproved");
  const TestClient stranger;
  prove(stranger, dns("customer.example"));
  EXPECT_EQ(finalize(made, {mac(), uri()}), "service-domain-unproved");
}

TEST_F(ThirdPartyTest, ServicesHostProvedInsteadOfTheDomain_Issued) {
  open();
  const auto made = order(client_, {mac(), uri()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("pbx.customer.example"));
  EXPECT_EQ(finalize(made, {mac(), uri()}), "issued");
}

TEST_F(ThirdPartyTest, MethodThatTheProfileRulesOut_GrantMethod) {
  config_.profiles[1].methods = {ValidationMethod::kTkauth01};
  open();
  const auto made = order(client_, {mac()});
  vouch(grant(mac(), made.ticket));
  EXPECT_EQ(finalize(made, {mac()}), "grant-method");
}

TEST_F(ThirdPartyTest, VendorsWordOnWhatIsNotItsOwn_GrantNotPermitted) {
  open();
  const auto made = order(client_, {mac()});
  const auto good = grant(mac(), made.ticket);
  auto wrong = good;
  wrong.identifier = {IdentifierType::kTnAuthList, "MAigBhYENzA5Sg"};
  wrong.domains.clear();
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");
  wrong.method = ValidationMethod::kTkauth01;
  wrong.not_after_max_ms = clock_.utc_ms() + kHourMs;
  wrong.domains = {"customer.example"};
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");  // a telephone identity has no service
  for (const auto& id : {uri(), hint(), dns("customer.example")}) {
    wrong = good;
    wrong.identifier = id;
    EXPECT_EQ(refusal(wrong), "grant-not-permitted") << id.value;
  }
  wrong = good;
  wrong.method = ValidationMethod::kDeviceAttest01;
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");
  wrong = good;
  wrong.ticket.clear();
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");
  wrong = good;
  wrong.not_after_max_ms = clock_.utc_ms() + kHourMs;  // said by an authority's token alone
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");
  wrong = good;
  wrong.method = ValidationMethod::kTkauth01;  // and by that one always (RFC 9447 §7)
  EXPECT_EQ(refusal(wrong), "grant-not-permitted");
}

TEST_F(ThirdPartyTest, VendorsWordInAnotherForm_IdentifierMalformed) {
  open();
  const auto made = order(client_, {mac()});
  auto wrong = grant(mac("00-24-98-7B-19-02"), made.ticket);
  EXPECT_EQ(refusal(wrong), "identifier-malformed");
  for (const auto* domain : {"Customer.example", "*.customer.example", "customer..example", ""}) {
    wrong = grant(mac(), made.ticket);
    wrong.domains = {domain};
    EXPECT_EQ(refusal(wrong), "identifier-malformed") << domain;
  }
}

TEST_F(ThirdPartyTest, DomainsOfAGrant_OutliveARestart) {
  open();
  const auto made = order(client_, {mac(), uri()});
  vouch(grant(mac(), made.ticket));
  prove(client_, dns("customer.example"));
  open();
  EXPECT_EQ(finalize(made, {mac(), uri()}), "issued");
}

TEST_F(ThirdPartyTest, UriOutsideTheInstallationsSubtrees_IdentifierNotPermitted) {
  config_.names.permitted_dns = {"plant.example"};
  open();
  const std::string device = R"({"type":"mac","value":"00-24-98-7B-19-02"},)";
  EXPECT_EQ(ordered(device + R"({"type":"uri","value":"sip:a.customer.example"})"),
            "identifier-not-permitted");
  EXPECT_EQ(ordered(device + R"({"type":"uri","value":"sip:a.plant.example"})"), "minted");
}

TEST_F(ThirdPartyTest, UriAloneOrBesideADomain_ProfileIdentifiers) {
  open();
  const std::string service = R"({"type":"uri","value":"sip:a.customer.example"})";
  EXPECT_EQ(ordered(service), "profile-identifiers");
  EXPECT_EQ(ordered(service + R"(,{"type":"dns","value":"a.customer.example"})"),
            "profile-identifiers");
}

// ---- attestation keys and remote attestations

TEST_F(ThirdPartyTest, ProfileOfAttestationKeys_IsNoOrders) {
  open();
  const std::string device = R"({"type":"permanent-identifier","value":"SN-1"})";
  EXPECT_EQ(ordered(device, R"(,"profile":"ak")"), "profile-identifiers");
  EXPECT_EQ(ordered(device), "profile-identifiers");  // nor chosen
  const auto infos = gate_->issuer_chain()->profiles;
  ASSERT_EQ(infos.size(), 3U);
  EXPECT_EQ(infos[0].methods, std::vector<std::string>{"attestation-ca"});
  EXPECT_TRUE(infos[0].identifier_types.empty());
}

TEST_F(ThirdPartyTest, OfferedAttestation_IsInTheTermsAndInNoCertificate) {
  open();
  const auto made = gate_->mint_ticket(
      client_.new_order(R"({"identifiers":[{"type":"remote-attestation","value":"measured-boot"},)"
                        R"({"type":"dns","value":"a.example"}]})"));
  ASSERT_TRUE(made) << made.error().code;
  const auto terms = wire::decode_body<wire::OrderTerms>(made->terms);
  EXPECT_EQ(terms->identifiers, (std::vector<wire::Identifier>{dns("a.example"), hint()}));
  EXPECT_FALSE(terms->attestations.has_value());
  prove(client_, dns("a.example"));
  const auto reply = gate_->issue(client_.finalize(*made, csr({dns("a.example")})));
  ASSERT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
}

TEST_F(ThirdPartyTest, OrderOfAttestationsAlone_ProfileIdentifiers) {
  open();
  EXPECT_EQ(ordered(R"({"type":"remote-attestation","value":"measured_boot"})"),
            "profile-identifiers");
}

// D-R4. The attestation stands in the terms; another profile in them is another ticket.
TEST_F(ThirdPartyTest, AttestationOfTheProfile_IsAskedForWhateverTheFrontEndSays) {
  config_.profiles[0].attestations = {"measured_boot"};
  auto plain = issue::make_profile("plain", issue::ProfileKind::kServer, 90);
  plain.preference = 200;
  config_.profiles.push_back(plain);
  open();
  auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  auto terms = wire::decode_body<wire::OrderTerms>(made.terms);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->attestations, std::vector<std::string>{"measured_boot"});
  EXPECT_EQ(finalize(made, {dns("a.example")}), "attestation-missing");
  terms->profile = "plain";
  terms->attestations.reset();
  made.terms = wire::encode_body(*terms);
  EXPECT_EQ(finalize(made, {dns("a.example")}), "ticket-forged");
}

// ---- tenants

class TenantTest : public ThirdPartyTest {
 protected:
  TenantTest() { config_.tenants = {{"vendor", {"customer"}}, {"customer", {}}, {"other", {}}}; }
};

TEST_F(TenantTest, NewOrderOfATenant_ByAnothersAccount_TenantNotDelegated) {
  open();
  const auto at = [&](const std::string& path) {
    const auto url = std::string(kBaseUrl) + path;
    return code(
        gate_->mint_ticket({client_.jwk(), client_.sign(url, TestClient::order_payload({mac()}))}));
  };
  EXPECT_EQ(at("/acme/t/vendor/new-order"), "tenant-not-delegated");
  EXPECT_EQ(at("/acme/t/nobody/new-order"), "jws-url");
  EXPECT_EQ(at("/acme/t/vendor/order"), "jws-url");
  EXPECT_EQ(at("/acme/new-order"), "minted");
}

TEST_F(TenantTest, CustomersAccountAtTheVendors_IsInTheTermsAndIssuedWhileDelegated) {
  open();
  const std::string kid = std::string(kBaseUrl) + "/acme/t/customer/account/1";
  const auto sign = [&](const std::string& path, const std::string& payload) {
    return client_.sign(std::string(kBaseUrl) + path, payload, kid);
  };
  const auto made = gate_->mint_ticket(
      {client_.jwk(), sign("/acme/t/vendor/new-order", TestClient::order_payload({mac()}))});
  ASSERT_TRUE(made) << made.error().code;
  EXPECT_EQ(wire::decode_body<wire::OrderTerms>(made->terms)->tenant, "vendor");
  vouch(grant(mac(), made->ticket));
  const wire::CertificateIssue request{
      client_.jwk(),
      sign("/acme/t/customer/order/" + made->ticket + "/finalize",
           R"({"csr":")" + base64url_encode(csr({mac()})) + R"("})"),
      made->terms};
  config_.tenants["vendor"].clear();
  open();
  EXPECT_EQ(code(gate_->issue(request)), "tenant-not-delegated");
  config_.tenants["vendor"] = {"customer"};
  open();
  EXPECT_EQ(code(gate_->issue(request)), "issued");
}

TEST(TenantNames, InUrls_AreReadWhole) {
  const issue::Tenants tenants{{"vendor", {}}};
  const std::string base = "https://ca.example";
  EXPECT_EQ(issue::place_in(base + "/acme/new-order", base, tenants)->path, "/new-order");
  EXPECT_EQ(issue::place_in(base + "/acme/new-order", base, tenants)->tenant, "");
  EXPECT_EQ(issue::place_in(base + "/acme/t/vendor/new-order", base, tenants)->tenant, "vendor");
  EXPECT_EQ(issue::place_in(base + "/acme/t/vendor/new-order", base, tenants)->path, "/new-order");
  for (const auto* wrong : {"/acme/t/none/new-order", "/acme/t/vendor", "/acme/t//new-order",
                            "/other/new-order", "/acme", ".evil/acme/new-order"}) {
    EXPECT_FALSE(issue::place_in(base + wrong, base, tenants)) << wrong;
  }
  EXPECT_EQ(issue::tenant_of_account(base + "/acme/t/vendor/account/1", base), "vendor");
  EXPECT_EQ(issue::tenant_of_account(base + "/acme/account/1", base), "");
  EXPECT_EQ(issue::tenant_of_account("https://b/acme/t/vendor/account/1", base), "");
}

TEST(TenantNames, Delegation_IsOneWay) {
  const issue::Tenants tenants{{"vendor", {"customer"}}, {"customer", {}}};
  const std::string base = "https://ca.example";
  const auto at = [&](const char* tenant, const std::string& account) {
    const auto verdict = issue::check_delegated(tenant, base + "/acme" + account, base, tenants);
    return verdict ? std::string() : verdict.error().code;
  };
  EXPECT_EQ(at("vendor", "/t/customer/account/1"), "");
  EXPECT_EQ(at("vendor", "/t/vendor/account/1"), "");
  EXPECT_EQ(at("", "/account/1"), "");
  EXPECT_EQ(at("customer", "/t/vendor/account/1"), "tenant-not-delegated");
  EXPECT_EQ(at("vendor", "/account/1"), "tenant-not-delegated");
  EXPECT_EQ(at("", "/t/customer/account/1"), "tenant-not-delegated");
}

TEST(TenantConfig, WrongNames_AreProblems) {
  const auto problem = [](const std::string& toml) {
    auto document = config::Document::parse(toml, "test");
    auto root = document.root();
    const auto tenants = config::read_tenants(root);
    EXPECT_TRUE(document.finish().empty());
    return tenants.problem;
  };
  EXPECT_EQ(problem("[tenants.vendor]\ndelegates=[\"customer\"]\n[tenants.customer]\n"), "");
  EXPECT_EQ(problem("[tenants.Vendor]\n"), "tenants.Vendor: a name has a-z, 0-9 and -, at most 32");
  EXPECT_EQ(problem("[tenants.vendor]\ndelegates=[\"custmer\"]\n[tenants.customer]\n"),
            "tenants.vendor: delegates names no other tenant: custmer");
  EXPECT_EQ(problem("[tenants.vendor]\ndelegates=[\"vendor\"]\n"),
            "tenants.vendor: delegates names no other tenant: vendor");
}

struct ReadTable {
  issue::ConfiguredProfiles profiles;
  std::string fault() const {
    const std::string prefix = "profiles.p: ";
    return profiles.problem.starts_with(prefix) ? profiles.problem.substr(prefix.size())
                                                : profiles.problem;
  }
};
ReadTable read_table(const std::string& lines) {
  auto document = config::Document::parse("[profiles.p]\n" + lines, "test");
  auto root = document.root();
  ReadTable out{issue::read_profiles(root, 365, 90)};
  // A fault ends the reading: what follows it is unknown then.
  if (out.profiles.problem.empty()) {
    EXPECT_TRUE(document.finish().empty());
  }
  return out;
}

TEST(ProfileTable, HoursPurposesAndAttestations_AreRead) {
  const auto read = read_table(
      "kind=\"server\"\nhours=8\npurposes=[\"clientAuth\"]\nattestations=[\"measured-boot\"]\n");
  EXPECT_EQ(read.fault(), "");
  const issue::Profiles profiles(read.profiles.profiles);
  const auto* profile = profiles.find("p");
  ASSERT_NE(profile, nullptr);
  EXPECT_EQ(profile->lifetime_ms, 8 * kHourMs);
  EXPECT_EQ(profile->purposes, std::vector<std::string>{"1.3.6.1.5.5.7.3.2"});
  EXPECT_EQ(profile->attestations, std::vector<std::string>{"measured_boot"});
  EXPECT_EQ(profiles.ak_profile(), nullptr);
  const issue::Profiles with_key(read_table("kind=\"attestation-key\"\n").profiles.profiles);
  ASSERT_NE(with_key.ak_profile(), nullptr);
  EXPECT_EQ(with_key.ak_profile()->name, "p");
}

TEST(ProfileTable, WhatCannotBe_DoesNotLoad) {
  const std::string server = "kind=\"server\"\n", key = "kind=\"attestation-key\"\n",
                    device = "kind=\"third-party\"\n", phone = "kind=\"sti\"\n";
  EXPECT_EQ(read_table(server + "days=1\nhours=1\n").fault(), "days or hours, not both");
  EXPECT_EQ(read_table(server + "purposes=[]\n").fault(), "purposes is empty");
  EXPECT_EQ(read_table(server + "purposes=[\"codeSigning\"]\n").fault(),
            "a purpose is clientAuth or serverAuth");
  EXPECT_EQ(read_table(server + "purposes=[\"clientAuth\",\"clientAuth\"]\n").fault(),
            "a purpose stands twice");
  for (const auto& kind : {key, phone}) {
    EXPECT_EQ(read_table(kind + "purposes=[\"clientAuth\"]\n").fault(),
              "purposes are for device, server and third-party");
  }
  EXPECT_EQ(read_table(server + "attestations=[\"Boot\"]\n").fault(),
            "an attestation's hint has a-z, 0-9, _ and -");
  EXPECT_EQ(read_table(server + "attestations=[\"a-b\",\"a_b\"]\n").fault(),
            "an attestation stands twice");
  const std::string no_order =
      "an attestation key has no order: no methods, attestations, star, wildcard or ip";
  EXPECT_EQ(read_table(key + "methods=[\"device-attest-01\"]\n").fault(), no_order);
  EXPECT_EQ(read_table(key + "attestations=[\"a\"]\n").fault(), no_order);
  EXPECT_EQ(read_table(device + "methods=[\"dns-01\"]\n").fault(),
            "a method that proves nothing for this kind");
  EXPECT_EQ(read_table(device + "star=true\n").fault(),
            "no renewal beyond an authority's token (RFC 9447)");
  EXPECT_EQ(read_table(key + "[profiles.q]\n" + key).fault(), "profiles: two for attestation keys");
}

}  // namespace
}  // namespace keyward::test
