#include "firmware/metrics/metrics.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "hal/base/limits.h"

namespace keyward::metrics {
namespace {

constexpr std::size_t kSlots = 512;  // power of two, above twice the series: short probes
constexpr std::size_t kSeriesMax = limits::kMetricsSeriesMax - 1;  // one more tells of drops
static_assert(kSlots > 2 * limits::kMetricsSeriesMax);

enum State : std::uint32_t { kFree = 0, kFilling = 1, kReady = 2 };

struct Slot {
  std::atomic<std::uint32_t> state{kFree};
  const Spec* spec = nullptr;
  std::uint16_t labels_bytes = 0;
  std::array<char, limits::kMetricLabelsBytesMax> labels{};
  std::atomic<std::int64_t> value{0};
  std::atomic<std::uint64_t> sum_us{0};
  std::array<std::atomic<std::uint64_t>, kBucketsUs.size()> buckets{};
};

struct Table {
  std::array<Slot, kSlots> slots;
  std::atomic<std::size_t> used{0};
  std::atomic<std::int64_t> dropped{0};
};
Table table;
std::atomic<const Spec*> dropped_spec{nullptr};
std::atomic<const Spec*> operations_spec{nullptr};
std::atomic<const Spec*> duration_spec{nullptr};

bool is_plain(std::string_view value) {
  if (value.empty() || value.size() > limits::kMetricLabelBytesMax) return false;
  return std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '-';
  });
}

