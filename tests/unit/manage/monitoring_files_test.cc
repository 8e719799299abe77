// Proves that dashboard, alert rules and manual name the product's metrics and no others, and that
// each metric that the source touches is in the list.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "firmware/json/json.h"
#include "firmware/metrics/list.h"

namespace keyward::metrics {
namespace {

std::string source() { return std::getenv("KEYWARD_SOURCE"); }
std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}
std::set<std::string> names_in(const std::string& text) {
  const std::regex name("keyward_[a-z]+_[a-z_]+");
  std::set<std::string> out;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), name); it != std::sregex_iterator();
       ++it)
    out.insert(it->str());
  return out;
}
bool is_listed(std::string name) {
  if (find(name) != nullptr) return true;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const auto* spec = find(std::string_view(name).substr(0, name.size() - suffix.size()));
    return spec != nullptr && spec->kind == Kind::kHistogram;
  }
  return false;
}

TEST(MonitoringFiles, DashboardAndRules_NameListedMetricsAlone) {
  const std::string folder = source() + "/docs/examples/monitoring/";
  for (const std::string file : {"grafana-dashboard.json", "alerts.yml", "prometheus.yml"}) {
    const auto text = text_of(folder + file);
    ASSERT_FALSE(text.empty()) << file;
    for (const auto& name : names_in(text)) EXPECT_TRUE(is_listed(name)) << file << ": " << name;
  }
  EXPECT_GE(names_in(text_of(folder + "alerts.yml")).size(), 3U);
  EXPECT_TRUE(json::Document::parse(text_of(folder + "grafana-dashboard.json")));
}

TEST(MonitoringFiles, Manual_ListsEveryMetricAndNoOther) {
  const auto text = text_of(source() + "/docs/operations/monitoring.md");
  const auto names = names_in(text);
  for (const auto& spec : list())
    EXPECT_TRUE(names.contains(std::string(spec.name))) << "not in monitoring.md: " << spec.name;
  for (const auto& name : names) EXPECT_TRUE(is_listed(name)) << "no such metric: " << name;
}

TEST(MonitoringFiles, Source_TouchesListedMetricsAlone) {
  const std::regex touch("metrics::(count|set|observe)\\(\\s*\"([a-z_]+)\"");
  int touched = 0;
  for (const std::string folder : {"/apps", "/firmware", "/hal"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source() + folder)) {
      if (entry.path().extension() != ".cc") continue;
      const auto text = text_of(entry.path().string());
      for (auto it = std::sregex_iterator(text.begin(), text.end(), touch);
           it != std::sregex_iterator(); ++it) {
        EXPECT_NE(find((*it)[2].str()), nullptr) << entry.path() << ": " << (*it)[2];
        ++touched;
      }
    }
  }
  EXPECT_GE(touched, 3);
}

}  // namespace
}  // namespace keyward::metrics
