// Fuzzes PKIX evidence and CSRs with attestations. First octet: which. Held: without a trusted key no
// evidence is good; of what a trusted key signed as it came, what is good is about a key.
#include <cstdlib>

#include "firmware/rats/pkix_evidence.h"
#include "firmware/x509/der.h"
#include "tests/support/rats/rats.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

const crypto::PrivateKey& key() {
  static const auto* const made = new auto(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  return *made;
}

// What stands behind the signature: the evidence itself, or the inside of its sequence.
void fuzz_signed(ByteView rest, bool inside) {
  test::PkixSpec spec;
  spec.key_id = "v";
  spec.raw_tbs = inside ? x509::tlv(x509::tag::kSequence, rest) : to_bytes(rest);
  const rats::TrustAnchors anchors{{{"v", key().public_key()}}, {}, test::kRatsAtMs};
  const auto evidence =
      rats::verify_pkix_evidence(test::make_pkix(spec, key()), anchors, test::pkix_oids());
  if (!evidence && evidence.error().code.empty()) std::abort();
}

void fuzz_csr(ByteView csr) {
  const auto read = rats::read_csr_attestation(csr);
  if (read && read->statements.empty()) std::abort();
  if (!read && read.error().code.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const int what = data[0] % 5;
  if (what == 0) {
    rats::TrustAnchors nobody;
    nobody.at_utc_ms = test::kRatsAtMs;
    const auto evidence = rats::verify_pkix_evidence(rest, nobody, test::pkix_oids());
    if (evidence || evidence.error().code.empty()) std::abort();
  }
  if (what == 1) fuzz_csr(rest);
  if (what == 2 || what == 3) fuzz_signed(rest, what == 3);
  if (what == 4) fuzz_csr(test::csr_with_attestations(key(), {to_bytes(rest)}));
  return 0;
}
