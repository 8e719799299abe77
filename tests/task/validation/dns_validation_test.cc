// dns-01, dns-account-01, dns-persist-01 and CAA against the real keyward-validation and a DNS
// server that misbehaves as told, DNSSEC included.
#include <fstream>

#include "firmware/validate/dns_look.h"
#include "tests/support/dns_server/dnssec.h"
#include "tests/task/validation/validation_stage.h"

namespace keyward::validate {
namespace {

using test::DnsBehaviour;
using wire::IdentifierType;
using wire::ValidationMethod;
namespace dns = test::dns;

constexpr const char* kChallengeName = "_acme-challenge.host.plant.example";

class DnsValidationTest : public ValidationStage {
 protected:
  wire::NameValidate dns01(const std::string& name = "host.plant.example") {
    return request_of(mint_request(ValidationMethod::kDns01, name));
  }
  // A request whose right record stands in the DNS.
  wire::NameValidate prepared(const std::string& name = "host.plant.example") {
    auto request = dns01(name);
    dns_.remove("_acme-challenge." + name, dns::kTxt);
    dns_.add("_acme-challenge." + name, dns::kTxt, dns::txt(txt_for(request)));
    return request;
  }
};

// ---- dns-01

TEST_F(DnsValidationTest, Dns01_RightRecord_IsValidAndGranted) {
  start();
  EXPECT_EQ(outcome(prepared()), "valid") << last_detail_;
  const auto granted = grants();
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(granted[0].thumbprint, thumbprint_);
  EXPECT_EQ(granted[0].identifier.value, "host.plant.example");
  EXPECT_EQ(granted[0].method, ValidationMethod::kDns01);
  EXPECT_FALSE(granted[0].wildcard || granted[0].subtree || granted[0].ticket);
  EXPECT_FALSE(granted[0].account_url);
  EXPECT_EQ(last_.grant_expires_at_ms - last_.validated_at_ms, 24 * kHourMs);
}

TEST_F(DnsValidationTest, Dns01_OneOfSeveralRecords_IsValid) {
  start();
  const auto request = prepared();
  for (int i = 0; i < 20; ++i)
    dns_.add(kChallengeName, dns::kTxt, dns::txt("another-" + std::to_string(i)));
  EXPECT_EQ(outcome(request), "valid");
}

TEST_F(DnsValidationTest, Dns01_WildcardAndSubtree_AreGrantedAsAsked) {
  start();
  auto mint = mint_request(ValidationMethod::kDns01);
  mint.wildcard = true;
  auto request = request_of(mint);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid");
  request.wildcard = false;
  EXPECT_EQ(outcome(request), "refused challenge-token-forged");
  mint.wildcard = false;
  mint.subtree = true;
  request = request_of(mint);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid");
  request.subtree = false;
  EXPECT_EQ(outcome(request), "refused challenge-token-forged");
  const auto granted = grants();
  ASSERT_EQ(granted.size(), 2u);
  EXPECT_TRUE(granted[0].wildcard && !granted[0].subtree);
  EXPECT_TRUE(!granted[1].wildcard && granted[1].subtree);
}

TEST_F(DnsValidationTest, Dns01_OtherContent_IsRefusedAndNotEchoed) {
  start();
  const auto request = dns01();
  dns_.add(kChallengeName, dns::kTxt, dns::txt("secret-of-the-zone"));
  EXPECT_EQ(outcome(request), "incorrectResponse dns.content");
  EXPECT_EQ(last_detail_.find("secret"), std::string::npos);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request) + " "));
  dns_.add(kChallengeName, dns::kTxt, dns::txt(""));
  EXPECT_EQ(outcome(request), "incorrectResponse dns.content");
  EXPECT_TRUE(grants().empty());
}

TEST_F(DnsValidationTest, Dns01_NothingThere_IsADnsProblemAndSeenAtOnceWhenItComes) {
  start();
  const auto request = dns01();
  EXPECT_EQ(outcome(request), "dns dns.nxdomain");
  dns_.add(kChallengeName, dns::kA, dns::a(127, 0, 0, 1));
  EXPECT_EQ(outcome(request), "dns dns.no-data");
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid");
  // And seen at once when it goes: nothing is kept, whatever its TTL.
  dns_.remove(kChallengeName, dns::kTxt);
  EXPECT_EQ(outcome(request), "dns dns.no-data");
}

