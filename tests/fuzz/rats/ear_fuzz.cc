// Fuzzes attestation results behind a signature that is good: the input is signed here. First octet:
// which encoding. Held: a result that is read has an appraisal, and no status better than its vector.
#include <cstdlib>

#include "firmware/rats/ear.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

const crypto::PrivateKey& key() {
  static const auto* const made =
      new auto(*crypto::PrivateKey::generate(crypto::KeyKind::kEd25519));
  return *made;
}

void check(const rats::Appraised<rats::Ear>& ear) {
  if (!ear) {
    if (ear.error().code.empty()) std::abort();
    return;
  }
  if (ear->appraisals.empty() || ear->developer.empty()) std::abort();
  for (const auto& one : ear->appraisals) {
    if (one.status < rats::worst_of(one.vector)) std::abort();
    if (ear->status && *ear->status < one.status) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  rats::TrustAnchors anchors{{{"", key().public_key()}}, {}, 1'790'000'000'000};
  if (data[0] % 2 == 0) {
    const auto token = rats::make_compact(key(), text_of(rest));
    if (token) check(rats::verify_ear_jwt(*token, anchors));
  } else {
    const auto token = rats::make_sign1(key(), rest);
    if (token) check(rats::verify_ear_cwt(*token, anchors));
  }
  return 0;
}
