// Tests the change of an account's key: the nine checks, and what happens when a task fails.
#include <gtest/gtest.h>

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::text_at;
using test::World;

constexpr std::string_view kPath = "/acme/key-change";

std::string url() { return std::string(test::kBase) + std::string(kPath); }

class KeyChanges : public testing::Test {
 protected:
  KeyChanges() { client.register_account(); }

  std::string old_jwk() const {
    return jose::Jwk::from_public_key(client.key().public_key())->canonical();
  }
  std::string payload() const {
    return R"({"account":")" + client.kid + R"(","oldKey":)" + old_jwk() + "}";
  }
  jose::SignRequest inner_defaults() const {
    return {url(), std::nullopt, std::nullopt, payload()};
  }
  static std::string inner(const crypto::PrivateKey& key, const jose::SignRequest& sign) {
    return jose::to_json(*jose::sign(key, sign));
  }
  HttpResponse change_to(const crypto::PrivateKey& key) {
    return client.post(std::string(kPath), inner(key, inner_defaults()));
  }
  // Nothing was asked of the signer, and the old key is still good.
  void expect_unchanged() {
    EXPECT_EQ(world.signer.count("key-change"), 0);
    EXPECT_EQ(world.store.count("account-rekey"), 0);
    EXPECT_EQ(client.read(client.kid).status, 200);
  }
  void expect_refused(const HttpResponse& response, std::string_view code,
                      std::string_view type = "malformed", int status = 400) {
    expect_problem(response, status, type, code);
    expect_unchanged();
  }

  World world;
  Client client{world};
  crypto::PrivateKey fresh = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(KeyChanges, Right_TheNewKeyHasTheAccountAndItsOrders) {
  const auto order = client.ready_device_order("device-1");
  const auto response = change_to(fresh);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "Location"), client.kid);
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_EQ(world.signer.last_key_change().account_jwk, old_jwk());
  Client changed(world, fresh);
  changed.kid = client.kid;
  EXPECT_EQ(changed.status_of(order), "ready");
  EXPECT_EQ(changed.post_url(order.finalize, changed.csr_payload("device-1")).status, 200);
  expect_problem(client.read(client.kid), 400, "malformed", "jws.signature");
  // The new key is the account's: newAccount finds it.
  const auto found = changed.post("/acme/new-account", R"({"onlyReturnExisting":true})");
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(header_of(found, "Location"), client.kid);
}

TEST_F(KeyChanges, Check1_AccountDeactivated_401) {
  EXPECT_EQ(client.post_url(client.kid, R"({"status":"deactivated"})").status, 200);
  expect_problem(change_to(fresh), 401, "unauthorized", "account.not-valid");
  EXPECT_EQ(world.signer.count("key-change"), 0);
}

TEST_F(KeyChanges, Check2_InnerIsNoJws_Malformed) {
  for (const std::string body : {"", "{}", "no json", R"({"protected":"e30","payload":""})"})
    expect_refused(client.post(std::string(kPath), body), "key-change.form");
}

TEST_F(KeyChanges, Check2_InnerHeaderIsNone_Malformed) {
  expect_refused(
      client.post(std::string(kPath), R"({"protected":"e30","payload":"e30","signature":"AAAA"})"),
      "key-change.header");
}

TEST_F(KeyChanges, Check2_InnerHasANonce_Malformed) {
  auto sign = inner_defaults();
  sign.nonce = client.nonce();
  expect_refused(client.post(std::string(kPath), inner(fresh, sign)), "key-change.nonce");
}

TEST_F(KeyChanges, Check3_InnerHasKid_Malformed) {
  auto sign = inner_defaults();
  sign.kid = client.kid;
  expect_refused(client.post(std::string(kPath), inner(client.key(), sign)),
                 "key-change.jwk-required");
}

std::string inner_with_header(const std::string& header) {
  return R"({"protected":")" + base64url_encode(to_bytes(header)) +
         R"(","payload":"e30","signature":"AAAA"})";
}

TEST_F(KeyChanges, InnerAlgorithmNotAccepted_BadSignatureAlgorithm) {
  const auto jwk = jose::Jwk::from_public_key(fresh.public_key())->canonical();
  for (const std::string alg : {"HS256", "none", "ES512"}) {
    const auto response =
        client.post(std::string(kPath), inner_with_header(R"({"alg":")" + alg + R"(","jwk":)" +
                                                          jwk + R"(,"url":")" + url() + R"("})"));
    expect_refused(response, "key-change.algorithm", "badSignatureAlgorithm");
    EXPECT_FALSE(test::json_of(response).root().get("algorithms").items().empty());
  }
}

TEST_F(KeyChanges, InnerKeyRefused_BadPublicKey) {
  expect_refused(
      client.post(std::string(kPath),
                  inner_with_header(R"({"alg":"RS256","jwk":{"kty":"RSA","e":"AQAB","n":"AQAB"},)"
                                    R"("url":")" +
                                    url() + R"("})")),
      "key-change.key", "badPublicKey");
}

TEST_F(KeyChanges, InnerAlgorithmOfAnotherKind_BadSignatureAlgorithm) {
  const auto jwk = jose::Jwk::from_public_key(fresh.public_key())->canonical();
  expect_refused(
      client.post(std::string(kPath), inner_with_header(R"({"alg":"RS256","jwk":)" + jwk +
                                                        R"(,"url":")" + url() + R"("})")),
      "key-change.algorithm-key", "badSignatureAlgorithm");
}