TEST_F(DnsValidationTest, Dns01_ServersFail_IsADnsProblem) {
  start("dns_total_ms = 3000\n");
  const auto request = prepared();
  dns_.behave(kChallengeName, DnsBehaviour::kServfail);
  EXPECT_EQ(outcome(request), "dns dns.servfail");
  dns_.behave(kChallengeName, DnsBehaviour::kAnswer);
  EXPECT_EQ(outcome(request), "valid");
}

TEST_F(DnsValidationTest, Dns01_SilenceOrGarbage_EndsAtTheDeadline) {
  start("dns_total_ms = 700\n");
  const auto request = prepared();
  for (const auto behaviour : {DnsBehaviour::kSilent, DnsBehaviour::kGarbage}) {
    dns_.behave(kChallengeName, behaviour);
    const auto before = system_clock().monotonic_ms();
    EXPECT_EQ(outcome(request), "dns dns.timeout");
    EXPECT_LT(system_clock().monotonic_ms() - before, 5'000);
  }
  EXPECT_TRUE(grants().empty());
}

TEST_F(DnsValidationTest, Dns01_CnameChain_IsFollowed) {
  start();
  const auto request = dns01();
  dns_.add_cname(kChallengeName, "a.delegated.example");
  dns_.add_cname("a.delegated.example", "b.delegated.example");
  dns_.add_cname("b.delegated.example", "c.delegated.example");
  dns_.add("c.delegated.example", dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
}

TEST_F(DnsValidationTest, Dns01_CnameToNowhere_IsNxdomain) {
  start();
  dns_.add_cname(kChallengeName, "nowhere.delegated.example");
  EXPECT_EQ(outcome(dns01()), "dns dns.nxdomain");
}

TEST_F(DnsValidationTest, Dns01_CnameLoopOrEndlessChain_IsADnsProblem) {
  start("dns_total_ms = 8000\n");
  dns_.add_cname(kChallengeName, "a.delegated.example");
  dns_.add_cname("a.delegated.example", "b.delegated.example");
  dns_.add_cname("b.delegated.example", "a.delegated.example");
  const auto looped = outcome(dns01());
  EXPECT_TRUE(looped == "dns dns.servfail" || looped == "dns dns.no-data") << looped;
  const auto request = dns01("long.plant.example");
  dns_.add_cname("_acme-challenge.long.plant.example", "n0.chain.example");
  for (int i = 0; i < 30; ++i)
    dns_.add_cname("n" + std::to_string(i) + ".chain.example",
                   "n" + std::to_string(i + 1) + ".chain.example");
  dns_.add("n30.chain.example", dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "dns dns.servfail");
  EXPECT_TRUE(grants().empty());
}

TEST_F(DnsValidationTest, Dns01_TruncatedOverUdp_IsAskedAgainOverTcp) {
  start();
  const auto request = prepared();
  dns_.behave(kChallengeName, DnsBehaviour::kTruncate);
  EXPECT_EQ(outcome(request), "valid");
  EXPECT_GE(dns_.tcp_queries(), 1);
}

TEST_F(DnsValidationTest, Dns01_AnswerTooLargeForUdp_ComesOverTcp) {
  start();
  const auto request = prepared();
  for (int i = 0; i < 12; ++i)
    dns_.add(kChallengeName, dns::kTxt, dns::txt(std::string(200, static_cast<char>('a' + i))));
  EXPECT_EQ(outcome(request), "valid");
  EXPECT_GE(dns_.tcp_queries(), 1);
}

TEST_F(DnsValidationTest, Dns01_TruncatedAndTcpBroken_IsADnsProblem) {
  start("dns_total_ms = 2000\n");
  const auto request = prepared();
  dns_.behave(kChallengeName, DnsBehaviour::kTcpSilent);
  const auto got = outcome(request);
  EXPECT_TRUE(got == "dns dns.servfail" || got == "dns dns.timeout") << got;
}

TEST_F(DnsValidationTest, Dns01_MoreRecordsThanAreRead_IsRefusedWhole) {
  start();
  const auto request = prepared();
  for (std::size_t i = 0; i < limits::kDnsRecordsMax; ++i)
    dns_.add(kChallengeName, dns::kTxt, dns::txt("other-" + std::to_string(i)));
  EXPECT_EQ(outcome(request), "dns dns.too-large");
}

TEST_F(DnsValidationTest, Dns01_NameTooLongForItsLabel_IsADnsProblem) {
  start();
  const std::string label(60, 'a');
  const auto name = label + "." + label + "." + label + "." + label + ".example";
  EXPECT_EQ(outcome(dns01(name)), "dns dns.name");
}

TEST_F(DnsValidationTest, DnsMethods_ForAnAddress_AreRefused) {
  start();
  for (const auto method : {ValidationMethod::kDns01, ValidationMethod::kDnsAccount01}) {
    auto mint = mint_request(method);
    mint.identifier = {IdentifierType::kIp, "127.0.0.1"};
    EXPECT_EQ(validation_->call(mint).error().code, "identifier-unsupported");
  }
}

TEST_F(DnsValidationTest, KeyChanged_TokenOfTheOldKeyProvesTheNewOne) {
  start();
  const auto old = dns01();
  auto request = old;
  request.thumbprint.fill(0x77);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(old)));
  EXPECT_EQ(outcome(request), "refused challenge-token-forged");
  request.earlier_keys = {{thumbprint_}};
  EXPECT_EQ(outcome(request), "incorrectResponse dns.content");  // the old key's record
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid");
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].thumbprint, request.thumbprint);
}

