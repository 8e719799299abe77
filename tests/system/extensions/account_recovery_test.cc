// Recovers accounts of a running appliance whose keys were lost: by contact over a relay of the
// test's own, by a credential of the operator's, by a certificate's key, and by the operator. And
// that no answer tells whether an account exists.
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
#include "tests/support/command/command.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/system/extensions/kit.h"
#include "tests/system/extensions/smtp_sink.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kOpenMs = 600;  // several polls long: what happens behind an answer

class AccountRecovery : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dns_ = new DnsServer;
    relay_ = new SmtpSink;
    simulator_ = new Simulator(up_options(settings()));
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
  }
  static std::vector<std::string> settings() {
    return {"acme.recovery=true",
            "acme.simulation.recovery_cooling_s=2",
            "rate_limits.recoveries_per_prefix_hour=0",
            R"(validation.smtp_url=")" + relay_->url() + R"(")",
            "validation.smtp_plaintext=true",
            R"(validation.smtp_from="ca@plant.example")",
            R"(validation.resolver.forward=[")" + dns_->forward() + R"("])"};
  }
  static void TearDownTestSuite() {
    delete simulator_;
    delete relay_;
    delete dns_;
  }

  AccountRecovery() { owner.sign_up(R"(,"contact":["mailto:)" + mailbox() + R"("])"); }

  static std::string mailbox() {
    return ::testing::UnitTest::GetInstance()->current_test_info()->name() +
           std::string("@plant.example");
  }
  static std::string name_here() {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    for (auto& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
    return name.substr(0, 40) + ".plant.example";
  }
  // The finder's request: it has the new key and no account.
  HttpReply ask(const std::string& method, const std::string& account,
                const std::string& more = "") {
    return finder.post(
        finder.url_of("recoverAccount"),
        R"({"method":")" + method + R"(","account":")" + account + "\"" + more + "}");
  }
  // For method "certificate": the certificate's key vouches for the new one.
  std::string proof(const crypto::PrivateKey& signer, const std::string& account,
                    const Bytes& certificate) {
    jose::SignRequest request;
    request.url = finder.url_of("recoverAccount");
    request.payload = R"({"account":")" + account + R"(","newKey":)" + jwk_of(finder.key) +
                      R"(,"certificate":")" + base64url_encode(certificate) + "\"}";
    return R"(,"proof":)" + jose::to_json(must(jose::sign(signer, request)));
  }
  std::string begun_by_contact() {
    const auto reply = ask("contact", owner.kid);
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply.header("location");
  }
  std::string status_of(const std::string& recovery) {
    return text_at(finder.read(recovery), "status");
  }
  // The owner's mail about this recovery, told apart by its subject.
  std::string mail_about(const std::string& recovery, const std::string& subject) {
    std::string text;
    EXPECT_TRUE(eventually([&] {
      for (const auto& mail : relay_->mails()) {
        if (mail.to != mailbox() || mail.text.find(recovery) == std::string::npos) continue;
        if (mail.text.find(subject) != std::string::npos) text = mail.text;
      }
      return !text.empty();
    })) << subject;
    return text;
  }
  static std::string after(const std::string& text, const std::string& words) {
    const auto at = text.find(words);
    if (at == std::string::npos) return "";
    const auto begin = text.find_first_not_of(" \n", at + words.size());
    return text.substr(begin, text.find_first_of(" \n", begin) - begin);
  }
  HttpReply send_code(const std::string& recovery) {
    const auto code = after(mail_about(recovery, "your code"), "The code for it is");
    return finder.post(recovery, R"({"code":")" + code + "\"}");
  }
  void expect_recovered(const std::string& recovery) {
    EXPECT_TRUE(eventually([&] { return status_of(recovery) == "valid"; }));
    EXPECT_EQ(text_at(finder.read(recovery), "account"), owner.kid);
    expect_key_is_the_accounts(finder.key);
    // RFC 8555 §7.3.1: as any client finds its account.
    const auto found = finder.post(finder.url_of("newAccount"), R"({"onlyReturnExisting":true})");
    EXPECT_EQ(found.status, 200) << found.body;
    EXPECT_EQ(found.header("location"), owner.kid);
    EXPECT_THAT(found.body, HasSubstr(mailbox()));
  }
  // And not the old one.
  void expect_key_is_the_accounts(const crypto::PrivateKey& key) {
    EXPECT_EQ(owner.post_as(key, owner.kid, owner.kid, "").status, 200);
    expect_problem(owner.read(owner.kid), 400, "malformed", "jws.signature");
  }
  void expect_owner_keeps_it() {
    EXPECT_EQ(owner.read(owner.kid).status, 200);
    const auto found = finder.post(finder.url_of("newAccount"), R"({"onlyReturnExisting":true})");
    expect_problem(found, 400, "accountDoesNotExist", "account.none");
  }
  CommandResult account_command(const std::string& verb, std::vector<std::string> options = {}) {
    std::vector<std::string> words{"account", verb, simulator_->dir() + "/state/acme", owner.kid};
    words.insert(words.end(), options.begin(), options.end());
    return keywardctl(words);
  }

  static inline DnsServer* dns_ = nullptr;
  static inline SmtpSink* relay_ = nullptr;
  static inline Simulator* simulator_ = nullptr;
  Client owner{*simulator_};
  Client finder{*simulator_};
};

