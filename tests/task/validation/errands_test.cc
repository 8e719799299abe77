// Documents fetched and mail handed over by the real keyward-validation, against servers on
// loopback: what is refused, what is capped, and that nothing can be slipped into a mail.
#include <fstream>

#include <netinet/in.h>
#include <sys/socket.h>

#include "firmware/wire/messages/mail_send.h"
#include "firmware/wire/messages/url_fetch.h"
#include "tests/task/validation/tiny_http.h"
#include "tests/task/validation/tiny_tls.h"
#include "tests/task/validation/validation_stage.h"

namespace keyward::validate {
namespace {

using test::TinyHttp;
using test::TinyTls;

class ErrandTest : public ValidationStage {
 protected:
  ErrandTest() {
    resolver_more_ =
        "hosts = [\"docs.plant.example=127.0.0.1\", \"inside.plant.example=10.0.0.1\", "
        "\"relay.plant.example=127.0.0.1\"]\n";
  }
  // A certificate for `name`, and the file that trusts it.
  test::MadeCertificate trusted(const std::string& name) {
    const auto made = test::make_certificate({.names = {"DNS:" + name}, .acme_identifier = {}});
    std::ofstream(directory_ + "/ca.pem") << made.pem;
    return made;
  }
};

// ---- documents

class FetchTest : public ErrandTest {
 protected:
  FetchTest() { server_.use(trusted("docs.plant.example"), {}); }
  void begin(const std::string& more = "") {
    start(
        "fetch_hosts = [\"docs.plant.example\", \"inside.plant.example\", "
        "\"nowhere.plant.example\"]\nfetch_ca_file = \"" +
        directory_ + "/ca.pem\"\n" + more);
  }
  std::string url(const std::string& path, const std::string& host = "docs.plant.example") const {
    return "https://" + host + ":" + std::to_string(server_.port()) + path;
  }
  std::string fetch(const std::string& from) {
    const auto answer = validation_->call(wire::UrlFetch{from}, limits::kPeerCallSlowMs);
    if (!answer) return "refused " + answer.error().code;
    body_ = std::string(text_of(answer->body));
    if (answer->problem) {
      EXPECT_TRUE(body_.empty());
    }
    return answer->problem ? answer->problem->type + " " + answer->problem->code : "fetched";
  }
  void answer(ssl_st* ssl) {
    const auto request = test::tls_read_line(ssl);
    if (request.size() < 4) return;
    while (!test::tls_read_line(ssl).empty()) {
    }
    const auto path = request.substr(4, request.find(' ', 4) - 4);
    if (path == "/chain.pem") return test::tls_write(ssl, TinyHttp::ok("a chain"));
    if (path == "/largest") return test::tls_write(ssl, ok_of(limits::kFetchedBytesMax));
    if (path == "/huge") return test::tls_write(ssl, ok_of(limits::kFetchedBytesMax + 1));
    if (path == "/empty") return test::tls_write(ssl, TinyHttp::ok(""));
    if (path == "/moved") return test::tls_write(ssl, TinyHttp::redirect("/chain.pem"));
    if (path == "/loop") return test::tls_write(ssl, TinyHttp::redirect("/loop"));
    if (path.starts_with("/to/")) return test::tls_write(ssl, TinyHttp::redirect(path.substr(4)));
    test::tls_write(ssl, "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret");
  }
  static std::string ok_of(std::size_t bytes) { return TinyHttp::ok(std::string(bytes, 'x')); }
  std::string body_;
  TinyTls server_{[this](ssl_st* ssl) { answer(ssl); }};
};

TEST_F(FetchTest, ListedHost_IsFetched) {
  begin();
  EXPECT_EQ(fetch(url("/chain.pem")), "fetched");
  EXPECT_EQ(body_, "a chain");
  EXPECT_EQ(fetch(url("/moved")), "fetched");
  EXPECT_EQ(body_, "a chain");
  EXPECT_EQ(fetch(url("/largest")), "fetched");
  EXPECT_EQ(body_.size(), limits::kFetchedBytesMax);
}

TEST_F(FetchTest, WithoutHosts_NothingIsFetched) {
  start();
  EXPECT_EQ(fetch(url("/chain.pem")), "connection fetch-not-configured");
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(FetchTest, WhatMustNotBeFetched_IsRefused) {
  begin();
  EXPECT_EQ(fetch(url("/chain.pem", "other.plant.example")), "unauthorized fetch-host");
  EXPECT_EQ(fetch(url("/chain.pem", "127.0.0.1")), "unauthorized fetch-host");
  EXPECT_EQ(fetch(url("/chain.pem", "inside.plant.example")), "connection egress.refused");
  EXPECT_EQ(fetch(url("/chain.pem", "nowhere.plant.example")), "dns dns.nxdomain");
  EXPECT_EQ(fetch("http://docs.plant.example/"), "connection fetch-url");
  EXPECT_EQ(fetch("file:///etc/passwd"), "connection fetch-url");
  EXPECT_EQ(fetch("https://user:pw@docs.plant.example/"), "connection fetch-url");
  EXPECT_EQ(fetch("nonsense"), "connection fetch-url");
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(FetchTest, Redirects_AreHeldToTheSameRules) {
  begin();
  EXPECT_EQ(fetch(url("/to/https://other.plant.example/")), "unauthorized fetch-host");
  EXPECT_EQ(fetch(url("/to/http://docs.plant.example/")), "connection fetch-url");
  EXPECT_EQ(fetch(url("/to/https://inside.plant.example/")), "connection egress.refused");
  EXPECT_EQ(fetch(url("/loop")), "connection fetch-redirects");
}

TEST_F(FetchTest, WrongAnswers_AreRefused) {
  begin();
  EXPECT_EQ(fetch(url("/huge")), "incorrectResponse fetch-too-large");
  EXPECT_EQ(fetch(url("/empty")), "incorrectResponse fetch-empty");
  EXPECT_EQ(fetch(url("/absent")), "incorrectResponse fetch-status");
}

TEST_F(FetchTest, CertificateOfAnother_IsRefused) {
  begin();
  server_.use(test::make_certificate({.names = {"DNS:docs.plant.example"}, .acme_identifier = {}}),
              {});
  EXPECT_EQ(fetch(url("/chain.pem")), "tls fetch-tls");  // nobody vouches for it
  server_.use(trusted("other.plant.example"), {});
  EXPECT_EQ(fetch(url("/chain.pem")), "tls fetch-tls");
}

TEST_F(FetchTest, SilentServer_EndsAtTheDeadline) {
  server_.use(trusted("docs.plant.example"), {.alpn = "", .silent = true});
  begin("fetch_total_ms = 500\n");
  EXPECT_EQ(fetch(url("/chain.pem")), "connection fetch-timeout");
}

TEST_F(FetchTest, PlainHttp_OnlyWhereAllowed) {
  TinyHttp plain(AF_INET, [](const std::string&, int fd) {
    TinyHttp::send_text(fd, TinyHttp::ok("in the clear"));
  });
  begin("fetch_allow_http = true\n");
  EXPECT_EQ(fetch("http://docs.plant.example:" + std::to_string(plain.port()) + "/x"), "fetched");
  EXPECT_EQ(body_, "in the clear");
}

// ---- mail

// What the relay heard and what it says.
class MailTest : public ErrandTest {
 protected:
  void begin(TinyTls::Options options, const std::string& scheme, const std::string& more = "") {
    relay_.use(trusted("relay.plant.example"), std::move(options));
    begin_with(scheme + "://relay.plant.example:" + std::to_string(relay_.port()), more);
  }
  void begin_with(const std::string& url, const std::string& more = "") {
    std::ofstream(directory_ + "/password") << "secret\n";
    start("smtp_url = \"" + url + "\"\nsmtp_from = \"ca@plant.example\"\nsmtp_ca_file = \"" +
          directory_ + "/ca.pem\"\n" + more);
  }
  std::string send(const std::string& to = "ops@plant.example",
                   const std::string& subject = "Key of account 1",
                   const std::string& text = "First line\n.\nLast line") {
    const auto answer =
        validation_->call(wire::MailSend{to, subject, text}, limits::kPeerCallSlowMs);
    if (!answer) return "refused " + answer.error().code;
    if (!answer->problem) return "sent";
    return answer->problem->code + (answer->again ? " again" : "");
  }
  void answer_recipients(const std::string& with) {
    const std::lock_guard lock(mutex_);
    rcpt_ = with;
  }
  void session(ssl_st* ssl, bool greet) {
    const auto say = [&](const std::string& line) { test::tls_write(ssl, line + "\r\n"); };
    if (greet) say("220 relay");
    bool in_data = false;
    for (int i = 0; i < 200; ++i) {
      const auto line = test::tls_read_line(ssl);
      const std::lock_guard lock(mutex_);
      heard_.push_back(line);
      if (in_data) {
        in_data = line != ".";
        if (!in_data) say("250 taken");
      } else if (line.starts_with("EHLO")) {
        say("250-relay\r\n250 AUTH PLAIN");
      } else if (line == "AUTH PLAIN") {
        say("334 ");
      } else if (line == kAuthPlain) {
        say("235 welcome");
      } else if (line.starts_with("RCPT")) {
        say(rcpt_);
      } else if (line == "DATA") {
        say("354 go on");
        in_data = true;
      } else if (line == "QUIT") {
        return say("221 bye");
      } else if (line.empty()) {
        return;
      } else {
        say("250 well");
      }
    }
  }
  bool heard(const std::string& line) {
    const std::lock_guard lock(mutex_);
    return std::find(heard_.begin(), heard_.end(), line) != heard_.end();
  }
  static constexpr const char* kAuthPlain = "AGNhAHNlY3JldA==";  // NUL "ca" NUL "secret"
  std::mutex mutex_;
  std::vector<std::string> heard_;
  std::string rcpt_ = "250 well";
  bool greet_ = true;
  TinyTls relay_{[this](ssl_st* ssl) { session(ssl, greet_); }};
};

TEST_F(MailTest, Smtps_IsHandedOver) {
  begin({}, "smtps", "smtp_user = \"ca\"\nsmtp_password_file = \"" + directory_ + "/password\"\n");
  EXPECT_EQ(send(), "sent");
  EXPECT_TRUE(heard("MAIL FROM:<ca@plant.example>"));
  EXPECT_TRUE(heard("RCPT TO:<ops@plant.example>"));
  EXPECT_TRUE(heard(kAuthPlain));
  EXPECT_TRUE(heard("Subject: Key of account 1"));
  EXPECT_TRUE(heard("To: <ops@plant.example>"));
  EXPECT_TRUE(heard("First line"));
  EXPECT_TRUE(heard(".."));  // a line with a dot alone does not end the mail
  EXPECT_TRUE(heard("Last line"));
}

TEST_F(MailTest, Starttls_IsUsed) {
  greet_ = false;
  begin({.alpn = "", .starttls = true}, "smtp");
  EXPECT_EQ(send(), "sent");
  EXPECT_TRUE(heard("RCPT TO:<ops@plant.example>"));
}

TEST_F(MailTest, RelayThatDoesNotVerify_GetsNothing) {
  begin({}, "smtps");
  relay_.use(test::make_certificate({.names = {"DNS:relay.plant.example"}, .acme_identifier = {}}),
             {});
  EXPECT_EQ(send(), "mail-relay again");
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(MailTest, RelayAway_IsToldToComeAgain) {
  begin_with("smtp://127.0.0.1:1");
  EXPECT_EQ(send(), "mail-relay again");
}

TEST_F(MailTest, Refusals_SayWhetherToComeAgain) {
  begin({}, "smtps");
  answer_recipients("451 later");
  EXPECT_EQ(send(), "mail-relay again");
  answer_recipients("550 nobody here");
  EXPECT_EQ(send(), "mail-refused");
}

TEST_F(MailTest, Injection_IsRefusedBeforeTheRelayHearsOfIt) {
  begin({}, "smtps");
  for (const std::string to : {"a@b\r\nRCPT TO:<c@d>", "a@b>", "<a@b", "a b@c", "a@b@c", "", "@b",
                               "a@", "a,b@c", "a@b\n", "\"a\"@b"})
    EXPECT_EQ(send(to), "mail-address") << to;
  for (const std::string subject : {"", "x\r\nBcc: c@d", "x\ny", "x\x01", "\xc3\xa9"})
    EXPECT_EQ(send("a@b.example", subject), "mail-text") << subject;
  EXPECT_EQ(send("a@b.example", "x", "line\r\n.\r\nMAIL FROM:<a>"), "mail-text");
  EXPECT_EQ(send("a@b.example", "x", std::string("\0", 1)), "mail-text");
  EXPECT_EQ(send("a@b.example", "x", std::string(2'000, 'x')), "mail-text");
  EXPECT_EQ(relay_.connections(), 0);
}

TEST_F(MailTest, WithoutRelay_IsNotConfigured) {
  start();
  EXPECT_EQ(send(), "mail-not-configured");
}

// Not even the sender is told.
TEST_F(MailTest, RelayWithoutStarttls_GetsNoMail) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&in), size), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&in), &size), 0);
  std::string got;
  std::thread relay([&] {
    const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
    TinyHttp::send_text(fd.get(), "220 relay\r\n");
    char chunk[1024];
    for (ssize_t n = 0; (n = ::recv(fd.get(), chunk, sizeof chunk, 0)) > 0;) {
      got.append(chunk, static_cast<std::size_t>(n));
      TinyHttp::send_text(fd.get(), got.find("DATA") == std::string::npos        ? "250 well\r\n"
                                    : got.find("\r\n.\r\n") == std::string::npos ? "354 go on\r\n"
                                                                                 : "250 taken\r\n");
    }
  });
  begin_with("smtp://127.0.0.1:" + std::to_string(ntohs(in.sin_port)));
  EXPECT_EQ(send(), "mail-relay again");
  relay.join();
  EXPECT_EQ(got.find("MAIL"), std::string::npos);
}

}  // namespace
}  // namespace keyward::validate
