// Owns requests to a CA that is elsewhere, and the judgement of its answers. Must not know files.
#include "firmware/ceremony/requests.h"

#include "firmware/ceremony/certifying.h"
#include "firmware/x509/csr.h"

namespace keyward::ceremony {
namespace {

// Between the request and the answer lie days, and the CA elsewhere counts from its own clock.
constexpr std::int64_t kLifetimeToleranceMs = 2 * kDayMs;

tl::unexpected<Error> corrupt(const char* what) { return fail(ErrorKind::kCorrupt, what); }

Result<Bytes> request(hal::SigningToken& token, const std::string& key_label, const Bytes& name,
                      const std::vector<Bytes>& extensions) {
  KEYWARD_TRY(key, token.find_key(key_label));
  const Bytes info = x509::request_info_der(name, key.spki_der, extensions);
  KEYWARD_TRY(signature,
              token.sign(key_label, info, Deadline::after_ms(kSignMs), hal::SignPriority::kUrgent));
  return x509::join_certificate(info, x509::signature_algorithm_der(key.algorithm), signature);
}

Status check_answer(ByteView spki, std::int64_t lifetime_days, const x509::Certificate& certificate,
                    std::int64_t now_ms) {
  if (!equal(certificate.spki_der, spki))
    return corrupt("it is for another key than the one of the request");
  if (certificate.not_before_ms > now_ms || certificate.not_after_ms <= now_ms)
    return corrupt("not valid now");
  if (certificate.not_after_ms > now_ms + lifetime_days * kDayMs + kLifetimeToleranceMs)
    return corrupt("it lives longer than the plan says");
  return {};
}

}  // namespace

Result<Bytes> request_ca(hal::SigningToken& token, const CaPlan& subject) {
  return request(token, subject.key_label, name_of(subject), ca_extensions(subject));
}

Result<Bytes> request_audit(hal::SigningToken& token, const std::string& key_label,
                            const EndEntity& subject) {
  return request(token, key_label, name_of(subject), audit_extensions());
}

Status lint_ca_elsewhere(ByteView der, std::int64_t now_ms) {
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  if (!certificate.key)
    return fail(ErrorKind::kRefused, "the CA's key is of a type that is not read here");
  const auto basic = x509::read_basic_constraints(certificate);
  if (certificate.version != 3 || !basic || !basic->ca ||
      certificate.key_usage(x509::kKeyCertSign) != true)
    return fail(ErrorKind::kRefused, "this is no certificate of a CA");
  if (basic->path_length && *basic->path_length < 1)
    return fail(ErrorKind::kRefused, "this CA may have no CA below it (path length 0)");
  if (certificate.not_before_ms > now_ms || certificate.not_after_ms <= now_ms)
    return fail(ErrorKind::kRefused, "the CA's certificate is not valid now");
  return {};
}

Status lint_certified_ca(const CaPlan& plan, ByteView spki, ByteView issuer_der, ByteView der,
                         std::int64_t now_ms) {
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  KEYWARD_CHECK(check_answer(spki, plan.lifetime_days, certificate, now_ms));
  return lint_ca_below(plan, issuer_der, der, now_ms);
}

Status lint_certified_audit(const EndEntity& plan, ByteView spki, ByteView issuer_der, ByteView der,
                            std::int64_t now_ms) {
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  KEYWARD_CHECK(check_answer(spki, plan.lifetime_days, certificate, now_ms));
  if (certificate.subject_der != name_of(plan)) return corrupt("the subject differs from the plan");
  return lint_audit_certificate(issuer_der, der, now_ms);
}

}  // namespace keyward::ceremony
