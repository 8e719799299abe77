// Tests generated from the route table: what each route refuses.
#include "firmware/acme/routes.h"

#include <gtest/gtest.h>

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::World;

std::string sample_path(const Route& route) {
  std::string path(route.pattern);
  for (auto at = path.find("{}"); at != std::string::npos; at = path.find("{}"))
    path.replace(at, 2, "abc_-9");
  if (path.ends_with("{*}")) path.replace(path.size() - 3, 3, "MEI/A+9==");
  return path;
}

// Every resource that an installation can have.
void with_everything(ServiceConfig& config) { config.recovery = true; }
bool is_page(const Route& route) {
  return route.resource == Resource::kTerms || route.resource == Resource::kVeto;
}

class EachRoute : public testing::TestWithParam<Route> {};

bool takes_signed_posts(const Route& route) {
  return (route.methods & kPost) != 0 && route.authentication != Authentication::kNone;
}

TEST_P(EachRoute, SamplePath_Matches_ThisRouteAlone) {
  const auto match = match_route(sample_path(GetParam()));
  ASSERT_TRUE(match);
  EXPECT_EQ(match->route->resource, GetParam().resource);
}

TEST_P(EachRoute, OtherPaths_DoNotMatch) {
  if (GetParam().pattern.ends_with("{*}")) GTEST_SKIP() << "takes any rest";
  const auto path = sample_path(GetParam());
  for (const auto& wrong :
       {path + "/", "/" + path, path + "/x", path + "%00", path + "?", path + "?a=b", path + "#x",
        "/x" + path, path.substr(0, path.size() - 1) + "%61"}) {
    const auto match = match_route(wrong);
    EXPECT_FALSE(match && match->route->resource == GetParam().resource) << wrong;
  }
}

TEST_P(EachRoute, WrongMethod_405WithAllow) {
  World world{with_everything};
  for (const std::string method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS",
                                   "TRACE", "CONNECT", "get", ""}) {
    if ((GetParam().methods & method_bit(method)) != 0) continue;
    if (method == "OPTIONS") continue;  // a browser's preflight: below
    HttpRequest request;
    request.method = method;
    request.raw_path = sample_path(GetParam());
    const auto response = world.service->handle(request);
    if (method == "HEAD") {
      EXPECT_EQ(response.status, 405);
      EXPECT_EQ(response.body, "");
    } else {
      expect_problem(response, 405, "malformed", "http.method");
    }
    EXPECT_NE(header_of(response, "Allow"), "");
    EXPECT_EQ(header_of(response, "Allow").find("GET") != std::string::npos,
              (GetParam().methods & kGet) != 0);
  }
}

TEST_P(EachRoute, WrongMediaType_415) {
  if (!takes_signed_posts(GetParam())) GTEST_SKIP();
  World world{with_everything};
  Client client(world);
  for (const std::string type :
       {"", "application/json", "application/jose", "application/jose+jsonx", "text/plain"}) {
    auto request = client.signed_request(sample_path(GetParam()),
                                         client.defaults(sample_path(GetParam()), ""));
    request.content_type = type;
    expect_problem(world.service->handle(request), 415, "malformed", "http.content-type");
  }
}

TEST_P(EachRoute, TooLarge_413) {
  if (!takes_signed_posts(GetParam())) GTEST_SKIP();
  World world{with_everything};
  HttpRequest request;
  request.method = "POST";
  request.raw_path = sample_path(GetParam());
  request.content_type =
      is_page(GetParam()) ? "application/x-www-form-urlencoded" : "application/jose+json";
  request.body = Bytes(GetParam().body_bytes_max + 1, '{');
  expect_problem(world.service->handle(request), 413, "malformed", "http.too-large");
  EXPECT_EQ(world.service->body_bytes_max("POST", request.raw_path), GetParam().body_bytes_max);
  EXPECT_EQ(world.service->body_bytes_max("GET", request.raw_path), 0U);
}

