// Fuzzes OCSP requests (RFC 6960). Held: what is read is within its limits.
#include <cstdlib>

#include "firmware/x509/ocsp_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  const auto request = x509::parse_ocsp_request(ByteView(data, size));
  if (!request) return 0;
  if (request->questions.empty() || request->questions.size() > x509::kOcspQuestionsMax)
    std::abort();
  if (request->nonce && request->nonce->size() > x509::kOcspNonceBytesMax) std::abort();
  for (const auto& one : request->questions) {
    if (one.serial.empty() || one.serial.size() > x509::kOcspSerialBytesMax) std::abort();
    if (one.cert_id_der.empty()) std::abort();
  }
  return 0;
}
