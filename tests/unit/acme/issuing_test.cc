// Tests finalize and what follows, with the signer, the HSM and the store going away at each step.
#include "firmware/acme/issuing.h"

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

class Finalize : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  HttpResponse finalize(const Client::Order& order) {
    return client.post_url(order.finalize, client.csr_payload("device-1"));
  }
  void break_signer(wire::FailureKind kind, std::string_view code) {
    world.signer.break_message("certificate-issue", wire::Failure::of(kind, code, "why"));
  }
  World world;
  Client client{world};
};

TEST_F(Finalize, Ready_ValidWithACertificateToDownload) {
  const auto order = client.ready_device_order("device-1");
  const auto response = finalize(order);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_EQ(header_of(response, "Location"), order.url);
  const auto download = client.read(text_at(response, "certificate"));
  EXPECT_EQ(download.status, 200);
  EXPECT_EQ(header_of(download, "Content-Type"), "application/pem-certificate-chain");
  const auto chain = x509::certificates_from_pem(download.body, 6);
  ASSERT_TRUE(chain.has_value());
  EXPECT_EQ(chain->size(), 2U);
  EXPECT_EQ(world.signer.signatures(), 1);
}

TEST_F(Finalize, NotReady_403OrderNotReady) {
  const auto pending = client.new_order("permanent-identifier", "device-1");
  expect_problem(finalize(pending), 403, "orderNotReady", "order.not-ready");
  const auto done = client.ready_device_order("device-1");
  EXPECT_EQ(finalize(done).status, 200);
  expect_problem(finalize(done), 403, "orderNotReady", "order.not-ready");
  EXPECT_EQ(world.signer.signatures(), 1);
}

TEST_F(Finalize, Expired_403OrderNotReady) {
  const auto order = client.ready_device_order("device-1");
  world.clock.advance(limits::kOrderLifetimeMs + 1);
  expect_problem(finalize(order), 403, "orderNotReady", "order.not-ready");
}

TEST_F(Finalize, PayloadForms_RefusedAndStillReady) {
  const auto order = client.ready_device_order("device-1");
  expect_problem(client.post_url(order.finalize, ""), 400, "malformed", "finalize.form");
  expect_problem(client.post_url(order.finalize, "{}"), 400, "malformed", "finalize.form");
  expect_problem(client.post_url(order.finalize, R"({"csr":"MA=="})"), 400, "malformed",
                 "finalize.encoding");
  expect_problem(client.post_url(order.finalize, R"({"csr":""})"), 400, "malformed",
                 "finalize.encoding");
  const std::string big = base64url_encode(Bytes(limits::kCsrBytesMax + 1));
  expect_problem(client.post_url(order.finalize, R"({"csr":")" + big + R"("})"), 400, "badCSR",
                 "finalize.size");
  EXPECT_EQ(client.status_of(order), "ready");
}

TEST_F(Finalize, LargestCsr_FitsTheBodyCap) {
  const auto order = client.ready_device_order("device-1");
  const std::string largest = base64url_encode(Bytes(limits::kCsrBytesMax));
  expect_problem(client.post_url(order.finalize, R"({"csr":")" + largest + R"("})"), 400, "badCSR",
                 "csr-malformed");
}

TEST_F(Finalize, CsrRefused_OrderReadyAgainAndTheNextOneWorks) {
  const auto order = client.ready_device_order("device-1");
  for (const auto* code :
       {"csr-names", "csr-signature", "attested-key-mismatch", "csr-key-is-account-key"}) {
    break_signer(wire::FailureKind::kRefused, code);
    expect_problem(finalize(order), 400, "badCSR", code);
    EXPECT_EQ(client.status_of(order), "ready");
  }
  world.signer.heal("certificate-issue");
  EXPECT_EQ(text_at(finalize(order), "status"), "valid");
}

TEST_F(Finalize, RefusedForGood_OrderInvalidWithTheReason) {
  for (const auto* code : {"grant-missing", "grant-expired", "lint-failed", "ticket-forged"}) {
    world.signer.heal("certificate-issue");
    const auto order = client.ready_device_order("device-1");
    break_signer(wire::FailureKind::kRefused, code);
    EXPECT_GE(finalize(order).status, 400);
    const auto shown = client.read(order.url);
    EXPECT_EQ(text_at(shown, "status"), "invalid");
    EXPECT_EQ(json_of(shown).root().get("error").get("code").string(), code);
  }
}

