// Owns the two small files about time: the operator's word and the anchor (a synchronised clock
// beside the TPM's). Must not know what they are worth. JSON, version 1. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/trusted_time.h"

namespace keyward::timekeep {

// "The clock was right when it said utc_ms."
struct Word {
  std::string boot_id;
  std::int64_t utc_ms = 0;
  std::int64_t boottime_ms = 0;
};

struct Anchor {
  std::int64_t utc_ms = 0;
  hal::TpmClock tpm;
};

std::string to_text(const Word& word);
std::string to_text(const Anchor& anchor);
// kBadInput: not such a file, or of another version.
Result<Word> parse_word(std::string_view text);
Result<Anchor> parse_anchor(std::string_view text);

inline constexpr std::string_view kWordFile = "time-word.json";  // in platform's state directory
inline constexpr std::string_view kAnchorFile = "time-anchor.json";  // likewise

}  // namespace keyward::timekeep
