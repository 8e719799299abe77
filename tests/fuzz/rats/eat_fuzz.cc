// Fuzzes COSE_Sign1, JWS and the claims of an EAT. First octet: which. Held: without a trusted key no
// token is good; claims that are read keep RFC 9711's lengths.
#include <cstdlib>

#include "firmware/rats/eat.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void fuzz_claims(ByteView bytes, rats::Encoding encoding) {
  rats::TrustAnchors anchors;
  anchors.at_utc_ms = 1'790'000'000'000;
  const auto eat = rats::read_eat_ucs(bytes, encoding, true, anchors);
  if (!eat) {
    if (eat.error().code.empty()) std::abort();
    return;
  }
  const auto& c = eat->claims;
  if (c.ueid && (c.ueid->size() < 7 || c.ueid->size() > 33)) std::abort();
  for (const auto& nonce : c.nonces) {
    if (nonce.size() < 8 || nonce.size() > 88) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_claims(rest, rats::Encoding::kJson);
      break;
    case 1:
      fuzz_claims(rest, rats::Encoding::kCbor);
      break;
    case 2:
      if (rats::verify_eat_jwt(text_of(rest), {})) std::abort();
      break;
    default:
      if (rats::verify_eat_cwt(rest, {})) std::abort();
      if (const auto key = rats::parse_cbor(rest)) (void)rats::key_from_cose(*key);
      break;
  }
  return 0;
}
