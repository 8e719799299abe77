// Tests account recovery: the way through, the veto, and that no answer tells whether an account
// exists.
#include <gtest/gtest.h>

#include "firmware/acme/mail.h"
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
using wire::RecoveryStatus;

constexpr std::string_view kPath = "/acme/recover-account";
constexpr std::int64_t kCoolingMs = 24LL * 3'600'000;

std::string url() { return std::string(test::kBase) + std::string(kPath); }
std::string jwk_of(const crypto::PrivateKey& key) {
  return jose::Jwk::from_public_key(key.public_key())->canonical();
}

class Recovery : public testing::Test {
 protected:
  Recovery() {
    const auto made = owner.post("/acme/new-account", R"({"contact":["mailto:a@example.org"]})");
    owner.kid = header_of(made, "Location");
  }
  HttpResponse ask(const std::string& payload) { return finder.post(std::string(kPath), payload); }
  HttpResponse ask_by_contact(const std::string& account) {
    return ask(R"({"method":"contact","account":")" + account + R"("})");
  }
  // Begun by contact; its URL.
  std::string begun() {
    const auto response = ask_by_contact(owner.kid);
    EXPECT_EQ(response.status, 201) << response.body;
    return header_of(response, "Location");
  }
  std::string id_of(const std::string& recovery) const {
    return recovery.substr(recovery.rfind('/') + 1);
  }
  std::string mail_text(const std::string& id) {
    std::string text;
    EXPECT_TRUE(eventually([&] {
      for (const auto& mail : world.validation.sent()) {
        if (mail.text.find(id) != std::string::npos) text = mail.text;
      }
      return !text.empty();
    }));
    return text;
  }
  std::string code_from(const std::string& text) const {
    constexpr std::string_view kBefore = "The code for it is\n  ";
    const auto at = text.find(kBefore) + kBefore.size();
    return text.substr(at, text.find('\n', at) - at);
  }
  std::string veto_from(const std::string& text) const {
    const auto at = text.find(std::string(test::kBase) + "/acme/recovery/", text.find("open\n"));
    return text.substr(at, text.find('\n', at) - at);
  }
  HttpResponse prove(const std::string& recovery) {
    return finder.post_url(recovery,
                           R"({"code":")" + code_from(mail_text(id_of(recovery))) + R"("})");
  }
  std::string status_of(const std::string& recovery) {
    return text_at(finder.read(recovery), "status");
  }
  HttpResponse page(std::string_view method, const std::string& at, std::string_view body = {}) {
    HttpRequest request;
    request.method = method;
    request.raw_path = finder.path_of(at);
    if (method == "POST") request.content_type = "application/x-www-form-urlencoded";
    request.body = to_bytes(body);
    return world.service->handle(request);
  }

  std::vector<std::string> methods = {"contact", "binding", "certificate"};
  World world{[this](ServiceConfig& config) {
    config.recovery = true;
    config.recovery_methods = methods;
  }};
  Client owner{world};
  Client finder{world};  // has the new key
};

TEST_F(Recovery, ByContact_TheAccountKeepsItsUrlAndGetsTheKey) {
  const auto recovery = begun();
  EXPECT_EQ(status_of(recovery), "pending");
  const auto proved = prove(recovery);
  EXPECT_EQ(proved.status, 200) << proved.body;
  EXPECT_EQ(text_at(proved, "status"), "processing");
  EXPECT_NE(header_of(proved, "Retry-After"), "");
  world.clock.advance(kCoolingMs - 1);
  EXPECT_EQ(status_of(recovery), "processing");
  EXPECT_EQ(owner.read(owner.kid).status, 200);
  world.clock.advance(1);
  const auto done = finder.read(recovery);
  EXPECT_EQ(text_at(done, "status"), "valid") << done.body;
  EXPECT_EQ(text_at(done, "account"), owner.kid);
  EXPECT_TRUE(world.store.ended_orders_of(owner.account_id()));
  const auto found = finder.post("/acme/new-account", R"({"onlyReturnExisting":true})");
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(header_of(found, "Location"), owner.kid);
  expect_problem(owner.read(owner.kid), 400, "malformed", "jws.signature");
  // The signer was asked nothing: what the old key proved does not follow.
  EXPECT_EQ(world.signer.count("key-change"), 0);
  EXPECT_TRUE(eventually([&] { return world.validation.sent().size() == 3; }));
}

