// Tests orders that renew by themselves (RFC 8739).
#include "firmware/acme/star.h"

#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
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

class Star : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  // A valid order with a life of an hour, ten of them in all; the signer gives the next after half.
  void begin(bool by_get) {
    const auto made = client.post(
        "/acme/new-order",
        std::string(
            R"({"identifiers":[{"type":"permanent-identifier","value":"d"}],"auto-renewal":{"lifetime":3600,"end-date":"x","allow-certificate-get":)") +
            (by_get ? "true" : "false") + "}}");
    ASSERT_EQ(made.status, 201) << made.body;
    order.url = header_of(made, "Location");
    order.ticket = order.url.substr(order.url.rfind('/') + 1);
    order.finalize = text_at(made, "finalize");
    EXPECT_EQ(json_of(made).root().get("auto-renewal").get("lifetime").integer(), 3600);
    const auto authz = std::string(json_of(made).root().get("authorizations").items()[0].string());
    const auto challenge = std::string(
        json_of(client.read(authz)).root().get("challenges").items()[0].get("url").string());
    ASSERT_EQ(client.post_url(challenge, R"({"attObj":"oA"})").status, 200);
    const auto valid = client.post_url(order.finalize, client.csr_payload("d"));
    ASSERT_EQ(text_at(valid, "status"), "valid") << valid.body;
    EXPECT_EQ(text_at(valid, "certificate"), "");
    url = text_at(valid, "star-certificate");
  }
  HttpResponse get(const std::string& from) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = client.path_of(from);
    return world.service->handle(request);
  }
  Bytes leaf(const HttpResponse& response) {
    const auto chain = x509::certificates_from_pem(response.body, 6);
    return chain && !chain->empty() ? chain->at(0) : Bytes{};
  }
  World world;
  Client client{world};
  Client::Order order;
  std::string url;
};

TEST_F(Star, Valid_FetchedByPostWithItsValidityInHeaders) {
  begin(false);
  const auto response = client.read(url);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(header_of(response, "Cert-Not-Before").ends_with(" GMT"));
  EXPECT_NE(header_of(response, "Cert-Not-After"), header_of(response, "Cert-Not-Before"));
  Client other(world);
  other.register_account();
  expect_problem(other.read(url), 404, "malformed", "not-found");
  expect_problem(client.post_url(url, "{}"), 400, "malformed", "payload.not-empty");
}

TEST_F(Star, GetNotNegotiated_405LikeUnknown) {
  begin(false);
  expect_problem(get(url), 405, "malformed", "http.method");
  EXPECT_EQ(header_of(get(url), "Allow"), "POST");
  expect_problem(get(url + "x"), 405, "malformed", "http.method");
}

TEST_F(Star, GetNegotiated_GivesTheSameAndMayBeCached) {
  begin(true);
  const auto response = get(url);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, client.read(url).body);
  EXPECT_TRUE(header_of(response, "Cache-Control").starts_with("public, max-age="));
  EXPECT_EQ(header_of(response, "Replay-Nonce"), "");
}

TEST_F(Star, ThreeRenewals_EachWhenItIsDue) {
  begin(true);
  auto before = leaf(get(url));
  for (int i = 0; i < 3; ++i) {
    world.service->resume_work();
    EXPECT_EQ(leaf(get(url)), before);  // not due yet
    world.clock.advance(1'800'000);
    ASSERT_TRUE(eventually([&] {  // again and again, as the task does: the job may still be ending
      world.service->resume_work();
      return leaf(get(url)) != before;
    }));
    before = leaf(get(url));
  }
  EXPECT_EQ(world.signer.signatures(), 4);
  EXPECT_EQ(client.status_of(order), "valid");
}

TEST_F(Star, SignerAwayAndTaskRestarted_RenewedAfterwards) {
  begin(true);
  const auto before = leaf(get(url));
  world.signer.break_message(
      "certificate-issue", wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "gone"));
  world.clock.advance(1'800'000);
  world.service->resume_work();
  EXPECT_TRUE(world.signer.wait_for("certificate-issue", 3));
  world.restart();
  world.signer.heal("certificate-issue");
  world.service->resume_work();
  EXPECT_TRUE(eventually([&] { return leaf(get(url)) != before; }));
}

TEST_F(Star, Cancel_403AfterwardsAndNoFurtherRenewal) {
  begin(true);
  const auto response = client.post_url(order.url, R"({"status":"canceled"})");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(text_at(response, "status"), "canceled");
  expect_problem(get(url), 403, "autoRenewalCanceled", "star.canceled");
  expect_problem(client.read(url), 403, "autoRenewalCanceled", "star.canceled");
  world.clock.advance(1'800'000);
  world.service->resume_work();
  EXPECT_EQ(world.signer.signatures(), 1);
  expect_problem(client.post_url(order.url, R"({"status":"canceled"})"), 400,
                 "autoRenewalCancellationInvalid", "star.not-cancelable");
}

TEST_F(Star, CancelOfAnotherOrder_OrWithAnotherStatus_Refused) {
  const auto plain = client.ready_device_order("e");
  expect_problem(client.post_url(plain.url, R"({"status":"canceled"})"), 400,
                 "autoRenewalCancellationInvalid", "star.not-cancelable");
  begin(false);
  expect_problem(client.post_url(order.url, R"({"status":"invalid"})"), 400, "malformed",
                 "order.form");
  expect_problem(client.post_url(order.url, "{}"), 400, "malformed", "payload.not-empty");
  world.signer.break_message(
      "order-cancel", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(client.post_url(order.url, R"({"status":"canceled"})"), 503, "serverInternal",
                 "peer-lost");
  EXPECT_EQ(client.status_of(order), "valid");
}

TEST_F(Star, StoreAwayAfterTheSignerCanceled_TheNextRenewalTellsIt) {
  begin(true);
  world.store.break_message(
      "order-update", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(client.post_url(order.url, R"({"status":"canceled"})"), 503, "serverInternal",
                 "peer-lost");
  world.store.heal("order-update");
  world.signer.break_message("certificate-issue",
                             wire::Failure::of(wire::FailureKind::kRefused, "star-canceled", "so"));
  world.clock.advance(1'800'000);
  world.service->resume_work();
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "canceled"; }));
}

TEST_F(Star, AfterTheEnd_403Expired) {
  begin(true);
  world.clock.advance(11 * 3'600'000);
  expect_problem(get(url), 403, "autoRenewalExpired", "star.ended");
}

}  // namespace
}  // namespace keyward::acme
