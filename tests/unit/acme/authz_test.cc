// Tests which challenges are offered, which authorizations serve further orders, newAuthz, and
// deactivation.
#include <gtest/gtest.h>

#include "firmware/acme/authorizing.h"
#include "firmware/wire/challenge_types.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::eventually;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::text_at;
using test::World;
using wire::IdentifierType;
using wire::ValidationMethod;

const std::vector<std::string> kAllMethods = {
    "http-01",        "dns-01",           "tls-alpn-01", "dns-account-01",
    "dns-persist-01", "device-attest-01", "tkauth-01",   "proof-of-possession-01"};
const std::vector<std::string> kAllTypes = {"dns",
                                            "ip",
                                            "permanent-identifier",
                                            "hardware-module",
                                            "TNAuthList",
                                            "JWTClaimConstraints",
                                            "EnhancedJWTClaimConstraints"};

wire::ProfileInfo profile(std::vector<std::string> methods) {
  return {"server", "x", kAllTypes, std::move(methods), {}, {}};
}

std::string names_of(const std::vector<ValidationMethod>& methods) {
  std::string out;
  for (const auto method : methods)
    out += (out.empty() ? "" : " ") + std::string(wire::challenge_type(method));
  return out;
}

struct MethodCase {
  const char* name;
  IdentifierType type;
  const char* value;
  bool subtree;
  const char* expected;
};
const MethodCase kMethodCases[] = {
    {"Dns", IdentifierType::kDns, "a.example", false,
     "http-01 dns-01 tls-alpn-01 dns-account-01 dns-persist-01 proof-of-possession-01"},
    {"Wildcard", IdentifierType::kDns, "*.a.example", false,
     "dns-01 dns-account-01 dns-persist-01"},
    {"Subtree", IdentifierType::kDns, "a.example", true, "dns-01 dns-account-01 dns-persist-01"},
    {"Ip", IdentifierType::kIp, "192.0.2.1", false, "http-01 tls-alpn-01 proof-of-possession-01"},
    {"Device", IdentifierType::kPermanentIdentifier, "d", false, "device-attest-01"},
    {"HardwareModule", IdentifierType::kHardwareModule, "d/1.2.3", false, "device-attest-01"},
    {"TnAuthList", IdentifierType::kTnAuthList, "MAigBhYENzA5Sg", false, "tkauth-01"},
    {"JwtClaimConstraints", IdentifierType::kJwtClaimConstraints, "x", false, "tkauth-01"},
    {"EnhancedJwtClaimConstraints", IdentifierType::kEnhancedJwtClaimConstraints, "x", false,
     "tkauth-01"},
};

