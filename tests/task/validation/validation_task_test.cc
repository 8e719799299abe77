// The real keyward-validation, spoken to as supervisor, acme and signer, against a server on
// loopback.
#include <chrono>
#include <filesystem>
#include <future>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/validate/http01.h"
#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/appliance_grant.h"
#include "firmware/wire/messages/grant_name.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"
#include "tests/task/validation/tiny_http.h"

namespace keyward::validate {
namespace {

using test::TinyHttp;
using wire::IdentifierType;
using wire::TaskId;
using wire::ValidationMethod;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr const char* kLoopback = "egress_allow = [\"127.0.0.0/8\", \"::1/128\"]\n";

// The signer's side. Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
  std::mutex mutex;
  std::vector<wire::GrantName> grants;
};

// A text that a server's thread reads and the test changes.
class SharedText {
 public:
  void set(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  std::string get() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class ValidationTaskTest : public ::testing::Test {
 protected:
  ValidationTaskTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "keyward-validation-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
  }
  ~ValidationTaskTest() override {
    task_.kill_now();
    if (HasFailure()) std::fputs(test::log_text(directory_ + "/log").c_str(), stderr);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  // `answer`: what the server does for a path; the default answers right.
  void serve(TinyHttp::Handler answer, int family = AF_INET) {
    http_ = std::make_unique<TinyHttp>(family, std::move(answer));
    ASSERT_TRUE(http_->listening());
    port_ = http_->port();
  }
  void serve_right() {
    serve([this](const std::string& path, int fd) {
      TinyHttp::send_text(fd, TinyHttp::ok(right_for(path)));
    });
  }
  std::string right_for(const std::string& path) const {
    return key_authorization(path.substr(path.rfind('/') + 1), thumbprint_);
  }
  void start(const std::string& more = kLoopback, int total_ms = 10'000) {
    const std::string config =
        "state_dir = \"" + directory_ + "\"\nhttp_port = " + std::to_string(http_->port()) +
        "\nhttp_total_ms = " + std::to_string(total_ms) + "\n" + more +
        "[resolver]\nhosts = [\"host.plant.example=127.0.0.1\", \"six.plant.example=::1\", "
        "\"other.plant.example=127.0.0.1\", \"inside.plant.example=10.0.0.1\"]\n"
        "[appliance]\nbase_url = \"https://ca.example\"\nnames = [\"ca.plant.example\"]\n";
    ASSERT_TRUE(task_.start("keyward-validation", TaskId::kValidation, config,
                            {{TaskId::kAcme, true}, {TaskId::kSigner, false}},
                            directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready());
    validation_.emplace(TaskId::kValidation);
    validation_->rebind(task_.take(TaskId::kAcme));
    signer_end_ = task_.take(TaskId::kSigner);
    signer_->server.on<wire::GrantName>(
        TaskId::kValidation,
        [side = signer_](const wire::GrantName& grant) -> task::Answer<wire::GrantNameReply> {
          const std::lock_guard lock(side->mutex);
          side->grants.push_back(grant);
          return wire::GrantNameReply{};
        });
  }
  void start_signer() { signer_->server.serve(TaskId::kValidation, std::move(signer_end_), 1); }
  std::vector<wire::GrantName> grants() {
    const std::lock_guard lock(signer_->mutex);
    return signer_->grants;
  }

  wire::NameTokenMint mint_request(const std::string& name = "host.plant.example") const {
    wire::NameTokenMint request;
    request.thumbprint = thumbprint_;
    request.identifier = {IdentifierType::kDns, name};
    request.ticket = "ticket-1";
    request.method = ValidationMethod::kHttp01;
    request.expires_at_ms = system_clock().utc_ms() + kHourMs;
    return request;
  }
  wire::NameValidate with_token(const wire::NameTokenMint& m) {
    const auto minted = validation_->call(m);
    EXPECT_TRUE(minted);
    return {m.thumbprint,
            m.identifier,
            m.wildcard,
            m.ticket,
            m.method,
            m.expires_at_ms,
            minted ? minted->token : "",
            m.subtree,
            "",
            {}};
  }
  wire::NameValidateReply validate(const std::string& name = "host.plant.example") {
    const auto answer = validation_->call(with_token(mint_request(name)), limits::kPeerCallSlowMs);
    EXPECT_TRUE(answer) << answer.error().code;
    return answer ? *answer : wire::NameValidateReply{};
  }
  // The problem's "type code"; "valid" if there is none.
  std::string problem(const std::string& name = "host.plant.example") {
    const auto reply = validate(name);
    last_detail_ = reply.problem ? reply.problem->detail : "";
    return reply.problem ? reply.problem->type + " " + reply.problem->code : "valid";
  }

  std::string directory_;
  Digest256 thumbprint_ = [] {
    Digest256 d{};
    d.fill(0x5a);
    return d;
  }();
  std::unique_ptr<TinyHttp> http_;
  test::TaskProcess task_;
  std::optional<task::Peer> validation_;
  UniqueFd signer_end_;
  SignerSide* signer_ = test::immortal(std::make_unique<SignerSide>());
  std::atomic<std::uint16_t> port_{0};
  std::string last_detail_;
};

TEST_F(ValidationTaskTest, Right_Content_IsValidAndTheSignerHasTheGrantFirst) {
  serve_right();
  start();
  start_signer();
  const auto reply = validate();
  EXPECT_FALSE(reply.problem);
  const auto granted = grants();
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(granted[0].thumbprint, thumbprint_);
  EXPECT_EQ(granted[0].identifier.value, "host.plant.example");
  EXPECT_FALSE(granted[0].wildcard);
  EXPECT_EQ(granted[0].method, ValidationMethod::kHttp01);
  EXPECT_FALSE(granted[0].ticket);
  EXPECT_EQ(granted[0].expires_at_ms, reply.grant_expires_at_ms);
  EXPECT_EQ(reply.grant_expires_at_ms - reply.validated_at_ms, 24 * kHourMs);
}

TEST_F(ValidationTaskTest, TrailingWhiteSpaceAndChunks_AreValid) {
  serve([this](const std::string& path, int fd) {
    const auto right = right_for(path);
    TinyHttp::send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char c : right + "\r\n")
      TinyHttp::send_text(fd, "1\r\n" + std::string(1, c) + "\r\n");
    TinyHttp::send_text(fd, "0\r\n\r\n");
  });
  start();
  start_signer();
  EXPECT_EQ(problem(), "valid");
}

TEST_F(ValidationTaskTest, IPv6Host_IsValid) {
  serve([this](const std::string& path,
               int fd) { TinyHttp::send_text(fd, TinyHttp::ok(right_for(path))); },
        AF_INET6);
  if (!http_->listening()) GTEST_SKIP() << "no IPv6 loopback here";
  start();
  start_signer();
  EXPECT_EQ(problem("six.plant.example"), "valid");
}

TEST_F(ValidationTaskTest, SignerAway_IsUnavailableAndNotValid) {
  serve_right();
  start();
  signer_end_.reset();
  const auto answer = validation_->call(with_token(mint_request()), limits::kPeerCallSlowMs);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, wire::FailureKind::kUnavailable);
  EXPECT_EQ(answer.error().code, "peer-lost");
}

TEST_F(ValidationTaskTest, Redirects_WithinTheRules_AreFollowed) {
  serve([this](const std::string& path, int fd) {
    const auto here = ":" + std::to_string(port_.load());
    if (path.starts_with("/.well-known/"))
      return TinyHttp::send_text(
          fd, TinyHttp::redirect("/relative/" + path.substr(path.rfind('/') + 1)));
    if (path.starts_with("/relative/")) {
      return TinyHttp::send_text(fd,
                                 TinyHttp::redirect("http://other.plant.example" + here + "/last/" +
                                                    path.substr(path.rfind('/') + 1) + "#part"));
    }
    TinyHttp::send_text(fd, TinyHttp::ok(right_for(path)));
  });
  start();
  start_signer();
  EXPECT_EQ(problem(), "valid");
}

// RFC 8738 §5: the Host is the address, and nothing is looked up.
TEST_F(ValidationTaskTest, AddressIdentifier_IsAskedAtItself) {
  serve_right();
  start();
  start_signer();
  auto mint = mint_request();
  mint.identifier = {IdentifierType::kIp, "127.0.0.1"};
  auto answer = validation_->call(with_token(mint), limits::kPeerCallSlowMs);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->problem);
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].identifier, mint.identifier);
  mint.identifier.value = "10.0.0.1";
  answer = validation_->call(with_token(mint), limits::kPeerCallSlowMs);
  ASSERT_TRUE(answer && answer->problem);
  EXPECT_EQ(answer->problem->code, "egress.refused");
}