TEST_F(DnsValidationTest, EmptyTicket_IsAnAuthorizationForAnyOrder) {
  start();
  auto mint = mint_request(ValidationMethod::kDns01);
  mint.ticket.clear();
  auto request = request_of(mint);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid");
  request.ticket = "ticket-1";
  EXPECT_EQ(outcome(request), "refused challenge-token-forged");
}

// ---- DNSSEC

class DnssecTest : public DnsValidationTest {
 protected:
  void start_signed() {
    std::ofstream(directory_ + "/anchor") << zone_.anchor();
    resolver_more_ = "trust_anchor = \"" + directory_ + "/anchor\"\n";
    zone_.publish_keys(dns_);
    start();
  }
  static constexpr const char* kSigned = "_acme-challenge.host.signed.example";
  test::SignedZone zone_{"signed.example"};
};

TEST_F(DnssecTest, ValidSignature_IsValid) {
  start_signed();
  const auto request = prepared("host.signed.example");
  dns_.add(kSigned, dns::kRrsig, zone_.sign(kSigned, dns::kTxt, {dns::txt(txt_for(request))}));
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
  EXPECT_GE(dns_.asked("signed.example", dns::kDnskey), 1);
}

TEST_F(DnssecTest, BrokenSignature_IsBogus) {
  start_signed();
  const auto request = prepared("host.signed.example");
  auto signature = zone_.sign(kSigned, dns::kTxt, {dns::txt(txt_for(request))});
  signature.back() ^= 1;
  dns_.add(kSigned, dns::kRrsig, signature);
  EXPECT_EQ(outcome(request), "dns dns.bogus");
  EXPECT_TRUE(grants().empty());
}

TEST_F(DnssecTest, SignatureOverOtherContent_IsBogus) {
  start_signed();
  const auto request = prepared("host.signed.example");
  dns_.add(kSigned, dns::kRrsig, zone_.sign(kSigned, dns::kTxt, {dns::txt("what was signed")}));
  EXPECT_EQ(outcome(request), "dns dns.bogus");
}

TEST_F(DnssecTest, ExpiredSignature_IsBogus) {
  start_signed();
  const auto request = prepared("host.signed.example");
  const auto now_s = system_clock().utc_ms() / 1'000;
  dns_.add(kSigned, dns::kRrsig,
           zone_.sign(kSigned, dns::kTxt, {dns::txt(txt_for(request))},
                      {now_s - 30 * 86'400, now_s - 20 * 86'400}));
  EXPECT_EQ(outcome(request), "dns dns.bogus");
}

TEST_F(DnssecTest, SignatureStripped_IsBogus) {
  start_signed();
  EXPECT_EQ(outcome(prepared("host.signed.example")), "dns dns.bogus");
  EXPECT_EQ(outcome(dns01("absent.signed.example")), "dns dns.bogus");  // denial without a proof
}