TEST_F(AccountRecovery, ByContact_SameUrlNewKeyAndNamesProvedAnew) {
  const std::vector<std::string> names{name_here()};
  (void)enrol(owner, *dns_, names, fresh_key());
  EXPECT_EQ(text_at(order_names(owner, names), "status"), "ready");  // proved already

  const auto recovery = begun_by_contact();
  EXPECT_EQ(status_of(recovery), "pending");
  expect_problem(finder.post(recovery, R"({"code":"AAAA"})"), 403, "unauthorized", "recovery.code");
  const auto proved = send_code(recovery);
  EXPECT_EQ(proved.status, 200) << proved.body;
  EXPECT_EQ(text_at(proved, "status"), "processing");
  EXPECT_NE(proved.header("retry-after"), "");
  (void)mail_about(recovery, "will be replaced");  // the old contacts are told in time
  EXPECT_EQ(owner.read(owner.kid).status, 200);    // until then nothing has changed
  restart(*simulator_, settings());                // and it goes on over a restart
  const auto link = after(mail_about(recovery, "will be replaced"), "open");
  expect_recovered(recovery);
  EXPECT_EQ(finder.post_form(link, "veto=yes").status, 409);  // too late
  (void)mail_about(owner.kid, "the key was replaced");

  finder.kid = owner.kid;
  const auto order = order_names(finder, names);
  EXPECT_EQ(text_at(order, "status"), "pending") << order.body;
  expect_problem(finalize(finder, order, csr_for(fresh_key(), names)), 403, "orderNotReady",
                 "order.not-ready");
  prove(finder, *dns_, order);
  EXPECT_EQ(text_at(finalize(finder, order, csr_for(fresh_key(), names)), "status"), "valid");
}

TEST_F(AccountRecovery, ByCredentialOfTheOperator) {
  const auto credential = add_eab(*simulator_, {"--recovers", owner.account_id()});
  const auto url = finder.url_of("recoverAccount");
  const auto binding = R"(,"externalAccountBinding":)" + binding_json(credential, finder.key, url);
  std::string recovery;
  // The task has the new credential within a second; before that nothing comes of it.
  EXPECT_TRUE(eventually([&] {
    recovery = ask("binding", owner.kid, binding).header("location");
    return eventually([&] { return status_of(recovery) == "processing"; }, kOpenMs);
  }));
  expect_recovered(recovery);
}

