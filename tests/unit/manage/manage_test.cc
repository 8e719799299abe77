// Proves the management port's table: every state × role × route × method, generated from it, and
// the OpenMetrics text by a strict reader.
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/manage/openmetrics.h"
#include "firmware/manage/service.h"
#include "tests/support/command/command.h"

namespace keyward::manage {
namespace {

// RFC 7517 appendix A.1 and RFC 8037 appendix A.2: public keys that others made.
constexpr std::string_view kEcJwk =
    R"({"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})";
constexpr std::string_view kEdJwk =
    R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";

Bytes spki_of(std::string_view jwk) {
  const auto document = json::Document::parse(jwk);
  return jose::Jwk::from_json(document->root())->key().spki_der();
}

class ManageTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.run_dir = dir_.root();
    config_.operators = dir_.path("operators.json");
    config_.anonymous_on_loopback = true;
    config_.send_order = [this](const wire::OperatorOrder& order) -> OrderAnswer {
      sent_.push_back(order.jws);
      if (refusal_) return tl::unexpected<wire::Failure>(*refusal_);
      return wire::OperatorOrderReply{"{\"done\":true}"};
    };
    config_.newest_head = [this]() -> HeadAnswer {
      if (refusal_) return tl::unexpected<wire::Failure>(*refusal_);
      return wire::AuditHeadGetReply{"{\"payload\":\"x\"}"};
    };
    put("operators.json", operators(R"(["revoke"])"));
    put("metrics.json", R"({"written_utc_ms":1,"tasks":[]})");
    set_state("operational");
  }
  std::string operators(const std::string& roles) const {
    return R"({"version":1,"unit":"u-1","operators":[{"name":"ann","jwk":)" + std::string(kEcJwk) +
           R"(,"roles":)" + roles + R"(}],"dual_control":[]})";
  }
  void put(const std::string& name, const std::string& text) {
    test::write_file(dir_.path(name), view_of(text));
  }
  void set_state(const std::string& state) {
    put("status.json", R"({"state":")" + state + R"(","tasks":[]})");
  }
  acme::HttpResponse ask(const std::string& method, const std::string& path, const Bytes& key,
                         const std::string& from = "192.0.2.1", const std::string& body = "x") {
    Service service(config_);
    acme::HttpRequest request;
    request.method = method;
    request.raw_path = path;
    request.client_key = key;
    request.peer_address = from;
    if (method == "POST") request.body = Bytes(body.begin(), body.end());
    return service.handle(request);
  }
  test::TempDir dir_;
  ServiceConfig config_;
  std::vector<Bytes> sent_;
  std::optional<wire::Failure> refusal_;
};

