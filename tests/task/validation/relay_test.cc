// Evidence relayed by the real keyward-validation to a verifier on loopback that speaks as Veraison
// does, well and badly.
#include "firmware/validate/relay.h"

#include <fstream>

#include <openssl/ssl.h>

#include "firmware/wire/messages/verifier_relay.h"
#include "tests/task/validation/tiny_http.h"
#include "tests/task/validation/tiny_tls.h"
#include "tests/task/validation/validation_stage.h"

namespace keyward::validate {
namespace {

using test::TinyHttp;
using test::TinyTls;

constexpr const char* kSessionType = "application/vnd.veraison.challenge-response-session+json";
constexpr const char* kEvidenceType = "application/eat+cwt";

std::string answer_of(int status, const std::string& type, const std::string& body,
                      const std::string& more = "") {
  return "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
}
std::string session_of(const std::string& status, const std::string& more = "") {
  return R"({"status":")" + status + "\"" + more + "}";
}

struct Heard {
  std::string line;                  // of the request
  std::vector<std::string> headers;  // lower-case names
  std::string body;
};

class RelayTest : public ValidationStage {
 protected:
  RelayTest() {
    resolver_more_ =
        "hosts = [\"verifier.plant.example=127.0.0.1\", \"inside.plant.example=10.0.0.1\"]\n";
    const auto made =
        test::make_certificate({.names = {"DNS:verifier.plant.example"}, .acme_identifier = {}});
    std::ofstream(directory_ + "/ca.pem") << made.pem;
    const auto other = test::make_certificate({.names = {"DNS:other"}, .acme_identifier = {}});
    std::ofstream(directory_ + "/other.pem") << other.pem;
    server_.use(made, {});
  }
  std::string table(const std::string& name, const std::string& host = "verifier.plant.example",
                    const std::string& ca = "ca.pem", const std::string& more = "") const {
    return "[verifiers." + name + "]\nurl = \"https://" + host + ":" +
           std::to_string(server_.port()) + "/challenge-response/v1\"\nca_file = \"" + directory_ +
           "/" + ca + "\"\nmedia_types = [\"" + kEvidenceType + "\"]\n" + more;
  }
  void begin() {
    start("", table("veraison") + table("inside", "inside.plant.example") +
                  table("nowhere", "nowhere.plant.example") +
                  table("stranger", "verifier.plant.example", "other.pem") +
                  table("hasty", "verifier.plant.example", "ca.pem", "deadline_s = 1\n"));
  }
  wire::VerifierRelay request() const {
    return {"veraison", base64url_encode(Bytes(32, 0xfb)), kEvidenceType, to_bytes("the evidence")};
  }
  std::string relay(const wire::VerifierRelay& request) {
    const auto answer = validation_->call(request, limits::kPeerCallSlowMs);
    if (!answer) return "refused " + answer.error().code;
    if (answer->problem) {
      EXPECT_TRUE(answer->result.empty());
    }
    return answer->problem ? answer->problem->type + " " + answer->problem->code
                           : std::string(text_of(answer->result));
  }
  std::string relay() { return relay(request()); }
  std::string relay_to(const std::string& verifier) {
    auto ask = request();
    ask.verifier = verifier;
    return relay(ask);
  }
  // What the verifier answers, in this sequence; then 404.
  void answers(std::vector<std::string> list) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(list);
    heard_.clear();
  }
  std::vector<Heard> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  static std::string created(const std::string& location = "session/1") {
    return answer_of(201, kSessionType, session_of("waiting"), "Location: " + location + "\r\n");
  }
  static std::string complete() {
    return answer_of(200, kSessionType, session_of("complete", R"(,"result":"an.ear.jwt")"));
  }

