// The real keyward-acme over HTTPS; the test is its supervisor, and its peers are stand-ins.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "tests/support/acme_client/acme_client.h"
#include "tests/support/command/command.h"
#include "tests/support/task_process/task_process.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using wire::TaskId;

// The kernel's choice; free again when this returns.
std::uint16_t free_port() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

// Answers a request type with a stand-in.
template <class Request, class Fake>
void answer(task::Server& server, Fake& fake) {
  server.on<Request>(TaskId::kAcme,
                     [&fake](const Request& request) { return fake.ask(request, 0); });
}
template <class Base>
struct AnswerAll;
template <class... Requests>
struct AnswerAll<AsksAll<Requests...>> {
  template <class Fake>
  static void with(task::Server& server, Fake& fake) {
    (answer<Requests>(server, fake), ...);
  }
};

// The tasks' stand-ins. Their servers' threads end by themselves after the process has: so they
// live on.
struct Peers {
  test::FakeStore store{system_clock()};
  test::FakeValidation validation;
  test::FakeAttestation attestation;
  test::FakeSigner signer{system_clock()};
  std::vector<std::unique_ptr<task::Server>> servers;
};
Peers& fresh_peers() {
  static auto& all = *new std::vector<std::unique_ptr<Peers>>;
  return *all.emplace_back(std::make_unique<Peers>());
}

class AcmeTask : public testing::Test {
 protected:
  AcmeTask() { ::signal(SIGPIPE, SIG_IGN); }
  ~AcmeTask() override {
    process_.kill_now();
    if (HasFailure()) std::fputs(keyward::test::log_text(log()).c_str(), stderr);
  }
  std::string log() const { return dir_.path() + "/acme.log"; }
  std::string directory_url() const { return base_ + "/acme/directory"; }

  bool start(bool wait_operational = true) {
    if (base_.empty()) {
      const auto port = std::to_string(free_port());
      listen_ = "127.0.0.1:" + port;
      base_ = "https://127.0.0.1:" + port;
    }
    std::filesystem::create_directories(dir_.path() + "/state");
    const std::string config =
        "state_dir = \"" + dir_.path() + "/state\"\nlisten = \"" + listen_ +
        "\"\n[appliance]\nbase_url = \"" + base_ +
        "\"\nnames = [\"ca.plant.example\", \"127.0.0.1\"]\nsimulator = true\n";
    if (!process_.start("keyward-acme", TaskId::kAcme, config,
                        {{TaskId::kStore, false},
                         {TaskId::kValidation, false},
                         {TaskId::kAttestation, false},
                         {TaskId::kSigner, false}},
                        log())) {
      return false;
    }
    serve<StoreBackend>(TaskId::kStore, store_);
    serve<ValidationBackend>(TaskId::kValidation, validation_);
    serve<AttestationBackend>(TaskId::kAttestation, attestation_);
    serve<SignerBackend>(TaskId::kSigner, signer_);
    return process_.wait_ready() && (!wait_operational || process_.wait_state("operational"));
  }
  template <class Base, class Fake>
  void serve(TaskId peer, Fake& fake) {
    servers_.push_back(std::make_unique<task::Server>());
    AnswerAll<Base>::with(*servers_.back(), fake);
    servers_.back()->serve(TaskId::kAcme, process_.take(peer), 2);
  }
  keyward::test::AcmeClient client() {
    return {directory_url(), "", *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)};
  }
  static Bytes statement(const std::string&) { return Bytes{0xa0}; }

  test::TempDir dir_;
  std::string listen_;
  std::string base_;
  Peers& peers_ = fresh_peers();
  test::FakeStore& store_ = peers_.store;
  test::FakeValidation& validation_ = peers_.validation;
  test::FakeAttestation& attestation_ = peers_.attestation;
  test::FakeSigner& signer_ = peers_.signer;
  std::vector<std::unique_ptr<task::Server>>& servers_ = peers_.servers;
  keyward::test::TaskProcess process_;
};

TEST_F(AcmeTask, Enrolment_OverHttps_EndsInACertificate) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto chain = keyward::test::enrol_device(acme, "device-1", key, statement);
  ASSERT_TRUE(chain.has_value()) << chain.error().step << ": " << chain.error().body;
  EXPECT_NE(chain->pem.find("BEGIN CERTIFICATE"), std::string::npos);
  EXPECT_EQ(signer_.signatures(), 2) << "the appliance's own, and the device's";
  process_.send_stop();
  EXPECT_EQ(process_.wait_exit(), 0);
}

TEST_F(AcmeTask, Preflight_ReachesTheHandler) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto reply = acme.http().request("OPTIONS", "/acme/new-order", "", "");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 204) << reply->body;
  EXPECT_EQ(reply->header("access-control-allow-methods"), "POST");
  EXPECT_EQ(reply->header("access-control-allow-headers"), "content-type");
}