TEST_P(EachRoute, OtherStates_503WithRetryAfter) {
  World world{with_everything};
  for (const auto state :
       {ApplianceState::kUnprovisioned, ApplianceState::kLocked, ApplianceState::kOperational,
        ApplianceState::kDegraded, ApplianceState::kFailed}) {
    world.service->set_state(state);
    HttpRequest request;
    request.method = (GetParam().methods & kPost) != 0 ? "POST" : "GET";
    request.raw_path = sample_path(GetParam());
    const auto response = world.service->handle(request);
    if ((GetParam().states & static_cast<std::uint8_t>(state)) != 0) {
      EXPECT_NE(response.status, 503);
    } else {
      expect_problem(response, 503, "serverInternal", "appliance.state");
      EXPECT_NE(header_of(response, "Retry-After"), "");
    }
  }
}

TEST_P(EachRoute, WrongKindOfKey_Malformed) {
  const auto authentication = GetParam().authentication;
  if (authentication == Authentication::kNone || authentication == Authentication::kEither)
    GTEST_SKIP() << "takes no key, or either kind";
  if (!takes_signed_posts(GetParam())) GTEST_SKIP();
  if (GetParam().authentication == Authentication::kEither) GTEST_SKIP();
  World world{with_everything};
  Client client(world);
  client.register_account();
  const auto path = sample_path(GetParam());
  auto sign = client.defaults(path, "");
  const bool wants_jwk = GetParam().authentication == Authentication::kJwk;
  if (wants_jwk) {
    sign.kid = client.kid;
  } else {
    sign.kid.reset();
  }
  expect_problem(world.service->handle(client.signed_request(path, sign)), 400, "malformed",
                 wants_jwk ? "jws.jwk-required" : "jws.kid-required");
}

TEST_P(EachRoute, NotJson_Malformed) {
  if (is_page(GetParam())) GTEST_SKIP() << "takes a form";
  if (!takes_signed_posts(GetParam())) GTEST_SKIP();
  World world{with_everything};
  HttpRequest request;
  request.method = "POST";
  request.raw_path = sample_path(GetParam());
  request.content_type = "application/jose+json";
  request.body = to_bytes("not json");
  expect_problem(world.service->handle(request), 400, "malformed", "jws.form");
}

TEST_P(EachRoute, Preflight_204WithMethodsAndContentType) {
  World world{with_everything};
  HttpRequest request;
  request.method = "OPTIONS";
  request.raw_path = sample_path(GetParam());
  const auto response = world.service->handle(request);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Headers"), "content-type");
  EXPECT_NE(header_of(response, "Access-Control-Max-Age"), "");
  const auto methods = header_of(response, "Access-Control-Allow-Methods");
  EXPECT_EQ(methods.find("POST") != std::string::npos, (GetParam().methods & kPost) != 0);
  EXPECT_EQ(methods.find("GET") != std::string::npos, (GetParam().methods & kGet) != 0);
}

TEST_P(EachRoute, CorsOff_NoHeadersAndOptionsIs405) {
  World world([](ServiceConfig& config) {
    with_everything(config);
    config.cors = false;
  });
  HttpRequest request;
  request.method = "OPTIONS";
  request.raw_path = sample_path(GetParam());
  const auto response = world.service->handle(request);
  expect_problem(response, 405, "malformed", "http.method");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(header_of(response, "Access-Control-Expose-Headers"), "");
}

std::string resource_name(const testing::TestParamInfo<Route>& info) {
  std::string name;
  for (const char c : info.param.pattern)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Routes, EachRoute, testing::ValuesIn(kRoutes), resource_name);

TEST(Routes, Pages_OtherMediaTypeOrTooLarge_Refused) {
  World world{with_everything};
  for (const auto& route : kRoutes) {
    if (!is_page(route)) continue;
    HttpRequest request;
    request.method = "POST";
    request.raw_path = sample_path(route);
    request.content_type = "application/jose+json";
    expect_problem(world.service->handle(request), 415, "malformed", "http.content-type");
    request.content_type = "application/x-www-form-urlencoded";
    request.body = Bytes(route.body_bytes_max + 1, 'a');
    expect_problem(world.service->handle(request), 413, "malformed", "http.too-large");
  }
}

TEST(Routes, UnknownPath_404) {
  World world;
  for (const std::string path : {"/", "", "/acme", "/acme/order/", "/acme/order/a b", "*",
                                 "https://ca.test:14000/acme/directory"}) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = path;
    expect_problem(world.service->handle(request), 404, "malformed", "not-found");
  }
}

