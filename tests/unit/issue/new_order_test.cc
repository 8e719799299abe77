// Tests of what a newOrder may ask for: validity, identifiers all at once, subtrees of addresses,
// domains above a name; and of the profiles that decide it.
#include <ctime>

#include "firmware/issue/profile_config.h"
#include "firmware/issue/timestamp.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;

std::string utc(std::int64_t ms) {
  const std::time_t seconds = ms / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// ---- times

TEST(Timestamp, Rfc3339_ReadStrictly) {
  const auto ms = [](const char* text) { return issue::parse_rfc3339(text).value_or(-1); };
  EXPECT_EQ(ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ms("2026-11-22T18:40:27Z"), 1'795'372'827'000);
  EXPECT_EQ(ms("2026-11-22t18:40:27.000z"), 1'795'372'827'000);
  EXPECT_EQ(ms("2026-11-22T19:40:27+01:00"), 1'795'372'827'000);
  EXPECT_EQ(ms("2026-11-22T10:10:27-08:30"), 1'795'372'827'000);
  EXPECT_EQ(ms("2024-02-29T00:00:00Z"), 1'709'164'800'000);
  for (const char* wrong : {"",
                            "2026-11-22",
                            "2026-11-22T18:40Z",
                            "2026-11-22 18:40:27Z",
                            "2026-11-22T18:40:27",
                            "2026-11-22T18:40:27.5Z",
                            "2026-11-22T18:40:27.Z",
                            "2026-11-22T18:40:60Z",
                            "2026-11-22T24:00:00Z",
                            "2026-11-22T18:60:00Z",
                            "2026-02-29T00:00:00Z",
                            "2026-13-01T00:00:00Z",
                            "2026-00-01T00:00:00Z",
                            "2026-01-00T00:00:00Z",
                            "2026-11-22T18:40:27Z ",
                            " 2026-11-22T18:40:27Z",
                            "2026-11-22T18:40:27+0100",
                            "2026-11-22T18:40:27+24:00",
                            "2026-11-22T18:40:27+01:60",
                            "26-11-22T18:40:27Z",
                            "+026-11-22T18:40:27Z",
                            "1949-12-31T23:59:59Z",
                            "2026-11-22T18:40:27.0000000000Z"}) {
    EXPECT_EQ(ms(wrong), -1) << wrong;
  }
}

// ---- validity

class NewOrderTest : public GateTest {
 protected:
  std::string asked(const std::string& members) {
    return code(gate_->mint_ticket(client_.new_order(
        R"({"identifiers":[{"type":"dns","value":"a.example"}],)" + members + "}")));
  }
  static std::string member(const char* name, std::int64_t ms) {
    return std::string("\"") + name + "\":\"" + utc(ms) + "\"";
  }
  issue::Verdict<wire::CertificateIssueReply> issue_with(const std::string& members) {
    auto made = gate_->mint_ticket(client_.new_order(
        R"({"identifiers":[{"type":"dns","value":"a.example"}],)" + members + "}"));
    EXPECT_TRUE(made) << made.error().code << " " << made.error().detail;
    if (!made) return tl::unexpected(made.error());
    prove(client_, dns("a.example"));
    return gate_->issue(client_.finalize(*made, make_csr(*key_, {dns("a.example")})));
  }
};

TEST_F(NewOrderTest, Validity_AsAsked_ToTheSecond) {
  open();
  const auto begin_ms = (clock_.utc_ms() + kDayMs) / 1'000 * 1'000;
  const auto reply =
      issue_with(member("notBefore", begin_ms) + "," + member("notAfter", begin_ms + kDayMs));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->not_before_ms, begin_ms);
  EXPECT_EQ(reply->not_after_ms, begin_ms + kDayMs);
  const auto certificate = x509::parse_certificate(reply->chain[0]);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->not_before_ms, begin_ms);
  EXPECT_EQ(certificate->not_after_ms, begin_ms + kDayMs);
}

