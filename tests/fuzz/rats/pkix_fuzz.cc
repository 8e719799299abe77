// Fuzzes PKIX evidence and CSRs with attestations. First octet: which. Held: without a trusted key no
// evidence is good.
#include <cstdlib>

#include "firmware/rats/pkix_evidence.h"
#include "tests/support/rats/rats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    rats::TrustAnchors nobody;
    nobody.at_utc_ms = test::kRatsAtMs;
    const auto evidence = rats::verify_pkix_evidence(rest, nobody, test::pkix_oids());
    if (evidence || evidence.error().code.empty()) std::abort();
  } else if (const auto csr = rats::read_csr_attestation(rest)) {
    if (csr->statements.empty()) std::abort();
  }
  return 0;
}
