// Fuzzes the quote record and the TPM's structures in it. Held: without a root nothing is accepted,
// and what reads is written again as the same record.
#include <cstdlib>

#include "firmware/appraise/tpm_quote.h"
#include "firmware/attest/tpm_structures.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  const ByteView bytes(data, size);
  if (const auto info = attest::parse_quote_info(bytes); info && info->selections.empty())
    std::abort();
  const auto record = appraise::parse_quote_record(bytes);
  if (!record) return 0;
  (void)attest::parse_quote_info(record->quoted);
  const auto again = appraise::parse_quote_record(appraise::write_quote_record(*record));
  if (!again || again->quoted != record->quoted || again->pcrs != record->pcrs) std::abort();
  appraise::Fresh fresh;
  fresh.token = "token";
  if (appraise::verify_quote(*record, {}, fresh, 1)) std::abort();
  return 0;
}