TEST_F(ValidationTaskTest, RedirectLoop_EndsAtTheLimit) {
  serve([](const std::string& path, int fd) { TinyHttp::send_text(fd, TinyHttp::redirect(path)); });
  start();
  EXPECT_EQ(problem(), "connection http.redirects");
  EXPECT_EQ(http_->connections(), limits::kHttp01RedirectsMax + 1);
  EXPECT_TRUE(grants().empty());
}

TEST_F(ValidationTaskTest, RedirectElsewhere_IsRefusedAndNothingIsFetchedThere) {
  SharedText location;
  serve([&](const std::string&, int fd) {
    TinyHttp::send_text(fd, TinyHttp::redirect(location.get()));
  });
  TinyHttp victim(
      AF_INET, [](const std::string&, int fd) { TinyHttp::send_text(fd, TinyHttp::ok("secret")); });
  start();
  const std::vector<std::pair<std::string, std::string>> table = {
      {"http://127.0.0.1:" + std::to_string(victim.port()) + "/",
       "connection http.redirect-target"},  // another port
      {"ftp://other.plant.example/", "connection http.redirect-target"},
      {"file:///etc/passwd", "connection http.redirect-target"},
      {"gopher://other.plant.example:80/", "connection http.redirect-target"},
      {"http://user:pw@other.plant.example/", "connection http.redirect-target"},
      {"http://[fe80::1%25lo]/", "connection http.redirect-target"},
      {"http://10.0.0.1/", "connection egress.refused"},
      {"http://inside.plant.example/", "connection egress.refused"},
      {"http://169.254.169.254/latest/meta-data/", "connection egress.refused"},
      {"https://192.168.0.1/", "connection egress.refused"},
      {"http://[::ffff:10.0.0.1]/", "connection egress.refused"},
      {"http://[::ffff:127.0.0.1]/", "connection egress.refused"},
      {"http://0x0a000001/", "connection egress.refused"},
      {"http://167772161/", "connection egress.refused"},
      {"http://10.1/", "connection egress.refused"},
  };
  for (const auto& [to, expected] : table) {
    location.set(to);
    EXPECT_EQ(problem(), expected) << to;
  }
  http_.reset();  // its threads read `location`
  EXPECT_EQ(victim.connections(), 0);
}