  void serve(ssl_st* ssl) {
    Heard heard;
    heard.line = test::tls_read_line(ssl);
    std::size_t length = 0;
    for (auto line = test::tls_read_line(ssl); !line.empty(); line = test::tls_read_line(ssl)) {
      const auto colon = line.find(':');
      auto name = ascii_name(line.substr(0, colon));
      if (name == "content-length") length = std::stoul(line.substr(colon + 1));
      heard.headers.push_back(name + line.substr(colon));
    }
    char octet = 0;
    while (heard.body.size() < length && ::SSL_read(ssl, &octet, 1) == 1) heard.body += octet;
    std::string answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    {
      const std::lock_guard lock(mutex_);
      if (heard_.size() < answers_.size()) answer = answers_[heard_.size()];
      heard_.push_back(std::move(heard));
    }
    if (answer == "silence") {  // until the client gives up
      while (::SSL_read(ssl, &octet, 1) == 1) {
      }
      return;
    }
    test::tls_write(ssl, answer);
  }
  static std::string ascii_name(std::string name) {
    for (auto& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return name;
  }

  std::mutex mutex_;
  std::vector<std::string> answers_;
  std::vector<Heard> heard_;
  TinyTls server_{[this](ssl_st* ssl) { serve(ssl); }};
};

bool has_header(const Heard& heard, const std::string& text) {
  for (const auto& header : heard.headers) {
    if (header == text) return true;
  }
  return false;
}

TEST_F(RelayTest, Complete_TheResultComesBackAndTheSessionIsEnded) {
  begin();
  answers({created(), complete()});
  EXPECT_EQ(relay(), "an.ear.jwt");
  const auto seen = heard();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].line, "POST /challenge-response/v1/newSession?nonce=" +
                              base64url_encode(Bytes(32, 0xfb)) + "%3D HTTP/1.1");
  EXPECT_TRUE(has_header(seen[0], std::string("accept: ") + kSessionType));
  EXPECT_EQ(seen[0].body, "");
  EXPECT_EQ(seen[1].line, "POST /challenge-response/v1/session/1 HTTP/1.1");
  EXPECT_TRUE(has_header(seen[1], std::string("content-type: ") + kEvidenceType));
  EXPECT_EQ(seen[1].body, "the evidence");
  EXPECT_EQ(seen[2].line, "DELETE /challenge-response/v1/session/1 HTTP/1.1");
  EXPECT_EQ(server_.last_sni(), "verifier.plant.example");
}

TEST_F(RelayTest, SlowVerifier_IsAskedUntilItIsDone) {
  begin();
  const auto working = answer_of(202, kSessionType, session_of("processing"));
  answers({created("/challenge-response/v1/session/7"), working, working, working, complete()});
  EXPECT_EQ(relay(), "an.ear.jwt");
  const auto seen = heard();
  ASSERT_EQ(seen.size(), 6U);
  EXPECT_EQ(seen[2].line, "GET /challenge-response/v1/session/7 HTTP/1.1");
  EXPECT_EQ(seen[5].line, "DELETE /challenge-response/v1/session/7 HTTP/1.1");
}

TEST_F(RelayTest, OlderServer_StateAndAbsoluteLocationAreUnderstood) {
  begin();
  const auto base = "https://verifier.plant.example:" + std::to_string(server_.port());
  answers({answer_of(201, "application/rats-challenge-response-session+json",
                     R"({"state":"waiting"})", "Location: " + base + "/s/1\r\n"),
           answer_of(200, "application/json; charset=utf-8",
                     R"({"state":"complete","result":"an.ear.jwt"})")});
  EXPECT_EQ(relay(), "an.ear.jwt");
}

TEST_F(RelayTest, LargestEvidence_IsTaken) {
  begin();
  answers({created(), complete()});
  auto ask = request();
  ask.evidence = Bytes(limits::kEvidenceBytesMax, 'e');
  EXPECT_EQ(relay(ask), "an.ear.jwt");
  EXPECT_EQ(heard().at(1).body.size(), limits::kEvidenceBytesMax);
}

