// Tests what every POST passes: each refusal is reached alone.
#include "firmware/acme/request.h"

#include <gtest/gtest.h>

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::World;

class Request : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  // A request that would be good, changed by `change`.
  HttpResponse send(const std::function<void(jose::SignRequest&)>& change) {
    auto sign = client.defaults(path(), "");
    change(sign);
    return world.service->handle(client.signed_request(path(), sign));
  }
  std::string path() const { return client.kid.substr(test::kBase.size()); }
  HttpResponse send_body(std::string body) {
    auto request = client.signed_request(path(), client.defaults(path(), ""));
    request.body = to_bytes(body);
    return world.service->handle(request);
  }
  std::string protected_with(std::string_view json) const {
    return base64url_encode(view_of(json));
  }
  World world;
  Client client{world};
};

TEST_F(Request, Good_Passes) {
  const auto response = send([](auto&) {});
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_NE(header_of(response, "Replay-Nonce"), "");
  EXPECT_TRUE(test::has_link(response, "rel=\"index\""));
}

TEST_F(Request, NonceMissing_BadNonce) {
  expect_problem(send([](auto& sign) { sign.nonce.reset(); }), 400, "badNonce", "nonce.missing");
}
TEST_F(Request, NonceNotBase64url_Malformed) {
  expect_problem(send([](auto& sign) { sign.nonce = "a+b"; }), 400, "malformed", "nonce.malformed");
}
TEST_F(Request, NonceNotOurs_BadNonceAndTheFreshOneWorks) {
  const auto refused = send([](auto& sign) { sign.nonce = "AAAA"; });
  expect_problem(refused, 400, "badNonce", "nonce.bad");
  EXPECT_EQ(send([&](auto& sign) { sign.nonce = header_of(refused, "Replay-Nonce"); }).status, 200);
}
TEST_F(Request, Replayed_BadNonce) {
  const auto request = client.signed_request(path(), client.defaults(path(), ""));
  EXPECT_EQ(world.service->handle(request).status, 200);
  expect_problem(world.service->handle(request), 400, "badNonce", "nonce.bad");
}
TEST_F(Request, ReplayedAfterARestart_AtTheAccount_BadNonce) {
  const auto request = client.signed_request(path(), client.defaults(path(), ""));
  EXPECT_EQ(world.service->handle(request).status, 200);
  world.restart();
  expect_problem(world.service->handle(request), 400, "badNonce", "nonce.bad");
}
TEST_F(Request, NonceOfTheLifeBefore_AtNewOrder_Accepted) {
  const auto sign =
      client.defaults("/acme/new-order", R"({"identifiers":[{"type":"dns","value":"a.example"}]})");
  world.restart();
  EXPECT_EQ(world.service->handle(client.signed_request("/acme/new-order", sign)).status, 201);
}

TEST_F(Request, UrlOfAnotherResource_Unauthorized) {
  for (const std::string& url :
       {std::string(test::kBase) + "/acme/new-order", "http://ca.test:14000" + path(),
        "https://ca.test" + path(), std::string(test::kBase) + path() + "/", std::string()}) {
    expect_problem(send([&](auto& sign) { sign.url = url; }), 403, "unauthorized", "jws.url");
  }
}

TEST_F(Request, KidUnknown_AccountDoesNotExist) {
  for (const std::string kid :
       {"https://ca.test:14000/acme/account/unknown", "https://other/acme/account/x", "x", "",
        "https://ca.test:14000/acme/account/"}) {
    expect_problem(send([&](auto& sign) { sign.kid = kid; }), 400, "accountDoesNotExist",
                   "account.unknown");
  }
}

TEST_F(Request, SignatureOfAnotherKey_Malformed) {
  Client other(world);
  auto sign = client.defaults(path(), "");
  expect_problem(world.service->handle(other.signed_request(path(), sign)), 400, "malformed",
                 "jws.signature");
}

TEST_F(Request, PayloadSwapped_Malformed) {
  auto jws = *jose::sign(client.key(), client.defaults(path(), R"({"status":"deactivated"})"));
  jws.payload_b64 = base64url_encode(view_of("{}"));
  expect_problem(send_body(jose::to_json(jws)), 400, "malformed", "jws.signature");
}

TEST_F(Request, AlgorithmNotAccepted_BadSignatureAlgorithmWithTheList) {
  for (const std::string alg : {"none", "HS256", "ES512", "PS256", "es256", ""}) {
    const auto header = protected_with(R"({"alg":")" + alg + R"(","kid":")" + client.kid +
                                       R"(","nonce":")" + client.nonce() + R"(","url":"u"})");
    const auto response =
        send_body(R"({"protected":")" + header + R"(","payload":"","signature":"AAAA"})");
    expect_problem(response, 400, "badSignatureAlgorithm", "jws.algorithm");
    EXPECT_GE(test::json_of(response).root().get("algorithms").items().size(), 1U);
  }
}

