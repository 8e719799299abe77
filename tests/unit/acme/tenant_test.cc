// Tests tenants: a directory for each, accounts that stay in theirs, and orders where a tenant
// delegates (D-T4).
#include "firmware/acme/routes.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

constexpr std::string_view kVendor = "/acme/t/vendor";
constexpr std::string_view kCustomer = "/acme/t/customer";
constexpr std::string_view kOrder =
    R"({"identifiers":[{"type":"permanent-identifier","value":"d1"}],"profile":"device"})";

std::string at(std::string_view root, std::string_view path) {
  return std::string(root) + std::string(path);
}
std::string url(std::string_view root, std::string_view path) {
  return std::string(kBase) + at(root, path);
}

struct TenantTest : testing::Test {
  TenantTest()
      : world([](ServiceConfig& config) {
          config.tenants = {{"vendor", {"customer"}}, {"customer", {}}};
        }) {}
  // Makes the client an account by the tenant's directory.
  HttpResponse join(Client& who, std::string_view root) {
    auto sign = who.defaults(at(root, "/new-account"), "{}");
    sign.kid.reset();
    auto response = world.service->handle(who.signed_request(at(root, "/new-account"), sign));
    if (response.status < 300) who.kid = header_of(response, "Location");
    return response;
  }
  HttpResponse get(const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = path;
    return world.service->handle(request);
  }
  World world;
  Client client{world};
};

TEST_F(TenantTest, Directory_OfATenant_HasItsUrls) {
  const auto response = get(at(kVendor, "/directory"));
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "newOrder"), url(kVendor, "/new-order"));
  EXPECT_EQ(text_at(response, "newNonce"), url(kVendor, "/new-nonce"));
  EXPECT_EQ(text_at(get("/acme/directory"), "newOrder"), url("/acme", "/new-order"));
}

TEST_F(TenantTest, Directory_UnknownTenant_NotFound) {
  expect_problem(get("/acme/t/nobody/directory"), 404, "malformed", "not-found");
  EXPECT_EQ(world.service->body_bytes_max("POST", "/acme/t/nobody/new-order"), 0u);
  EXPECT_GT(world.service->body_bytes_max("POST", at(kVendor, "/new-order")), 0u);
}

TEST_F(TenantTest, Link_OfATenantsAnswer_ItsDirectory) {
  EXPECT_TRUE(has_link(get(at(kVendor, "/new-nonce")), url(kVendor, "/directory")));
}

TEST_F(TenantTest, NewAccount_AtATenant_IsOfIt) {
  const auto response = join(client, kCustomer);
  ASSERT_EQ(response.status, 201) << response.body;
  EXPECT_TRUE(client.kid.starts_with(url(kCustomer, "/account/")));
  EXPECT_EQ(text_at(response, "orders"), client.kid + "/orders");
  EXPECT_EQ(world.store.account(client.account_id()).tenant, "customer");
  EXPECT_EQ(client.read(client.kid).status, 200);
  EXPECT_EQ(join(client, kCustomer).status, 200);
}

TEST_F(TenantTest, NewAccount_KeyOfAnotherTenant_Refused) {
  ASSERT_EQ(join(client, kCustomer).status, 201);
  expect_problem(join(client, kVendor), 403, "unauthorized", "account.other-tenant");
  expect_problem(join(client, "/acme"), 403, "unauthorized", "account.other-tenant");
}

TEST_F(TenantTest, NewAccount_AtNoTenant_AsEver) {
  ASSERT_EQ(join(client, "/acme").status, 201);
  EXPECT_TRUE(client.kid.starts_with(url("/acme", "/account/")));
  EXPECT_FALSE(world.store.account(client.account_id()).tenant);
}

TEST_F(TenantTest, Kid_InAnotherTenantsForm_NoSuchAccount) {
  ASSERT_EQ(join(client, kCustomer).status, 201);
  const auto id = client.account_id();
  for (const auto root : {std::string_view("/acme"), kVendor}) {
    client.kid = url(root, "/account/" + id);
    expect_problem(client.post(at(kCustomer, "/new-order"), std::string(kOrder)), 400,
                   "accountDoesNotExist", "account.unknown");
  }
}

TEST_F(TenantTest, NewOrder_AtItsOwnTenant_UrlsOfIt) {
  ASSERT_EQ(join(client, kCustomer).status, 201);
  const auto response = client.post(at(kCustomer, "/new-order"), std::string(kOrder));
  ASSERT_EQ(response.status, 201) << response.body;
  EXPECT_TRUE(header_of(response, "Location").starts_with(url(kCustomer, "/order/")));
  const auto document = json_of(response);
  EXPECT_TRUE(document.root()
                  .get("authorizations")
                  .items()
                  .at(0)
                  .string()
                  .starts_with(url(kCustomer, "/authz/")));
}

