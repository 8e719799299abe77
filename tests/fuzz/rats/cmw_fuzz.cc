// Fuzzes conceptual messages and response payloads. Held: nothing is called signed that was not
// opened with a key, and what is read came from the input.
#include <cstdlib>

#include "firmware/rats/cmw.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  const ByteView bytes(data, size);
  if (const auto cmw = rats::parse_cmw(bytes)) {
    const auto records = rats::records_of(*cmw);
    if (records.empty()) std::abort();
    for (const auto& one : records) {
      if (one.is_signed || one.record->value.size() > size || one.record->media_type.type.empty())
        std::abort();
    }
  } else if (cmw.error().code.empty() || cmw.error().detail.empty()) {
    std::abort();
  }
  (void)rats::read_response_payload(bytes);
  // No key is trusted: nothing opens.
  if (rats::open_signed_cose(bytes, {}) || rats::open_signed_jws(text_of(bytes), {})) std::abort();
  return 0;
}
