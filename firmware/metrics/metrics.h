// Owns the values of this process's metrics. Must not know who reads them.
//
//   metrics::count("keyward_acme_requests_total", {{"route", "newOrder"}, {"status", "201"}});
//   metrics::set("keyward_signer_ledger_rows", {}, rows);
//   metrics::observe("keyward_signer_hsm_sign_seconds", {}, elapsed_us);
//
// The name must stand in list.h with these label names in this order. Touching takes no lock and no
// memory: a series has its place in a fixed table, found by hash and taken by one compare-and-swap.
// Bounded: beyond limits::kMetricsSeriesMax series, touches are counted as dropped. A label value
// is a route, a code, a message's name: never what a client wrote. What is neither [a-zA-Z0-9_.:-]
// nor short becomes "other". Threads: any. Values: counters since start; gauges in the unit of the
// name; histograms in seconds, given as microseconds.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/metrics/list.h"
#include "firmware/wire/messages/control_metrics.h"

namespace keyward::metrics {

struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::initializer_list<Label>;

// Upper bounds of the buckets, microseconds; the last, +Inf, is the count.
inline constexpr std::array<std::uint64_t, 14> kBucketsUs = {
    1'000,   2'500,   5'000,     10'000,    25'000,    50'000,     100'000,
    250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000};

void count(std::string_view name, Labels labels = {}, std::uint64_t by = 1);
void set(std::string_view name, Labels labels, std::int64_t value);
void observe(std::string_view name, Labels labels, std::uint64_t elapsed_us);

// One request between tasks that was answered: keyward_<task>_operations_total and
// keyward_<task>_operation_duration_seconds. `result`: "ok" or the failure's code.
void count_operation(std::string_view message, std::string_view result, std::uint64_t elapsed_us);

// Whose process this is: once, before the first touch; "" counts drops nowhere.
void set_task(std::string_view task);
// All series as they are now, in no order.
std::vector<wire::MetricSample> snapshot();

// What the supervisor asks of a report: every sample is in the list, of this task, with the labels
// of the list and values that a text can hold, each series once, and a histogram's buckets rise.
bool acceptable(const wire::ControlMetrics& report, std::string_view task);

}  // namespace keyward::metrics
