// Proves the registry: what is touched is seen, what is not in the list or too much is only counted,
// and a report of another shape than a task's is refused.
#include "firmware/metrics/metrics.h"

#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "firmware/json/json.h"
#include "firmware/supervise/metrics_file.h"
#include "hal/base/limits.h"

namespace keyward::metrics {
namespace {

const wire::MetricSample* seen(const std::vector<wire::MetricSample>& all, std::string_view name,
                               std::string_view labels) {
  for (const auto& sample : all) {
    if (sample.name == name && sample.labels == labels) return &sample;
  }
  return nullptr;
}
std::int64_t value_of(std::string_view name, std::string_view labels) {
  const auto all = snapshot();
  const auto* sample = seen(all, name, labels);
  return sample == nullptr ? -1 : sample->value;
}

TEST(MetricsList, Names_AreUniqueAndSayTaskAndKind) {
  std::set<std::string_view> names;
  for (const auto& spec : list()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_TRUE(spec.name.starts_with("keyward_")) << spec.name;
    EXPECT_EQ(spec.name.ends_with("_total"), spec.kind == Kind::kCounter) << spec.name;
    EXPECT_TRUE(spec.kind != Kind::kHistogram || spec.name.ends_with("_seconds")) << spec.name;
    EXPECT_LE(spec.name.size(), limits::kMetricNameBytesMax);
    EXPECT_TRUE(spec.help.ends_with(".")) << spec.name;
  }
}

TEST(Metrics, Count_ManyThreads_LosesNone) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 2'000; ++i)
        count("keyward_acme_requests_total", {{"route", "newOrder"}, {"status", "201"}});
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value_of("keyward_acme_requests_total", R"(route="newOrder",status="201")"), 16'000);
}

TEST(Metrics, Label_ThatAClientCouldHaveWritten_BecomesOther) {
  count("keyward_acme_requests_total", {{"route", "a\"b\nc"}, {"status", std::string(65, 'x')}});
  EXPECT_EQ(value_of("keyward_acme_requests_total", R"(route="other",status="other")"), 1);
}

TEST(Metrics, Observe_FallsIntoItsBuckets) {
  observe("keyward_acme_request_duration_seconds", {{"route", "t"}}, 1'000);
  observe("keyward_acme_request_duration_seconds", {{"route", "t"}}, 1'001);
  observe("keyward_acme_request_duration_seconds", {{"route", "t"}}, 99'000'000);
  const auto all = snapshot();
  const auto* sample = seen(all, "keyward_acme_request_duration_seconds", R"(route="t")");
  ASSERT_NE(sample, nullptr);
  EXPECT_EQ(sample->value, 3);
  EXPECT_EQ(sample->sum_us, 99'002'001U);
  ASSERT_TRUE(sample->buckets);
  EXPECT_EQ((*sample->buckets)[7], 1);
  EXPECT_EQ((*sample->buckets)[15], 2);
  EXPECT_EQ(sample->buckets->back(), 2);
}

TEST(Metrics, NotInTheListOrOtherLabels_OnlyCountsAsDropped) {
  set_task("acme");
  const auto before = value_of("keyward_acme_metrics_dropped_total", "");
  count("keyward_acme_nothing_total");
  count("keyward_acme_requests_total", {{"status", "1"}, {"route", "x"}});
  count("keyward_acme_requests_total", {{"route", "x"}});
  set("keyward_acme_requests_total", {{"route", "x"}, {"status", "1"}}, 4);
  EXPECT_EQ(value_of("keyward_acme_metrics_dropped_total", ""), before + 4);
}

TEST(Metrics, ZzTooManySeries_AreBoundedAndCounted) {
  set_task("acme");
  for (int i = 0; i < 1'000; ++i)
    count("keyward_acme_requests_total", {{"route", "r" + std::to_string(i)}, {"status", "200"}});
  const auto all = snapshot();
  EXPECT_EQ(all.size(), limits::kMetricsSeriesMax);
  EXPECT_GT(value_of("keyward_acme_metrics_dropped_total", ""), 800);
  wire::ControlMetrics report{all};
  EXPECT_TRUE(acceptable(report, "acme"));
  EXPECT_FALSE(acceptable(report, "store"));
  EXPECT_LT(wire::encode_frame(0, report).size(), limits::kFrameBytesMax);
}

wire::ControlMetrics one(std::string name, std::string labels, std::int64_t value) {
  wire::MetricSample sample;
  sample.name = std::move(name);
  sample.labels = std::move(labels);
  sample.value = value;
  return {{sample}};
}

TEST(Acceptable, EachFault_IsRefused) {
  const std::string name = "keyward_acme_requests_total";
  const std::string labels = R"(route="a",status="1")";
  EXPECT_TRUE(acceptable(one(name, labels, 1), "acme"));
  EXPECT_FALSE(acceptable(one("keyward_acme_x", "", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, labels, -1), "acme"));
  EXPECT_FALSE(acceptable(one(name, "", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, R"(route="a")", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, R"(route="a",status="1",)", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, R"(route="a",status="1)", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, "route=\"a\n\",status=\"1\"", 1), "acme"));
  EXPECT_FALSE(acceptable(one(name, R"(status="1",route="a")", 1), "acme"));
  auto twice = one(name, labels, 1);
  twice.samples.push_back(twice.samples[0]);
  EXPECT_FALSE(acceptable(twice, "acme"));
  auto bucketed = one(name, labels, 1);
  bucketed.samples[0].buckets = Bytes(112, 0);
  EXPECT_FALSE(acceptable(bucketed, "acme"));
  auto histogram = one("keyward_acme_request_duration_seconds", R"(route="a")", 1);
  EXPECT_FALSE(acceptable(histogram, "acme"));
  histogram.samples[0].buckets = Bytes(112, 0);
  EXPECT_TRUE(acceptable(histogram, "acme"));
  (*histogram.samples[0].buckets)[7] = 1;
  EXPECT_FALSE(acceptable(histogram, "acme"));
}

TEST(MetricsFile, Take_TooManyReportsInAMinute_IsRefused) {
  supervise::MetricsFile file;
  for (int i = 0; i < limits::kMetricsFramesPerMinuteMax; ++i)
    EXPECT_TRUE(file.take("acme", {}, 1'000 + i));
  EXPECT_FALSE(file.take("acme", {}, 2'000));
  EXPECT_TRUE(file.take("store", {}, 2'000));
  EXPECT_TRUE(file.take("acme", {}, 61'001));
}

TEST(MetricsFile, Render_HoldsReportsUntilTheTaskEnds) {
  supervise::MetricsFile file;
  ASSERT_TRUE(
      file.take("acme", one("keyward_acme_requests_total", R"(route="a",status="1")", 7), 0));
  supervise::ApplianceStatus status;
  status.tasks.push_back({"acme", supervise::TaskPhase::kReady, 1, 1, 2, 3, "operational", {}, ""});
  const auto text = file.render(status, 5);
  const auto document = json::Document::parse(text);
  ASSERT_TRUE(document) << text;
  EXPECT_NE(
      text.find(
          R"("name":"keyward_acme_requests_total","labels":"route=\"a\",status=\"1\"","value":7)"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("labels":"task=\"acme\"","value":2)"), std::string::npos) << text;
  file.forget("acme");
  EXPECT_EQ(file.render(status, 5).find("requests_total"), std::string::npos);
}

}  // namespace
}  // namespace keyward::metrics