TEST_F(KeyChanges, Check4_InnerSignatureWrong_Malformed) {
  auto right = *jose::sign(fresh, inner_defaults());
  right.payload_b64 = base64url_encode(to_bytes(payload() + " "));
  expect_refused(client.post(std::string(kPath), jose::to_json(right)), "key-change.signature");
}

TEST_F(KeyChanges, Check5_ObjectMalformed_Malformed) {
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{"), R"({"oldKey":)" + old_jwk() + "}",
        R"({"account":")" + client.kid + R"("})", R"({"account":1,"oldKey":)" + old_jwk() + "}",
        R"({"account":")" + client.kid + R"(","oldKey":{}})"}) {
    auto sign = inner_defaults();
    sign.payload = bad;
    expect_refused(client.post(std::string(kPath), inner(fresh, sign)), "key-change.payload");
  }
}

TEST_F(KeyChanges, Check6_InnerUrlDiffers_Malformed) {
  auto sign = inner_defaults();
  sign.url = std::string(test::kBase) + "/acme/new-order";
  expect_refused(client.post(std::string(kPath), inner(fresh, sign)), "key-change.url");
}

TEST_F(KeyChanges, Check7_AnotherAccount_Malformed) {
  auto sign = inner_defaults();
  sign.payload = R"({"account":")" + client.kid + R"(x","oldKey":)" + old_jwk() + "}";
  expect_refused(client.post(std::string(kPath), inner(fresh, sign)), "key-change.account");
}

TEST_F(KeyChanges, Check8_OldKeyIsAnother_Malformed) {
  auto sign = inner_defaults();
  sign.payload = R"({"account":")" + client.kid + R"(","oldKey":)" +
                 jose::Jwk::from_public_key(fresh.public_key())->canonical() + "}";
  expect_refused(client.post(std::string(kPath), inner(fresh, sign)), "key-change.old-key");
}

TEST_F(KeyChanges, Check9_KeyOfAnotherAccount_409WithItsLocation) {
  Client other(world);
  other.register_account();
  const auto response = change_to(other.key());
  expect_refused(response, "key-change.conflict", "malformed", 409);
  EXPECT_EQ(header_of(response, "Location"), other.kid);
}

TEST_F(KeyChanges, Check9_ItsOwnKey_409WithItsLocation) {
  const auto response = change_to(client.key());
  expect_refused(response, "key-change.conflict", "malformed", 409);
  EXPECT_EQ(header_of(response, "Location"), client.kid);
}

TEST_F(KeyChanges, HolderAppearsMeanwhile_409) {
  Client other(world);
  other.register_account();
  world.store.hide_from_search(other.account_id());
  const auto response = change_to(other.key());
  expect_problem(response, 409, "malformed", "key-change.conflict");
  EXPECT_EQ(header_of(response, "Location"), other.kid);
}

TEST_F(KeyChanges, KeyChangedMeanwhile_Malformed) {
  client.read(client.kid);  // in the cache
  world.store.change_account(client.account_id(),
                             [](wire::AccountRecord& record) { record.thumbprint[0] ^= 1; });
  expect_problem(change_to(fresh), 400, "malformed", "key-change.old-key");
}

TEST_F(KeyChanges, AsOftenAsTheStoreKeeps_ThenNoMore) {
  world.store.change_account(client.account_id(), [](wire::AccountRecord& record) {
    record.earlier_keys.resize(limits::kEarlierKeysMax);
  });
  world.restart();
  expect_refused(change_to(fresh), "key-change.many", "unauthorized", 403);
}

TEST_F(KeyChanges, SignerReadsAnotherKey_ServerInternalAndNoRekey) {
  world.signer.lie_about_key_change();
  expect_problem(change_to(fresh), 500, "serverInternal", "key-change.signer");
  EXPECT_EQ(world.store.count("account-rekey"), 0);
}

TEST_F(KeyChanges, SignerAway_503AndTheOldKeyStays) {
  world.signer.break_message("key-change",
                             wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "x"));
  expect_problem(change_to(fresh), 503, "serverInternal", "peer-lost");
  EXPECT_EQ(world.store.count("account-rekey"), 0);
  EXPECT_EQ(client.read(client.kid).status, 200);
}

TEST_F(KeyChanges, StoreFailsAfterTheSigner_ARepeatCompletes) {
  world.store.break_message("account-rekey",
                            wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "x"));
  expect_problem(change_to(fresh), 503, "serverInternal", "peer-lost");
  EXPECT_EQ(client.read(client.kid).status, 200);
  world.store.heal("account-rekey");
  EXPECT_EQ(change_to(fresh).status, 200);
  EXPECT_EQ(world.signer.count("key-change"), 2);
}

TEST(KeyChangeRates, MoreThanThePolicy_429) {
  World world([](ServiceConfig& config) {
    config.rates.per_hour[static_cast<std::size_t>(Rate::kKeyChanges)] = 1;
  });
  Client client(world);
  client.register_account();
  const auto change = [&](Client& from, const crypto::PrivateKey& to) {
    const auto old = jose::Jwk::from_public_key(from.key().public_key())->canonical();
    return from.post(std::string(kPath),
                     jose::to_json(*jose::sign(
                         to, {url(), std::nullopt, std::nullopt,
                              R"({"account":")" + from.kid + R"(","oldKey":)" + old + "}"})));
  };
  const auto second = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(change(client, second).status, 200);
  Client changed(world, second);
  changed.kid = client.kid;
  const auto third = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto refused = change(changed, third);
  expect_problem(refused, 429, "rateLimited", "rate.key-changes");
  EXPECT_NE(header_of(refused, "Retry-After"), "");
}

}  // namespace
}  // namespace keyward::acme
