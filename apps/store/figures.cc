#include "apps/store/figures.h"

#include <algorithm>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "hal/base/disk.h"

namespace keyward::store {
namespace {

constexpr std::int64_t kRowsEveryMs = 60'000;
// Counting takes at most a hundredth of the time, however large the tables grow.
constexpr std::int64_t kRowsPause = 100;

}  // namespace

void Figures::take(Store& store) {
  metrics::set("keyward_store_filling", {}, store.filling() ? 1 : 0);
  if (!next_files_.passed()) return;
  next_files_ = Deadline::after_ms(limits::kMetricsSendMs);
  if (const auto disk = disk_space(directory_)) {
    metrics::set("keyward_store_disk_free_bytes", {}, disk->free_bytes);
    metrics::set("keyward_store_disk_size_bytes", {}, disk->size_bytes);
  }
  if (const auto files = store.file_figures()) {
    metrics::set("keyward_store_file_bytes", {{"file", "database"}}, files->database_bytes);
    metrics::set("keyward_store_file_bytes", {{"file", "log"}}, files->log_bytes);
    metrics::set("keyward_store_file_free_bytes", {}, files->free_bytes);
    metrics::set("keyward_store_file_limit_bytes", {}, files->bytes_max);
  }
  if (next_rows_.passed()) take_rows(store);
}

void Figures::take_rows(Store& store) {
  const auto begun_ms = system_clock().monotonic_ms();
  const auto figures = store.row_figures();
  const auto took_ms = system_clock().monotonic_ms() - begun_ms;
  next_rows_ = Deadline::after_ms(std::max(kRowsEveryMs, took_ms * kRowsPause));
  if (!figures) {
    log::warning("rows were not counted",
                 {{"why", figures.error().what}, {"native", figures.error().native}});
    return;
  }
  for (std::size_t i = 0; i < figures->rows.size(); ++i)
    metrics::set("keyward_store_rows", {{"kind", RowFigures::kKinds[i]}}, figures->rows[i]);
}

void Figures::note(const Swept& swept) {
  const auto add = [](std::string_view kind, std::int64_t rows) {
    metrics::count("keyward_store_swept_rows_total", {{"kind", kind}},
                   static_cast<std::uint64_t>(rows));
  };
  add("order", swept.orders);
  add("authorization", swept.authorizations);
  add("certificate", swept.certificates);
  add("recovery", swept.recoveries);
  add("mail", swept.mails);
}

}  // namespace keyward::store
