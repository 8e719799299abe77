// Owns metrics.json: the last report of each task, and the supervisor's own series. Must not know
// what a metric means.
//
//   {"written_utc_ms":…, "tasks":[{"task":"acme","samples":[
//      {"name":…,"labels":"route=\"newOrder\"","value":3},
//      {"name":…,"labels":"","value":7,"sum_us":812,"buckets":[0,1,…]}]}]}
//
// Labels are name="value" pairs, separated by commas; buckets are cumulative, their bounds those of
// firmware/metrics/metrics.h. Bounded: a task has at most limits::kMetricsSeriesMax samples, each
// in the product's list. Threads: one.
#pragma once

#include <map>
#include <string>

#include "firmware/supervise/status.h"
#include "firmware/wire/messages/control_metrics.h"

namespace keyward::supervise {

class MetricsFile {
 public:
  // False: no task sends this (a sample that is not the task's, or too many reports in a minute).
  bool take(const std::string& task, wire::ControlMetrics report, std::int64_t now_ms);
  // It ended: its gauges are true no more.
  void forget(const std::string& task);

  std::string render(const ApplianceStatus& status, std::int64_t utc_ms) const;
  // Replaces `path` by rename; not fsynced, as status.json.
  Status write(const std::string& path, const ApplianceStatus& status, std::int64_t utc_ms) const;

 private:
  struct Reports {
    std::vector<wire::MetricSample> samples;
    std::int64_t minute_began_ms = 0;
    int in_minute = 0;
  };
  std::map<std::string, Reports> tasks_;
};

}  // namespace keyward::supervise