TEST_F(NewOrderTest, Validity_OneEndAsked_TheOtherByTheProfile) {
  open();
  const auto begin_ms = (clock_.utc_ms() + kDayMs) / 1'000 * 1'000;
  const auto first = issue_with(member("notBefore", begin_ms));
  ASSERT_TRUE(first) << first.error().code;
  EXPECT_EQ(first->not_before_ms, begin_ms);
  EXPECT_EQ(first->not_after_ms, begin_ms + 90 * kDayMs - 1'000);
  const auto second = issue_with(member("notAfter", begin_ms));
  ASSERT_TRUE(second) << second.error().code;
  EXPECT_EQ(second->not_after_ms, begin_ms);
  EXPECT_LE(second->not_before_ms, clock_.utc_ms() - 60'000);
}

TEST_F(NewOrderTest, Validity_OutsideTheRules_NotPermitted) {
  open();
  const auto now_ms = clock_.utc_ms() / 1'000 * 1'000;
  EXPECT_EQ(asked(member("notBefore", now_ms - 60'000)), "minted");
  EXPECT_EQ(asked(member("notBefore", now_ms + 30 * kDayMs)), "minted");
  EXPECT_EQ(asked(member("notAfter", now_ms + 90 * kDayMs - 1'000)), "minted");
  for (const auto& wrong : std::vector<std::string>{
           R"("notBefore":"tomorrow")", R"("notAfter":1)", R"("notAfter":null)",
           R"("notAfter":"2027-01-01T00:00:00.5Z")", member("notBefore", now_ms - 62'000),
           member("notBefore", now_ms + 30 * kDayMs + 2'000), member("notAfter", now_ms),
           member("notAfter", now_ms - kDayMs), member("notAfter", now_ms + 90 * kDayMs),
           member("notBefore", now_ms + kDayMs) + "," + member("notAfter", now_ms + kDayMs),
           member("notBefore", now_ms + kDayMs) + "," + member("notAfter", now_ms + 91 * kDayMs)}) {
    EXPECT_EQ(asked(wrong), "validity-not-permitted") << wrong;
  }
}

TEST_F(NewOrderTest, Validity_BeyondTheIssuer_NotPermitted) {
  ca_spec_.not_after_ms = clock_.utc_ms() + 10 * kDayMs;
  open();
  EXPECT_EQ(asked(member("notAfter", clock_.utc_ms() + 11 * kDayMs)), "validity-not-permitted");
  EXPECT_EQ(asked(member("notBefore", clock_.utc_ms() + 11 * kDayMs)), "validity-not-permitted");
  const auto reply = issue_with(member("notBefore", clock_.utc_ms() + kDayMs));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->not_after_ms, gate_->issuer().certificate.not_after_ms);
}

TEST_F(NewOrderTest, Validity_OverByTheTimeOfTheFinalize_NotPermitted) {
  open();
  auto made = gate_->mint_ticket(
      client_.new_order(R"({"identifiers":[{"type":"dns","value":"a.example"}],)" +
                        member("notAfter", clock_.utc_ms() + kHourMs) + "}"));
  ASSERT_TRUE(made);
  clock_.advance(2 * kHourMs);
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(client_.finalize(*made, make_csr(*key_, {dns("a.example")})))),
            "validity-not-permitted");
}

// ---- identifiers

TEST_F(NewOrderTest, SeveralFaultyIdentifiers_AllAreNamed) {
  config_.names.permitted_dns = {"plant.example"};
  open();
  const auto refused = gate_->mint_ticket(client_.new_order(R"({"identifiers":[
      {"type":"dns","value":"ok.plant.example"},
      {"type":"dns","value":"a..b"},
      {"type":"dns","value":"Bank.example"},
      {"type":"ip","value":"300.1.1.1"},
      {"type":"email","value":"a@b.example"}]})"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "identifiers-refused");
  const auto& faults = refused.error().faults;
  ASSERT_EQ(faults.size(), 3u);
  EXPECT_EQ(faults[0].identifier, dns("a..b"));
  EXPECT_EQ(faults[0].code, "identifier-malformed");
  EXPECT_EQ(faults[1].identifier, dns("Bank.example"));  // as the client wrote it
  EXPECT_EQ(faults[1].code, "identifier-not-permitted");
  EXPECT_FALSE(faults[1].detail.empty());
  EXPECT_EQ(faults[2].identifier, ip("300.1.1.1"));
}

TEST_F(NewOrderTest, OneFaultyIdentifier_ItsReasonAndItsEntry) {
  open();
  const auto refused = gate_->mint_ticket(client_.new_order(
      R"({"identifiers":[{"type":"dns","value":"a.example"},{"type":"dns","value":"a..b"}]})"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "identifier-malformed");
  ASSERT_EQ(refused.error().faults.size(), 1u);
  EXPECT_EQ(refused.error().faults[0].identifier, dns("a..b"));
}

TEST_F(NewOrderTest, MoreFaultsThanAMessageHolds_IsStillAMessage) {
  open();
  std::vector<wire::Identifier> many;
  for (int i = 0; i < 64; ++i) many.push_back(dns("a.." + std::to_string(i)));
  many[0].value = std::string(2'000, 'a');  // longer than any identifier
  const auto refused = gate_->mint_ticket(client_.new_order(TestClient::order_payload(many)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "identifiers-refused");
  EXPECT_EQ(refused.error().faults.size(), limits::kIdentifierFaultsMax);
  EXPECT_TRUE(wire::decode_body<wire::Failure>(wire::encode_body(refused.error())));
}

TEST_F(NewOrderTest, AddressesInAndOutOfTheSubtrees) {
  config_.names.permitted_ip = {*issue::IpSubtree::parse("10.20.0.0/16"),
                                *issue::IpSubtree::parse("2001:db8::/33")};
  config_.names.appliance_names = {ip("192.0.2.1")};
  open();
  for (const char* inside : {"10.20.0.0", "10.20.255.255", "2001:db8::1", "192.0.2.1"})
    EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({ip(inside)}))), "minted") << inside;
  for (const char* outside : {"10.21.0.0", "10.19.255.255", "2001:db8:8000::1", "192.0.2.2"})
    EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({ip(outside)}))),
              "identifier-not-permitted")
        << outside;
  // A list of addresses alone is a list all the same: names have none.
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a.example")}))),
            "identifier-not-permitted");
}

TEST_F(NewOrderTest, DeniedSubtree_NeverEvenIfPermitted) {
  config_.names.denied_dns = {"blocked.example"};
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a.example")}))), "minted");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("notblocked.example")}))), "minted");
  for (const char* name : {"blocked.example", "x.blocked.example", "*.blocked.example"})
    EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns(name)}))), "identifier-not-permitted")
        << name;
  config_.names.permitted_dns = {"blocked.example"};
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("x.blocked.example")}))),
            "identifier-not-permitted");
}

