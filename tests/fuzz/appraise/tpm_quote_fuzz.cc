// Fuzzes the quote record and the TPM's structures in it. First octet: how. Held: without a root nothing
// is accepted, what reads is written again as the same record; of a TPMS_ATTEST that a good attestation
// key signed as it came, nothing is accepted for registers that were not quoted.
#include <cstdlib>

#include "firmware/appraise/tpm_quote.h"
#include "firmware/attest/tpm_structures.h"
#include "tests/support/quote/quote.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::int64_t kAt = 1'790'000'000'000;

appraise::Fresh fresh() {
  appraise::Fresh out;
  out.token = base64url_encode(Bytes(48, 7));
  out.key_authorization = out.token + ".thumbprint";
  return out;
}

void fuzz_signed(ByteView quoted) {
  static const auto* const maker = new test::QuoteMaker(kAt);
  test::QuoteSpec spec;
  spec.extra_data = to_bytes(crypto::sha256(view_of(fresh().key_authorization)));
  spec.edit_quoted = [quoted](Bytes& octets) { octets = to_bytes(quoted); };
  const auto record = maker->record(spec);
  const auto result = appraise::verify_quote(record, {maker->anchor()}, fresh(), kAt);
  if (!result && result.error().code.empty()) std::abort();
  if (!result) return;
  for (const auto& [bank, values] : result->pcrs) {
    const auto shown = record.pcrs.find(bank);
    if (shown == record.pcrs.end() || values.empty()) std::abort();
    for (const auto& [index, value] : values)
      if (shown->second.count(index) == 0 || shown->second.at(index) != value) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  if (data[0] % 2 == 1) {
    fuzz_signed(bytes);
    return 0;
  }
  if (const auto info = attest::parse_quote_info(bytes); info && info->selections.empty())
    std::abort();
  const auto record = appraise::parse_quote_record(bytes);
  if (!record) return 0;
  (void)attest::parse_quote_info(record->quoted);
  const auto again = appraise::parse_quote_record(appraise::write_quote_record(*record));
  if (!again || again->quoted != record->quoted || again->pcrs != record->pcrs) std::abort();
  if (appraise::verify_quote(*record, {}, fresh(), 1)) std::abort();
  return 0;
}
