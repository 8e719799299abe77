// Tests revokeCert: who signs, what the signer is given, what happens while the store is away.
#include "firmware/acme/revocation.h"

#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::eventually;
using test::expect_problem;
using test::header_of;
using test::text_at;
using test::World;

class Revocation : public testing::Test {
 protected:
  void SetUp() override {
    client.register_account();
    const auto order = client.ready_device_order("device-1");
    const auto made = client.post_url(order.finalize, client.csr_payload("device-1"));
    const auto chain =
        x509::certificates_from_pem(client.read(text_at(made, "certificate")).body, 6);
    ASSERT_TRUE(chain.has_value());
    leaf = chain->at(0);
    serial = x509::parse_certificate(leaf)->serial;
  }
  std::string payload(std::string_view more = "") const {
    return R"({"certificate":")" + base64url_encode(leaf) + "\"" + std::string(more) + "}";
  }
  HttpResponse revoke(std::string_view more = "") {
    return client.post("/acme/revoke-cert", payload(more));
  }
  bool is_marked() {
    const auto reply = world.store.ask(wire::CertificateFind{serial}, 1'000);
    return reply && reply->certificate && reply->certificate->revoked_at_ms.has_value();
  }
  World world;
  Client client{world};
  Bytes leaf;
  Bytes serial;
};

TEST_F(Revocation, ByAccount_TheSignerDecidesAndTheStoreMarks) {
  const auto response = revoke(R"(,"reason":4)");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, "");
  EXPECT_NE(header_of(response, "Replay-Nonce"), "");
  EXPECT_TRUE(world.signer.last_revoke().account_jwk.has_value());
  EXPECT_TRUE(is_marked());
}

TEST_F(Revocation, ByCertificateKey_NoAccountIsNamed) {
  Client key(world);  // never registered: signs with "jwk"
  const auto response = key.post("/acme/revoke-cert", payload());
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_FALSE(world.signer.last_revoke().account_jwk.has_value());
}

TEST_F(Revocation, EachForm_Malformed) {
  const auto refused = [&](std::string_view body, std::string_view code) {
    expect_problem(client.post("/acme/revoke-cert", std::string(body)), 400, "malformed", code);
  };
  refused("", "payload.json");
  refused("{}", "revocation.form");
  refused(R"({"certificate":1})", "revocation.form");
  refused(R"({"certificate":"AA","reason":"1"})", "revocation.form");
  refused(R"({"certificate":"AA=="})", "revocation.encoding");
  refused(R"({"certificate":""})", "revocation.encoding");
  EXPECT_EQ(world.signer.count("certificate-revoke"), 0);
}

TEST_F(Revocation, SignerRefuses_EachCodeHasItsError) {
  struct Case {
    std::string_view code;
    int status;
    std::string_view type;
  };
  for (const auto& each : {Case{"revocation-reason", 400, "badRevocationReason"},
                           Case{"revocation-already", 400, "alreadyRevoked"},
                           Case{"revocation-unauthorized", 403, "unauthorized"},
                           Case{"revocation-star", 403, "autoRenewalRevocationNotSupported"},
                           Case{"certificate-unknown", 404, "malformed"}}) {
    world.signer.break_message("certificate-revoke",
                               wire::Failure::of(wire::FailureKind::kRefused, each.code, "why"));
    expect_problem(revoke(), each.status, each.type, each.code);
  }
}

TEST_F(Revocation, StoreAway_200AndMarkedLater) {
  world.store.break_message(
      "certificate-mark", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  EXPECT_EQ(revoke().status, 200);
  EXPECT_TRUE(world.store.wait_for("certificate-mark", 2));
  EXPECT_FALSE(is_marked());
  world.store.heal("certificate-mark");
  EXPECT_TRUE(eventually([&] { return is_marked(); }));
}

TEST_F(Revocation, MarkLostWithTheTask_MadeWhenAskedAgain) {
  world.store.break_message(
      "certificate-mark", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  EXPECT_EQ(revoke().status, 200);
  world.restart();
  world.store.heal("certificate-mark");
  EXPECT_FALSE(is_marked());
  expect_problem(revoke(), 400, "alreadyRevoked", "revocation-already");
  EXPECT_TRUE(is_marked());
}

TEST_F(Revocation, SignerAway_503AndNothingMarked) {
  world.signer.break_message(
      "certificate-revoke",
      wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(revoke(), 503, "serverInternal", "peer-lost");
  EXPECT_FALSE(is_marked());
}

}  // namespace
}  // namespace keyward::acme
