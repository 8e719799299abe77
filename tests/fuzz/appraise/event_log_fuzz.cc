// Fuzzes the firmware's event log. Held: what was read is within what came, and is replayed.
#include <cstdlib>

#include "firmware/appraise/event_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  const auto log = appraise::parse_event_log({data, size});
  if (!log) {
    if (log.error().code.empty() || log.error().detail.empty()) std::abort();
    return 0;
  }
  if (log->banks.empty() || log->events.size() * 16 > size) std::abort();
  for (const auto bank : log->banks) {
    for (const auto& [pcr, value] : appraise::replay(*log, bank)) {
      if (pcr > 23 || value.size() != crypto::digest_bytes(bank)) std::abort();
    }
  }
  for (const auto& event : log->events) {
    if (appraise::words_of(event, log->banks.front()).size() > 400) std::abort();
  }
  return 0;
}