TEST_F(Finalize, RateLimited_429AndStillReady) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kExhausted, "rate-account");
  const auto response = finalize(order);
  expect_problem(response, 429, "rateLimited", "rate-account");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_EQ(client.status_of(order), "ready");
}

TEST_F(Finalize, HsmAway_ProcessingWithRetryAfterAndLaterValid) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "hsm-away");
  const auto response = finalize(order);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "processing");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_TRUE(world.signer.wait_for("certificate-issue", 2));
  const auto polled = client.read(order.url);
  EXPECT_EQ(text_at(polled, "status"), "processing");
  EXPECT_NE(header_of(polled, "Retry-After"), "");
  world.signer.heal("certificate-issue");
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "valid"; }));
  EXPECT_EQ(world.signer.signatures(), 1);
}

TEST_F(Finalize, SignerLostAndTaskRestarted_WorkListFinishesIt) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "peer-lost");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  world.restart();
  world.signer.heal("certificate-issue");
  world.service->start();
  EXPECT_TRUE(
      eventually([&] { return world.store.order(order.ticket).status == OrderStatus::kValid; }));
  EXPECT_EQ(client.read(text_at(client.read(order.url), "certificate")).status, 200);
}

TEST_F(Finalize, TaskRestarted_PollAloneTakesItUp) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "peer-timeout");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  world.restart();
  world.signer.heal("certificate-issue");
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "valid"; }));
}

TEST_F(Finalize, StoreAwayAfterTheSignature_SameCertificateLater) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "hsm-away");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  // The signature is made, but its result cannot be kept at once.
  world.store.break_message(
      "order-update", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  world.signer.heal("certificate-issue");
  EXPECT_TRUE(eventually([&] { return world.signer.signatures() == 1; }));
  EXPECT_EQ(client.status_of(order), "processing");
  world.store.heal("order-update");
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "valid"; }));
  EXPECT_EQ(world.signer.signatures(), 1);
}

TEST_F(Finalize, StoreAwayBefore_503AndStillReady) {
  const auto order = client.ready_device_order("device-1");
  world.store.break_message(
      "order-update", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(finalize(order), 503, "serverInternal", "peer-lost");
  EXPECT_EQ(world.signer.signatures(), 0);
  world.store.heal("order-update");
  EXPECT_EQ(text_at(finalize(order), "status"), "valid");
}

TEST_F(Finalize, RefusedInTheBackground_InvalidWithTheReason) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "hsm-away");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  break_signer(wire::FailureKind::kRefused, "csr-names");
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "invalid"; }));
  EXPECT_EQ(json_of(client.read(order.url)).root().get("error").get("code").string(), "csr-names");
}

TEST_F(Finalize, RateLimitedInTheBackground_WaitsAndThenValid) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "hsm-away");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  break_signer(wire::FailureKind::kExhausted, "rate-overall");
  EXPECT_TRUE(world.signer.wait_for("certificate-issue", 3));
  EXPECT_EQ(client.status_of(order), "processing");
  world.signer.heal("certificate-issue");
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "valid"; }));
}

TEST_F(Finalize, AccountDeactivatedMeanwhile_NoCertificate) {
  const auto order = client.ready_device_order("device-1");
  break_signer(wire::FailureKind::kUnavailable, "hsm-away");
  EXPECT_EQ(text_at(finalize(order), "status"), "processing");
  EXPECT_EQ(client.post_url(client.kid, R"({"status":"deactivated"})").status, 200);
  world.signer.heal("certificate-issue");
  EXPECT_TRUE(
      eventually([&] { return world.store.order(order.ticket).status == OrderStatus::kInvalid; }));
  EXPECT_EQ(world.signer.signatures(), 0);
}

TEST_F(Finalize, SameOrderFromManyThreads_OneCertificate) {
  const auto order = client.ready_device_order("device-1");
  std::vector<HttpRequest> requests;
  for (int i = 0; i < 8; ++i) {
    const auto path = client.path_of(order.finalize);
    requests.push_back(
        client.signed_request(path, client.defaults(path, client.csr_payload("device-1"))));
  }
  std::atomic<int> valid{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (const auto& request : requests) {
    threads.emplace_back([&] {
      const auto response = world.service->handle(request);
      (response.status == 200 ? valid : refused) += 1;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(valid, 1);
  EXPECT_EQ(refused, 7);
  EXPECT_EQ(world.signer.signatures(), 1);
  EXPECT_EQ(client.status_of(order), "valid");
}

}  // namespace
}  // namespace keyward::acme
