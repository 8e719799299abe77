// Reaches each error type of RFC 8555 §6.7, and of the extensions that are offered, over HTTPS: its
// status, what every problem has, the links and headers of its own, and that nothing has changed by
// the request that was refused.
#include <gmock/gmock.h>
#include <signal.h>

#include "firmware/acme/render.h"
#include "firmware/acme/renewal_info.h"
#include "firmware/jose/jws.h"
#include "hal/base/clock.h"
#include "tests/system/protocol/kit.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kDayMs = 86'400'000;

// What a row's request is made with: take() is called when everything before it is in place.
struct Scene {
  Client& client;
  std::optional<std::string> before{};
  void take() { before = client.picture(); }
  std::string url_of(std::string_view resource) const { return client.stage.url_of(resource); }
};

struct Row {
  const char* name;
  int status;
  const char* type;
  const char* code;
  std::function<HttpReply(Scene&)> act;
  std::function<void(Scene&, const HttpReply&)> more = [](Scene&, const HttpReply&) {};
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

HttpReply refused_order(Scene& scene, const std::string& payload) {
  scene.take();
  return scene.client.new_order(payload);
}

HttpReply refused_update(Scene& scene, const std::string& payload) {
  scene.take();
  return scene.client.post(scene.client.kid, payload);
}

HttpReply revocation(Scene& scene, const Bytes& certificate, std::optional<int> reason = {}) {
  scene.take();
  return scene.client.post(scene.url_of("revokeCert"), revoke_payload(certificate, reason));
}

// Orders that renew themselves (RFC 8739).
Order star_order(Scene& scene, std::int64_t ends_in_ms) {
  auto& client = scene.client;
  const auto end = acme::rfc3339(system_clock().utc_ms() + ends_in_ms);
  const auto order = client.order(Client::names_payload(
      {client.fresh_name()}, R"(,"auto-renewal":{"lifetime":7200,"end-date":")" + end + R"("})"));
  client.prove(order);
  const auto done = client.finalize(order);
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(text_at(client.settled(order.url), "status"), "valid");
  return order;
}

std::string star_url(Scene& scene, const Order& order) {
  return text_at(scene.client.read(order.url), "star-certificate");
}

HttpReply key_change(Client& client, const crypto::PrivateKey& new_key) {
  const auto url = client.stage.url_of("keyChange");
  json::Writer object;
  object.begin_object().member("account", client.kid).key("oldKey").raw(jwk_of(client.key));
  const auto inner =
      must(jose::sign(new_key, {url, std::nullopt, std::nullopt, object.end_object().take()}));
  return client.post(url, jose::to_json(inner));
}

HttpReply without_account(Scene& scene, const std::string& payload, bool weak_key = false) {
  scene.take();
  Draft draft;
  draft.url = scene.url_of("newAccount");
  draft.payload = payload;
  const auto key = fresh_key();
  draft.signer = &key;
  draft.jwk = jwk_of(key);
  if (weak_key) {  // 1,024 bits
    const auto modulus = base64url_encode(Bytes(128, 0xc1));
    draft.jwk = R"({"kty":"RSA","e":"AQAB","n":")" + modulus + R"("})";
    draft.alg = "RS256";
  }
  const auto reply = scene.client.send(draft);
  if (!weak_key) {  // the key has no account afterwards
    draft.payload = R"({"onlyReturnExisting":true})";
    EXPECT_EQ(scene.client.send(draft).status, 400);
  }
  return reply;
}

const Row kRows[] = {
    {"accountDoesNotExist", 400, "accountDoesNotExist", "account.none",
     [](Scene& s) { return without_account(s, R"({"onlyReturnExisting":true})"); }},
    {"accountDoesNotExist_Kid", 400, "accountDoesNotExist", "account.unknown",
     [](Scene& s) {
       s.take();
       Draft draft;
       draft.url = s.url_of("newOrder");
       draft.payload = Client::names_payload({"a.plant.example"});
       draft.kid = s.client.kid + "A";
       return s.client.send(draft);
     }},
    {"alreadyRevoked", 400, "alreadyRevoked", "revocation-already",
     [](Scene& s) {
       const auto certificate = s.client.issued();
       const auto first = s.client.post(s.url_of("revokeCert"), revoke_payload(certificate));
       EXPECT_EQ(first.status, 200) << first.body;
       EXPECT_EQ(first.body, "");
       return revocation(s, certificate);
     }},
    {"badCSR", 400, "badCSR", "csr-names",
     [](Scene& s) {
       const auto order = s.client.ready_order();
       s.take();
       return s.client.finalize(order, {"another.plant.example"});
     }},
    {"badNonce", 400, "badNonce", "nonce.bad",
     [](Scene& s) {
       s.take();
       Draft draft;
       draft.url = s.client.kid;
       draft.payload = R"({"contact":[]})";
       draft.nonce = s.client.last_nonce();
       return s.client.send(draft);
     }},
    {"badPublicKey", 400, "badPublicKey", "jws.key",
     [](Scene& s) { return without_account(s, R"({"termsOfServiceAgreed":true})", true); },
     [](Scene&, const HttpReply& r) { EXPECT_THAT(text_at(r, "detail"), HasSubstr("modulus")); }},
    {"badRevocationReason", 400, "badRevocationReason", "revocation-reason",
     [](Scene& s) { return revocation(s, s.client.issued(), 2); }},
    {"badSignatureAlgorithm", 400, "badSignatureAlgorithm", "jws.algorithm",
     [](Scene& s) {
       s.take();
       Draft draft;
       draft.url = s.url_of("newOrder");
       draft.payload = Client::names_payload({"a.plant.example"});
       draft.alg = "HS256";
       return s.client.send(draft);
     },
     [](Scene&, const HttpReply& r) {
       EXPECT_THAT(r.body, HasSubstr(R"("algorithms":["ES256","ES384","EdDSA","RS256"])"));
     }},
    {"invalidContact", 400, "invalidContact", "contact.address",
     [](Scene& s) {
       return refused_update(s, R"({"contact":["mailto:a@plant.example?subject=x"]})");
     }},
    {"unsupportedContact", 400, "unsupportedContact", "contact.scheme",
     [](Scene& s) { return refused_update(s, R"({"contact":["tel:+358501234567"]})"); }},
    {"malformed", 400, "malformed", "payload.json",
     [](Scene& s) { return refused_order(s, "{\"identifiers\":"); }},
    {"orderNotReady", 403, "orderNotReady", "order.not-ready",
     [](Scene& s) {
       const auto order = s.client.order_for(s.client.fresh_name());
       s.take();
       return s.client.finalize(order);
     }},
    {"rateLimited", 429, "rateLimited", "rate.key-changes",
     [](Scene& s) {
       auto next = fresh_key();
       EXPECT_EQ(key_change(s.client, next).status, 200);
       s.client.key = next;
       s.take();
       return key_change(s.client, fresh_key());
     },
     [](Scene&, const HttpReply& r) {
       EXPECT_GT(std::atoi(r.header("retry-after").c_str()), 0);
       EXPECT_TRUE(has_link(r, "help", kHelp));
     }},
    {"rejectedIdentifier", 403, "rejectedIdentifier", "identifier-not-permitted",
     [](Scene& s) { return refused_order(s, Client::names_payload({"www.elsewhere.example"})); }},
    {"unsupportedIdentifier", 400, "unsupportedIdentifier", "identifier-unsupported",
     [](Scene& s) {
       return refused_order(s, R"({"identifiers":[{"type":"email","value":"a@plant.example"}]})");
     }},
    {"compound", 403, "compound", "identifiers",
     [](Scene& s) {
       return refused_order(s, Client::names_payload({"www.elsewhere.example", "-.plant.example"}));
     },
     [](Scene&, const HttpReply& r) {
       const auto problem = json_of(r);
       const auto parts = problem.root().get("subproblems").items();
       ASSERT_EQ(parts.size(), 2U) << r.body;
       for (const auto& part : parts) {
         EXPECT_TRUE(part.get("type").string().starts_with("urn:ietf:params:acme:error:"));
         EXPECT_TRUE(part.get("identifier").is_object());
       }
       EXPECT_FALSE(problem.root().get("identifier").exists());  // §6.7.1: in subproblems alone
     }},
    {"unauthorized", 403, "unauthorized", "jws.url",
     [](Scene& s) {
       s.take();
       Draft draft;
       draft.url = s.url_of("newOrder");
       draft.payload = Client::names_payload({"a.plant.example"});
       draft.header_url = s.url_of("newAccount");
       return s.client.send(draft);
     }},
    {"unauthorized_Revocation", 403, "unauthorized", "revocation-unauthorized",
     [](Scene& s) { return revocation(s, Client(s.client.stage).issued()); }},
    {"userActionRequired", 403, "userActionRequired", "terms.not-agreed",
     [](Scene& s) { return without_account(s, "{}"); },
     [](Scene&, const HttpReply& r) {
       EXPECT_EQ(text_at(r, "instance"), kTerms);
       EXPECT_TRUE(has_link(r, "terms-of-service", kTerms));
     }},
    {"invalidProfile", 400, "invalidProfile", "profile-unknown",
     [](Scene& s) {
       return refused_order(
           s, Client::names_payload({s.client.fresh_name()}, R"(,"profile":"none-such")"));
     }},
    {"alreadyReplaced", 409, "alreadyReplaced", "",
     [](Scene& s) {
       const auto order = s.client.ready_order();
       EXPECT_EQ(s.client.finalize(order).status, 200);
       const auto id = must(acme::certificate_id_of(s.client.leaf(order))).text();
       const auto payload =
           Client::names_payload({s.client.name_of(order)}, R"(,"replaces":")" + id + R"(")");
       EXPECT_EQ(text_at(s.client.new_order(payload), "replaces"), id);
       return refused_order(s, payload);
     }},
    {"autoRenewalCanceled", 403, "autoRenewalCanceled", "star.canceled",
     [](Scene& s) {
       const auto order = star_order(s, kDayMs);
       const auto url = star_url(s, order);
       EXPECT_EQ(s.client.read(url).status, 200);
       const auto canceled = s.client.post(order.url, R"({"status":"canceled"})");
       EXPECT_EQ(text_at(canceled, "status"), "canceled") << canceled.body;
       s.take();
       return s.client.read(url);
     }},
    {"autoRenewalExpired", 403, "autoRenewalExpired", "star.ended",
     [](Scene& s) {
       constexpr std::int64_t kSoonMs = 5'000;
       const auto url = star_url(s, star_order(s, kSoonMs));
       EXPECT_EQ(s.client.read(url).status, 200);
       EXPECT_TRUE(eventually([&] { return s.client.read(url).status != 200; }));
       s.take();
       return s.client.read(url);
     }},
    {"autoRenewalCancellationInvalid", 400, "autoRenewalCancellationInvalid", "star.not-cancelable",
     [](Scene& s) {
       const auto order = s.client.ready_order();
       EXPECT_EQ(s.client.finalize(order).status, 200);
       EXPECT_EQ(text_at(s.client.settled(order.url), "status"), "valid");
       s.take();
       return s.client.post(order.url, R"({"status":"canceled"})");
     }},
    {"autoRenewalRevocationNotSupported", 403, "autoRenewalRevocationNotSupported",
     "revocation-star",
     [](Scene& s) {
       const auto chain = s.client.read(star_url(s, star_order(s, kDayMs)));
       EXPECT_FALSE(chain.header("cert-not-after").empty());
       return revocation(s, first_certificate(chain.body));
     }},
    {"keyChangeConflict", 409, "malformed", "key-change.conflict",
     [](Scene& s) {
       const Client other(s.client.stage);
       s.take();
       auto reply = key_change(s.client, other.key);
       EXPECT_EQ(reply.header("location"), other.kid);
       return reply;
     }},
    {"malformed_Method", 405, "malformed", "http.method",
     [](Scene& s) {
       s.take();
       return s.client.send("GET", s.client.kid);
     },
     [](Scene&, const HttpReply& r) { EXPECT_EQ(r.header("allow"), "POST"); }},
    {"malformed_MediaType", 415, "malformed", "http.content-type",
     [](Scene& s) {
       s.take();
       Draft draft;
       draft.url = s.url_of("newOrder");
       draft.payload = Client::names_payload({"a.plant.example"});
       draft.content_type = "application/json";
       return s.client.send(draft);
     }},
    {"malformed_NotFound", 404, "malformed", "not-found",
     [](Scene& s) {
       s.take();
       return s.client.read(s.client.kid + "A");
     }},
};

class ErrorType : public ::testing::TestWithParam<Row> {};

TEST_P(ErrorType, Reached_AsTheTextWantsAndNothingChanged) {
  const auto& row = GetParam();
  Client client(open_stage());
  Scene scene{client};
  const auto reply = row.act(scene);
  ASSERT_TRUE(scene.before.has_value()) << "nothing to compare with";
  expect_problem(reply, row.status, row.type, row.code);
  row.more(scene, reply);
  // The first read uses the nonce that came with the refusal: it is good.
  EXPECT_EQ(client.picture(), *scene.before);
}

INSTANTIATE_TEST_SUITE_P(Each, ErrorType, ::testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ErrorTypeElsewhere, ExternalAccountRequired_403AndNoAccount) {
  Client client(binding_stage(), Client::Account::kNone);
  EXPECT_TRUE(client.stage.directory.root().get("meta").get("externalAccountRequired").boolean());
  const auto ledger = client.stage.ledger_bytes();
  expect_problem(client.new_account("{}"), 403, "externalAccountRequired", "binding.required");
  expect_problem(client.new_account(R"({"onlyReturnExisting":true})"), 400, "accountDoesNotExist",
                 "account.none");
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

TEST(ErrorTypeElsewhere, Unauthorized_401ForADeactivatedAccount) {
  Client client(open_stage());
  const auto order = client.ready_order();
  EXPECT_EQ(text_at(client.post(client.kid, R"({"status":"deactivated"})"), "status"),
            "deactivated");
  const auto ledger = client.stage.ledger_bytes();
  for (const auto& url : {client.kid, client.kid + "/orders", order.url, order.authorizations[0]})
    expect_problem(client.read(url), 401, "unauthorized", "account.not-valid");
  expect_problem(client.finalize(order), 401, "unauthorized", "account.not-valid");
  expect_problem(client.new_account(R"({"termsOfServiceAgreed":true})"), 401, "unauthorized",
                 "account.not-valid");
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

// 400 is both the answer and the challenge's error: this request alone does change something.
TEST(ErrorTypeElsewhere, BadAttestationStatement_400AndTheOrderIsOver) {
  Client client(open_stage());
  const auto order =
      client.order(R"({"identifiers":[{"type":"permanent-identifier","value":"UNIT-1"}]})");
  const auto device = client.challenge(order.authorizations.at(0), "device-attest-01");
  const auto ledger = client.stage.ledger_bytes();
  const auto before = client.read(client.kid).body;
  expect_problem(client.post(device.url, R"({"attObj":"AAAA"})"), 400, "badAttestationStatement");
  const auto challenge = client.read(device.url);
  EXPECT_EQ(text_at(challenge, "status"), "invalid");
  EXPECT_THAT(challenge.body, HasSubstr("urn:ietf:params:acme:error:badAttestationStatement"));
  EXPECT_EQ(client.status_of(order.authorizations.at(0)), "invalid");
  EXPECT_EQ(client.status_of(order.url), "invalid");
  EXPECT_EQ(client.read(client.kid).body, before);
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

// The store goes away and comes back: a request in between is refused as a whole.
TEST(ErrorTypeElsewhere, ServerInternal_503WithRetryAfterAndLaterAsBefore) {
  Client client(open_stage());
  int made = 0;
  HttpReply refused;
  EXPECT_TRUE(eventually([&] {
    if (const int pid = client.stage.simulator->pid_of("store"); pid > 0) ::kill(pid, SIGKILL);
    refused = client.new_order(Client::names_payload({client.fresh_name()}));
    made += refused.status == 201 ? 1 : 0;
    return refused.status != 201;
  }));
  expect_problem(refused, 503, "serverInternal");
  EXPECT_GT(std::atoi(refused.header("retry-after").c_str()), 0);
  HttpReply list;
  EXPECT_TRUE(eventually([&] {
    list = client.read(client.kid + "/orders");
    return list.status == 200;
  }));
  EXPECT_EQ(json_of(list).root().get("orders").items().size(), static_cast<std::size_t>(made));
  client.issued();  // everything works as before
}

// ---- types that tell what was found when the server looked

struct Look {
  const char* name;
  const char* method;
  const char* type;
  const char* code;
  std::function<std::string(Client&)> host;  // sets the scene and names it
};
void PrintTo(const Look& look, std::ostream* out) { *out << look.name; }

const Look kLooks[] = {
    {"incorrectResponse", "http-01", "incorrectResponse", "http.content",
     [](Client&) { return std::string("wrong.plant.example"); }},
    {"connection", "http-01", "connection", "http.connect",
     [](Client&) { return std::string("nobody.plant.example"); }},
    {"tls", "tls-alpn-01", "tls", "tls-alpn.handshake",
     [](Client&) { return std::string("wrong.plant.example"); }},
    {"dns", "dns-01", "dns", "dns.nxdomain", [](Client& c) { return c.fresh_name(); }},
    {"dns_NoAddress", "http-01", "dns", "", [](Client& c) { return c.fresh_name(); }},
    {"incorrectResponse_Txt", "dns-01", "incorrectResponse", "dns.content",
     [](Client& c) {
       auto name = c.fresh_name();
       c.stage.dns.add("_acme-challenge." + name, dns::kTxt, dns::txt("something else"));
       return name;
     }},
    {"caa", "dns-01", "caa", "caa.forbidden",
     [](Client& c) {
       auto name = c.fresh_name();
       c.stage.dns.add(name, dns::kCaa, dns::caa(0, "issue", "another-ca.example"));
       return name;
     }},
};

class FailedLook : public ::testing::TestWithParam<Look> {};

TEST_P(FailedLook, IsTheChallengesErrorAndNothingIsIssued) {
  const auto& look = GetParam();
  Client client(open_stage());
  const auto name = look.host(client);
  const auto order = client.order_for(name);
  const auto challenge = client.challenge(order.authorizations.at(0), look.method);
  if (std::string_view(look.type) == "caa") client.put_txt(name, challenge);  // all else is right
  const auto account = client.read(client.kid).body;
  const auto ledger = client.stage.ledger_bytes();

  const auto answer = client.post(challenge.url, "{}");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(has_link(answer, "up", order.authorizations[0]));
  const auto settled = json_of(client.settled(challenge.url));
  EXPECT_EQ(settled.root().get("status").string(), "invalid") << settled.root().print();
  const auto error = settled.root().get("error");
  EXPECT_EQ(error.get("type").string(), std::string("urn:ietf:params:acme:error:") + look.type)
      << error.print();
  if (*look.code != '\0') {
    EXPECT_EQ(error.get("code").string(), look.code);
  }
  EXPECT_FALSE(settled.root().get("validated").exists());
  EXPECT_EQ(client.status_of(order.authorizations[0]), "invalid");
  const auto over = json_of(client.read(order.url));
  EXPECT_EQ(over.root().get("status").string(), "invalid");
  EXPECT_EQ(over.root().get("error").get("type").string(), error.get("type").string());
  EXPECT_FALSE(over.root().get("certificate").exists());
  expect_problem(client.finalize(order), 403, "orderNotReady", "order.not-ready");
  EXPECT_EQ(json_of(client.read(client.kid + "/orders")).root().get("orders").items().size(), 0U)
      << "invalid orders are left out (§7.1.2.1)";
  EXPECT_EQ(client.read(client.kid).body, account);
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

INSTANTIATE_TEST_SUITE_P(Each, FailedLook, ::testing::ValuesIn(kLooks),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace keyward::test