TEST_F(Request, AlgorithmOfAnotherKeyKind_BadSignatureAlgorithm) {
  const auto header =
      protected_with(R"({"alg":"ES384","kid":")" + client.kid + R"(","nonce":")" + client.nonce() +
                     R"(","url":")" + std::string(test::kBase) + path() + R"("})");
  expect_problem(send_body(R"({"protected":")" + header + R"(","payload":"","signature":"AAAA"})"),
                 400, "badSignatureAlgorithm", "jws.algorithm-key");
}

TEST_F(Request, HeaderMalformed_EachWay_Malformed) {
  const std::string url = std::string(test::kBase) + path();
  for (const auto& header : std::vector<std::string>{
           std::string("[]"), std::string("{"),
           R"({"kid":")" + client.kid + R"(","url":"u","nonce":"AAAA"})",
           R"({"alg":"ES256","kid":")" + client.kid + R"(","nonce":"AAAA"})",
           R"({"alg":"ES256","url":"u","nonce":"AAAA"})",
           R"({"alg":"ES256","alg":"ES256","kid":"k","url":"u","nonce":"AAAA"})",
           R"({"alg":"ES256","kid":"k","url":"u","nonce":"AAAA","crit":["x"]})",
           R"({"alg":"ES256","kid":"k","url":"u","nonce":"AAAA","b64":false})"}) {
    expect_problem(send_body(R"({"protected":")" + protected_with(header) +
                             R"(","payload":"","signature":"AAAA"})"),
                   400, "malformed", "jws.header");
  }
}

TEST_F(Request, BodyMalformed_EachWay_Malformed) {
  const auto good = jose::to_json(*jose::sign(client.key(), client.defaults(path(), "")));
  auto with = [&](std::string_view member) {
    return good.substr(0, good.size() - 1) + std::string(member) + "}";
  };
  for (const auto& body :
       {std::string(), std::string("{}"), std::string("[]"), good + "x", with(R"(,"header":{})"),
        with(R"(,"signatures":[])"), with(R"(,"payload":"")"), with(R"(,"extra":1)")}) {
    expect_problem(send_body(body), 400, "malformed", "jws.form");
  }
}

TEST_F(Request, BadKey_BadPublicKey) {
  // RFC 7638's 2048-bit modulus cut to 1024 bits.
  const std::string n(171, 'A');
  const std::string jwk = R"({"kty":"RSA","e":"AQAB","n":"q)" + n.substr(1) + R"("})";
  const auto header =
      protected_with(R"({"alg":"RS256","jwk":)" + jwk + R"(,"nonce":")" + client.nonce() +
                     R"(","url":")" + std::string(test::kBase) + R"(/acme/new-account"})");
  auto request =
      client.signed_request("/acme/new-account", client.defaults("/acme/new-account", "{}"));
  request.body =
      to_bytes(R"({"protected":")" + header + R"(","payload":"e30","signature":"AAAA"})");
  expect_problem(world.service->handle(request), 400, "badPublicKey", "jws.key");
}

TEST_F(Request, StoreAway_503AndLater200) {
  world.restart();  // empties the cache
  world.store.break_message(
      "account-get", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  const auto refused = send([](auto&) {});
  expect_problem(refused, 503, "serverInternal", "peer-lost");
  EXPECT_NE(header_of(refused, "Retry-After"), "");
  world.store.heal("account-get");
  EXPECT_EQ(send([](auto&) {}).status, 200);
}

TEST_F(Request, StoredAccountContradictsItself_500) {
  world.restart();
  world.store.change_account(client.account_id(), [](auto& record) { record.thumbprint[0] ^= 1; });
  expect_problem(send([](auto&) {}), 500, "serverInternal", "account.corrupt");
}

TEST_F(Request, SecondOne_AccountFromTheCache) {
  world.restart();
  EXPECT_EQ(send([](auto&) {}).status, 200);
  const int before = world.store.count("account-get");
  EXPECT_EQ(send([](auto&) {}).status, 200);
  EXPECT_EQ(world.store.count("account-get"), before);
}

TEST_F(Request, MediaTypeWithParameterAndCase_Accepted) {
  auto request = client.signed_request(path(), client.defaults(path(), ""));
  request.content_type = "Application/JOSE+json ; charset=utf-8";
  EXPECT_EQ(world.service->handle(request).status, 200);
}

TEST(RequestKeys, EachAcceptedKind_Works) {
  World world;
  for (const auto kind : {crypto::KeyKind::kEcP256, crypto::KeyKind::kEcP384,
                          crypto::KeyKind::kEd25519, crypto::KeyKind::kRsa}) {
    Client client(world, kind);
    client.register_account();
    EXPECT_EQ(client.read(client.kid).status, 200);
  }
}

}  // namespace
}  // namespace keyward::acme
