// Proves keyward-admin over real TLS with curl: who has no known key does not get through the
// handshake; who has one gets metrics; an order reaches the signer's socket as it was posted.
#include <memory>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "firmware/crypto/crypto.h"
#include "firmware/task/server.h"
#include "firmware/wire/messages/audit_head_get.h"
#include "firmware/wire/messages/operator_order.h"
#include "tests/support/command/command.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward {
namespace {

using test::run_command;
using wire::TaskId;

class AdminTask : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_command("curl") || !test::has_command("openssl")) GTEST_SKIP() << "no curl";
    for (const std::string name : {"server", "monitor", "stranger"}) make_certificate(name);
    const auto der = run_command({"openssl", "pkey", "-in", path("monitor.key"), "-pubout",
                                  "-outform", "DER", "-out", path("monitor.der")});
    ASSERT_EQ(der.status, 0) << der.output;
    pin_ = hex_encode(crypto::sha256(test::read_whole_file(path("monitor.der"))));
    test::write_file(path("status.json"), view_of(std::string_view(R"({"state":"operational"})")));
    test::write_file(path("metrics.json"), view_of(std::string_view(R"({"tasks":[]})")));
  }
  std::string path(const std::string& name) const { return dir_.path(name); }
  void make_certificate(const std::string& name) {
    const auto made = run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                   "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                   "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1",
                                   "-keyout", path(name + ".key"), "-out", path(name + ".pem")});
    ASSERT_EQ(made.status, 0) << made.output;
  }
  void start(const std::string& more) {
    const std::string config =
        "state_dir = \"" + dir_.root() + "\"\nrun_dir = \"" + dir_.root() +
        "\"\nlisten = \"127.0.0.1:0\"\nhosts = [\"127.0.0.1\"]\ntls_chain = \"" +
        path("server.pem") + "\"\ntls_key = \"" + path("server.key") + "\"\nmonitors = [\"" + pin_ +
        "\"]\n" + more;
    ASSERT_TRUE(process_.start("keyward-admin", TaskId::kAdmin, config, {{TaskId::kSigner, false}},
                               path("log")));
    ASSERT_TRUE(process_.wait_ready());
    const auto log = test::log_text(path("log"));
    const auto at = log.find("port=");
    ASSERT_NE(at, std::string::npos) << log;
    base_ = "https://127.0.0.1:" + std::to_string(std::stoi(log.substr(at + 5)));
  }
  // "<status> <body>"; status 000: no TLS connection.
  std::string get(const std::string& who, const std::string& what,
                  const std::vector<std::string>& more = {}) {
    std::vector<std::string> argv = {
        "curl",       "-s", "--cacert", path("server.pem"),
        "--max-time", "60", "-w",       "\n%{http_code} %{content_type}",
        base_ + what};
    if (!who.empty())
      argv.insert(argv.end(), {"--cert", path(who + ".pem"), "--key", path(who + ".key")});
    argv.insert(argv.end(), more.begin(), more.end());
    return run_command(argv).output;
  }
  test::TempDir dir_;
  std::string pin_, base_;
  test::TaskProcess process_;
};

TEST_F(AdminTask, OnlyAKnownKey_GetsThroughTheHandshake) {
  start("");
  EXPECT_EQ(get("monitor", "/metrics"),
            "# EOF\n\n200 application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_NE(get("", "/metrics").find("\n000"), std::string::npos);
  EXPECT_NE(get("stranger", "/metrics").find("\n000"), std::string::npos);
  EXPECT_EQ(get("monitor", "/readyz"), "ready\n\n200 text/plain");
  EXPECT_NE(get("monitor", "/v1/orders", {"--data", "x"}).find("\n403"), std::string::npos);
  process_.send_stop();
  EXPECT_EQ(process_.wait_exit(), 0);
}

TEST_F(AdminTask, AnonymousOnLoopback_SeesMetricsAndNoMore) {
  start("anonymous_on_loopback = true\n");
  EXPECT_NE(get("", "/metrics").find("\n200"), std::string::npos);
  EXPECT_NE(get("", "/v1/status").find("\n403"), std::string::npos);
  EXPECT_NE(get("stranger", "/metrics").find("\n000"), std::string::npos);
}

TEST_F(AdminTask, AnOperatorsOrder_ReachesTheSignerAsItWasPosted) {
  const auto jwk_x = test::read_whole_file(path("monitor.der"));
  const auto key = crypto::PublicKey::from_spki(jwk_x);
  ASSERT_TRUE(key);
  // The point is the last 64 octets of an uncompressed P-256 SubjectPublicKeyInfo.
  const ByteView point(jwk_x.data() + jwk_x.size() - 64, 64);
  const std::string jwk = R"({"kty":"EC","crv":"P-256","x":")" +
                          base64url_encode(point.subspan(0, 32)) + R"(","y":")" +
                          base64url_encode(point.subspan(32)) + R"("})";
  const std::string file = R"({"version":1,"unit":"u-1","operators":[{"name":"ann","jwk":)" + jwk +
                           R"(,"roles":["revoke"]}],"dual_control":[]})";
  test::write_file(path("operators.json"), view_of(file));
  start("operators = \"" + path("operators.json") + "\"\n");
  // Outlives the test, as its threads do.
  struct Signer {
    task::Server server;
    std::mutex mutex;
    std::string got;
  };
  auto* signer = test::immortal(std::make_unique<Signer>());
  signer->server.on<wire::OperatorOrder>(
      TaskId::kAdmin,
      [signer](const wire::OperatorOrder& o) -> task::Answer<wire::OperatorOrderReply> {
        const std::lock_guard lock(signer->mutex);
        signer->got.assign(o.jws.begin(), o.jws.end());
        return wire::OperatorOrderReply{"{\"id\":\"1\"}"};
      });
  signer->server.on<wire::AuditHeadGet>(TaskId::kAdmin,
                                        [](const auto&) -> task::Answer<wire::AuditHeadGetReply> {
                                          return wire::AuditHeadGetReply{"{\"payload\":\"h\"}"};
                                        });
  signer->server.serve(TaskId::kAdmin, process_.take(TaskId::kSigner), 1);
  EXPECT_EQ(get("monitor", "/v1/orders", {"--data", "{\"payload\":\"\"}"}),
            "{\"id\":\"1\"}\n200 application/json");
  {
    const std::lock_guard lock(signer->mutex);
    EXPECT_EQ(signer->got, "{\"payload\":\"\"}");
  }
  EXPECT_EQ(get("monitor", "/v1/audit-head"), "{\"payload\":\"h\"}\n\n200 application/jose+json");
  process_.kill_now();
}

}  // namespace
}  // namespace keyward
