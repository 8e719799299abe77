// task -> supervisor, every few seconds: all series of this task, each with its value since the start.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct MetricSample {
  std::string name;                // of firmware/metrics/list.h
  std::string labels;              // name="value",…; empty: none
  std::int64_t value = 0;          // counter, gauge; of a histogram the number of observations
  std::uint64_t sum_us = 0;        // histogram: sum of the observations
  std::optional<Bytes> buckets{};  // histogram: cumulative counts, 8 octets each, big-endian
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "name", m.name, limits::kMetricNameBytesMax);
    v(2, "labels", m.labels, limits::kMetricLabelsBytesMax);
    v(3, "value", m.value);
    v(4, "sum_us", m.sum_us);
    v(5, "buckets", m.buckets, 128);
  }
};

struct ControlMetrics {
  static constexpr MessageType kType = MessageType::kControlMetrics;
  static constexpr std::string_view kName = "control-metrics";
  std::vector<MetricSample> samples;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "samples", m.samples, limits::kMetricsSeriesMax);
  }
};

}  // namespace keyward::wire