TEST_F(TenantTest, NewOrder_WhereNothingIsDelegated_Refused) {
  ASSERT_EQ(join(client, kVendor).status, 201);
  expect_problem(client.post(at(kCustomer, "/new-order"), std::string(kOrder)), 403, "unauthorized",
                 "tenant.not-delegated");
  expect_problem(client.post("/acme/new-order", std::string(kOrder)), 403, "unauthorized",
                 "tenant.not-delegated");
  EXPECT_EQ(world.signer.count("ticket-mint"), 0);
}

TEST_F(TenantTest, NewOrder_OfTheAppliancesOwnAccountAtATenant_Refused) {
  ASSERT_EQ(join(client, "/acme").status, 201);
  expect_problem(client.post(at(kVendor, "/new-order"), std::string(kOrder)), 403, "unauthorized",
                 "tenant.not-delegated");
}

TEST_F(TenantTest, NewOrder_SignerSawAnotherTenant_Refused) {
  world.signer.blind_to_tenants = true;
  ASSERT_EQ(join(client, kCustomer).status, 201);
  expect_problem(client.post(at(kCustomer, "/new-order"), std::string(kOrder)), 500,
                 "serverInternal", "ticket.tenant");
}

TEST_F(TenantTest, Order_UnderAnotherTenantsUrl_NotFound) {
  ASSERT_EQ(join(client, kCustomer).status, 201);
  const auto made = client.post(at(kVendor, "/new-order"), std::string(kOrder));
  ASSERT_EQ(made.status, 201) << made.body;
  const auto order = header_of(made, "Location");
  ASSERT_TRUE(order.starts_with(url(kCustomer, "/order/"))) << order;
  EXPECT_EQ(client.read(order).status, 200);
  const auto ticket = order.substr(order.rfind('/') + 1);
  for (const auto root : {std::string_view("/acme"), kVendor}) {
    expect_problem(client.post(at(root, "/order/" + ticket), ""), 404, "malformed", "not-found");
    expect_problem(client.post(at(root, "/order/" + ticket + "/finalize"), R"({"csr":"MA"})"), 404,
                   "malformed", "not-found");
  }
}

TEST_F(TenantTest, Authorization_UnderATenantThatDoesNotDelegate_NotFound) {
  ASSERT_EQ(join(client, kCustomer).status, 201);
  const auto made = client.post(at(kVendor, "/new-order"), std::string(kOrder));
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string authz(json_of(made).root().get("authorizations").items().at(0).string());
  ASSERT_TRUE(authz.starts_with(url(kVendor, "/authz/"))) << authz;
  EXPECT_EQ(world.store.authz(authz.substr(authz.rfind('/') + 1)).tenant, "vendor");
  EXPECT_EQ(client.read(authz).status, 200);
  expect_problem(client.post("/acme/authz/" + authz.substr(authz.rfind('/') + 1), ""), 404,
                 "malformed", "not-found");
}

TEST_F(TenantTest, EveryRoute_UnderATenant_MatchesAlike) {
  for (const auto& route : kRoutes) {
    std::string path(route.pattern);
    for (auto spot = path.find("{}"); spot != std::string::npos; spot = path.find("{}"))
      path.replace(spot, 2, "a");
    if (path.ends_with("{*}")) path.replace(path.size() - 3, 3, "a");
    const auto tenants = at(kVendor, path.substr(kRoot.size()));  // `match` looks into it
    const auto match = match_route(tenants);
    ASSERT_TRUE(match) << path;
    EXPECT_EQ(match->route, &route) << path;
    EXPECT_EQ(match->tenant, "vendor");
  }
}

TEST_F(TenantTest, EveryRoute_KidOfAnotherTenant_NeverServed) {
  ASSERT_EQ(join(client, kVendor).status, 201);
  for (const auto& route : kRoutes) {
    const bool recovers = route.resource == Resource::kRecovery;
    const bool page = route.authentication == Authentication::kNone;  // signed by nobody
    if ((route.methods & kPost) == 0 || recovers || page) continue;
    if (route.authentication == Authentication::kJwk) continue;
    std::string path(route.pattern);
    for (auto spot = path.find("{}"); spot != std::string::npos; spot = path.find("{}"))
      path.replace(spot, 2, client.account_id());
    const auto response = client.post(at(kCustomer, path.substr(kRoot.size())), "");
    const bool order = route.resource == Resource::kNewOrder;
    expect_problem(response, order ? 403 : 404, order ? "unauthorized" : "malformed",
                   order ? "tenant.not-delegated" : "not-found");
  }
}

}  // namespace
}  // namespace keyward::acme::test