TEST_F(RelayTest, WhatMustNotBeRelayed_LeavesNothingOut) {
  begin();
  EXPECT_EQ(relay_to("other"), "serverInternal relay.not-configured");
  EXPECT_EQ(relay_to("inside"), "serverInternal relay.egress");
  auto ask = request();
  ask.media_type = "application/eat+jwt";
  EXPECT_EQ(relay(ask), "badAttestationStatement relay.media-type");
  ask.media_type = std::string(kEvidenceType) + ";x=\r\nHost: other";
  EXPECT_EQ(relay(ask), "badAttestationStatement relay.media-type");
  ask = request();
  ask.evidence.clear();
  EXPECT_EQ(relay(ask), "badAttestationStatement relay.refused");
  ask = request();
  ask.nonce = "a&x=y";
  EXPECT_EQ(relay(ask), "badAttestationStatement relay.refused");
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(RelayTest, ParametersOfTheMediaType_ArePassedOn) {
  begin();
  answers({created(), complete()});
  auto ask = request();
  ask.media_type = "application/eat+cwt; eat_profile=\"tag:x\"";
  EXPECT_EQ(relay(ask), "an.ear.jwt");
  EXPECT_TRUE(has_header(heard().at(1), "content-type: " + ask.media_type));
}

TEST_F(RelayTest, VerifierThatIsAway_MayComeBack) {
  begin();
  EXPECT_EQ(relay_to("nowhere"), "connection relay.unavailable");
  answers({answer_of(503, "text/plain", "no")});
  EXPECT_EQ(relay(), "connection relay.unavailable");
  answers({created(), answer_of(429, "text/plain", "no")});
  EXPECT_EQ(relay(), "connection relay.unavailable");
  answers({"HTTP/1.1 201 x\r\nContent-Length: 99\r\n\r\ncut"});
  EXPECT_EQ(relay(), "connection relay.unavailable");
}

TEST_F(RelayTest, VerifierThatIsSilentOrNeverDone_IsLeftAtItsDeadline) {
  begin();
  answers({"silence"});
  EXPECT_EQ(relay_to("hasty"), "connection relay.unavailable");
  const auto working = answer_of(202, kSessionType, session_of("processing"));
  answers({created(), working, working, working, working, working, working});
  EXPECT_EQ(relay_to("hasty"), "connection relay.unavailable");
  const auto seen = heard();
  EXPECT_EQ(seen.back().line, "DELETE /challenge-response/v1/session/1 HTTP/1.1");
}

TEST_F(RelayTest, StrangersCertificate_IsRefused) {
  begin();
  EXPECT_EQ(relay_to("stranger"), "serverInternal relay.tls");
  EXPECT_TRUE(heard().empty());
}

TEST_F(RelayTest, Redirects_AreNotFollowed) {
  begin();
  answers({TinyHttp::redirect("https://verifier.plant.example/elsewhere")});
  EXPECT_EQ(relay(), "serverInternal relay.redirect");
  answers({created(), TinyHttp::redirect("/elsewhere")});
  EXPECT_EQ(relay(), "serverInternal relay.redirect");
  for (const std::string place :
       {"https://other.plant.example/session/1", "http://verifier.plant.example/session/1",
        "https://verifier.plant.example/session/1", "//127.0.0.1/session/1"}) {
    answers({created(place), complete()});
    EXPECT_EQ(relay(), "serverInternal relay.redirect") << place;
    EXPECT_EQ(heard().size(), 1U) << place;  // the evidence stays here
  }
}

TEST_F(RelayTest, WrongAnswers_AreRefused) {
  begin();
  answers({answer_of(201, "text/html", session_of("waiting"), "Location: session/1\r\n")});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({answer_of(201, kSessionType, session_of("waiting"))});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({answer_of(200, kSessionType, session_of("waiting"), "Location: session/1\r\n")});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({answer_of(201, kSessionType, "nonsense", "Location: session/1\r\n")});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({created(), answer_of(200, kSessionType, session_of("complete"))});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({created(), answer_of(200, kSessionType, session_of("done", R"(,"result":"x")"))});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
  answers({created(), answer_of(200, "text/plain", session_of("complete", R"(,"result":"x")"))});
  EXPECT_EQ(relay(), "serverInternal relay.answer");
}

TEST_F(RelayTest, HugeAnswers_AreRefused) {
  begin();
  const std::string result(limits::kRelayedResultBytesMax, 'r');
  answers({created(),
           answer_of(200, kSessionType, session_of("complete", R"(,"result":")" + result + "\""))});
  EXPECT_EQ(relay(), result);
  answers({created(), answer_of(200, kSessionType,
                                session_of("complete", R"(,"result":"r)" + result + "\""))});
  EXPECT_EQ(relay(), "serverInternal relay.too-large");
  answers({created(),
           answer_of(200, kSessionType, std::string(limits::kVerifierBodyBytesMax + 1, ' '))});
  EXPECT_EQ(relay(), "serverInternal relay.too-large");
}

