// Tests third-party device attestation at the front end: the exchange of the 2019 slides between two
// tenants, MAC addresses, service URIs and the vendor's token.
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

constexpr std::string_view kVendor = "/acme/t/vendor";
constexpr std::string_view kCustomer = "/acme/t/customer";
constexpr std::string_view kMac = "00-24-98-7B-19-02";

std::string order_of(std::string_view type, std::string_view value, std::string_view more = "") {
  return R"({"profile":"third-party","identifiers":[{"type":")" + std::string(type) +
         R"(","value":")" + std::string(value) + "\"}" + std::string(more) + "]}";
}

struct ThirdPartyTest : testing::Test {
  explicit ThirdPartyTest(bool at_authorization = false)
      : world([=](ServiceConfig& config) {
          config.tenants = {{"vendor", {"customer"}}, {"customer", {}}};
          config.jwt_at_authorization = at_authorization;
        }) {
    world.signer.set_profiles(
        {{"server", "a server", {"dns"}, {"http-01"}, {}, {}},
         {"third-party", "a device", {"mac", "uri"}, {"tkauth-01", "vendor-jwt-01"}, {}, {}}});
    world.validation.grant_expires_at_ms = world.clock.utc_ms() + 86'400'000;
    const auto path = std::string(kCustomer) + "/new-account";
    auto sign = client.defaults(path, "{}");
    sign.kid.reset();
    const auto made = world.service->handle(client.signed_request(path, sign));
    EXPECT_EQ(made.status, 201) << made.body;
    client.kid = header_of(made, "Location");
  }
  HttpResponse order(const std::string& payload) {
    return client.post(std::string(kVendor) + "/new-order", payload);
  }
  std::vector<std::string> authorizations_of(const HttpResponse& order) {
    std::vector<std::string> out;
    const auto document = json_of(order);
    for (const auto& item : document.root().get("authorizations").items())
      out.emplace_back(item.string());
    return out;
  }
  // The URL of the authorization's challenge of this type; empty: it has none.
  std::string challenge(const std::string& authz, std::string_view type) {
    const auto document = json_of(client.read(authz));
    for (const auto& item : document.root().get("challenges").items())
      if (item.get("type").string() == type) return std::string(item.get("url").string());
    return "";
  }
  // A valid authorization of the customer for a name, made before any order.
  void prove(const std::string& name) {
    const auto made = client.post(std::string(kCustomer) + "/new-authz",
                                  R"({"identifier":{"type":"dns","value":")" + name + "\"}}");
    ASSERT_EQ(made.status, 201) << made.body;
    const auto authz = header_of(made, "Location");
    world.validation.answer(std::nullopt);
    ASSERT_EQ(client.post_url(challenge(authz, "http-01"), "{}").status, 200);
    ASSERT_TRUE(eventually([&] { return text_at(client.read(authz), "status") == "valid"; }));
  }
  World world;
  Client client{world};
};
struct SlidesTest : ThirdPartyTest {
  SlidesTest() : ThirdPartyTest(true) {}
};

// The transcript of protocols.md §3.3, [01] to [06], with this server's paths.
TEST_F(SlidesTest, Exchange_BetweenTwoTenants_AsTheSlidesShowIt) {
  const auto made = order(order_of("mac", kMac));  // [01]
  ASSERT_EQ(made.status, 201) << made.body;        // [02]
  const auto customer = std::string(kBase) + std::string(kCustomer);
  const auto vendor = std::string(kBase) + std::string(kVendor);
  const auto finalize = text_at(made, "finalize");
  EXPECT_TRUE(finalize.starts_with(customer + "/order/")) << finalize;
  const auto authorizations = authorizations_of(made);
  ASSERT_EQ(authorizations.size(), 1u);
  EXPECT_TRUE(authorizations[0].starts_with(vendor + "/authz/")) << authorizations[0];

  const auto proved = client.post_url(authorizations[0], R"({"jwt":"e30.e30.AA"})");  // [03]
  ASSERT_EQ(proved.status, 200) << proved.body;                                       // [04]
  EXPECT_EQ(text_at(proved, "status"), "valid");
  EXPECT_EQ(world.attestation.authority().method, wire::ValidationMethod::kVendorJwt01);

  const auto done = client.post_url(finalize, client.csr_payload("x"));  // [05]
  ASSERT_EQ(done.status, 200) << done.body;                              // [06]
  EXPECT_TRUE(text_at(done, "certificate").starts_with(customer + "/certificate/")) << done.body;
  EXPECT_EQ(client.read(text_at(done, "certificate")).status, 200);
}

TEST_F(SlidesTest, Token_AtAnAuthorizationThatNoVendorProves_Malformed) {
  const auto made = client.post(std::string(kCustomer) + "/new-authz",
                                R"({"identifier":{"type":"dns","value":"a.example.com"}})");
  ASSERT_EQ(made.status, 201) << made.body;
  expect_problem(client.post_url(header_of(made, "Location"), R"({"jwt":"e30.e30.AA"})"), 400,
                 "malformed", "jwt.not-offered");
}

