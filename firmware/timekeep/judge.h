// Owns the judgement how far the clock can be trusted. Pure: what the clocks say comes in, a level
// goes out. Must not know files, tasks, or what is refused at which level. Threads: any.
//
// The TPM's clock may be off by 15 % (TPM 2.0 Part 1 §36.2), and stands still without power: it
// vouches for a clock only within one power cycle, and beyond that is a floor alone.
#pragma once

#include <optional>
#include <string>

#include "firmware/timekeep/records.h"
#include "hal/trusted_time.h"

namespace keyward::timekeep {

struct Inputs {
  hal::KernelTime kernel;
  std::optional<std::int64_t> rtc_utc_ms;
  std::optional<hal::TpmClock> tpm;
  std::optional<Anchor> anchor;
  std::optional<Word> word;
  std::int64_t floor_ms = 0;  // of the ledger
};

struct Judgement {
  hal::TimeLevel level = hal::TimeLevel::kNone;
  std::string detail;  // for an operator
};

Judgement judge(const Inputs& inputs);

}  // namespace keyward::timekeep
