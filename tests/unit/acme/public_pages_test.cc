// Tests what the plain listener serves: lists, OCSP and issuer certificates, and nothing of ACME.
#include "firmware/acme/public_pages.h"

#include "firmware/crypto/crypto.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

struct PublicPagesTest : testing::Test {
  PublicPagesTest() {
    world.signer.crl_der.assign(10, 7);
    world.signer.crl.number = 7;
    world.signer.crl.total_bytes = 10;
    world.signer.crl.this_update_ms = world.clock.utc_ms();
    world.signer.crl.next_update_ms = world.clock.utc_ms() + 3'600'000;
    world.signer.ocsp = wire::OcspGetReply{to_bytes(std::string("an answer")), world.clock.utc_ms(),
                                           world.clock.utc_ms() + 3'600'000};
  }
  HttpResponse ask(const std::string& path, const std::string& method = "GET",
                   const std::string& etag = "") {
    HttpRequest request;
    request.method = method;
    request.raw_path = path;
    request.if_none_match = etag;
    if (method == "POST") {
      request.content_type = "application/ocsp-request";
      request.body = {0x30, 0x00};
    }
    return pages.handle(request);
  }
  // In text, with nothing that belongs to ACME.
  void expect_plain(const HttpResponse& response, int status) {
    EXPECT_EQ(response.status, status) << response.body;
    for (const auto* name : {"Replay-Nonce", "Link", "Access-Control-Allow-Origin", "Location"}) {
      EXPECT_EQ(header_of(response, name), "") << name;
    }
    EXPECT_EQ(response.body.find("urn:ietf"), std::string::npos) << response.body;
    if (status < 400) return;
    EXPECT_EQ(header_of(response, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
  }
  World world;
  PublicPages pages{*world.service};
};

TEST_F(PublicPagesTest, List_GetAndHead_AsOverHttpsWithoutAcme) {
  const auto response = ask("/acme/crl");
  expect_plain(response, 200);
  EXPECT_EQ(response.content(), text_of(world.signer.crl_der));
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pkix-crl");
  EXPECT_EQ(header_of(response, "ETag"), "\"7\"");
  EXPECT_EQ(header_of(response, "Cache-Control"), "public, max-age=300");
  const auto head = ask("/acme/crl", "HEAD");
  expect_plain(head, 200);
  EXPECT_EQ(head.content(), "");
  EXPECT_EQ(header_of(head, "ETag"), "\"7\"");
}

TEST_F(PublicPagesTest, List_ETagOfTheNewest_NotModified) {
  for (const auto* etag : {"\"7\"", "W/\"7\"", "\"6\", \"7\"", "*"}) {
    const auto response = ask("/acme/crl", "GET", etag);
    expect_plain(response, 304);
    EXPECT_EQ(response.content(), "");
    EXPECT_EQ(header_of(response, "Content-Type"), "");
    EXPECT_EQ(header_of(response, "ETag"), "\"7\"");
    EXPECT_EQ(header_of(response, "Cache-Control"), "public, max-age=300");
  }
}

TEST_F(PublicPagesTest, List_AnotherETag_Whole) {
  for (const auto* etag : {"\"6\"", "7", "\"", "\"77\"", "\"6\", \"8"})
    EXPECT_EQ(ask("/acme/crl", "GET", etag).status, 200) << etag;
}

TEST_F(PublicPagesTest, OverHttps_ETagOfTheNewest_NotModifiedToo) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/crl";
  request.if_none_match = "\"7\"";
  EXPECT_EQ(world.service->handle(request).status, 304);
}

TEST_F(PublicPagesTest, Ocsp_BothWays_Answered) {
  const auto post = ask("/acme/ocsp", "POST");
  expect_plain(post, 200);
  EXPECT_EQ(post.body, "an answer");
  const auto get = ask("/acme/ocsp/MAP7%2F74=");
  expect_plain(get, 200);
  EXPECT_EQ(header_of(get, "Content-Type"), "application/ocsp-response");
  const auto etag = header_of(get, "ETag");
  EXPECT_EQ(etag.size(), 24u);
  expect_plain(ask("/acme/ocsp/MAP7%2F74=", "GET", etag), 304);
  EXPECT_EQ(ask("/acme/ocsp", "POST", "*").status, 200);  // a condition on reading alone
}

TEST_F(PublicPagesTest, IssuerCertificate_Get_WithoutLinks) {
  const auto info = world.signer.ask(wire::IssuerGet{});
  ASSERT_TRUE(info && !info->chain.empty());
  const auto id = base64url_encode(crypto::sha256(info->chain[0]));
  const auto response = ask("/acme/issuer/" + id);
  expect_plain(response, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pkix-cert");
  EXPECT_EQ(response.body, text_of(info->chain[0]));
  expect_plain(ask("/acme/issuer/" + id + "x"), 404);
}

TEST_F(PublicPagesTest, EveryOtherRoute_IsNotFoundByEveryMethod) {
  std::size_t looked_at = 0;
  for (const auto& route : kRoutes) {
    if (is_public(route)) continue;
    std::string path(route.pattern);
    for (auto at = path.find("{}"); at != std::string::npos; at = path.find("{}"))
      path.replace(at, 2, "a");
    ASSERT_TRUE(match_route(path)) << path;
    for (const auto* method : {"GET", "HEAD", "POST", "OPTIONS"})
      EXPECT_EQ(ask(path, method).status, 404) << method << " " << path;
    expect_plain(ask(path), 404);
    EXPECT_EQ(pages.body_bytes_max("POST", path), 0u) << path;
    ++looked_at;
  }
  EXPECT_GT(looked_at, 20u);
  for (const auto* path :
       {"/", "/dir", "/acme", "/acme/", "/acme/crl/", "/acme/crl?x=1", "/acme/crlx",
        "/acme/../acme/crl", "/acme/t/vendor/crl", "/acme/t/vendor/directory", "//acme/crl"})
    expect_plain(ask(path), 404);
}

TEST_F(PublicPagesTest, AnotherMethod_SaysWhich) {
  const auto response = ask("/acme/crl", "POST");
  expect_plain(response, 405);
  EXPECT_EQ(header_of(response, "Allow"), "GET, HEAD");
  EXPECT_EQ(header_of(ask("/acme/ocsp"), "Allow"), "POST");
  for (const auto* method : {"PUT", "DELETE", "OPTIONS", "get", ""})
    expect_plain(ask("/acme/crl", method), 405);
}

TEST_F(PublicPagesTest, BodyCap_OfOcspAlone) {
  EXPECT_EQ(pages.body_bytes_max("POST", "/acme/ocsp"), limits::kOcspRequestBytesMax);
  EXPECT_EQ(pages.body_bytes_max("GET", "/acme/ocsp"), 0u);
  EXPECT_EQ(pages.body_bytes_max("POST", "/acme/crl"), 0u);
  EXPECT_EQ(pages.body_bytes_max("POST", "/acme/new-account"), 0u);
}

TEST_F(PublicPagesTest, SignerAwayOrNoneMade_SaidInText) {
  world.signer.break_message("crl-get",
                             failure(wire::FailureKind::kUnavailable, "crl-missing").value());
  const auto response = ask("/acme/crl");
  expect_plain(response, 503);
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_EQ(response.body.find("crl-missing"), 0u) << response.body;
  world.signer.ocsp.reset();
  expect_plain(ask("/acme/ocsp", "POST"), 404);
}

TEST_F(PublicPagesTest, TransportRefusal_InText) {
  expect_plain(pages.refuse_transport(413, "too large"), 413);
  EXPECT_EQ(header_of(pages.refuse_transport(429, "too fast"), "Retry-After"), "5");
}

TEST_F(PublicPagesTest, BeforeTheSignerAnswered_ListsAreReadable) {
  world.service->set_state(ApplianceState::kLocked);
  expect_plain(ask("/acme/crl"), 200);
  world.service->set_state(ApplianceState::kUnprovisioned);
  expect_plain(ask("/acme/crl"), 503);
}

}  // namespace
}  // namespace keyward::acme::test