TEST(IpSubtree, ThatIsNone_Refused) {
  for (const char* wrong :
       {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/24", "/8", "2001:db8::/129",
        "2001:db8::1/64", "10.0.0.0/8 ", "10.0.0.0/-1", "a.example/8", "10.0.0.0/8/8"})
    EXPECT_FALSE(issue::IpSubtree::parse(wrong)) << wrong;
  EXPECT_TRUE(issue::IpSubtree::parse("0.0.0.0/0")->contains(ip("203.0.113.9")));
  EXPECT_FALSE(issue::IpSubtree::parse("0.0.0.0/0")->contains(ip("2001:db8::1")));
  EXPECT_TRUE(issue::IpSubtree::parse("192.0.2.7/32")->contains(ip("192.0.2.7")));
}

TEST_F(NewOrderTest, AncestorDomain_AboveTheNameOrMalformed) {
  open();
  const auto with = [&](const std::string& name, const std::string& ancestor) {
    return code(
        gate_->mint_ticket(client_.new_order(R"({"identifiers":[{"type":"dns","value":")" + name +
                                             R"(","ancestorDomain":)" + ancestor + "}]}")));
  };
  EXPECT_EQ(with("a.b.plant.example", R"("plant.example")"), "minted");
  EXPECT_EQ(with("a.b.plant.example", R"("B.Plant.Example.")"), "minted");
  EXPECT_EQ(with("*.plant.example", R"("plant.example")"), "minted");
  for (const char* wrong : {R"("other.example")", R"("ant.example")", R"("c.a.b.plant.example")",
                            R"("*.plant.example")", R"("")", "7", R"("a..b")"})
    EXPECT_EQ(with("a.b.plant.example", wrong), "identifier-malformed") << wrong;
  EXPECT_EQ(
      code(gate_->mint_ticket(client_.new_order(
          R"({"identifiers":[{"type":"ip","value":"192.0.2.1","ancestorDomain":"a.example"}]})"))),
      "identifier-malformed");
  // Nothing of it is in the terms: which proof covers the name is the grants' matter.
  const auto made = gate_->mint_ticket(client_.new_order(
      R"({"identifiers":[{"type":"dns","value":"a.plant.example","ancestorDomain":"plant.example"}]})"));
  ASSERT_TRUE(made);
  const auto terms = wire::decode_body<wire::OrderTerms>(made->terms);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->identifiers, std::vector<wire::Identifier>{dns("a.plant.example")});
}

// ---- profiles