TEST_F(ValidationTaskTest, HugeBody_IsCut) {
  serve([](const std::string&, int fd) {
    TinyHttp::send_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 1'000; ++i) TinyHttp::send_text(fd, std::string(65'536, 'x'));
  });
  start();
  EXPECT_EQ(problem(), "incorrectResponse http.too-large");
}

TEST_F(ValidationTaskTest, HugeHeaders_AreCut) {
  serve([](const std::string&, int fd) {
    TinyHttp::send_text(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000; ++i)
      TinyHttp::send_text(fd, "X-" + std::to_string(i) + ": " + std::string(100, 'x') + "\r\n");
  });
  start();
  EXPECT_EQ(problem(), "incorrectResponse http.too-large");
}

TEST_F(ValidationTaskTest, SlowBody_EndsAtTheDeadline) {
  std::promise<void> ended;
  serve([gate = ended.get_future().share()](const std::string&, int fd) {
    TinyHttp::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n");
    while (gate.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout)
      TinyHttp::send_text(fd, "x");
  });
  start(kLoopback, 700);
  const auto before = system_clock().monotonic_ms();
  EXPECT_EQ(problem(), "connection http.timeout");
  EXPECT_LT(system_clock().monotonic_ms() - before, 5'000);
  ended.set_value();
}

TEST_F(ValidationTaskTest, Mint_WhileValidationsHang_StaysQuick) {
  std::promise<void> ended;
  serve([gate = ended.get_future().share()](const std::string&, int) { gate.wait(); });
  start(kLoopback, 20'000);
  std::vector<std::thread> waiting;
  const auto request = with_token(mint_request());
  for (int i = 0; i < limits::kValidationWorkers + 4; ++i) {
    waiting.emplace_back(
        [&] { (void)validation_->call(request, limits::kPeerCallSlowMs).has_value(); });
  }
  const auto deadline = Deadline::after_ms(10'000);
  while (http_->connections() < limits::kValidationWorkers && !deadline.passed())
    std::this_thread::yield();
  const auto before = system_clock().monotonic_ms();
  EXPECT_TRUE(validation_->call(mint_request()));
  EXPECT_LT(system_clock().monotonic_ms() - before, 2'000);
  ended.set_value();
  for (auto& thread : waiting) thread.join();
}

TEST_F(ValidationTaskTest, WrongContent_IsRefusedAndNotEchoed) {
  serve([](const std::string&, int fd) {
    TinyHttp::send_text(fd, TinyHttp::ok("wrong-and-secret"));
  });
  start();
  EXPECT_EQ(problem(), "incorrectResponse http.content");
  EXPECT_EQ(last_detail_.find("secret"), std::string::npos);
  EXPECT_NE(last_detail_.find("host.plant.example"), std::string::npos);
}

TEST_F(ValidationTaskTest, EmptyContent_IsRefused) {
  serve([](const std::string&, int fd) { TinyHttp::send_text(fd, TinyHttp::ok("")); });
  start();
  EXPECT_EQ(problem(), "incorrectResponse http.content");
}

TEST_F(ValidationTaskTest, MissingToken_SaysTheStatus) {
  serve([](const std::string&, int fd) {
    TinyHttp::send_text(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret");
  });
  start();
  EXPECT_EQ(problem(), "unauthorized http.status");
  EXPECT_NE(last_detail_.find("404"), std::string::npos);
  EXPECT_EQ(last_detail_.find("secret"), std::string::npos);
}

TEST_F(ValidationTaskTest, NotHttp_OrCut_IsAConnectionProblem) {
  SharedText answer;
  answer.set("SSH-2.0-OpenSSH\r\n");
  serve([&](const std::string&, int fd) { TinyHttp::send_text(fd, answer.get()); });
  start();
  EXPECT_EQ(problem(), "connection http.protocol");
  answer.set("");
  EXPECT_EQ(problem(), "connection http.cut");
  answer.set("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
  EXPECT_EQ(problem(), "connection http.cut");
  http_.reset();  // its threads read `answer`
}

TEST_F(ValidationTaskTest, NobodyListens_IsAConnectionProblem) {
  serve_right();
  start();
  http_.reset();
  EXPECT_EQ(problem(), "connection http.connect");
}

TEST_F(ValidationTaskTest, PrivateAddress_IsRefusedByDefault) {
  serve_right();
  start("");
  EXPECT_EQ(problem(), "connection egress.refused");
  EXPECT_EQ(problem("inside.plant.example"), "connection egress.refused");
  EXPECT_EQ(problem("six.plant.example"), "connection egress.refused");
  EXPECT_EQ(http_->connections(), 0);
}

TEST_F(ValidationTaskTest, NameServersSilent_IsADnsProblem) {
  const UniqueFd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  serve_right();
  const auto forward =
      "resolver.forward = [\"127.0.0.1@" + std::to_string(ntohs(address.sin_port)) + "\"]\n";
  const std::string config = "state_dir = \"" + directory_ + "\"\nhttp_total_ms = 500\n" +
                             kLoopback + forward + "[appliance]\n";
  ASSERT_TRUE(task_.start("keyward-validation", TaskId::kValidation, config,
                          {{TaskId::kAcme, true}, {TaskId::kSigner, false}}, directory_ + "/log"));
  ASSERT_TRUE(task_.wait_ready());
  validation_.emplace(TaskId::kValidation);
  validation_->rebind(task_.take(TaskId::kAcme));
  EXPECT_EQ(problem("nowhere.plant.example"), "dns dns.timeout");
}

TEST_F(ValidationTaskTest, Wildcard_IsRefusedForHttp01) {
  serve_right();
  start();
  auto request = mint_request();
  request.wildcard = true;
  EXPECT_EQ(validation_->call(request).error().code, "wildcard-http-01");
  auto look = with_token(mint_request());
  look.wildcard = true;
  EXPECT_EQ(validation_->call(look).error().code, "wildcard-http-01");
  EXPECT_EQ(http_->connections(), 0);
}

TEST_F(ValidationTaskTest, TokensNotMintedForThis_AreRefusedAndNothingIsFetched) {
  serve_right();
  start();
  auto other_account = with_token(mint_request());
  other_account.thumbprint.fill(1);
  EXPECT_EQ(validation_->call(other_account).error().code, "challenge-token-forged");
  auto other_name = with_token(mint_request());
  other_name.identifier.value = "other.plant.example";
  EXPECT_EQ(validation_->call(other_name).error().code, "challenge-token-forged");
  auto other_order = with_token(mint_request());
  other_order.ticket = "ticket-2";
  EXPECT_EQ(validation_->call(other_order).error().code, "challenge-token-forged");
  auto forged = with_token(mint_request());
  forged.token = base64url_encode(Bytes(48, 1));
  EXPECT_EQ(validation_->call(forged).error().code, "challenge-token-forged");
  auto old = mint_request();
  old.expires_at_ms = system_clock().utc_ms() - 1;
  EXPECT_EQ(validation_->call(with_token(old)).error().code, "challenge-token-expired");
  EXPECT_EQ(http_->connections(), 0);
}

TEST_F(ValidationTaskTest, Tokens_SurviveARestart) {
  serve_right();
  start();
  const auto request = with_token(mint_request());
  task_.kill_now();
  start();
  start_signer();
  const auto answer = validation_->call(request, limits::kPeerCallSlowMs);
  ASSERT_TRUE(answer) << answer.error().code;
  EXPECT_FALSE(answer->problem);
}

TEST_F(ValidationTaskTest, ApplianceGrant_OwnNameAlone) {
  serve_right();
  start();
  start_signer();
  wire::ApplianceGrant request;
  request.thumbprint = thumbprint_;
  request.ticket = "own";
  request.names = {{IdentifierType::kDns, "ca.plant.example"}};
  ASSERT_TRUE(validation_->call(request));
  EXPECT_EQ(grants().size(), 1u);
  request.names.push_back({IdentifierType::kDns, "victim.plant.example"});
  EXPECT_EQ(validation_->call(request).error().code, "appliance-name-unknown");
  EXPECT_EQ(grants().size(), 1u);
}

TEST_F(ValidationTaskTest, MessageOfAnotherEdge_IsFatal) {
  serve_right();
  start();
  EXPECT_FALSE(validation_->call(wire::AccountGet{}));
  EXPECT_EQ(task_.wait_exit(), task::kExitProtocol);
}

TEST_F(ValidationTaskTest, ReplyToNoRequest_IsFatal) {
  serve_right();
  start();
  std::thread caller(
      [&] { (void)validation_->call(with_token(mint_request()), 10'000).has_value(); });
  auto grant =
      task::receive_frame(signer_end_.get(), 0);  // its real request, answered with another id
  ASSERT_TRUE(grant);
  const auto opened = wire::open_frame(grant->bytes);
  ASSERT_TRUE(opened);
  ASSERT_TRUE(task::send_frame(signer_end_.get(),
                               wire::encode_frame(opened->head.id + 1, wire::GrantNameReply{}), {},
                               Deadline::after_ms(1'000)));
  EXPECT_EQ(task_.wait_exit(), task::kExitProtocol);
  caller.join();
}

TEST_F(ValidationTaskTest, WrongConfiguration_EndsWithItsStatus) {
  for (const std::string bad :
       {"egress_allow = [\"10.0.0.1/8\"]\n", "resolver.hosts = [\"nonsense\"]\n",
        "resolver.forward = [\"not an address\"]\n", "http_port = 0\n", "typo = 1\n"}) {
    ASSERT_TRUE(task_.start(
        "keyward-validation", TaskId::kValidation, "state_dir = \"" + directory_ + "\"\n" + bad,
        {{TaskId::kAcme, true}, {TaskId::kSigner, false}}, directory_ + "/log"));
    EXPECT_FALSE(task_.wait_ready()) << bad;
    EXPECT_EQ(task_.wait_exit(), task::kExitConfig) << bad;
  }
}

}  // namespace
}  // namespace keyward::validate
