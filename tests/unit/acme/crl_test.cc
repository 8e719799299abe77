// Tests the certificate revocation list as clients fetch it.
#include "firmware/acme/crl.h"

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

struct CrlTest : testing::Test {
  CrlTest() { publish(7, 10); }
  void publish(std::uint64_t number, std::size_t size) {
    world.signer.crl_der.assign(size, static_cast<std::uint8_t>(number));
    world.signer.crl.number = number;
    world.signer.crl.total_bytes = size;
    world.signer.crl.this_update_ms = 1'795'000'000'000;  // Wed, 18 Nov 2026
    world.signer.crl.next_update_ms = world.clock.utc_ms() + 3'600'000;
  }
  HttpResponse fetch(std::string_view method = "GET", const std::string& path = "/acme/crl") {
    HttpRequest request;
    request.method = method;
    request.raw_path = path;
    return world.service->handle(request);
  }
  World world;
};

TEST_F(CrlTest, Get_List_MediaTypeAndValidators) {
  const auto response = fetch();
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pkix-crl");
  EXPECT_EQ(header_of(response, "ETag"), "\"7\"");
  EXPECT_EQ(header_of(response, "Last-Modified"), http_date(1'795'000'000'000));
  EXPECT_EQ(header_of(response, "Cache-Control"), "public, max-age=300");
  EXPECT_EQ(response.content(), text_of(world.signer.crl_der));
  EXPECT_EQ(fetch("HEAD").content(), "");
}

TEST_F(CrlTest, GetByName_AnotherListWithItsOwnCopy_UnknownIs404) {
  EXPECT_EQ(fetch().status, 200);
  world.signer.crl_names = {"delta"};
  EXPECT_EQ(fetch("GET", "/acme/crl/delta").status, 200);
  EXPECT_EQ(world.signer.count("crl-get"), 2);
  EXPECT_EQ(fetch("GET", "/acme/crl/delta").status, 200);
  EXPECT_EQ(fetch().status, 200);
  EXPECT_EQ(world.signer.count("crl-get"), 2);  // each has its copy
  expect_problem(fetch("GET", "/acme/crl/long"), 404, "malformed", "not-found");
  expect_problem(fetch("GET", "/acme/crl/" + std::string(limits::kListNameBytesMax + 1, 'a')), 404,
                 "malformed", "not-found");
  EXPECT_EQ(world.signer.count("crl-get"), 3);  // what is no name is not asked for
}

TEST_F(CrlTest, Get_NextUpdateIsNear_CachedNoLonger) {
  world.signer.crl.next_update_ms = world.clock.utc_ms() + 20'000;
  EXPECT_EQ(header_of(fetch(), "Cache-Control"), "public, max-age=20");
}

TEST_F(CrlTest, Get_LargerThanOnePart_Whole) {
  publish(8, limits::kCrlPartBytesMax * 2 + 5);
  EXPECT_EQ(fetch().content().size(), limits::kCrlPartBytesMax * 2 + 5);
  EXPECT_EQ(world.signer.count("crl-get"), 3);
}

TEST_F(CrlTest, Get_Again_AskedOnceASecondAndOnlyAsMuchAsIsNew) {
  publish(8, limits::kCrlPartBytesMax * 2);
  fetch();
  fetch();
  EXPECT_EQ(world.signer.count("crl-get"), 2);
  world.clock.advance(limits::kCrlRecheckMs);
  fetch();
  EXPECT_EQ(world.signer.count("crl-get"), 3);  // the same number: nothing more is read
  publish(9, 20);
  world.clock.advance(limits::kCrlRecheckMs);
  EXPECT_EQ(header_of(fetch(), "ETag"), "\"9\"");
}

TEST_F(CrlTest, Get_ReplacedWhileItIsRead_TheNewer) {
  publish(8, limits::kCrlPartBytesMax + 1);
  world.signer.crl_replaced = 1;
  const auto response = fetch();
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "ETag"), "\"9\"");
}

TEST_F(CrlTest, Get_ReplacedAgainAndAgain_MayComeBack) {
  publish(8, limits::kCrlPartBytesMax + 1);
  world.signer.crl_replaced = 9;
  expect_problem(fetch(), 503, "serverInternal", "crl.replaced");
}

TEST_F(CrlTest, Get_MoreThanOneMayHave_Refused) {
  world.signer.crl.total_bytes = limits::kCrlBytesMax + 1;
  expect_problem(fetch(), 500, "serverInternal", "crl.damaged");
}

TEST_F(CrlTest, Get_NoneIsMade_NotFound) {
  for (const auto* code : {"not-served", "crl-not-offered"}) {
    world.signer.break_message("crl-get", failure(wire::FailureKind::kRefused, code).value());
    expect_problem(fetch(), 404, "malformed", "not-found");
  }
}

TEST_F(CrlTest, Get_NoneYet_MayComeBack) {
  world.signer.break_message("crl-get",
                             failure(wire::FailureKind::kUnavailable, "crl-missing").value());
  expect_problem(fetch(), 503, "serverInternal", "crl-missing");
}

TEST_F(CrlTest, Get_SignerAway_TheKeptOneUntilItsEnd) {
  fetch();
  world.signer.break_message("crl-get",
                             failure(wire::FailureKind::kUnavailable, "peer-lost").value());
  world.clock.advance(limits::kCrlRecheckMs);
  EXPECT_EQ(fetch().status, 200);
  world.clock.advance(3'600'000);
  expect_problem(fetch(), 503, "serverInternal", "peer-lost");
}

}  // namespace
}  // namespace keyward::acme::test
