#include "firmware/supervise/metrics_file.h"

#include <array>

#include "firmware/json/json.h"
#include "firmware/metrics/metrics.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

void write_sample(json::Writer& out, const wire::MetricSample& sample) {
  out.begin_object().member("name", sample.name).member("labels", sample.labels);
  out.member_int("value", sample.value);
  if (sample.buckets) {
    out.member_int("sum_us", static_cast<std::int64_t>(sample.sum_us));
    out.key("buckets").begin_array();
    for (std::size_t at = 0; at + 8 <= sample.buckets->size(); at += 8) {
      std::uint64_t value = 0;
      for (std::size_t i = 0; i < 8; ++i) value = value << 8 | (*sample.buckets)[at + i];
      out.integer(static_cast<std::int64_t>(value));
    }
    out.end_array();
  }
  out.end_object();
}

wire::MetricSample own(std::string_view name, std::string labels, std::int64_t value) {
  wire::MetricSample out;
  out.name = name;
  out.labels = std::move(labels);
  out.value = value;
  return out;
}

std::string label(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + std::string(value) + "\"";
}

std::vector<wire::MetricSample> own_samples(const ApplianceStatus& status) {
  constexpr std::array<std::string_view, 5> kStates = {"starting", "operational", "degraded",
                                                       "failed", "stopping"};
  std::vector<wire::MetricSample> out;
  out.push_back(own("keyward_supervisor_start_time_seconds", "", status.started_utc_ms / 1'000));
  const std::string state = overall_state(status);
  for (const auto name : kStates)
    out.push_back(own("keyward_supervisor_state", label("state", name), state == name ? 1 : 0));
  for (const auto& task : status.tasks) {
    out.push_back(own("keyward_supervisor_task_ready", label("task", task.name),
                      task.phase == TaskPhase::kReady ? 1 : 0));
    out.push_back(
        own("keyward_supervisor_task_restarts_total", label("task", task.name), task.restarts));
  }
  return out;
}

void write_task(json::Writer& out, std::string_view task,
                const std::vector<wire::MetricSample>& samples) {
  out.begin_object().member("task", task).key("samples").begin_array();
  for (const auto& sample : samples) write_sample(out, sample);
  out.end_array().end_object();
}

}  // namespace

bool MetricsFile::take(const std::string& task, wire::ControlMetrics report, std::int64_t now_ms) {
  Reports& reports = tasks_[task];
  if (reports.in_minute == 0 || now_ms - reports.minute_began_ms >= kMinuteMs) {
    reports.minute_began_ms = now_ms;
    reports.in_minute = 0;
  }
  if (++reports.in_minute > limits::kMetricsFramesPerMinuteMax) return false;
  if (!metrics::acceptable(report, task)) return false;
  reports.samples = std::move(report.samples);
  return true;
}

void MetricsFile::forget(const std::string& task) { tasks_.erase(task); }

std::string MetricsFile::render(const ApplianceStatus& status, std::int64_t utc_ms) const {
  json::Writer out;
  out.begin_object().member_int("written_utc_ms", utc_ms).key("tasks").begin_array();
  write_task(out, "supervisor", own_samples(status));
  for (const auto& [task, reports] : tasks_) write_task(out, task, reports.samples);
  out.end_array().end_object();
  return out.take() + "\n";
}

Status MetricsFile::write(const std::string& path, const ApplianceStatus& status,
                          std::int64_t utc_ms) const {
  return replace_public_file(path, render(status, utc_ms));
}

}  // namespace keyward::supervise