TEST_F(SlidesTest, Token_AttestationRefusesIt_ProblemAndInvalid) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  world.attestation.answer(wire::ChallengeProblem{"unauthorized", "jwt.sub", "another device"});
  expect_problem(client.post_url(authz, R"({"jwt":"e30.e30.AA"})"), 403, "unauthorized", "jwt.sub");
  EXPECT_EQ(text_at(client.read(authz), "status"), "invalid");
}

TEST_F(ThirdPartyTest, Token_AtTheAuthorizationWithoutTheSwitch_Malformed) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  expect_problem(client.post_url(authz, R"({"jwt":"e30.e30.AA"})"), 400, "malformed", "authz.form");
}

TEST_F(ThirdPartyTest, Mac_AnySpelling_EchoedAndCanonicalForOthers) {
  const auto made = order(order_of("mac", kMac));
  ASSERT_EQ(made.status, 201) << made.body;
  const auto document = json_of(made);
  EXPECT_EQ(document.root().get("identifiers").items().at(0).get("value").string(), kMac);
  const auto authz = authorizations_of(made).at(0);
  const auto shown = json_of(client.read(authz));
  EXPECT_EQ(shown.root().get("identifier").get("value").string(), kMac);
  EXPECT_EQ(world.attestation.minted().back().identifier.value, "00:24:98:7b:19:02");
  ASSERT_EQ(client.post_url(challenge(authz, "tkauth-01"), R"({"tkauth":"e30.e30.AA"})").status,
            200);
  EXPECT_EQ(world.attestation.authority().identifier.value, "00:24:98:7b:19:02");
  EXPECT_EQ(world.attestation.authority().method, wire::ValidationMethod::kTkauth01);
}

TEST_F(ThirdPartyTest, Mac_Challenges_BothWithWhatTheyShow) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  const auto document = json_of(client.read(authz));
  const auto items = document.root().get("challenges").items();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].get("type").string(), "tkauth-01");
  EXPECT_EQ(items[0].get("tkauth-type").string(), "atc");
  EXPECT_EQ(items[1].get("type").string(), "vendor-jwt-01");
  EXPECT_FALSE(items[1].get("tkauth-type").exists());
  EXPECT_NE(items[1].get("token").string(), "");
}

TEST_F(ThirdPartyTest, VendorJwt_Good_ValidWithTheTokenAsItWas) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  const auto response =
      client.post_url(challenge(authz, "vendor-jwt-01"), R"({"jwt":"e30.e30.AA"})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_EQ(world.attestation.authority().tkauth, "e30.e30.AA");
}

TEST_F(ThirdPartyTest, VendorJwt_MemberMissing_Malformed) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  const auto url = challenge(authz, "vendor-jwt-01");
  expect_problem(client.post_url(url, R"({"tkauth":"e30.e30.AA"})"), 400, "malformed",
                 "jwt.missing");
}

TEST_F(ThirdPartyTest, VendorJwt_TooLarge_Malformed) {
  const auto authz = authorizations_of(order(order_of("mac", kMac))).at(0);
  const std::string large(limits::kAuthorityTokenBytesMax + 1, 'a');
  expect_problem(client.post_url(challenge(authz, "vendor-jwt-01"), R"({"jwt":")" + large + "\"}"),
                 400, "malformed", "jwt.size");
}

TEST_F(ThirdPartyTest, Uri_NothingProvedYet_TheHostsNameIsToBeProved) {
  const auto made = order(
      order_of("mac", kMac, R"(,{"type":"uri","value":"https://pbx.customer.example.com/"})"));
  ASSERT_EQ(made.status, 201) << made.body;
  const auto authorizations = authorizations_of(made);
  ASSERT_EQ(authorizations.size(), 2u);
  const auto document = json_of(client.read(authorizations[1]));
  EXPECT_EQ(document.root().get("identifier").get("type").string(), "dns");
  EXPECT_EQ(document.root().get("identifier").get("value").string(), "pbx.customer.example.com");
  EXPECT_NE(challenge(authorizations[1], "http-01"), "");
}

TEST_F(ThirdPartyTest, Uri_DomainAboveProvedBefore_Reused) {
  prove("customer.example.com");
  const auto made = order(
      order_of("mac", kMac, R"(,{"type":"uri","value":"sip:phone@pbx.customer.example.com"})"));
  ASSERT_EQ(made.status, 201) << made.body;
  const auto authorizations = authorizations_of(made);
  ASSERT_EQ(authorizations.size(), 2u);
  EXPECT_EQ(text_at(client.read(authorizations[1]), "status"), "valid");
  const auto document = json_of(client.read(authorizations[1]));
  EXPECT_EQ(document.root().get("identifier").get("value").string(), "customer.example.com");
}

TEST_F(ThirdPartyTest, Dns_DomainAboveProvedBefore_StillItsOwnProof) {
  prove("customer.example.com");
  const auto made = client.post(
      std::string(kCustomer) + "/new-order",
      R"({"identifiers":[{"type":"dns","value":"pbx.customer.example.com"}],"profile":"server"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(text_at(client.read(authorizations_of(made).at(0)), "status"), "pending");
}

}  // namespace
}  // namespace keyward::acme::test