class EachIdentifier : public testing::TestWithParam<MethodCase> {};
TEST_P(EachIdentifier, Methods_ThoseThatCanProveIt) {
  const auto& c = GetParam();
  const Wanted wanted{{c.type, c.value}, c.subtree};
  EXPECT_EQ(names_of(methods_for(profile(kAllMethods), wanted)), c.expected);
  EXPECT_EQ(names_of(methods_for(profile({}), wanted)), "");
}
INSTANTIATE_TEST_SUITE_P(All, EachIdentifier, testing::ValuesIn(kMethodCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Methods, OfAllProfiles_OnlyThoseThatTakeTheType) {
  const std::vector<wire::ProfileInfo> profiles = {
      {"a", "", {"dns"}, {"http-01"}, {}, {}},
      {"b", "", {"ip"}, {"tls-alpn-01"}, {}, {}},
      {"c", "", {"dns"}, {"dns-01", "unheard-of"}, {}, {}}};
  EXPECT_EQ(names_of(methods_for(profiles, {{IdentifierType::kDns, "a.example"}, false})),
            "http-01 dns-01");
  EXPECT_TRUE(takes_names(profiles));
  EXPECT_FALSE(takes_names({{"d", "", {"permanent-identifier"}, {"device-attest-01"}, {}, {}}}));
}

TEST(Methods, Names_FoldBothWays) {
  for (const auto& name : kAllMethods) {
    const auto method = method_from(name);
    ASSERT_TRUE(method) << name;
    EXPECT_EQ(wire::challenge_type(*method), name);
  }
  EXPECT_FALSE(method_from(""));
  EXPECT_FALSE(method_from("dns-02"));
}

class Authorizations : public testing::Test {
 protected:
  explicit Authorizations(std::function<void(ServiceConfig&)> configure = {})
      : world(std::move(configure)) {
    world.signer.set_profiles({profile({"http-01", "dns-01", "tls-alpn-01", "device-attest-01"})});
    world.validation.grant_expires_at_ms = world.clock.utc_ms() + 8 * 3'600'000;
    client.register_account();
  }
  HttpResponse order_for(std::string_view identifiers) {
    return client.post("/acme/new-order", R"({"identifiers":[)" + std::string(identifiers) + "]}");
  }
  HttpResponse dns_order(std::string_view name) {
    return order_for(R"({"type":"dns","value":")" + std::string(name) + R"("})");
  }
  std::vector<std::string> authzs_of(const HttpResponse& order) {
    std::vector<std::string> out;
    const auto document = json_of(order);
    for (const auto& url : document.root().get("authorizations").items())
      out.emplace_back(url.string());
    return out;
  }
  std::string types_of(const std::string& authz_url) {
    std::string out;
    const auto document = json_of(client.read(authz_url));
    for (const auto& c : document.root().get("challenges").items())
      out += (out.empty() ? "" : " ") + std::string(c.get("type").string());
    return out;
  }
  std::string challenge_of(const std::string& authz_url, std::string_view type) {
    const auto document = json_of(client.read(authz_url));
    for (const auto& c : document.root().get("challenges").items()) {
      if (c.get("type").string() == type) return std::string(c.get("url").string());
    }
    return {};
  }
  void prove(const std::string& authz_url, std::string_view type = "http-01") {
    client.post_url(challenge_of(authz_url, type), "{}");
    EXPECT_TRUE(eventually([&] { return text_at(client.read(authz_url), "status") == "valid"; }));
  }
  static std::string id_of(const std::string& url) { return url.substr(url.rfind('/') + 1); }
  World world;
  Client client{world};
};

TEST_F(Authorizations, Challenges_EachMethodOfTheProfileThatFits) {
  const auto order =
      order_for(R"({"type":"dns","value":"a.example"},{"type":"dns","value":"*.a.example"},)"
                R"({"type":"ip","value":"192.0.2.1"},{"type":"permanent-identifier","value":"d"})");
  ASSERT_EQ(order.status, 201) << order.body;
  std::map<std::string, std::string> offered;
  for (const auto& url : authzs_of(order)) {
    const auto document = json_of(client.read(url));
    std::string name(document.root().get("identifier").get("value").string());
    const auto wildcard = document.root().get("wildcard");
    if (wildcard.exists()) {
      EXPECT_TRUE(wildcard.boolean());
      name = "wildcard of " + name;
    }
    offered[name] = types_of(url);
  }
  EXPECT_EQ(offered["a.example"], "http-01 dns-01 tls-alpn-01");
  EXPECT_EQ(offered["wildcard of a.example"], "dns-01");
  EXPECT_EQ(offered["192.0.2.1"], "http-01 tls-alpn-01");
  EXPECT_EQ(offered["d"], "device-attest-01");
  for (const auto& minted : world.validation.minted()) {
    EXPECT_EQ(minted.ticket, "");
    EXPECT_EQ(minted.wildcard, minted.method == ValidationMethod::kDns01 && minted.wildcard);
  }
  ASSERT_EQ(world.attestation.minted().size(), 1U);
  EXPECT_EQ(world.attestation.minted()[0].ticket, id_of(header_of(order, "Location")));
}

TEST_F(Authorizations, MethodSwitchedOffAtItsTask_NotOfferedAndRefusedWhenNoneIsLeft) {
  world.validation.switch_off(ValidationMethod::kDns01);
  EXPECT_EQ(types_of(authzs_of(dns_order("a.example")).at(0)), "http-01 tls-alpn-01");
  const auto wildcard = dns_order("*.a.example");
  expect_problem(wildcard, 403, "rejectedIdentifier", "identifier.wildcard");
  world.validation.switch_off(ValidationMethod::kHttp01);
  world.validation.switch_off(ValidationMethod::kTlsAlpn01);
  expect_problem(dns_order("b.example"), 403, "rejectedIdentifier", "identifier.no-method");
}

TEST_F(Authorizations, TaskRefusesTheIdentifier_ItsSubproblem) {
  world.validation.break_message(
      "name-token-mint",
      wire::Failure::of(wire::FailureKind::kBadInput, "identifier-malformed", "not canonical"));
  const auto response = dns_order("a.example");
  expect_problem(response, 400, "malformed", "identifier-malformed");
  EXPECT_EQ(json_of(response).root().get("subproblems").items().size(), 1U);
}

TEST_F(Authorizations, OneValid_TheOthersAreShownNoMore) {
  const auto authz = authzs_of(dns_order("a.example")).at(0);
  prove(authz, "dns-01");
  EXPECT_EQ(types_of(authz), "dns-01");
  EXPECT_EQ(world.validation.last().method, ValidationMethod::kDns01);
}

TEST_F(Authorizations, OneInvalid_AllAreShownAndNoneCanBeTried) {
  const auto authz = authzs_of(dns_order("a.example")).at(0);
  world.validation.answer(wire::ChallengeProblem{"caa", "caa", "x"});
  const auto other = challenge_of(authz, "dns-01");
  client.post_url(challenge_of(authz, "http-01"), "{}");
  EXPECT_TRUE(eventually([&] { return text_at(client.read(authz), "status") == "invalid"; }));
  EXPECT_EQ(types_of(authz), "http-01 dns-01 tls-alpn-01");
  expect_problem(client.post_url(other, "{}"), 400, "malformed", "authz.final");
}

TEST_F(Authorizations, Reuse_SecondOrderIsReadyAtOnce) {
  const auto first = authzs_of(dns_order("a.example")).at(0);
  prove(first);
  const auto again = dns_order("a.example");
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(text_at(again, "status"), "ready");
  EXPECT_EQ(authzs_of(again), std::vector<std::string>{first});
  EXPECT_EQ(text_at(client.read(header_of(again, "Location")), "status"), "ready");
  EXPECT_EQ(text_at(again, "expires"), text_at(client.read(first), "expires"));
}

TEST_F(Authorizations, Reuse_OnlyOfWhatWasProved) {
  const auto first = authzs_of(dns_order("a.example")).at(0);
  prove(first, "dns-01");
  const auto order =
      order_for(R"({"type":"dns","value":"a.example"},{"type":"dns","value":"b.example"},)"
                R"({"type":"dns","value":"*.a.example"})");
  EXPECT_EQ(text_at(order, "status"), "pending");
  const auto urls = authzs_of(order);
  ASSERT_EQ(urls.size(), 3U);
  EXPECT_EQ(std::count(urls.begin(), urls.end(), first), 1);
  for (const auto& url : urls) {
    if (url != first) prove(url, "dns-01");
  }
  EXPECT_EQ(text_at(client.read(header_of(order, "Location")), "status"), "ready");
}

TEST_F(Authorizations, Reuse_NotWhenItEndsSoon) {
  const auto first = authzs_of(dns_order("a.example")).at(0);
  prove(first);
  world.clock.advance(7 * 3'600'000 - 1'000);
  EXPECT_EQ(text_at(dns_order("a.example"), "status"), "ready");
  world.clock.advance(2'000);
  const auto later = dns_order("a.example");
  EXPECT_EQ(text_at(later, "status"), "pending");
  EXPECT_NE(authzs_of(later).at(0), first);
}

TEST_F(Authorizations, Reuse_NotWhenTheProfileDoesNotCountItsMethod) {
  prove(authzs_of(dns_order("a.example")).at(0), "tls-alpn-01");
  auto strict = profile({"dns-01"});
  strict.name = "strict";
  world.signer.set_profiles({profile({"tls-alpn-01"}), strict});
  const auto order =
      client.post("/acme/new-order",
                  R"({"profile":"strict","identifiers":[{"type":"dns","value":"a.example"}]})");
  EXPECT_EQ(text_at(order, "status"), "pending") << order.body;
  EXPECT_EQ(types_of(authzs_of(order).at(0)), "dns-01");
}

TEST_F(Authorizations, Reuse_NeverOfDevices) {
  client.ready_device_order("device-1");
  EXPECT_EQ(text_at(order_for(R"({"type":"permanent-identifier","value":"device-1"})"), "status"),
            "pending");
}

TEST_F(Authorizations, Reuse_NeverOfAnotherAccount) {
  prove(authzs_of(dns_order("a.example")).at(0));
  Client other(world);
  other.register_account();
  const auto response =
      other.post("/acme/new-order", R"({"identifiers":[{"type":"dns","value":"a.example"}]})");
  EXPECT_EQ(text_at(response, "status"), "pending");
}

TEST_F(Authorizations, Reuse_StoreAway_503) {
  world.store.break_message(
      "authz-find", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(dns_order("a.example"), 503, "serverInternal", "peer-lost");
}

TEST_F(Authorizations, Reuse_NotWhenTheSignerHasNoProofAnyMore) {
  prove(authzs_of(dns_order("a.example")).at(0));
  const auto order = dns_order("a.example");
  ASSERT_EQ(text_at(order, "status"), "ready");
  world.signer.break_message("certificate-issue",
                             wire::Failure::of(wire::FailureKind::kRefused, "grant-missing", "x"));
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto csr = x509::build_csr(key, {{IdentifierType::kDns, "a.example"}});
  expect_problem(
      client.post_url(text_at(order, "finalize"), R"({"csr":")" + base64url_encode(*csr) + R"("})"),
      403, "unauthorized", "grant-missing");
  EXPECT_EQ(text_at(client.read(authzs_of(order).at(0)), "status"), "revoked");
  EXPECT_EQ(text_at(dns_order("a.example"), "status"), "pending");
}

class NoReuse : public Authorizations {
 protected:
  NoReuse() : Authorizations([](ServiceConfig& config) { config.authz_reuse = false; }) {}
};
TEST_F(NoReuse, EachOrder_ItsOwnAuthorizations) {
  const auto order = dns_order("a.example");
  prove(authzs_of(order).at(0));
  EXPECT_EQ(world.validation.last().ticket, id_of(header_of(order, "Location")));
  EXPECT_EQ(text_at(dns_order("a.example"), "status"), "pending");
  EXPECT_EQ(world.store.count("authz-find"), 0);
}

TEST(Serves, EachReasonAgainst_IsEnough) {
  wire::AuthzRecord authz;
  authz.identifier = {IdentifierType::kDns, "a.example"};
  authz.status = wire::AuthzStatus::kValid;
  authz.expires_at_ms = 1'000;
  authz.challenges.resize(1);
  authz.challenges[0].method = ValidationMethod::kDns01;
  authz.challenges[0].status = wire::ChallengeStatus::kValid;
  const AuthzPlan plan{{{IdentifierType::kDns, "a.example"}, false}, {ValidationMethod::kDns01}};
  EXPECT_TRUE(serves(authz, plan, 1'000));
  EXPECT_FALSE(serves(authz, plan, 1'001));
  const auto changed = [&](const std::function<void(wire::AuthzRecord&, AuthzPlan&)>& change) {
    auto a = authz;
    auto p = plan;
    change(a, p);
    return serves(a, p, 1'000);
  };
  EXPECT_FALSE(changed([](auto& a, auto&) { a.status = wire::AuthzStatus::kPending; }));
  EXPECT_FALSE(changed([](auto& a, auto&) { a.ticket = "of-one-order"; }));
  EXPECT_FALSE(changed([](auto& a, auto&) { a.wildcard = true; }));
  EXPECT_FALSE(changed([](auto& a, auto&) { a.challenges.clear(); }));
  EXPECT_FALSE(
      changed([](auto& a, auto&) { a.challenges[0].status = wire::ChallengeStatus::kPending; }));
  EXPECT_FALSE(changed([](auto&, auto& p) { p.methods = {ValidationMethod::kHttp01}; }));
  EXPECT_FALSE(changed([](auto&, auto& p) { p.wanted.subtree = true; }));
  EXPECT_FALSE(changed([](auto&, auto& p) { p.wanted.identifier.value = "b.a.example"; }));
  EXPECT_FALSE(changed([](auto&, auto& p) { p.wanted.identifier.value = "*.a.example"; }));
  EXPECT_FALSE(changed([](auto& a, auto& p) {
    a.identifier.type = p.wanted.identifier.type = IdentifierType::kPermanentIdentifier;
  }));
  // Of a name above, where it covers what is below; a wildcard keeps its own.
  const auto below = [](auto& a, auto& p) {
    a.subtree = true;
    p.wanted.identifier.value = "b.a.example";
  };
  EXPECT_TRUE(changed(below));
  EXPECT_FALSE(changed([&](auto& a, auto& p) {
    below(a, p);
    p.wanted.identifier.value = "*.a.example.";
    p.wanted.identifier.value = "*.b.a.example";
  }));
  EXPECT_FALSE(changed([&](auto& a, auto& p) {
    below(a, p);
    p.wanted.identifier.value = "ba.example";
  }));
}

TEST_F(Authorizations, NewAuthz_201AndServesTheOrderThatFollows) {
  const auto response =
      client.post("/acme/new-authz", R"({"identifier":{"type":"dns","value":"A.example"}})");
  ASSERT_EQ(response.status, 201) << response.body;
  const auto url = header_of(response, "Location");
  EXPECT_EQ(text_at(response, "status"), "pending");
  EXPECT_NE(text_at(response, "expires"), "");
  EXPECT_EQ(json_of(response).root().get("identifier").get("value").string(), "a.example");
  EXPECT_EQ(types_of(url), "http-01 dns-01 tls-alpn-01");
  prove(url);
  const auto order = dns_order("a.example");
  EXPECT_EQ(text_at(order, "status"), "ready");
  EXPECT_EQ(authzs_of(order), std::vector<std::string>{url});
}

TEST_F(Authorizations, NewAuthz_Refusals) {
  const auto refused = [&](std::string_view payload) {
    return client.post("/acme/new-authz", std::string(payload));
  };
  expect_problem(refused("{}"), 400, "malformed", "authz.identifier");
  expect_problem(refused(R"({"identifier":{"type":"dns"}})"), 400, "malformed", "authz.identifier");
  expect_problem(refused(R"({"identifier":{"type":"x","value":"a"}})"), 400,
                 "unsupportedIdentifier", "identifier-unsupported");
  expect_problem(refused(R"({"identifier":{"type":"permanent-identifier","value":"a"}})"), 403,
                 "rejectedIdentifier", "authz.type");
  expect_problem(refused(R"({"identifier":{"type":"dns","value":"a b"}})"), 400, "malformed",
                 "identifier-malformed");
  expect_problem(refused(R"({"identifier":{"type":"dns","value":"*.a.example"}})"), 400,
                 "malformed", "authz.wildcard");
  world.signer.set_profiles({profile({"device-attest-01"})});
  world.restart();
  expect_problem(refused(R"({"identifier":{"type":"dns","value":"a.example"}})"), 403,
                 "rejectedIdentifier", "identifier.no-method");
  EXPECT_EQ(world.store.authorizations(), 0U);
}

TEST_F(Authorizations, NewAuthz_PeersAway_503AndNothingStored) {
  const auto gone = wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone");
  const auto try_one = [&] {
    expect_problem(
        client.post("/acme/new-authz", R"({"identifier":{"type":"dns","value":"a.example"}})"), 503,
        "serverInternal", "peer-lost");
  };
  world.restart();  // what the signer said before is forgotten
  world.signer.break_message("issuer-get", gone);
  try_one();
  world.signer.heal("issuer-get");
  world.validation.break_message("name-token-mint", gone);
  try_one();
  world.validation.heal("name-token-mint");
  world.store.break_message("authz-put", gone);
  try_one();
  EXPECT_EQ(world.store.authorizations(), 0U);
}

TEST_F(Authorizations, Directory_NewAuthzOnlyWhereNamesAreTaken) {
  world.service->start();
  const auto directory = [&] {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = "/acme/directory";
    return world.service->handle(request);
  };
  EXPECT_TRUE(eventually([&] {
    return text_at(directory(), "newAuthz") == std::string(test::kBase) + "/acme/new-authz";
  }));
  world.signer.set_profiles({{"d", "", {"permanent-identifier"}, {"device-attest-01"}, {}, {}}});
  world.restart();
  world.service->start();
  EXPECT_TRUE(
      eventually([&] { return json_of(directory()).root().get("meta").get("profiles").exists(); }));
  EXPECT_FALSE(json_of(directory()).root().get("newAuthz").exists());
}

TEST_F(Authorizations, Directory_WithoutConfiguration_SaysNothingMore) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto document = json_of(world.service->handle(request));
  const auto meta = document.root().get("meta");
  for (const auto* name :
       {"caaIdentities", "subdomainAuthAllowed", "issuerDomainNames", "accountHashPrefix"})
    EXPECT_FALSE(meta.get(name).exists()) << name;
}

class Persist : public Authorizations {
 protected:
  Persist()
      : Authorizations([](ServiceConfig& config) {
          config.caa_identities = {"ca.example", "pki.example"};
          config.persist_issuers = {"ca.example"};
          config.account_hash_prefix = "https://ca.example/hashed/";
        }) {
    world.signer.set_profiles({profile({"dns-persist-01"})});
    world.restart();
  }
};

TEST_F(Persist, Challenge_NamesTheIssuersAndHasNoToken) {
  const auto authz = authzs_of(dns_order("a.example")).at(0);
  const auto document = json_of(client.read(authz));
  const auto challenge = document.root().get("challenges").items().at(0);
  EXPECT_EQ(challenge.get("type").string(), "dns-persist-01");
  EXPECT_FALSE(challenge.get("token").exists());
  ASSERT_EQ(challenge.get("issuerDomainNames").items().size(), 1U);
  EXPECT_EQ(challenge.get("issuerDomainNames").items()[0].string(), "ca.example");
  prove(authz, "dns-persist-01");
  EXPECT_EQ(world.validation.last().account_url, client.kid);
}

TEST_F(Persist, Directory_SaysWhatIsConfigured) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto document = json_of(world.service->handle(request));
  const auto meta = document.root().get("meta");
  EXPECT_EQ(meta.get("caaIdentities").items().size(), 2U);
  EXPECT_EQ(meta.get("issuerDomainNames").items().at(0).string(), "ca.example");
  EXPECT_EQ(meta.get("accountHashPrefix").string(), "https://ca.example/hashed/");
}

TEST_F(Authorizations, PersistWithoutIssuers_NotOffered) {
  world.signer.set_profiles({profile({"dns-persist-01", "dns-01"})});
  world.restart();
  EXPECT_EQ(types_of(authzs_of(dns_order("a.example")).at(0)), "dns-01");
}

class Subdomains : public Authorizations {
 protected:
  Subdomains() : Authorizations([](ServiceConfig& config) { config.subdomain_auth = true; }) {}
  HttpResponse order_below(std::string_view name, std::string_view ancestor) {
    return order_for(R"({"type":"dns","value":")" + std::string(name) + R"(","ancestorDomain":")" +
                     std::string(ancestor) + R"("})");
  }
};

TEST_F(Subdomains, NewAuthz_ForTheWholeTree_ServesNamesBelow) {
  const auto response = client.post(
      "/acme/new-authz",
      R"({"identifier":{"type":"dns","value":"a.example","subdomainAuthAllowed":true}})");
  ASSERT_EQ(response.status, 201) << response.body;
  EXPECT_TRUE(json_of(response).root().get("subdomainAuthAllowed").boolean());
  const auto url = header_of(response, "Location");
  EXPECT_EQ(types_of(url), "dns-01");
  prove(url, "dns-01");
  EXPECT_TRUE(world.validation.last().subtree);
  const auto below =
      order_for(R"({"type":"dns","value":"x.y.a.example"},{"type":"dns","value":"z.a.example"})");
  EXPECT_EQ(text_at(below, "status"), "ready");
  EXPECT_EQ(authzs_of(below), std::vector<std::string>{url});
  EXPECT_EQ(text_at(dns_order("a.example"), "status"), "ready");
  EXPECT_EQ(text_at(dns_order("*.a.example"), "status"), "pending");
  EXPECT_EQ(text_at(dns_order("b.example"), "status"), "pending");
}

TEST_F(Subdomains, NewOrder_AncestorDomain_OneAuthorizationForTheTree) {
  const auto order =
      order_for(R"({"type":"dns","value":"x.a.example","ancestorDomain":"A.example"},)"
                R"({"type":"dns","value":"y.a.example","ancestorDomain":"a.example"})");
  ASSERT_EQ(order.status, 201) << order.body;
  const auto urls = authzs_of(order);
  ASSERT_EQ(urls.size(), 1U);
  const auto authz = json_of(client.read(urls[0]));
  EXPECT_EQ(authz.root().get("identifier").get("value").string(), "a.example");
  EXPECT_TRUE(authz.root().get("subdomainAuthAllowed").boolean());
  prove(urls[0], "dns-01");
  EXPECT_EQ(text_at(client.read(header_of(order, "Location")), "status"), "ready");
}

TEST_F(Subdomains, NewOrder_AncestorThatIsNone_Malformed) {
  for (const std::string_view wrong : {"b.example", "x.a.example", "*.a.example", "", "a b"}) {
    expect_problem(order_below("x.a.example", wrong), 400, "malformed", "identifier.ancestor");
  }
  EXPECT_EQ(order_below("x.a.example", "a.example").status, 201);
}

TEST_F(Subdomains, Directory_SaysSo) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto document = json_of(world.service->handle(request));
  EXPECT_TRUE(document.root().get("meta").get("subdomainAuthAllowed").boolean());
}

TEST_F(Authorizations, SubdomainsSwitchedOff_Ignored) {
  const auto order =
      order_for(R"({"type":"dns","value":"x.a.example","ancestorDomain":"a.example"})");
  const auto authz = json_of(client.read(authzs_of(order).at(0)));
  EXPECT_EQ(authz.root().get("identifier").get("value").string(), "x.a.example");
  EXPECT_FALSE(authz.root().get("subdomainAuthAllowed").exists());
  const auto early = client.post(
      "/acme/new-authz",
      R"({"identifier":{"type":"dns","value":"a.example","subdomainAuthAllowed":true}})");
  EXPECT_FALSE(json_of(early).root().get("subdomainAuthAllowed").exists());
}

TEST_F(Authorizations, Deactivate_TheSignerForgetsTheProofFirst) {
  const auto order = dns_order("*.a.example");
  const auto authz = authzs_of(order).at(0);
  prove(authz, "dns-01");
  world.signer.break_message(
      "grant-withdraw", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(client.post_url(authz, R"({"status":"deactivated"})"), 503, "serverInternal",
                 "peer-lost");
  EXPECT_EQ(text_at(client.read(authz), "status"), "valid");
  world.signer.heal("grant-withdraw");
  const auto response = client.post_url(authz, R"({"status":"deactivated"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "deactivated");
  const auto seen = world.signer.withdrawn();
  EXPECT_EQ(seen.identifier.value, "a.example");
  EXPECT_EQ(text_of(*base64url_decode(seen.jws.payload_b64)), R"({"status":"deactivated"})");
  EXPECT_EQ(text_at(client.read(header_of(order, "Location")), "status"), "invalid");
  EXPECT_EQ(text_at(dns_order("*.a.example"), "status"), "pending");
}

TEST_F(Authorizations, Deactivate_EveryOrderThatReliesOnIt_Invalid) {
  const auto first = dns_order("a.example");
  const auto authz = authzs_of(first).at(0);
  prove(authz);
  const auto second = dns_order("a.example");
  EXPECT_EQ(client.post_url(authz, R"({"status":"deactivated"})").status, 200);
  EXPECT_EQ(text_at(client.read(header_of(first, "Location")), "status"), "invalid");
  EXPECT_EQ(text_at(client.read(header_of(second, "Location")), "status"), "invalid");
}

}  // namespace
}  // namespace keyward::acme