TEST_F(DnssecTest, KeysOfAnotherZoneOwner_AreBogus) {
  std::ofstream(directory_ + "/anchor") << test::SignedZone("signed.example").anchor();
  resolver_more_ = "trust_anchor = \"" + directory_ + "/anchor\"\n";
  zone_.publish_keys(dns_);
  start();
  const auto request = prepared("host.signed.example");
  dns_.add(kSigned, dns::kRrsig, zone_.sign(kSigned, dns::kTxt, {dns::txt(txt_for(request))}));
  EXPECT_EQ(outcome(request), "dns dns.bogus");
}

TEST_F(DnssecTest, UnsignedZoneOutsideTheAnchor_IsValid) {
  start_signed();
  EXPECT_EQ(outcome(prepared()), "valid") << last_detail_;
}

// ---- CAA

class CaaTest : public DnsValidationTest {
 protected:
  void start_caa() { start("caa_identities = [\"ca.example\", \"ca2.example\"]\n"); }
  void issue(const std::string& name, const std::string& value, std::uint8_t flags = 0) {
    dns_.add(name, dns::kCaa, dns::caa(flags, "issue", value));
  }
};

TEST_F(CaaTest, NoRecordAnywhere_IsValidForEightHours) {
  start_caa();
  EXPECT_EQ(outcome(prepared()), "valid") << last_detail_;
  EXPECT_EQ(last_.grant_expires_at_ms - last_.validated_at_ms, 8 * kHourMs);
  EXPECT_EQ(dns_.asked("host.plant.example", dns::kCaa), 1);
  EXPECT_EQ(dns_.asked("plant.example", dns::kCaa), 1);
  EXPECT_EQ(dns_.asked("example", dns::kCaa), 1);
}

TEST_F(CaaTest, WithoutIdentities_IsNotConsulted) {
  start();
  issue("host.plant.example", ";");
  EXPECT_EQ(outcome(prepared()), "valid");
  EXPECT_EQ(dns_.asked("host.plant.example", dns::kCaa), 0);
}

TEST_F(CaaTest, ForbiddenAtTheName_IsRefused) {
  start_caa();
  issue("host.plant.example", "other-ca.example");
  issue("plant.example", "ca.example");  // the nearest set alone counts
  EXPECT_EQ(outcome(prepared()), "caa caa.forbidden");
  EXPECT_TRUE(grants().empty());
}

TEST_F(CaaTest, ForbiddenAtAParent_IsRefused) {
  start_caa();
  issue("example", ";");
  EXPECT_EQ(outcome(prepared()), "caa caa.forbidden");
  EXPECT_NE(last_detail_.find("example"), std::string::npos);
  issue("plant.example", "CA2.example; x=y");
  EXPECT_EQ(outcome(prepared()), "valid") << last_detail_;
}

TEST_F(CaaTest, CnameAtTheName_LeadsToTheTargetsRecords) {
  start_caa();
  dns_.add_cname("host.plant.example", "target.elsewhere.example");
  issue("target.elsewhere.example", "other-ca.example");
  EXPECT_EQ(outcome(prepared()), "caa caa.forbidden");
}

TEST_F(CaaTest, AccountUri_IsHeldAndGranted) {
  start_caa();
  issue("plant.example", std::string("ca.example; accounturi=") + kAccountUrl);
  auto request = prepared();
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
  EXPECT_EQ(grants().at(0).account_url, kAccountUrl);
  request.account_url = "https://ca.example/acme/acct/2";
  EXPECT_EQ(outcome(request), "caa caa.account");
  request.account_url = "";
  EXPECT_EQ(outcome(request), "caa caa.account");
  EXPECT_EQ(grants().size(), 1u);
}

TEST_F(CaaTest, ValidationMethods_AreHeld) {
  start_caa();
  issue("plant.example", "ca.example; validationmethods=http-01,tls-alpn-01");
  EXPECT_EQ(outcome(prepared()), "caa caa.method");
  issue("plant.example", "ca.example; validationmethods=ca-own,dns-01");
  EXPECT_EQ(outcome(prepared()), "valid") << last_detail_;
}

TEST_F(CaaTest, Wildcard_IsHeldByIssuewild) {
  start_caa();
  issue("plant.example", "ca.example");
  dns_.add("plant.example", dns::kCaa, dns::caa(0, "issuewild", ";"));
  EXPECT_EQ(outcome(prepared()), "valid");
  auto mint = mint_request(ValidationMethod::kDns01);
  mint.wildcard = true;
  const auto request = request_of(mint);
  dns_.add(kChallengeName, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "caa caa.forbidden");
  dns_.add("plant.example", dns::kCaa, dns::caa(0, "issuewild", "ca.example"));
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
}

