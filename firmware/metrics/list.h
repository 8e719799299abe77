// Owns the list of every metric of the product: name, kind, label names, meaning. Must not know values.
//
// A metric that is not here does not exist: touching it does nothing but count in
// keyward_<task>_metrics_dropped_total. docs/operations/monitoring.md has the same list (a test
// compares). Names: keyward_<task>_<what>_<unit>[_total]. Threads: constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace keyward::metrics {

enum class Kind : std::uint8_t { kCounter = 1, kGauge = 2, kHistogram = 3 };

struct Spec {
  std::string_view name;  // of a counter with _total
  Kind kind;
  std::string_view labels;  // names, separated by commas; "": none
  std::string_view help;
};

std::span<const Spec> list();
const Spec* find(std::string_view name);  // null: no such metric

}  // namespace keyward::metrics