struct Loaded {
  std::vector<issue::Profile> profiles;
  std::string problem;              // of the profiles
  std::vector<std::string> others;  // of the file
  bool good() const { return problem.empty() && others.empty(); }
};
Loaded load(const std::string& toml) {
  auto document = config::Document::parse(toml, "test");
  auto root = document.root();
  auto read = issue::read_profiles(root, 365, 90);
  return {std::move(read.profiles), std::move(read.problem), document.finish()};
}

TEST(ProfileConfig, NothingConfigured_DeviceAndServerAsEver) {
  const auto loaded = load("");
  ASSERT_TRUE(loaded.good());
  const issue::Profiles profiles(loaded.profiles);
  ASSERT_EQ(loaded.profiles.size(), 2u);
  EXPECT_EQ(profiles.find("device")->lifetime_ms, 365 * kDayMs);
  EXPECT_EQ(profiles.find("server")->lifetime_ms, 90 * kDayMs);
  EXPECT_EQ(profiles.find("device")->methods, std::vector{wire::ValidationMethod::kDeviceAttest01});
  EXPECT_EQ(profiles.find("device")->device_names, issue::DeviceNames::kRequire);
  EXPECT_EQ(profiles.find("server")->methods.size(), 5u);
  EXPECT_FALSE(profiles.find("server")->star);
}