TEST_F(CaaTest, CriticalUnknownTag_IsRefused) {
  start_caa();
  issue("plant.example", "ca.example");
  dns_.add("plant.example", dns::kCaa, dns::caa(0, "future", "x"));
  EXPECT_EQ(outcome(prepared()), "valid");
  dns_.add("plant.example", dns::kCaa, dns::caa(128, "future", "x"));
  EXPECT_EQ(outcome(prepared()), "caa caa.critical");
}

TEST_F(CaaTest, MalformedValue_DoesNotAuthorise) {
  start_caa();
  issue("plant.example", "ca.example; accounturi");
  EXPECT_EQ(outcome(prepared()), "caa caa.malformed");
}

TEST_F(CaaTest, LookupFails_IsRefusedAsDns) {
  start_caa();
  dns_.behave("plant.example", DnsBehaviour::kServfail);
  EXPECT_EQ(outcome(prepared()), "dns dns.servfail");
  EXPECT_NE(last_detail_.find("CAA"), std::string::npos);
  EXPECT_TRUE(grants().empty());
}

TEST_F(CaaTest, BogusRecords_AreRefusedAsDns) {
  test::SignedZone zone("signed.example");
  std::ofstream(directory_ + "/anchor") << zone.anchor();
  resolver_more_ = "trust_anchor = \"" + directory_ + "/anchor\"\n";
  zone.publish_keys(dns_);
  start_caa();
  const std::string name = "_acme-challenge.host.signed.example";
  const auto request = prepared("host.signed.example");
  dns_.add(name, dns::kRrsig, zone.sign(name, dns::kTxt, {dns::txt(txt_for(request))}));
  issue("host.signed.example", "ca.example");  // unsigned in a signed zone
  EXPECT_EQ(outcome(request), "dns dns.bogus");
  dns_.add("host.signed.example", dns::kRrsig,
           zone.sign("host.signed.example", dns::kCaa, {dns::caa(0, "issue", "ca.example")}));
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
}

TEST_F(CaaTest, Subtree_IsRefusedSinceNamesBelowAreNotLookedUp) {
  start_caa();
  auto mint = mint_request(ValidationMethod::kDns01);
  mint.subtree = true;
  EXPECT_EQ(validation_->call(mint).error().code, "subtree-caa");
}

// ---- dns-account-01

TEST_F(DnsValidationTest, DnsAccount01_RightRecord_IsGrantedForThatAccountUrl) {
  start();
  auto request = request_of(mint_request(ValidationMethod::kDnsAccount01));
  const auto name = account_label(kAccountUrl) + "." + kChallengeName;
  EXPECT_EQ(outcome(request), "dns dns.nxdomain");
  EXPECT_NE(last_detail_.find(kAccountUrl), std::string::npos);
  dns_.add(name, dns::kTxt, dns::txt("wrong"));
  EXPECT_EQ(outcome(request), "incorrectResponse dns.content");
  dns_.add(name, dns::kTxt, dns::txt(txt_for(request)));
  EXPECT_EQ(outcome(request), "valid") << last_detail_;
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].account_url, kAccountUrl);
  EXPECT_EQ(grants()[0].method, ValidationMethod::kDnsAccount01);
  request.account_url = "https://ca.example/acme/acct/2";
  EXPECT_EQ(outcome(request), "dns dns.nxdomain");
  request.account_url = "";
  EXPECT_EQ(outcome(request), "refused account-url-missing");
}

// ---- dns-persist-01

class DnsPersistTest : public DnsValidationTest {
 protected:
  static constexpr const char* kPrefix = "https://ca.example/account-hash/";
  static constexpr const char* kName = "_validation-persist.host.plant.example";
  void start_persist(const std::string& more = "") {
    start(std::string("persist_issuer_names = [\"ca.example\"]\naccount_hash_prefix = \"") +
          kPrefix + "\"\n" + more);
  }
  wire::NameValidate persist(bool wildcard = false) const {
    const auto mint = mint_request(ValidationMethod::kDnsPersist01);
    return {mint.thumbprint,
            mint.identifier,
            wildcard,
            mint.ticket,
            mint.method,
            mint.expires_at_ms,
            "",
            false,
            kAccountUrl,
            {}};
  }
  void publish(const std::string& text) {
    dns_.remove(kName, dns::kTxt);
    dns_.add(kName, dns::kTxt, dns::txt(text));
  }
  std::string uri(const Digest256& thumbprint, std::string_view domain = "host.plant.example") {
    return hashed_account_uri(kPrefix, domain, thumbprint, kAccountUrl);
  }
};