TEST_F(Recovery, AccountThatDoesNotExist_TheSameAnswerAndNothingComesOfIt) {
  const auto there = ask_by_contact(owner.kid);
  const auto nobody = ask_by_contact(std::string(test::kBase) + "/acme/account/nobody");
  EXPECT_EQ(nobody.status, there.status);
  EXPECT_EQ(nobody.body, there.body);
  ASSERT_EQ(nobody.headers.size(), there.headers.size());
  for (std::size_t i = 0; i < there.headers.size(); ++i)
    EXPECT_EQ(nobody.headers[i].first, there.headers[i].first);
  EXPECT_TRUE(eventually([&] { return world.validation.sent().size() == 1; }));
  const auto recovery = header_of(nobody, "Location");
  EXPECT_EQ(status_of(recovery), "pending");
  const auto wrong = finder.post_url(recovery, R"({"code":"AAAA"})");
  expect_problem(wrong, 403, "unauthorized", "recovery.code");
  EXPECT_EQ(finder.post_url(header_of(there, "Location"), R"({"code":"AAAA"})").body, wrong.body);
}

TEST_F(Recovery, DeactivatedAccount_NothingComesOfIt) {
  owner.post_url(owner.kid, R"({"status":"deactivated"})");
  const auto recovery = begun();
  EXPECT_TRUE(world.store.wait_for("account-get", 2));
  EXPECT_EQ(status_of(recovery), "pending");
  EXPECT_TRUE(world.store.mails().empty());
}

TEST_F(Recovery, VetoByTheOldKey_Invalid) {
  const auto recovery = begun();
  prove(recovery);
  EXPECT_EQ(text_at(owner.read(recovery), "status"), "processing");
  const auto vetoed = owner.post_url(recovery, R"({"status":"vetoed"})");
  EXPECT_EQ(vetoed.status, 200);
  EXPECT_EQ(text_at(vetoed, "status"), "invalid");
  EXPECT_EQ(json_of(vetoed).root().get("error").get("code").string(), "recovery.vetoed");
  world.clock.advance(kCoolingMs);
  EXPECT_EQ(status_of(recovery), "invalid");
  EXPECT_EQ(owner.read(owner.kid).status, 200);
  EXPECT_EQ(world.store.count("account-rekey"), 0);
}

TEST_F(Recovery, VetoByTheMailsLink_Invalid) {
  const auto recovery = begun();
  const auto link = veto_from(mail_text(id_of(recovery)));
  prove(recovery);
  EXPECT_EQ(page("GET", link).status, 200);
  EXPECT_EQ(status_of(recovery), "processing");  // looking is not vetoing
  expect_problem(page("POST", link, "veto=no"), 400, "malformed", "page.form");
  EXPECT_EQ(page("POST", link, "veto=yes").status, 200);
  EXPECT_EQ(status_of(recovery), "invalid");
}

TEST_F(Recovery, VetoLinkWrongOrLate_404And409) {
  const auto recovery = begun();
  const auto link = veto_from(mail_text(id_of(recovery)));
  EXPECT_EQ(page("POST", link + "x", "veto=yes").status, 404);
  EXPECT_EQ(page("GET", recovery + "x/veto/abc").status, 404);
  prove(recovery);
  world.clock.advance(kCoolingMs);
  EXPECT_EQ(status_of(recovery), "valid");
  EXPECT_EQ(page("POST", link, "veto=yes").status, 409);
}

TEST_F(Recovery, KeyChangeByTheOwner_EndsIt) {
  const auto recovery = begun();
  prove(recovery);
  const auto fresh = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto at = std::string(test::kBase) + "/acme/key-change";
  const auto inner = *jose::sign(
      fresh, {at, std::nullopt, std::nullopt,
              R"({"account":")" + owner.kid + R"(","oldKey":)" + jwk_of(owner.key()) + "}"});
  EXPECT_EQ(owner.post("/acme/key-change", jose::to_json(inner)).status, 200);
  EXPECT_EQ(status_of(recovery), "invalid");
}

TEST_F(Recovery, NotProvedInTime_Invalid) {
  const auto recovery = begun();
  world.clock.advance(limits::kRecoveryProofMs);
  EXPECT_EQ(status_of(recovery), "invalid");
}

TEST_F(Recovery, OfSomebodyElse_LikeUnknown) {
  const auto recovery = begun();
  Client other(world);
  expect_problem(other.read(recovery), 404, "malformed", "not-found");
  other.register_account();
  expect_problem(other.post_url(recovery, R"({"status":"vetoed"})"), 404, "malformed", "not-found");
  expect_problem(finder.read(std::string(test::kBase) + "/acme/recovery/abc"), 404, "malformed",
                 "not-found");
}

TEST_F(Recovery, OtherPayloads_Refused) {
  const auto recovery = begun();
  expect_problem(finder.post_url(recovery, "{}"), 400, "malformed", "recovery.form");
  expect_problem(owner.post_url(recovery, R"({"status":"valid"})"), 400, "malformed",
                 "recovery.form");
}