TEST(ProfileConfig, EveryKey_IsRead) {
  const auto loaded = load(R"(
    [profiles.server]
    days = 30
    [profiles.device]
    enabled = false
    [profiles.short]
    kind = "server"
    days = 7
    methods = ["dns-01", "proof-of-possession-01"]
    description = "Short"
    wildcard = false
    ip = false
    preference = 10
    star = true
    star_min_lifetime_s = 600
    star_max_duration_days = 20
    keys = ["rsa", "ec-p384"]
    rsa_bits_min = 3072
    backdate_s = 3600
    account_per_hour = 5
    overall_per_hour = 50
    [profiles.short.subject]
    country = "CH"
    organization = "Plant"
    organizational_units = ["East", "Line 7"]
    common_name = false
    [profiles.phone]
    kind = "sti"
    days = 30
  )");
  ASSERT_TRUE(loaded.good()) << loaded.problem;
  const issue::Profiles profiles(loaded.profiles);
  EXPECT_EQ(profiles.find("device"), nullptr);
  EXPECT_EQ(profiles.find("server")->lifetime_ms, 30 * kDayMs);
  const auto& one = *profiles.find("short");
  EXPECT_EQ(one.lifetime_ms, 7 * kDayMs);
  EXPECT_EQ(one.methods,
            (std::vector{wire::ValidationMethod::kDns01, wire::ValidationMethod::kPossession01}));
  EXPECT_EQ(one.star->lifetime_s_min, 600);
  EXPECT_EQ(one.keys, (std::vector{crypto::KeyKind::kRsa, crypto::KeyKind::kEcP384}));
  EXPECT_EQ(one.rsa_bits_min, 3072);
  EXPECT_EQ(one.backdate_ms, 3'600'000);
  EXPECT_EQ(one.account_per_hour, 5);
  EXPECT_EQ(one.overall_per_hour, 50);
  EXPECT_EQ(one.subject, (issue::SubjectWords{"CH", "Plant", {"East", "Line 7"}}));
  EXPECT_FALSE(one.common_name);
  EXPECT_EQ(one.star->duration_s_max, 20 * 86'400);
  // By preference, and only where it fits.
  EXPECT_EQ(profiles.fitting({dns("a.example")})->name, "short");
  EXPECT_EQ(profiles.fitting({dns("*.a.example")})->name, "server");
  EXPECT_EQ(profiles.fitting({ip("192.0.2.1")})->name, "server");
  EXPECT_EQ(profiles.fitting({device("SN-1")}), nullptr);
  const auto infos = profiles.infos();
  ASSERT_EQ(infos.size(), 3u);
  EXPECT_EQ(infos[0].name, "short");
  EXPECT_EQ(infos[0].description, "Short");
  EXPECT_EQ(infos[0].identifier_types, std::vector<std::string>{"dns"});
  EXPECT_EQ(infos[0].methods, (std::vector<std::string>{"dns-01", "proof-of-possession-01"}));
  EXPECT_EQ(*infos[0].star_lifetime_s_min, 600u);
  EXPECT_EQ(infos[1].identifier_types, (std::vector<std::string>{"dns", "ip"}));
  EXPECT_EQ(infos[2].name, "phone");
  EXPECT_EQ(infos[2].methods, std::vector<std::string>{"tkauth-01"});
}

TEST(ProfileConfig, SanDeviceId_IsRead) {
  using issue::DeviceNames;
  const auto loaded = load(R"(
    [profiles.device]
    san_device_id = "omit"
    [profiles.asked]
    kind = "device"
    san_device_id = "include"
    [profiles.always]
    kind = "device"
    san_device_id = "require"
  )");
  ASSERT_TRUE(loaded.good()) << loaded.problem;
  const issue::Profiles profiles(loaded.profiles);
  EXPECT_EQ(profiles.find("device")->device_names, DeviceNames::kOmit);
  EXPECT_EQ(profiles.find("asked")->device_names, DeviceNames::kInclude);
  EXPECT_EQ(profiles.find("always")->device_names, DeviceNames::kRequire);
}

TEST(ProfileConfig, WrongInAnyWay_DoesNotLoad) {
  for (const char* wrong :
       {"[profiles.x]\ndays = 1",                                      // of what kind?
        "[profiles.x]\nkind = \"ca\"",                                 //
        "[profiles.x]\nkind = \"server\"\nmethods = []",               //
        "[profiles.x]\nkind = \"server\"\nmethods = [\"oob-01\"]",     //
        "[profiles.x]\nkind = \"server\"\nmethods = [\"\"]",           //
        "[profiles.x]\nkind = \"server\"\nmethods = \"dns-01\"",       //
        "[profiles.x]\nkind = \"server\"\nmethods = [\"tkauth-01\"]",  //
        "[profiles.x]\nkind = \"server\"\nmethods = [\"dns-01\",\"dns-01\"]",
        "[profiles.x]\nkind = \"server\"\nmethods = [\"proof-of-possession-01\"]",
        "[profiles.x]\nkind = \"device\"\nmethods = [\"http-01\"]",  //
        "[profiles.x]\nkind = \"device\"\nwildcard = true",          //
        "[profiles.x]\nkind = \"device\"\nsan_device_id = \"never\"",
        "[profiles.x]\nkind = \"device\"\nsan_device_id = true",
        "[profiles.x]\nkind = \"server\"\nsan_device_id = \"omit\"",
        "[profiles.x]\nkind = \"sti\"\nip = true",    //
        "[profiles.x]\nkind = \"sti\"\nstar = true",  //
        "[profiles.server]\nkind = \"device\"",       //
        "[profiles.server]\nmethods = []",            //
        "[profiles.server]\ndays = 826",              //
        "[profiles.server]\ndays = 0",                //
        "[profiles.server]\ntypo = 1",                //
        "[profiles.server]\nkeys = []",
        "[profiles.server]\nkeys = [\"ec-p521\"]",
        "[profiles.server]\nkeys = [\"rsa\", \"rsa\"]",
        "[profiles.server]\nrsa_bits_min = 1024",
        "[profiles.server]\nbackdate_s = 86401",
        "[profiles.server]\naccount_per_hour = 0",
        "[profiles.server]\noverall_per_hour = 0",
        "[profiles.x]\nkind = \"sti\"\nkeys = [\"rsa\"]",
        "[profiles.server.subject]\ncountry = \"Switzerland\"",
        "[profiles.server.subject]\norganization = \" \"",
        "[profiles.server.subject]\norganization = \"a\\u0007b\"",
        "[profiles.server.subject]\norganizational_units = [\"1\",\"2\",\"3\",\"4\",\"5\"]",
        "[profiles.server.subject]\ntypo = \"x\"",
        "[profiles.device.subject]\ncommon_name = false",
        "[profiles.x]\nkind = \"attestation-key\"\n[profiles.x.subject]\ncountry = \"CH\"",
        "[profiles.\"A b\"]\nkind = \"server\"",  //
        "[profiles.server]\nenabled = false\n[profiles.device]\nenabled = false"}) {
    EXPECT_FALSE(load(wrong).good()) << wrong;
  }
}

TEST_F(NewOrderTest, ProfileWithdrawnBeforeFinalize_ProfileUnknown) {
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));
  config_.profiles = {issue::make_profile("device", issue::ProfileKind::kDevice, 365)};
  open();
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "profile-unknown");
}

TEST_F(NewOrderTest, ProofByAMethodThatTheProfileLacks_GrantMethod) {
  auto profile = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  profile.methods = {wire::ValidationMethod::kDns01};
  config_.profiles = {profile};
  open();
  const auto made = order(client_, {dns("a.example")});
  prove(client_, dns("a.example"));  // http-01
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "grant-method");
}

}  // namespace
}  // namespace keyward::test
