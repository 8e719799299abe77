// Tests OCSP over HTTP: both ways to ask, what caches are told, and each refusal.
#include "firmware/acme/ocsp.h"

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

const Bytes kRequest = {0x30, 0x03, 0xfb, 0xff, 0xbe};  // base64 MAP7/74=

struct OcspTest : testing::Test {
  OcspTest() { world.signer.ocsp = wire::OcspGetReply{to_bytes(std::string("an answer")), {}, {}}; }
  void make_cacheable() {
    world.signer.ocsp->this_update_ms = world.clock.utc_ms();
    world.signer.ocsp->next_update_ms = world.clock.utc_ms() + 3'600'000;
  }
  HttpResponse post(const std::string& type = "application/ocsp-request") {
    HttpRequest request;
    request.method = "POST";
    request.raw_path = "/acme/ocsp";
    request.content_type = type;
    request.body = kRequest;
    return world.service->handle(request);
  }
  HttpResponse get(const std::string& encoded, const std::string& method = "GET") {
    HttpRequest request;
    request.method = method;
    request.raw_path = "/acme/ocsp/" + encoded;
    return world.service->handle(request);
  }
  World world;
};

TEST_F(OcspTest, Post_Request_ReachesTheSignerAndIsAnswered) {
  const auto response = post();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/ocsp-response");
  EXPECT_EQ(response.body, "an answer");
  EXPECT_EQ(world.signer.ocsp_asked, kRequest);
  EXPECT_EQ(header_of(response, "Replay-Nonce"), "");
  EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
}

TEST_F(OcspTest, Post_AnotherMediaType_Is415) {
  EXPECT_EQ(post("application/jose+json").status, 415);
  EXPECT_EQ(world.signer.count("ocsp-get"), 0);
}

TEST_F(OcspTest, Get_EachWayToWriteBase64_ReachesTheSigner) {
  for (const auto* path : {"MAP7/74=", "MAP7%2F74%3D", "MAP7%2f74", "MAP7_74"}) {
    world.signer.ocsp_asked.clear();
    EXPECT_EQ(get(path).status, 200) << path;
    EXPECT_EQ(world.signer.ocsp_asked, kRequest) << path;
  }
}

TEST_F(OcspTest, Get_NoBase64_Is400AndAsksNobody) {
  for (const auto* path : {"MAP7%2", "MAP7%zz74", "M", "====", "MAP7/74=x"}) {
    EXPECT_EQ(get(path).status, 400) << path;
  }
  EXPECT_EQ(get("MAP7.74").status, 404);
  EXPECT_EQ(get(std::string(limits::kOcspPathBytesMax + 1, 'A')).status, 404);
  EXPECT_EQ(world.signer.count("ocsp-get"), 0);
}

TEST_F(OcspTest, Get_WhatMayBeKept_SaysHowLong) {
  make_cacheable();
  const auto response = get("MAP7/74=");
  EXPECT_EQ(header_of(response, "Cache-Control"),
            "public, no-transform, must-revalidate, max-age=1800");
  EXPECT_EQ(header_of(response, "Last-Modified"), http_date(world.clock.utc_ms()));
  EXPECT_EQ(header_of(response, "Expires"), http_date(world.clock.utc_ms() + 3'600'000));
  EXPECT_EQ(get("MAP7/74=", "HEAD").body, "");
  EXPECT_EQ(header_of(post(), "Cache-Control"), "no-store");  // RFC 9110: a POST's is not kept
}

TEST_F(OcspTest, NoResponder_Is404) {
  world.signer.ocsp.reset();
  EXPECT_EQ(post().status, 404);
  EXPECT_EQ(get("MAP7/74=").status, 404);
}

}  // namespace
}  // namespace keyward::acme::test
