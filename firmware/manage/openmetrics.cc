#include "firmware/manage/openmetrics.h"

#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "firmware/json/json.h"
#include "firmware/metrics/metrics.h"
#include "hal/base/limits.h"

namespace keyward::manage {
namespace {

using metrics::Kind;
using metrics::Spec;

constexpr std::array<std::string_view, metrics::kBucketsUs.size()> kBounds = {
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
    "0.25",  "0.5",    "1.0",   "2.5",  "5.0",   "10.0", "30.0"};

std::string_view type_of(Kind kind) {
  if (kind == Kind::kCounter) return "counter";
  return kind == Kind::kGauge ? "gauge" : "histogram";
}

// Of a counter the family's name is without _total (OpenMetrics 1.0, "Counter").
std::string_view family_of(const Spec& spec) {
  auto name = spec.name;
  if (spec.kind == Kind::kCounter) name.remove_suffix(std::string_view("_total").size());
  return name;
}

void head(std::string& out, const Spec& spec) {
  const std::string family(family_of(spec));
  out += "# TYPE " + family + " " + std::string(type_of(spec.kind)) + "\n";
  for (const std::string_view unit : {"seconds", "bytes"}) {
    if (family.ends_with("_" + std::string(unit)))
      out += "# UNIT " + family + " " + std::string(unit) + "\n";
  }
  out += "# HELP " + family + " " + std::string(spec.help) + "\n";
}

void line(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
          std::string_view value) {
  out.append(name).append(suffix);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}

std::string seconds(std::int64_t us) {
  std::array<char, 48> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                    static_cast<long long>(us % 1'000'000));
  return {text.data(), static_cast<std::size_t>(size)};
}

Status histogram(std::string& out, const Spec& spec, const json::Value& sample,
                 const std::string& labels) {
  const auto buckets = sample.get("buckets").items();
  if (buckets.size() != kBounds.size())
    return fail(ErrorKind::kBadInput, "metrics.json: a histogram without its buckets");
  const std::string before = labels.empty() ? "" : labels + ",";
  for (std::size_t i = 0; i < kBounds.size(); ++i)
    line(out, spec.name, "_bucket", before + "le=\"" + std::string(kBounds[i]) + "\"",
         std::to_string(buckets[i].integer()));
  const std::string count = std::to_string(sample.get("value").integer());
  line(out, spec.name, "_bucket", before + "le=\"+Inf\"", count);
  line(out, spec.name, "_count", labels, count);
  line(out, spec.name, "_sum", labels, seconds(sample.get("sum_us").integer()));
  return {};
}

}  // namespace

Result<std::string> open_metrics(std::string_view metrics_json) {
  KEYWARD_TRY(document, json::Document::parse(metrics_json, limits::kMetricsFileBytesMax,
                                              limits::kMetricsFileItemsMax));
  std::map<std::string_view, std::vector<json::Value>> samples;
  const auto tasks = document.root().get("tasks");
  if (!tasks.is_array()) return fail(ErrorKind::kBadInput, "metrics.json: no tasks");
  for (const auto& task : tasks.items()) {
    for (const auto& sample : task.get("samples").items()) {
      if (!sample.get("value").is_integer() || !sample.get("labels").is_string())
        return fail(ErrorKind::kBadInput, "metrics.json: a sample without value or labels");
      samples[sample.get("name").string()].push_back(sample);
    }
  }
  std::string out;
  for (const auto& spec : metrics::list()) {
    const auto found = samples.find(spec.name);
    if (found == samples.end()) continue;
    head(out, spec);
    for (const auto& sample : found->second) {
      const std::string labels(sample.get("labels").string());
      if (spec.kind == Kind::kHistogram) {
        KEYWARD_CHECK(histogram(out, spec, sample, labels));
      } else {
        line(out, spec.name, "", labels, std::to_string(sample.get("value").integer()));
      }
    }
  }
  return out + "# EOF\n";
}

}  // namespace keyward::manage
