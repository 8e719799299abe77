#include "firmware/timekeep/judge.h"

#include <algorithm>
#include <cstdlib>

#include "hal/base/limits.h"

namespace keyward::timekeep {
namespace {

using hal::TimeLevel;

// No unit was made before 2026: an RTC with an empty battery says 1970, 2000 or the chip's own year.
constexpr std::int64_t kFirmwareFloorMs = 1'767'225'600'000;
constexpr std::int64_t kTpmTolerancePercent = 15;

bool agree(std::int64_t a_ms, std::int64_t b_ms, std::int64_t tolerance_ms = limits::kTimeAgreeMs) {
  return std::llabs(a_ms - b_ms) <= tolerance_ms;
}

// The word holds while the clock has gone on since as the boot's clock did.
bool word_holds(const Inputs& in) {
  return in.word && !in.kernel.boot_id.empty() && in.word->boot_id == in.kernel.boot_id &&
         agree(in.kernel.utc_ms - in.word->utc_ms, in.kernel.boottime_ms - in.word->boottime_ms);
}

bool tpm_vouches(const Inputs& in) {
  if (!in.tpm || !in.anchor || !in.tpm->safe || in.tpm->clock_ms < in.anchor->tpm.clock_ms)
    return false;
  if (in.tpm->reset_count != in.anchor->tpm.reset_count ||
      in.tpm->restart_count != in.anchor->tpm.restart_count)
    return false;
  const auto elapsed_ms = static_cast<std::int64_t>(in.tpm->clock_ms - in.anchor->tpm.clock_ms);
  return agree(in.kernel.utc_ms - in.anchor->utc_ms, elapsed_ms,
               limits::kTimeAgreeMs + elapsed_ms / 100 * kTpmTolerancePercent);
}

}  // namespace

Judgement judge(const Inputs& in) {
  const auto now_ms = in.kernel.utc_ms;
  const auto anchor_ms = in.anchor ? in.anchor->utc_ms : 0;
  const auto floor_ms = std::max({kFirmwareFloorMs, in.floor_ms, anchor_ms});
  if (now_ms + limits::kClockStepBackMsMax < floor_ms) {
    return {TimeLevel::kNone,
            in.floor_ms == floor_ms ? "the clock is behind the ledger's last entry"
            : anchor_ms == floor_ms ? "the clock is behind a time that was certain"
                                    : "the clock was never set"};
  }
  if (in.kernel.synchronised && in.kernel.error_max_ms <= limits::kTimeAgreeMs)
    return {TimeLevel::kSynchronised, "a time service keeps the clock"};
  if (word_holds(in)) return {TimeLevel::kOperator, "an operator confirmed the clock in this boot"};
  if (tpm_vouches(in))
    return {TimeLevel::kTpmClock, "was synchronised; has gone on as the TPM's clock did"};
  if (in.rtc_utc_ms && agree(*in.rtc_utc_ms, now_ms))
    return {TimeLevel::kRtc, "the battery-backed clock agrees"};
  return {TimeLevel::kFloor, "nothing vouches for the clock but what was issued before"};
}

}  // namespace keyward::timekeep
