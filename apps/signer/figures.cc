#include "apps/signer/figures.h"

#include "firmware/metrics/metrics.h"
#include "hal/base/disk.h"

namespace keyward::signer {

void Figures::take(const hal::TokenStatus& status) {
  metrics::set("keyward_signer_hsm_ready", {}, status.state == hal::TokenState::kReady ? 1 : 0);
  metrics::set("keyward_signer_hsm_reconnects", {}, status.reconnects);
  metrics::set("keyward_signer_hsm_session_age_seconds", {}, status.session_age_ms / 1'000);
  metrics::set("keyward_signer_hsm_signatures", {},
               static_cast<std::int64_t>(status.signatures_made));
  metrics::set("keyward_signer_hsm_stuck_seconds", {}, status.stuck_ms / 1'000);
  if (!next_.passed()) return;
  next_ = Deadline::after_ms(limits::kMetricsSendMs);
  take_files();
  take_lists();
}

void Figures::take_files() const {
  metrics::set("keyward_signer_ledger_rows", {}, static_cast<std::int64_t>(gate_->ledger().rows()));
  if (const auto bytes = bytes_in(state_dir_ + "/ledger"))
    metrics::set("keyward_signer_ledger_bytes", {}, *bytes);
  if (const auto disk = disk_space(state_dir_)) {
    metrics::set("keyward_signer_disk_free_bytes", {}, disk->free_bytes);
    metrics::set("keyward_signer_disk_size_bytes", {}, disk->size_bytes);
  }
}

// Times as they are, not ages: whoever reads them knows an age even while nothing is reported.
void Figures::take_lists() const {
  if (!gate_->crl().off().empty()) return;
  const auto lists = gate_->crl().figures();
  metrics::set("keyward_signer_crl_bytes", {}, static_cast<std::int64_t>(lists.bytes));
  metrics::set("keyward_signer_crl_entries", {}, static_cast<std::int64_t>(lists.entries));
  metrics::set("keyward_signer_crl_number", {}, static_cast<std::int64_t>(lists.number));
  metrics::set("keyward_signer_crl_this_update_seconds", {}, lists.this_update_ms / 1'000);
  metrics::set("keyward_signer_crl_next_update_seconds", {}, lists.next_update_ms / 1'000);
  metrics::set("keyward_signer_crl_lists", {}, static_cast<std::int64_t>(lists.lists));
  metrics::set("keyward_signer_crl_first_lapse_seconds", {}, lists.first_lapse_ms / 1'000);
}

}  // namespace keyward::signer
