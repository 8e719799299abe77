#include "apps/signer/evidence_key.h"

#include "hal/base/limits.h"

namespace keyward::signer {
namespace {

constexpr std::size_t kPointBytes = 65;  // SEC 1, uncompressed, P-256

tl::unexpected<wire::Failure> away() {
  auto failure = wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "the HSM is away");
  failure.retry_after_ms = static_cast<std::uint64_t>(limits::kHsmAwayRetryMs);
  return tl::unexpected<wire::Failure>(std::move(failure));
}

}  // namespace

task::Answer<wire::EvidenceKeyFindReply> EvidenceKey::find() const {
  if (label_.empty()) return wire::EvidenceKeyFindReply{};
  const auto key = token_.find_key(label_);
  if (!key && key.error().kind == ErrorKind::kUnavailable) return away();
  if (!key || key->algorithm != hal::KeyAlgorithm::kEcdsaP256) return wire::EvidenceKeyFindReply{};
  return wire::EvidenceKeyFindReply{key->spki_der};
}

task::Answer<wire::EvidenceAgreeReply> EvidenceKey::agree(
    const wire::EvidenceAgree& request) const {
  if (label_.empty()) {
    return task::refuse(wire::FailureKind::kRefused, "evidence-key-missing",
                        "no key for encrypted evidence is configured");
  }
  if (request.point.size() != kPointBytes)
    return task::refuse(wire::FailureKind::kBadInput, "evidence-point", "not a point of P-256");
  const auto secret =
      token_.agree(label_, request.point, Deadline::after_ms(limits::kSignDeadlineMs));
  if (secret) return wire::EvidenceAgreeReply{to_bytes(secret->view())};
  switch (secret.error().kind) {
    case ErrorKind::kBadInput:
      return task::refuse(wire::FailureKind::kBadInput, "evidence-point", secret.error().what);
    case ErrorKind::kUnavailable:
    case ErrorKind::kExhausted:
      return away();
    default:
      return task::refuse(wire::FailureKind::kRefused, "evidence-key-missing", secret.error().what);
  }
}

}  // namespace keyward::signer