// name="value",… in a buffer of fixed size; false: it does not fit, or other names than the list's.
class LabelText {
 public:
  bool compose(const Spec& spec, Labels labels) {
    std::string_view names = spec.labels;
    for (const auto& label : labels) {
      const auto comma = names.find(',');
      if (label.name.empty() || names.substr(0, comma) != label.name) return false;
      names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
      const bool fits = (size_ == 0 || add(",")) && add(label.name) && add("=\"") &&
                        add(is_plain(label.value) ? label.value : "other") && add("\"");
      if (!fits) return false;
    }
    return names.empty();
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  bool add(std::string_view part) {
    if (part.size() > text_.size() - size_) return false;
    std::ranges::copy(part, text_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += part.size();
    return true;
  }
  std::array<char, limits::kMetricLabelsBytesMax> text_{};
  std::size_t size_ = 0;
};

std::size_t hash_of(const Spec* spec, std::string_view labels) {
  return std::hash<std::string_view>{}(labels) ^ (reinterpret_cast<std::uintptr_t>(spec) >> 3);
}

bool is_it(const Slot& slot, const Spec* spec, std::string_view labels) {
  return slot.spec == spec && std::string_view(slot.labels.data(), slot.labels_bytes) == labels;
}

// The series' place; null: the table is full.
Slot* place_of(const Spec* spec, std::string_view labels) {
  const std::size_t start = hash_of(spec, labels);
  for (std::size_t i = 0; i < kSlots; ++i) {
    Slot& slot = table.slots[(start + i) % kSlots];
    auto state = slot.state.load(std::memory_order_acquire);
    if (state == kFree) {
      if (table.used.fetch_add(1) >= kSeriesMax) {
        table.used.fetch_sub(1);
        return nullptr;
      }
      if (slot.state.compare_exchange_strong(state, kFilling)) {
        slot.spec = spec;
        slot.labels_bytes = static_cast<std::uint16_t>(labels.size());
        std::ranges::copy(labels, slot.labels.begin());
        slot.state.store(kReady, std::memory_order_release);
        return &slot;
      }
      table.used.fetch_sub(1);
    }
    // Another thread is writing some dozen octets here: it may be this very series.
    while (state == kFilling) state = slot.state.load(std::memory_order_acquire);
    if (is_it(slot, spec, labels)) return &slot;
  }
  return nullptr;
}

Slot* series(std::string_view name, Kind kind, Labels labels) {
  const Spec* spec = find(name);
  LabelText text;
  Slot* slot = spec != nullptr && spec->kind == kind && text.compose(*spec, labels)
                   ? place_of(spec, text.view())
                   : nullptr;
  if (slot == nullptr) table.dropped.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

wire::MetricSample sample_of(const Slot& slot) {
  wire::MetricSample out;
  out.name = slot.spec->name;
  out.labels.assign(slot.labels.data(), slot.labels_bytes);
  out.value = slot.value.load(std::memory_order_relaxed);
  if (slot.spec->kind != Kind::kHistogram) return out;
  out.sum_us = slot.sum_us.load(std::memory_order_relaxed);
  Bytes buckets;
  std::uint64_t total = 0;
  for (const auto& bucket : slot.buckets) {
    total += bucket.load(std::memory_order_relaxed);
    for (int shift = 56; shift >= 0; shift -= 8)
      buckets.push_back(static_cast<std::uint8_t>(total >> shift));
  }
  // Observed between the two looks: the count must not be below its buckets.
  out.value = std::max(out.value, static_cast<std::int64_t>(total));
  out.buckets = std::move(buckets);
  return out;
}

// name="value",… with exactly the names of the list and plain values.
bool labels_fit(const Spec& spec, std::string_view text) {
  std::string_view names = spec.labels;
  while (!names.empty()) {
    const auto comma = names.find(',');
    const auto name = names.substr(0, comma);
    names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
    if (!text.starts_with(name) || !text.substr(name.size()).starts_with("=\"")) return false;
    text.remove_prefix(name.size() + 2);
    const auto end = text.find('"');
    if (end == std::string_view::npos || !is_plain(text.substr(0, end))) return false;
    text.remove_prefix(end + 1);
    if (names.empty()) break;
    if (!text.starts_with(',')) return false;
    text.remove_prefix(1);
  }
  return text.empty();
}

bool buckets_rise(const wire::MetricSample& sample) {
  if (!sample.buckets || sample.buckets->size() != kBucketsUs.size() * 8) return false;
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < kBucketsUs.size(); ++i) {
    std::uint64_t value = 0;
    for (std::size_t k = 0; k < 8; ++k) value = value << 8 | (*sample.buckets)[i * 8 + k];
    if (value < before) return false;
    before = value;
  }
  return before <= static_cast<std::uint64_t>(sample.value);
}

}  // namespace

void count(std::string_view name, Labels labels, std::uint64_t by) {
  if (Slot* slot = series(name, Kind::kCounter, labels))
    slot->value.fetch_add(static_cast<std::int64_t>(by), std::memory_order_relaxed);
}

void set(std::string_view name, Labels labels, std::int64_t value) {
  if (Slot* slot = series(name, Kind::kGauge, labels))
    slot->value.store(value, std::memory_order_relaxed);
}

void observe(std::string_view name, Labels labels, std::uint64_t elapsed_us) {
  Slot* slot = series(name, Kind::kHistogram, labels);
  if (slot == nullptr) return;
  const auto bound = std::ranges::lower_bound(kBucketsUs, elapsed_us);
  if (bound != kBucketsUs.end())
    slot->buckets[static_cast<std::size_t>(bound - kBucketsUs.begin())].fetch_add(
        1, std::memory_order_relaxed);
  slot->sum_us.fetch_add(elapsed_us, std::memory_order_relaxed);
  slot->value.fetch_add(1, std::memory_order_relaxed);
}

void count_operation(std::string_view message, std::string_view result, std::uint64_t elapsed_us) {
  if (const Spec* spec = operations_spec)
    count(spec->name, {{"message", message}, {"result", result}});
  if (const Spec* spec = duration_spec) observe(spec->name, {{"message", message}}, elapsed_us);
}

void set_task(std::string_view task) {
  const std::string prefix = "keyward_" + std::string(task);
  dropped_spec = find(prefix + "_metrics_dropped_total");
  operations_spec = find(prefix + "_operations_total");
  duration_spec = find(prefix + "_operation_duration_seconds");
}

std::vector<wire::MetricSample> snapshot() {
  std::vector<wire::MetricSample> out;
  for (const auto& slot : table.slots) {
    if (slot.state.load(std::memory_order_acquire) != kReady) continue;
    out.push_back(sample_of(slot));
  }
  const Spec* dropped = dropped_spec;
  if (dropped != nullptr) {
    wire::MetricSample sample;
    sample.name = dropped->name;
    sample.value = table.dropped.load(std::memory_order_relaxed);
    out.push_back(std::move(sample));
  }
  return out;
}

bool acceptable(const wire::ControlMetrics& report, std::string_view task) {
  const std::string prefix = "keyward_" + std::string(task) + "_";
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const auto& sample : report.samples) {
    const Spec* spec = find(sample.name);
    if (spec == nullptr || !sample.name.starts_with(prefix)) return false;
    if (!labels_fit(*spec, sample.labels)) return false;
    if (!seen.emplace(sample.name, sample.labels).second) return false;
    if (spec->kind != Kind::kGauge && sample.value < 0) return false;
    const bool fits = spec->kind == Kind::kHistogram ? buckets_rise(sample)
                                                     : !sample.buckets && sample.sum_us == 0;
    if (!fits) return false;
  }
  return true;
}

}  // namespace keyward::metrics