TEST_F(AccountRecovery, ByCertificateKey) {
  const auto key = fresh_key();
  const auto pem = enrol(owner, *dns_, {name_here()}, key);
  const auto leaf = must(x509::certificates_from_pem(pem, 4)).front();
  expect_problem(ask("certificate", owner.kid, proof(fresh_key(), owner.kid, leaf)), 400,
                 "malformed", "recovery.proof-certificate");
  const auto begun = ask("certificate", owner.kid, proof(key, owner.kid, leaf));
  ASSERT_EQ(begun.status, 201) << begun.body;
  expect_recovered(begun.header("location"));
}

TEST_F(AccountRecovery, VetoByTheOldKey) {
  const auto recovery = begun_by_contact();
  EXPECT_EQ(text_at(send_code(recovery), "status"), "processing");
  const auto vetoed = owner.post(recovery, R"({"status":"vetoed"})");
  EXPECT_EQ(text_at(vetoed, "status"), "invalid") << vetoed.body;
  const auto seen = finder.read(recovery);
  EXPECT_EQ(text_at(seen, "status"), "invalid");
  EXPECT_EQ(json_of(seen).root().get("error").get("code").string(), "recovery.vetoed");
  expect_owner_keeps_it();
  // A stranger has no word in it, and learns nothing.
  Client stranger(*simulator_);
  stranger.sign_up();
  expect_problem(stranger.post(begun_by_contact(), R"({"status":"vetoed"})"), 404, "malformed",
                 "not-found");
}

TEST_F(AccountRecovery, VetoByTheMailedLink) {
  const auto recovery = begun_by_contact();
  const auto proved = send_code(recovery);
  EXPECT_EQ(text_at(proved, "status"), "processing");
  const auto link = after(mail_about(recovery, "will be replaced"), "open");
  ASSERT_THAT(link, HasSubstr("/veto/"));
  const auto page = finder.get(link);
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("<form"));
  EXPECT_EQ(status_of(recovery), "processing");  // looking stops nothing
  EXPECT_EQ(finder.get(link.substr(0, link.size() - 1)).status, 404);
  EXPECT_EQ(finder.post_form(link, "veto=yes").status, 200);
  EXPECT_EQ(status_of(recovery), "invalid");
  expect_owner_keeps_it();
}

// Who changes the key has it: nothing was lost.
TEST_F(AccountRecovery, KeyChangeByTheOwner_EndsIt) {
  const auto recovery = begun_by_contact();
  EXPECT_EQ(text_at(send_code(recovery), "status"), "processing");
  const auto fresh = fresh_key();
  ASSERT_EQ(owner.change_key(fresh).status, 200);
  owner.key = fresh;
  EXPECT_EQ(status_of(recovery), "invalid");
  expect_owner_keeps_it();
}

// What a stranger sees, but for what is random or a time.
struct Seen {
  int status;
  std::string headers, body;
  bool operator==(const Seen&) const = default;
};

Seen seen(const HttpReply& reply, const std::string& recovery) {
  static const std::regex kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)");
  const auto without = [&](std::string text) {
    for (auto at = text.find(recovery); at != std::string::npos; at = text.find(recovery))
      text.replace(at, recovery.size(), "RECOVERY");
    return std::regex_replace(text, kTime, "TIME");
  };
  Seen out{reply.status, {}, without(reply.body)};
  for (const auto& [name, value] : reply.headers) {
    const bool random = name == "replay-nonce" || name == "date";
    out.headers += name + ": " + (random ? "-" : without(value)) + "\n";
  }
  return out;
}