TEST_F(ManageTest, EveryStateRoleRouteAndMethod_AnswersAsTheTableSays) {
  const std::map<std::string, State> states = {
      {"starting", kStarting}, {"operational", kOperational}, {"degraded", kDegraded},
      {"failed", kFailed},     {"stopping", kStopping},       {"nonsense", kUnknown}};
  const auto ed = spki_of(kEdJwk);
  config_.monitors = {hex_encode(crypto::PublicKey::from_spki(ed)->spki_sha256())};
  int asked = 0;
  for (const auto& [state, bit] : states) {
    set_state(state);
    for (const std::uint8_t role :
         {std::uint8_t{0}, std::uint8_t{kAnonymous}, std::uint8_t{kMonitor}, std::uint8_t{kAuditor},
          std::uint8_t{kOperator}}) {
      put("operators.json", operators(role == kAuditor ? R"(["audit"])" : R"(["policy"])"));
      const Bytes key = role == kMonitor                        ? ed
                        : role == kAuditor || role == kOperator ? spki_of(kEcJwk)
                                                                : Bytes{};
      const std::string from = role == kAnonymous ? "127.0.0.1" : "192.0.2.1";
      for (const auto& route : kRoutes) {
        for (const std::string method : {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"}) {
          sent_.clear();
          const auto response = ask(method, std::string(route.path), key, from);
          int wanted = 200;
          if (role == 0)
            wanted = 403;
          else if (method != route.method)
            wanted = 405;
          else if ((route.roles & role) == 0)
            wanted = 403;
          else if ((route.states & bit) == 0)
            wanted = 503;
          EXPECT_EQ(response.status, wanted)
              << state << " role " << int{role} << " " << method << " " << route.path;
          EXPECT_EQ(sent_.size(), wanted == 200 && route.resource == Resource::kOrders ? 1U : 0U);
          ++asked;
        }
      }
    }
  }
  EXPECT_EQ(asked, 6 * 5 * 6 * static_cast<int>(kRoutes.size()));
}

TEST_F(ManageTest, AnonymousElsewhereOrNotConfigured_IsNobody) {
  EXPECT_EQ(ask("GET", "/metrics", {}, "127.0.0.1").status, 200);
  EXPECT_EQ(ask("GET", "/metrics", {}, "192.0.2.1").status, 403);
  config_.anonymous_on_loopback = false;
  EXPECT_EQ(ask("GET", "/metrics", {}, "127.0.0.1").status, 403);
}

TEST_F(ManageTest, UnknownPath_Is404ForTheKnownAnd403ForNobody) {
  EXPECT_EQ(ask("GET", "/v1/else", spki_of(kEcJwk)).status, 404);
  EXPECT_EQ(ask("GET", "/v1/else", spki_of(kEdJwk)).status, 403);
  EXPECT_EQ(ask("GET", "/metrics?x=1", spki_of(kEcJwk)).status, 404);
}

TEST_F(ManageTest, OperatorsFileGoneOrBroken_NamesNobody) {
  put("operators.json", "{");
  EXPECT_EQ(ask("GET", "/v1/status", spki_of(kEcJwk)).status, 403);
  config_.operators = dir_.path("none");
  EXPECT_EQ(ask("GET", "/v1/status", spki_of(kEcJwk)).status, 403);
}

TEST_F(ManageTest, Order_GoesAsItCameAndTheRefusalComesBack) {
  const auto key = spki_of(kEcJwk);
  const auto done = ask("POST", "/v1/orders", key, "192.0.2.1", "{\"payload\":\"e30\"}");
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body, "{\"done\":true}");
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(std::string(sent_[0].begin(), sent_[0].end()), "{\"payload\":\"e30\"}");
  EXPECT_EQ(ask("POST", "/v1/orders", key, "192.0.2.1", "").status, 400);
  EXPECT_EQ(sent_.size(), 1U);
  const std::map<wire::FailureKind, int> kinds = {{wire::FailureKind::kBadInput, 400},
                                                  {wire::FailureKind::kRefused, 403},
                                                  {wire::FailureKind::kUnavailable, 503},
                                                  {wire::FailureKind::kExhausted, 503},
                                                  {wire::FailureKind::kInternal, 500}};
  for (const auto& [kind, status] : kinds) {
    refusal_ = wire::Failure::of(kind, "order.some-code", "words");
    const auto refused = ask("POST", "/v1/orders", key);
    EXPECT_EQ(refused.status, status);
    EXPECT_NE(refused.body.find("order.some-code"), std::string::npos);
  }
}

TEST_F(ManageTest, AuditHead_ComesAsItWasSigned_AndNoneIs404) {
  const auto key = spki_of(kEcJwk);
  const auto head = ask("GET", "/v1/audit-head", key);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "{\"payload\":\"x\"}\n");
  EXPECT_EQ(head.headers.front().second, "application/jose+json");
  refusal_ = wire::Failure::of(wire::FailureKind::kRefused, "audit-head-none", "none yet");
  EXPECT_EQ(ask("GET", "/v1/audit-head", key).status, 404);
  refusal_ = wire::Failure::of(wire::FailureKind::kUnavailable, "peer-away", "ended");
  EXPECT_EQ(ask("GET", "/v1/audit-head", key).status, 503);
}

TEST_F(ManageTest, Metrics_NoneWrittenYet_Is503) {
  config_.run_dir = dir_.path("empty");
  EXPECT_EQ(ask("GET", "/metrics", spki_of(kEcJwk)).status, 503);
}

// ---- OpenMetrics

const std::string kFile = R"json({"written_utc_ms":5,"tasks":[
 {"task":"store","samples":[{"name":"keyward_store_operations_total","labels":"message=\"order-put\",result=\"ok\"","value":3},
   {"name":"keyward_store_operation_duration_seconds","labels":"message=\"order-put\"","value":3,"sum_us":1500002,
    "buckets":[0,1,1,1,1,1,1,1,2,2,3,3,3,3]}]},
 {"task":"supervisor","samples":[{"name":"keyward_supervisor_start_time_seconds","labels":"","value":7},
   {"name":"keyward_supervisor_task_ready","labels":"task=\"acme\"","value":1},
   {"name":"keyward_supervisor_task_ready","labels":"task=\"store\"","value":0},
   {"name":"keyward_of_another_version","labels":"","value":0}]}]})json";