TEST(Routes, Id_LongerThanTheLimit_NoMatch) {
  EXPECT_TRUE(match_route("/acme/order/" + std::string(limits::kIdBytesMax, 'a')));
  EXPECT_FALSE(match_route("/acme/order/" + std::string(limits::kIdBytesMax + 1, 'a')));
}

TEST(Routes, Cursor_OnlyAtOrdersAndOnlyWhole) {
  EXPECT_EQ(match_route("/acme/account/a/orders?cursor=17")->cursor, "17");
  EXPECT_FALSE(match_route("/acme/account/a/orders?cursor="));
  EXPECT_FALSE(match_route("/acme/account/a/orders?cursor=1&x=2"));
  EXPECT_FALSE(match_route("/acme/order/a?cursor=17"));
}

TEST(Directory, Get_ListsOnlyWhatWorks) {
  World world([](ServiceConfig& config) {
    config.terms_of_service = "https://ca.test/terms";
    config.website = "https://ca.test/";
  });
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto response = world.service->handle(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
  EXPECT_FALSE(test::has_link(response, "index"));
  const auto document = test::json_of(response);
  EXPECT_EQ(document.root().get("newOrder").string(), std::string(test::kBase) + "/acme/new-order");
  // Every URL that is listed has a route.
  for (const auto& key : document.root().keys()) {
    if (key == "meta") continue;
    auto path = std::string(document.root().get(key).string().substr(test::kBase.size()));
    if (key == "renewalInfo") path += "/a.b";  // RFC 9773 §4.1: a base, to which the id is added
    EXPECT_TRUE(match_route(path)) << key;
  }
  EXPECT_EQ(document.root().get("meta").get("termsOfService").string(), "https://ca.test/terms");
}

TEST(Directory, RecoveryConfigured_ListedElseUnknown) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  World world{with_everything};
  EXPECT_EQ(test::text_at(world.service->handle(request), "recoverAccount"),
            std::string(test::kBase) + "/acme/recover-account");
  World without;
  for (const auto* path :
       {"/acme/recover-account", "/acme/recovery/a", "/acme/recovery/a/veto/b"}) {
    request.method = "POST";
    request.raw_path = path;
    expect_problem(without.service->handle(request), 404, "malformed", "not-found");
  }
}

TEST(Directory, AfterTheSignerAnswered_ShowsProfilesAndServes) {
  World world;
  world.service->set_state(ApplianceState::kLocked);
  world.service->start();
  EXPECT_TRUE(
      test::eventually([&] { return world.service->state() == ApplianceState::kOperational; }));
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto document = test::json_of(world.service->handle(request));
  EXPECT_EQ(document.root().get("meta").get("profiles").get("device").string(),
            "an attested device (proved by device-attest-01)");
}

TEST(Directory, PostAsGet_SameContent) {
  World world;
  Client client(world);
  client.register_account();
  const auto response = client.post("/acme/directory", "");
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(test::text_at(response, "newNonce").empty());
}

TEST(NewNonce, EachMethod_StatusNonceAndNoStore) {
  World world;
  Client client(world);
  client.register_account();
  for (const std::string method : {"HEAD", "GET"}) {
    HttpRequest request;
    request.method = method;
    request.raw_path = "/acme/new-nonce";
    const auto response = world.service->handle(request);
    EXPECT_EQ(response.status, method == "HEAD" ? 200 : 204);
    EXPECT_EQ(response.body, "");
    EXPECT_NE(header_of(response, "Replay-Nonce"), "");
    EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
    EXPECT_TRUE(test::has_link(response, "/acme/directory>;rel=\"index\""));
  }
  EXPECT_EQ(client.post("/acme/new-nonce", "").status, 204);
}

TEST(Transport, RefusedByTheServer_IsAProblemDocumentToo) {
  World world;
  for (const int status : {400, 408, 411, 413, 421, 431}) {
    expect_problem(world.service->refuse_transport(status, "why"), status, "malformed",
                   "http.refused");
  }
  expect_problem(world.service->refuse_transport(503, "why"), 503, "serverInternal",
                 "http.refused");
  expect_problem(world.service->refuse_transport(429, "why"), 429, "rateLimited", "http.refused");
}

}  // namespace
}  // namespace keyward::acme