TEST_F(Recovery, AskMalformed_EachReason) {
  const auto refused = [&](const std::string& payload, std::string_view code) {
    expect_problem(ask(payload), 400, "malformed", code);
  };
  refused(R"({"method":"telepathy","account":")" + owner.kid + R"("})", "recovery.method");
  refused(R"({"method":"contact","account":"https://other.test/acme/account/a"})",
          "recovery.account");
  refused(R"({"method":"binding","account":")" + owner.kid + R"("})", "binding.form");
  refused(R"({"method":"certificate","account":")" + owner.kid + R"("})", "recovery.proof-form");
  methods = {"certificate"};
  world.restart();
  refused(R"({"method":"contact","account":")" + owner.kid + R"("})", "recovery.method");
  EXPECT_TRUE(world.store.recoveries().empty());
}

TEST_F(Recovery, NewKeyHasAnAccount_409) {
  const auto made = finder.post("/acme/new-account", "{}");
  const auto response = ask_by_contact(owner.kid);
  expect_problem(response, 409, "malformed", "recovery.conflict");
  EXPECT_EQ(header_of(response, "Location"), header_of(made, "Location"));
}

TEST_F(Recovery, NewKeyGetsAnAccountMeanwhile_Invalid) {
  const auto recovery = begun();
  prove(recovery);
  finder.post("/acme/new-account", "{}");
  world.clock.advance(kCoolingMs);
  const auto ended = finder.read(recovery);
  EXPECT_EQ(text_at(ended, "status"), "invalid");
  EXPECT_EQ(json_of(ended).root().get("error").get("code").string(), "recovery.conflict");
}

TEST_F(Recovery, AccountEndsMeanwhile_Invalid) {
  const auto recovery = begun();
  prove(recovery);
  owner.post_url(owner.kid, R"({"status":"deactivated"})");
  world.clock.advance(kCoolingMs);
  const auto ended = finder.read(recovery);
  EXPECT_EQ(json_of(ended).root().get("error").get("code").string(), "recovery.account-gone");
}

TEST_F(Recovery, StoreFailsAtTheEnd_TheNextReadCompletes) {
  const auto recovery = begun();
  prove(recovery);
  world.clock.advance(kCoolingMs);
  world.store.break_message("recovery-update",
                            wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "x"));
  expect_problem(finder.read(recovery), 503, "serverInternal", "peer-lost");
  world.store.heal("recovery-update");
  EXPECT_EQ(status_of(recovery), "valid");
  EXPECT_EQ(world.store.count("account-rekey"), 1);
}

TEST_F(Recovery, MoreThanThePlaces_RateLimited) {
  for (std::size_t i = 0; i < limits::kRecoveriesPerAccountMax; ++i) begun();
  expect_problem(ask_by_contact(owner.kid), 429, "rateLimited", "recovery-limit");
  world.clock.advance(limits::kRecoveryProofMs);
  EXPECT_EQ(ask_by_contact(owner.kid).status, 201);
}

TEST_F(Recovery, ByBinding_ProcessingWithoutACode) {
  wire::EabVerifyReply reply;
  reply.kid = "recovery";
  reply.recovers_account = owner.account_id();
  world.attestation.answer_binding(reply);
  const auto response =
      ask(R"({"method":"binding","account":")" + owner.kid +
          R"(","externalAccountBinding":{"protected":"e30","payload":"e30","signature":"AAAA"}})");
  const auto recovery = header_of(response, "Location");
  EXPECT_EQ(text_at(response, "status"), "pending");
  EXPECT_TRUE(eventually([&] { return status_of(recovery) == "processing"; }));
  EXPECT_EQ(world.attestation.last_binding().url, url());
  EXPECT_EQ(world.attestation.last_binding().account_jwk, jwk_of(finder.key()));
}

TEST_F(Recovery, ByBindingOfAnotherAccount_StaysPending) {
  wire::EabVerifyReply reply;
  reply.recovers_account = "another";
  world.attestation.answer_binding(reply);
  const auto response =
      ask(R"({"method":"binding","account":")" + owner.kid +
          R"(","externalAccountBinding":{"protected":"e30","payload":"e30","signature":"AAAA"}})");
  EXPECT_TRUE(world.attestation.wait_for("eab-verify", 1));
  EXPECT_EQ(status_of(header_of(response, "Location")), "pending");
  EXPECT_EQ(world.store.count("recovery-update"), 0);
}