TEST_F(AccountRecovery, NoAnswerTellsWhetherAnAccountExists) {
  auto nobody = owner.kid;
  nobody.back() = nobody.back() == 'A' ? 'B' : 'A';
  std::swap(nobody[nobody.size() - 2], nobody[nobody.size() - 5]);
  ASSERT_NE(nobody, owner.kid);
  Client gone(*simulator_);  // an account that has ended is none either
  gone.sign_up(R"(,"contact":["mailto:gone@plant.example"])");
  ASSERT_EQ(gone.post(gone.kid, R"({"status":"deactivated"})").status, 200);

  const auto url = finder.url_of("recoverAccount");
  const EabCredential unknown{"nobody", base64url_encode(Bytes(32, 7))};
  const auto binding = R"(,"externalAccountBinding":)" + binding_json(unknown, finder.key, url);
  // A certificate of this CA, of a third account.
  Client third(*simulator_);
  third.sign_up();
  const auto third_key = fresh_key();
  const auto third_leaf =
      must(x509::certificates_from_pem(enrol(third, *dns_, {name_here()}, third_key), 4)).front();
  for (const std::string method : {"contact", "binding", "certificate"}) {
    SCOPED_TRACE(method);
    const auto more = [&](const std::string& account) {
      if (method == "certificate") return proof(third_key, account, third_leaf);
      return method == "binding" ? binding : std::string();
    };
    std::vector<std::string> recoveries;
    std::vector<Seen> first;
    for (const auto& account : {owner.kid, nobody, gone.kid}) {
      const auto reply = ask(method, account, more(account));
      ASSERT_EQ(reply.status, 201) << reply.body;
      recoveries.push_back(reply.header("location"));
      first.push_back(seen(reply, recoveries.back()));
    }
    for (std::size_t i = 1; i < first.size(); ++i) {
      EXPECT_EQ(first[i].headers, first[0].headers);
      EXPECT_EQ(first[i].body, first[0].body);
      EXPECT_EQ(first[i], first[0]);
    }
    // The code is on its way by then: what happens behind the answer is not seen.
    if (method == "contact") (void)mail_about(recoveries[0], "your code");
    for (int poll = 0; poll < 4; ++poll) {
      // Reads, a wrong code, what is no code, and another's words.
      const char* payloads[] = {"", R"({"code":"AAAAAAAAAAAAAAAAAAAAAA"})", R"({"code":7})",
                                R"({"status":"vetoed"})"};
      std::vector<Seen> polled;
      for (const auto& recovery : recoveries)
        polled.push_back(seen(finder.post(recovery, payloads[poll]), recovery));
      for (std::size_t i = 1; i < polled.size(); ++i) {
        EXPECT_EQ(polled[i].headers, polled[0].headers) << payloads[poll];
        EXPECT_EQ(polled[i].body, polled[0].body) << payloads[poll];
        EXPECT_EQ(polled[i], polled[0]) << payloads[poll];
      }
    }
  }
  for (const auto& mail : relay_->mails()) EXPECT_NE(mail.to, "gone@plant.example");
}

TEST_F(AccountRecovery, OperatorShowsRekeysAndRevokes) {
  const std::vector<std::string> names{name_here()};
  (void)enrol(owner, *dns_, names, fresh_key());
  const auto shown = account_command("show");
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr(owner.kid));
  EXPECT_THAT(shown.output, HasSubstr(mailbox()));

  const TempDir work;
  const auto fresh = fresh_key();
  write_file(work.path("new.jwk"), view_of(jwk_of(fresh)));
  const auto rekeyed = account_command("rekey", {"--jwk", work.path("new.jwk")});
  EXPECT_EQ(rekeyed.status, 0) << rekeyed.output;
  expect_key_is_the_accounts(fresh);
  owner.key = fresh;
  EXPECT_EQ(text_at(order_names(owner, names), "status"), "pending");  // proved anew

  const auto revoked = account_command("revoke");
  EXPECT_EQ(revoked.status, 0) << revoked.output;
  EXPECT_THAT(account_command("show").output, HasSubstr("revoked"));
  expect_problem(order_names(owner, names), 401, "unauthorized", "account.not-valid");
  expect_problem(owner.post_as(fresh, "", owner.url_of("newAccount"), "{}"), 401, "unauthorized",
                 "account.not-valid");
}

}  // namespace
}  // namespace keyward::test
