// Owns the answers to OCSP requests. Must not know tasks.
#include "firmware/issue/ocsp.h"

#include <algorithm>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/limits.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kExtendedKeyUsage = "2.5.29.37",
                           kOcspSigning = "1.3.6.1.5.5.7.3.9";  // RFC 6960 §4.2.2.2
constexpr std::string_view kAnswers = "keyward_signer_ocsp_answers_total";

std::int64_t floor_to_second(std::int64_t ms) { return ms - ms % 1'000; }

wire::OcspGetReply error(x509::OcspError status, std::string_view label) {
  metrics::count(kAnswers, {{"result", label}});
  return {x509::ocsp_error(status), std::nullopt, std::nullopt};
}

bool is_for_ocsp_alone(const x509::Certificate& certificate) {
  const auto* usage = certificate.extension(kExtendedKeyUsage);
  if (usage == nullptr) return false;
  x509::DerReader outer(usage->value);
  auto list = outer.sequence();
  if (!list) return false;
  const auto oid = list->oid();
  return oid && x509::oid_text(*oid) == kOcspSigning && list->at_end();
}

Result<hal::KeyAlgorithm> algorithm_of(const crypto::PublicKey& key) {
  if (key.kind() == crypto::KeyKind::kEcP256) return hal::KeyAlgorithm::kEcdsaP256;
  if (key.kind() == crypto::KeyKind::kEcP384) return hal::KeyAlgorithm::kEcdsaP384;
  if (key.kind() == crypto::KeyKind::kEd25519) return hal::KeyAlgorithm::kEd25519;
  if (key.kind() == crypto::KeyKind::kRsa && key.bits() == 2'048)
    return hal::KeyAlgorithm::kRsa2048;
  if (key.kind() == crypto::KeyKind::kRsa && key.bits() == 3'072)
    return hal::KeyAlgorithm::kRsa3072;
  if (key.kind() == crypto::KeyKind::kRsa && key.bits() == 4'096)
    return hal::KeyAlgorithm::kRsa4096;
  return fail(ErrorKind::kRefused,
              "the OCSP responder's key is of a kind that no token signs with");
}

}  // namespace

Result<std::unique_ptr<OcspResponder>> OcspResponder::open(OcspConfig config, const Issuer& issuer,
                                                           hal::SigningToken& token,
                                                           const Clock& clock, StatusOf status_of,
                                                           MaySay may_say) {
  KEYWARD_TRY(certificate, x509::parse_certificate(config.certificate_der));
  if (!equal(certificate.issuer_der, issuer.certificate.subject_der) ||
      !x509::verify_signed_by(certificate, issuer.key))
    return fail(ErrorKind::kRefused, "the OCSP responder's certificate is not the issuing CA's");
  if (!is_for_ocsp_alone(certificate) || certificate.basic_constraints_ca() == true)
    return fail(ErrorKind::kRefused,
                "the OCSP responder's certificate is not for OCSP alone (RFC 6960 §4.2.2.2)");
  if (!certificate.key || equal(certificate.spki_der, issuer.certificate.spki_der))
    return fail(ErrorKind::kRefused, "the OCSP responder needs a key of its own");
  if (clock.utc_ms() > certificate.not_after_ms)
    return fail(ErrorKind::kRefused, "the OCSP responder's certificate has ended");
  KEYWARD_CHECK(algorithm_of(*certificate.key));
  return std::unique_ptr<OcspResponder>(
      new OcspResponder(std::move(config), std::move(certificate), issuer, token, clock,
                        std::move(status_of), std::move(may_say)));
}

OcspResponder::OcspResponder(OcspConfig config, x509::Certificate certificate, const Issuer& issuer,
                             hal::SigningToken& token, const Clock& clock, StatusOf status_of,
                             MaySay may_say)
    : config_(std::move(config)),
      certificate_(std::move(certificate)),
      signature_algorithm_der_(x509::signature_algorithm_der(*algorithm_of(*certificate_.key))),
      key_hash_(x509::ocsp_issuer_hashes(certificate_.subject_der, certificate_.spki_der).key_sha1),
      issuer_(
          x509::ocsp_issuer_hashes(issuer.certificate.subject_der, issuer.certificate.spki_der)),
      token_(token),
      clock_(clock),
      status_of_(std::move(status_of)),
      may_say_(std::move(may_say)) {}

bool OcspResponder::is_ours(const x509::OcspQuestion& question) const {
  if (!question.hash) return false;
  const bool old = *question.hash == x509::OcspHash::kSha1;
  return equal(question.issuer_name_hash, old ? issuer_.name_sha1 : issuer_.name_sha256) &&
         equal(question.issuer_key_hash, old ? issuer_.key_sha1 : issuer_.key_sha256);
}

OcspResponder::KeptPtr OcspResponder::find(const std::string& key, const CertificateStatus& now,
                                           std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(key);
  if (found == kept_.end()) return nullptr;
  const bool holds = found->second->status == now && now_ms < found->second->next_update_ms &&
                     now_ms >= found->second->this_update_ms;
  if (holds) return found->second;
  kept_.erase(found);
  return nullptr;
}

// Full: any other goes; it costs a signature to whoever asks for it again.
void OcspResponder::keep(const std::string& key, KeptPtr kept) {
  const std::lock_guard lock(mutex_);
  if (kept_.size() >= limits::kOcspKeptMax) kept_.erase(kept_.begin());
  kept_[key] = std::move(kept);
}

bool OcspResponder::take_turn(std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (now_ms / 1'000 != second_) {
    second_ = now_ms / 1'000;
    in_second_ = 0;
  }
  if (in_second_ >= limits::kOcspSignaturesPerSecondMax || under_way_ >= limits::kOcspAtOnceMax)
    return false;
  ++in_second_;
  ++under_way_;
  return true;
}

void OcspResponder::end_turn() {
  const std::lock_guard lock(mutex_);
  --under_way_;
}

std::uint64_t OcspResponder::signatures_made() const {
  const std::lock_guard lock(mutex_);
  return signatures_made_;
}

// The token's key is the certificate's and cannot leave: once, before its first signature.
Verdict<void> OcspResponder::check_key() {
  {
    const std::lock_guard lock(mutex_);
    if (key_checked_) return {};
  }
  const auto key = token_.find_key(config_.key_label);
  if (!key && key.error().kind == ErrorKind::kUnavailable)
    return refuse_for_now("hsm-away", "the HSM is away", limits::kHsmAwayRetryMs);
  if (!key || !equal(key->spki_der, certificate_.spki_der) || key->extractable) {
    log::error("the token has not the OCSP responder's key, or one that can leave it",
               {{"label", config_.key_label}});
    return refuse("ocsp-key", "the token's key is not the responder's");
  }
  const std::lock_guard lock(mutex_);
  key_checked_ = true;
  return {};
}

Verdict<Bytes> OcspResponder::signature_over(ByteView data) {
  ISSUE_CHECK(check_key());
  auto signature =
      token_.sign(config_.key_label, data, Deadline::after_ms(limits::kOcspSignDeadlineMs),
                  hal::SignPriority::kBackground);
  if (!signature) return refuse(signature.error(), "hsm-away");
  const std::lock_guard lock(mutex_);
  ++signatures_made_;
  return std::move(*signature);
}

Verdict<OcspResponder::KeptPtr> OcspResponder::sign(const x509::OcspRequest& request,
                                                    const std::vector<CertificateStatus>& states) {
  ISSUE_CHECK(may_say_());
  const auto now_ms = floor_to_second(clock_.utc_ms());
  const auto next_ms =
      std::min(now_ms + floor_to_second(config_.validity_ms), certificate_.not_after_ms);
  if (next_ms <= now_ms) return refuse("ocsp-certificate", "the responder's certificate has ended");
  x509::OcspContent content{key_hash_, now_ms, {}, request.nonce};
  for (std::size_t i = 0; i < states.size(); ++i)
    content.answers.push_back({request.questions[i].cert_id_der, states[i].state,
                               floor_to_second(states[i].revoked_ms), states[i].reason, now_ms,
                               next_ms});
  const Bytes data = x509::ocsp_response_data(content);
  ISSUE_TRY(signature, signature_over(data));
  return std::make_shared<const Kept>(
      Kept{x509::ocsp_response(data, signature_algorithm_der_, signature, config_.certificate_der),
           states.front(), now_ms, next_ms});
}

wire::OcspGetReply OcspResponder::answer_one(const x509::OcspRequest& request,
                                             const CertificateStatus& status) {
  const auto now_ms = clock_.utc_ms();
  const bool keeps = status.state != x509::OcspState::kUnknown;
  const std::string key(text_of(request.questions[0].cert_id_der));
  const KeptPtr kept = keeps ? find(key, status, now_ms) : nullptr;
  const auto reply = [](const KeptPtr& what, bool cacheable) -> wire::OcspGetReply {
    if (!cacheable) return {what->response, std::nullopt, std::nullopt};
    return {what->response, what->this_update_ms, what->next_update_ms};
  };
  const bool young =
      kept && now_ms < kept->this_update_ms + (kept->next_update_ms - kept->this_update_ms) / 2;
  if (young && !request.nonce) {
    metrics::count(kAnswers, {{"result", "kept"}});
    return reply(kept, true);
  }
  if (take_turn(clock_.monotonic_ms())) {
    auto made = sign(request, {status});
    end_turn();
    if (made) {
      metrics::count(kAnswers, {{"result", "signed"}});
      const bool plain = keeps && !request.nonce;
      if (plain) keep(key, *made);
      return reply(*made, plain);
    }
  }
  if (!kept) return error(x509::OcspError::kTryLater, "try-later");
  metrics::count(kAnswers, {{"result", "kept"}});
  return reply(kept, !request.nonce);
}

wire::OcspGetReply OcspResponder::answer(const wire::OcspGet& request) {
  const auto asked = x509::parse_ocsp_request(request.request);
  if (!asked) return error(x509::OcspError::kMalformedRequest, "malformed");
  std::vector<CertificateStatus> states;
  bool any_ours = false;
  for (const auto& question : asked->questions) {
    states.emplace_back();
    if (!is_ours(question)) continue;
    any_ours = true;
    const auto status = status_of_(question.serial);
    if (!status) return error(x509::OcspError::kInternalError, "failed");
    states.back() = *status;
  }
  // RFC 5019 §2.2.3: nothing authoritative can be said of another CA's certificates.
  if (!any_ours) return error(x509::OcspError::kUnauthorized, "unauthorized");
  if (asked->questions.size() == 1) return answer_one(*asked, states[0]);
  if (!take_turn(clock_.monotonic_ms())) return error(x509::OcspError::kTryLater, "try-later");
  auto made = sign(*asked, states);
  end_turn();
  if (!made) return error(x509::OcspError::kTryLater, "try-later");
  metrics::count(kAnswers, {{"result", "signed"}});
  return {(*made)->response, std::nullopt, std::nullopt};
}

}  // namespace keyward::issue