TEST_F(RelayTest, RefusedEvidence_SaysSo) {
  begin();
  answers({created(), answer_of(415, "application/problem+json", "{}")});
  EXPECT_EQ(relay(), "badAttestationStatement relay.refused");
  answers({answer_of(400, "application/problem+json", "{}")});
  EXPECT_EQ(relay(), "badAttestationStatement relay.refused");
  answers({created(), answer_of(200, kSessionType, session_of("failed"))});
  EXPECT_EQ(relay(), "badAttestationStatement relay.failed");
}

// ---- configuration

VerifierOptions verifier(const std::string& url) {
  VerifierOptions out;
  out.url = url;
  out.media_types = {kEvidenceType};
  return out;
}

TEST(VerifierOptions, Urls_HttpsAloneButASimulatorsOwnHost) {
  EXPECT_TRUE(check_verifier_options(verifier("https://v.example/challenge-response/v1"), false));
  EXPECT_FALSE(check_verifier_options(verifier("http://127.0.0.1:8080/v1"), false));
  EXPECT_TRUE(check_verifier_options(verifier("http://127.0.0.1:8080/v1"), true));
  EXPECT_TRUE(check_verifier_options(verifier("http://[::1]:8080/v1"), true));
  EXPECT_FALSE(check_verifier_options(verifier("http://v.example/v1"), true));
  EXPECT_FALSE(check_verifier_options(verifier("http://127.0.0.1.example/v1"), true));
  EXPECT_FALSE(check_verifier_options(verifier("https://u:p@v.example/v1"), false));
  EXPECT_FALSE(check_verifier_options(verifier("https://v.example/v1/"), false));
  EXPECT_FALSE(check_verifier_options(verifier("https://v.example/v1?x=y"), false));
  EXPECT_FALSE(check_verifier_options(verifier("file:///v1"), true));
  EXPECT_FALSE(check_verifier_options(verifier(""), false));
}

TEST(VerifierOptions, MediaTypes_SomeAndPlain) {
  auto options = verifier("https://v.example/v1");
  for (const std::string type :
       {"eat", "application/EAT+cwt", "application/eat+cwt; x=y", "a/\r\n"}) {
    options.media_types = {type};
    EXPECT_FALSE(check_verifier_options(options, false)) << type;
  }
  options.media_types.clear();
  EXPECT_FALSE(check_verifier_options(options, false));
}

TEST_F(RelayTest, Configuration_ThatIsWrong_DoesNotStart) {
  EXPECT_FALSE(
      starts("", "[verifiers.x]\nurl = \"http://127.0.0.1/v1\"\nmedia_types = [\"a/b\"]\n"));
  EXPECT_FALSE(starts("", "[verifiers.x]\nurl = \"https://v.example/v1\"\n"));
  EXPECT_FALSE(starts("", table("x", "v.example", "ca.pem", "deadline_s = 46\n")));
}

}  // namespace
}  // namespace keyward::validate