// The proof by a certificate's key.
class RecoveryByCertificate : public Recovery {
 protected:
  RecoveryByCertificate() {
    der = world.signer.certificate_of(key.public_key());
    wire::CertificateRecord record;
    record.id = "cert";
    record.account_id = owner.account_id();
    record.serial = serial = x509::parse_certificate(der)->serial;
    record.not_after_ms = world.clock.utc_ms() + 1'000;
    record.chain = {der};
    world.store.keep_certificate(record);
  }
  std::string payload() const {
    return R"({"account":")" + owner.kid + R"(","newKey":)" + jwk_of(finder.key()) +
           R"(,"certificate":")" + base64url_encode(der) + R"("})";
  }
  HttpResponse ask_with(const jose::SignRequest& sign, const crypto::PrivateKey& by) {
    return ask(R"({"method":"certificate","account":")" + owner.kid + R"(","proof":)" +
               jose::to_json(*jose::sign(by, sign)) + "}");
  }
  jose::SignRequest defaults() const { return {url(), std::nullopt, std::nullopt, payload()}; }
  void expect_pending(const HttpResponse& response) {
    EXPECT_EQ(response.status, 201) << response.body;
    EXPECT_TRUE(world.store.wait_for("certificate-find", 1));
    EXPECT_EQ(status_of(header_of(response, "Location")), "pending");
    EXPECT_EQ(world.store.count("recovery-update"), 0);
  }
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  Bytes der;
  Bytes serial;
};

TEST_F(RecoveryByCertificate, Right_Processing) {
  const auto response = ask_with(defaults(), key);
  ASSERT_EQ(response.status, 201) << response.body;
  const auto recovery = header_of(response, "Location");
  EXPECT_TRUE(eventually([&] { return status_of(recovery) == "processing"; }));
}

TEST_F(RecoveryByCertificate, ExpiredRevokedOrAnothers_StaysPending) {
  world.store.change_certificate(serial, [](wire::CertificateRecord& c) { c.not_after_ms = 1; });
  expect_pending(ask_with(defaults(), key));
}
TEST_F(RecoveryByCertificate, Revoked_StaysPending) {
  world.store.change_certificate(serial, [](wire::CertificateRecord& c) { c.revoked_at_ms = 1; });
  expect_pending(ask_with(defaults(), key));
}
TEST_F(RecoveryByCertificate, OfAnotherAccount_StaysPending) {
  world.store.change_certificate(serial,
                                 [](wire::CertificateRecord& c) { c.account_id = "another"; });
  expect_pending(ask_with(defaults(), key));
}
TEST_F(RecoveryByCertificate, SameSerialOtherOctets_StaysPending) {
  world.store.change_certificate(serial,
                                 [](wire::CertificateRecord& c) { c.chain[0].back() ^= 1; });
  expect_pending(ask_with(defaults(), key));
}

TEST_F(RecoveryByCertificate, ProofWrong_EachReason) {
  const auto refused = [&](const HttpResponse& response, std::string_view code) {
    expect_problem(response, 400, "malformed", code);
  };
  auto sign = defaults();
  sign.nonce = "abc";
  refused(ask_with(sign, key), "recovery.proof-form");
  sign = defaults();
  sign.url = std::string(test::kBase) + "/acme/new-order";
  refused(ask_with(sign, key), "recovery.proof-url");
  sign = defaults();
  sign.payload = "[]";
  refused(ask_with(sign, key), "recovery.proof-payload");
  sign.payload = R"({"account":"x"})";
  refused(ask_with(sign, key), "recovery.proof-account");
  sign.payload = R"({"account":")" + owner.kid + R"(","newKey":)" + jwk_of(key) + "}";
  refused(ask_with(sign, key), "recovery.proof-key");
  const auto other = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  refused(ask_with(defaults(), other), "recovery.proof-certificate");
  auto forged = *jose::sign(key, defaults());
  forged.payload_b64 = base64url_encode(to_bytes(payload() + " "));
  refused(ask(R"({"method":"certificate","account":")" + owner.kid + R"(","proof":)" +
              jose::to_json(forged) + "}"),
          "recovery.proof-signature");
  EXPECT_TRUE(world.store.recoveries().empty());
}

TEST_F(Recovery, Offline_NoticesWaitAndGoOutLater) {
  world.validation.answer_mails(wire::ChallengeProblem{"connection", "mail.relay", "x"});
  const auto recovery = begun();
  // The try must be on record before the clock goes on: its next one is counted from there.
  EXPECT_TRUE(eventually([&] {
    const auto waiting = world.store.mails();
    return waiting.size() == 1 && waiting.begin()->second.attempts == 1;
  }));
  world.validation.answer_mails(std::nullopt);
  world.clock.advance(mail_backoff_ms(0));
  world.service->start();  // the caretaker sends what is due
  EXPECT_TRUE(eventually([&] { return world.store.mails().empty(); }));
  EXPECT_EQ(world.validation.sent().at(0).to, "a@example.org");
}

TEST(Mail, Backoff_DoublesUpToTheCap) {
  EXPECT_EQ(mail_backoff_ms(0), limits::kMailBackoffMsMin);
  EXPECT_EQ(mail_backoff_ms(1), 2 * limits::kMailBackoffMsMin);
  EXPECT_EQ(mail_backoff_ms(1'000'000), limits::kMailBackoffMsMax);
}

}  // namespace
}  // namespace keyward::acme