// The rules of OpenMetrics 1.0 that a scraper trips over: families in one piece and typed before
// their samples, suffixes by type, no sample twice, buckets that rise to the count, one last # EOF.
void check_open_metrics(const std::string& text) {
  ASSERT_TRUE(text.ends_with("# EOF\n"));
  std::istringstream lines(text);
  std::string line, family, type;
  std::set<std::string> families, samples;
  const std::regex sample(
      R"(([a-z_]+)(\{([a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*)\})? (-?[0-9]+(\.[0-9]+)?))");
  while (std::getline(lines, line) && line != "# EOF") {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      words >> family >> type;
      EXPECT_TRUE(families.insert(family).second) << line;
      continue;
    }
    if (line.starts_with("# UNIT ")) {
      const auto unit = line.substr(line.rfind(' ') + 1);
      EXPECT_TRUE(family.ends_with("_" + unit)) << line;
    }
    if (line.starts_with("# ")) {
      EXPECT_EQ(line.substr(7, family.size() + 1), family + " ") << line;
      continue;
    }
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
    EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << line;
    ASSERT_TRUE(parts[1].str().starts_with(family)) << line;
    const auto suffix = parts[1].str().substr(family.size());
    EXPECT_TRUE(type != "counter" || suffix == "_total") << line;
    EXPECT_TRUE(type != "gauge" || suffix.empty()) << line;
    EXPECT_TRUE(type != "histogram" || suffix == "_bucket" || suffix == "_count" ||
                suffix == "_sum")
        << line;
  }
  EXPECT_EQ(line, "# EOF");
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(OpenMetrics, AFile_BecomesValidText) {
  const auto text = open_metrics(kFile);
  ASSERT_TRUE(text);
  check_open_metrics(*text);
  for (const std::string_view wanted :
       {"# TYPE keyward_store_operations counter\n",
        "keyward_store_operations_total{message=\"order-put\",result=\"ok\"} 3\n",
        "# UNIT keyward_store_operation_duration_seconds seconds\n",
        "keyward_store_operation_duration_seconds_bucket{message=\"order-put\",le=\"0.0025\"} 1\n",
        "keyward_store_operation_duration_seconds_bucket{message=\"order-put\",le=\"+Inf\"} 3\n",
        "keyward_store_operation_duration_seconds_sum{message=\"order-put\"} 1.500002\n",
        "keyward_supervisor_start_time_seconds 7\n",
        "keyward_supervisor_task_ready{task=\"store\"} 0\n"}) {
    EXPECT_NE(text->find(wanted), std::string::npos) << wanted << "\n" << *text;
  }
  EXPECT_EQ(text->find("another_version"), std::string::npos);
}

TEST(OpenMetrics, AStockParser_ReadsIt) {
  if (test::run_command({"python3", "-c", "import prometheus_client"}).status != 0)
    GTEST_SKIP() << "package python3-prometheus-client is not installed";
  test::TempDir dir;
  test::write_file(dir.path("m"), view_of(*open_metrics(kFile)));
  const auto done =
      test::run_command({"python3", "-c",
                         "import sys\nfrom prometheus_client.openmetrics.parser import "
                         "text_string_to_metric_families "
                         "as parse\nprint(len(list(parse(open(sys.argv[1]).read()))))",
                         dir.path("m")});
  EXPECT_EQ(done.status, 0) << done.output;
}

TEST(OpenMetrics, NoSuchFile_IsBadInput) {
  EXPECT_FALSE(open_metrics("{}"));
  EXPECT_FALSE(open_metrics("["));
  EXPECT_FALSE(open_metrics(R"({"tasks":[{"samples":[{"name":"x","labels":""}]}]})"));
  EXPECT_FALSE(open_metrics(
      R"({"tasks":[{"samples":[{"name":"keyward_store_operation_duration_seconds","labels":"","value":1}]}]})"));
}

}  // namespace
}  // namespace keyward::manage