TEST_F(DnsPersistTest, RightRecord_IsValidInBothFormsOfTheDomain) {
  start_persist();
  EXPECT_EQ(outcome(persist()), "dns dns.nxdomain");
  publish("ca.example; accounturi=" + uri(thumbprint_) + "; future=x");
  EXPECT_EQ(outcome(persist()), "valid") << last_detail_;
  publish("CA.example;accounturi=" + uri(thumbprint_, "*"));
  EXPECT_EQ(outcome(persist()), "valid") << last_detail_;
  ASSERT_EQ(grants().size(), 2u);
  EXPECT_EQ(grants()[0].account_url, kAccountUrl);
  EXPECT_EQ(grants()[0].thumbprint, thumbprint_);
}

TEST_F(DnsPersistTest, EarlierKey_MatchesAndTheGrantCarriesIt) {
  start_persist();
  Digest256 earlier{};
  earlier.fill(0x11);
  publish("ca.example; accounturi=" + uri(earlier));
  auto request = persist();
  EXPECT_EQ(outcome(request), "unauthorized dns-persist.account");
  request.earlier_keys = {{Digest256{}}, {earlier}};
  EXPECT_EQ(outcome(request), "valid");
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].thumbprint, earlier);
}

TEST_F(DnsPersistTest, Wildcard_NeedsThePolicy) {
  start_persist();
  publish("ca.example; accounturi=" + uri(thumbprint_));
  EXPECT_EQ(outcome(persist(true)), "unauthorized dns-persist.policy");
  publish("ca.example; accounturi=" + uri(thumbprint_) + "; policy=Wildcard");
  EXPECT_EQ(outcome(persist(true)), "valid");
  EXPECT_TRUE(grants().at(0).wildcard);
}

TEST_F(DnsPersistTest, PersistUntil_LimitsTheGrant) {
  start_persist();
  const auto now_s = system_clock().utc_ms() / 1'000;
  const auto record = "ca.example; accounturi=" + uri(thumbprint_) + "; persistUntil=";
  publish(record + std::to_string(now_s + 1'000));
  EXPECT_EQ(outcome(persist()), "valid");
  EXPECT_EQ(last_.grant_expires_at_ms, (now_s + 1'000) * 1'000);
  EXPECT_EQ(grants().at(0).expires_at_ms, last_.grant_expires_at_ms);
  for (const std::string& until : {std::to_string(now_s - 1), std::string("soon"),
                                   std::string("-1"), std::string("99999999999999999999")}) {
    publish(record + until);
    EXPECT_EQ(outcome(persist()), "unauthorized dns-persist.expired") << until;
  }
}

TEST_F(DnsPersistTest, OtherIssuerOrUnreadable_IsRefused) {
  start_persist();
  for (const auto& text :
       {"other.example; accounturi=" + uri(thumbprint_),
        "ca.example; accounturi=" + uri(thumbprint_) + ";", "; accounturi=" + uri(thumbprint_),
        std::string("nonsense = 1"),
        "ca.example; accounturi=" + uri(thumbprint_) + "; accounturi=" + uri(thumbprint_)}) {
    publish(text);
    EXPECT_EQ(outcome(persist()), "unauthorized dns-persist.issuer") << text;
  }
  publish("ca.example");
  EXPECT_EQ(outcome(persist()), "unauthorized dns-persist.account");
  publish(std::string("ca.example; accounturi=") + kAccountUrl);  // the form of -00
  EXPECT_EQ(outcome(persist()), "unauthorized dns-persist.account");
  publish("ca.example; accounturi=" + uri(thumbprint_, "other.plant.example"));
  EXPECT_EQ(outcome(persist()), "unauthorized dns-persist.account");
  EXPECT_TRUE(grants().empty());
}

TEST_F(DnsPersistTest, WithoutConfiguration_IsUnsupported) {
  start();
  EXPECT_EQ(outcome(persist()), "refused method-unsupported");
}

}  // namespace
}  // namespace keyward::validate