TEST_F(AcmeTask, OperatorAtTheUnit_ShowsAndRevokesAnAccount) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto ctl = [&](const std::string& action, const std::string& account) {
    return keyward::test::run_command({std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl",
                                       "account", action, dir_.path() + "/state", account});
  };
  const auto shown = ctl("show", acme.kid());
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_NE(shown.output.find(R"("status":"valid")"), std::string::npos) << shown.output;
  EXPECT_EQ(ctl("show", "nobody").status, 1);
  const auto revoked = ctl("revoke", acme.kid());
  EXPECT_EQ(revoked.status, 0) << revoked.output;
  EXPECT_NE(revoked.output.find(R"("status":"revoked")"), std::string::npos) << revoked.output;
  const auto refused = acme.post(acme.kid(), "");
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->status, 401) << refused->body;
}

TEST_F(AcmeTask, HsmAwayAtStart_ServesOnceItIsBack) {
  signer_.break_message("certificate-issue",
                        wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "gone"));
  ASSERT_TRUE(start(false));
  ASSERT_TRUE(signer_.wait_for("certificate-issue", 2));
  auto early = client();
  EXPECT_FALSE(early.start().has_value()) << "there is no certificate to show yet";
  signer_.heal("certificate-issue");
  ASSERT_TRUE(process_.wait_state("operational"));
  auto acme = client();
  EXPECT_TRUE(acme.start().has_value());
}

TEST_F(AcmeTask, KilledWhileAnOrderIsProcessing_NextLifeFinishesIt) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto nonce = acme.nonce();
  ASSERT_TRUE(nonce.has_value());
  signer_.break_message("certificate-issue",
                        wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "gone"));
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto waiting = keyward::test::enrol_device(acme, "device-1", key, statement, 300);
  ASSERT_FALSE(waiting.has_value()) << "no certificate without the HSM";
  process_.kill_now();
  signer_.heal("certificate-issue");
  ASSERT_TRUE(start());
  EXPECT_TRUE(test::eventually([&] {
    const auto work = store_.ask(wire::WorkList{}, 0);
    return work->orders.empty();
  }));
  EXPECT_EQ(signer_.signatures(), 2);

  // A nonce of the life before is still good (and the TLS identity is the one from the disk).
  jose::SignRequest sign;
  sign.url = base_ + "/acme/new-order";
  sign.nonce = *nonce;
  sign.kid = acme.kid();
  sign.payload = R"({"identifiers":[{"type":"dns","value":"a.example"}]})";
  const auto reply = acme.post_raw(sign.url, jose::to_json(*jose::sign(acme.key(), sign)));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 201) << reply->body;
}

TEST_F(AcmeTask, RefusalsOfTheServer_AreProblemDocuments) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto unknown = acme.http().request("GET", "/acme/nothing", "", "");
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->status, 404);
  EXPECT_EQ(unknown->header("content-type"), "application/problem+json");
  EXPECT_NE(unknown->header("replay-nonce"), "");
  const auto method = acme.http().request("PUT", "/acme/new-order", "", "");
  ASSERT_TRUE(method.has_value());
  EXPECT_EQ(method->status, 405);
  EXPECT_EQ(method->header("allow"), "POST");
  const auto large =
      acme.post_raw(base_ + "/acme/new-account", std::string(limits::kSmallBodyBytesMax + 1, ' '));
  ASSERT_TRUE(large.has_value());
  EXPECT_EQ(large->status, 413);
  EXPECT_EQ(large->header("content-type"), "application/problem+json");
}

TEST_F(AcmeTask, StoreDies_503UntilItIsBack) {
  ASSERT_TRUE(start());
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  servers_[0]->stop();
  const auto refused = acme.post(base_ + "/acme/order/unknown", "");
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_NE(refused->header("retry-after"), "");
}

TEST_F(AcmeTask, FrameThatNobodyAskedFor_IsFatal) {
  ASSERT_TRUE(start(false));
  process_.kill_now();  // from now on with the state that it made, and a signer of its own
  const std::string config = "state_dir = \"" + dir_.path() + "/state\"\nlisten = \"" + listen_ +
                             "\"\n[appliance]\nbase_url = \"" + base_ +
                             "\"\nnames = [\"127.0.0.1\"]\n";
  ASSERT_TRUE(
      process_.start("keyward-acme", TaskId::kAcme, config, {{TaskId::kSigner, false}}, log()));
  ASSERT_TRUE(process_.wait_ready());
  auto end = process_.take(TaskId::kSigner);
  ASSERT_TRUE(task::send_frame(end.get(), wire::encode_frame(77, wire::IssuerGetReply{}), {},
                               Deadline::after_ms(1'000)));
  EXPECT_EQ(process_.wait_exit(), task::kExitProtocol);
}

TEST_F(AcmeTask, ConfigurationWrong_ExitsForGood) {
  const std::string state = "state_dir = \"" + dir_.path() + "\"\n";
  for (const auto& config :
       {state + "listen = \"127.0.0.1:0\"\ntypo = 1\n[appliance]\nbase_url = \"https://a\"\n",
        state + "[appliance]\nbase_url = \"https://a\"\n",
        state + "listen = \"127.0.0.1:0\"\n[appliance]\nbase_url = \"http://a\"\n",
        state + "listen = \"nonsense\"\n[appliance]\nbase_url = \"https://a\"\n"}) {
    ASSERT_TRUE(process_.start("keyward-acme", TaskId::kAcme, config, {}, log()));
    EXPECT_EQ(process_.wait_exit(), task::kExitConfig) << config;
  }
}

}  // namespace
}  // namespace keyward::acme
