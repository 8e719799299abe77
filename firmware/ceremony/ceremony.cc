#include "firmware/ceremony/ceremony.h"

#include <algorithm>

#include "firmware/x509/certificate.h"
#include "firmware/x509/ledger_head_usage.h"
#include "firmware/x509/tbs.h"
#include "hal/base/rng.h"

namespace keyward::ceremony {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kBackdateMs = 300'000;  // a client's clock may be somewhat behind ours
constexpr std::int64_t kSignMs = 30'000;
constexpr std::string_view kNameConstraintsOid = "2.5.29.30";

Bytes name_of(const CaPlan& plan) {
  std::vector<x509::NameAttribute> attributes;
  if (!plan.country.empty()) attributes.push_back({"2.5.4.6", plan.country});
  if (!plan.organization.empty()) attributes.push_back({"2.5.4.10", plan.organization});
  attributes.push_back({"2.5.4.3", plan.common_name});
  return x509::name_der(attributes);
}

// 127 random bits, always positive and of the same length (RFC 5280 §4.1.2.2).
Bytes new_serial() {
  Bytes serial = random_bytes(16);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
  return serial;
}

x509::TbsSpec spec_of(const CaPlan& subject, const CaPlan& issuer, ByteView subject_spki,
                      ByteView issuer_spki, std::int64_t now_ms) {
  x509::TbsSpec spec;
  spec.serial = new_serial();
  spec.signature_algorithm = x509::signature_algorithm_der(issuer.algorithm);
  spec.issuer_name_der = name_of(issuer);
  spec.subject_name_der = name_of(subject);
  spec.not_before_ms = now_ms - kBackdateMs;
  spec.not_after_ms = now_ms + subject.lifetime_days * kDayMs;
  spec.spki_der = to_bytes(subject_spki);
  spec.extensions = {x509::ext_basic_constraints(true, subject.path_length),
                     x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign}),
                     x509::ext_subject_key_id(subject_spki),
                     x509::ext_authority_key_id(x509::key_id_of(issuer_spki))};
  if (!subject.permitted_dns.empty())
    spec.extensions.push_back(x509::ext_name_constraints_dns(subject.permitted_dns));
  return spec;
}

Result<Bytes> sign_tbs(hal::SigningToken& token, const CaPlan& issuer, const x509::TbsSpec& spec) {
  const Bytes tbs = x509::build_tbs(spec);
  KEYWARD_TRY(signature, token.sign(issuer.key_label, tbs, Deadline::after_ms(kSignMs),
                                    hal::SignPriority::kUrgent));
  return x509::join_certificate(tbs, spec.signature_algorithm, signature);
}

Status lint_ca(const CaPlan& plan, const x509::Certificate& certificate, std::int64_t now_ms) {
  if (certificate.version != 3 || certificate.subject_der != name_of(plan))
    return fail(ErrorKind::kCorrupt, "version or subject differs from the plan");
  if (certificate.basic_constraints_ca() != true)
    return fail(ErrorKind::kCorrupt, "not a CA certificate");
  if (certificate.not_before_ms > now_ms || certificate.not_after_ms <= now_ms)
    return fail(ErrorKind::kCorrupt, "not valid now");
  if ((certificate.extension(kNameConstraintsOid) != nullptr) == plan.permitted_dns.empty()) {
    return fail(ErrorKind::kCorrupt, "name constraints differ from the plan");
  }
  return {};
}

}  // namespace

Result<hal::TokenKey> make_key(hal::SigningToken& token, const CaPlan& plan) {
  KEYWARD_TRY(key, token.generate_key(plan.key_label, plan.algorithm));
  if (!key.sensitive || key.extractable || !key.never_extractable || !key.local) {
    return fail(ErrorKind::kRefused, "the token made a key that could leave it");
  }
  return std::move(key);
}

Result<Bytes> make_root(hal::SigningToken& token, const CaPlan& plan, std::int64_t now_ms) {
  KEYWARD_TRY(key, token.find_key(plan.key_label));
  return sign_tbs(token, plan, spec_of(plan, plan, key.spki_der, key.spki_der, now_ms));
}

Result<Bytes> make_issuing(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                           ByteView issuing_spki, std::int64_t now_ms) {
  KEYWARD_TRY(root_key, root_token.find_key(plan.root.key_label));
  KEYWARD_TRY(root, x509::parse_certificate(root_der));
  if (root.spki_der != root_key.spki_der)
    return fail(ErrorKind::kCorrupt, "the root certificate is not this token's");
  auto spec = spec_of(plan.issuing, plan.root, issuing_spki, root_key.spki_der, now_ms);
  spec.not_after_ms = std::min(spec.not_after_ms, root.not_after_ms);
  return sign_tbs(root_token, plan.root, spec);
}

Result<Bytes> make_audit(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                         ByteView audit_spki, std::int64_t now_ms) {
  KEYWARD_TRY(root_key, root_token.find_key(plan.root.key_label));
  KEYWARD_TRY(root, x509::parse_certificate(root_der));
  if (root.spki_der != root_key.spki_der)
    return fail(ErrorKind::kCorrupt, "the root certificate is not this token's");
  CaPlan subject;
  subject.common_name = plan.audit.common_name;
  subject.organization = plan.root.organization;
  subject.country = plan.root.country;
  subject.lifetime_days = plan.audit.lifetime_days;
  auto spec = spec_of(subject, plan.root, audit_spki, root_key.spki_der, now_ms);
  spec.not_after_ms = std::min(spec.not_after_ms, root.not_after_ms);
  spec.extensions = {x509::ext_basic_constraints(false, std::nullopt),
                     x509::ext_key_usage({x509::kDigitalSignature}),
                     x509::ext_extended_key_usage({std::string(x509::kLedgerHeadUsage)}),
                     x509::ext_subject_key_id(audit_spki),
                     x509::ext_authority_key_id(x509::key_id_of(root_key.spki_der))};
  return sign_tbs(root_token, plan.root, spec);
}

Status lint_audit(const Plan& plan, ByteView root_der, ByteView audit_der, std::int64_t now_ms) {
  KEYWARD_TRY(root, x509::parse_certificate(root_der));
  KEYWARD_TRY(audit, x509::parse_certificate(audit_der));
  if (audit.basic_constraints_ca() == true || audit.key_usage(x509::kDigitalSignature) != true ||
      audit.key_usage(x509::kKeyCertSign) == true)
    return fail(ErrorKind::kCorrupt, "the audit certificate's rights are wrong");
  if (audit.extended_key_usages() != std::vector<std::string>{std::string(x509::kLedgerHeadUsage)})
    return fail(ErrorKind::kCorrupt, "the audit certificate is not for heads alone");
  if (audit.spki_der == root.spki_der || plan.audit.key_label == plan.issuing.key_label)
    return fail(ErrorKind::kCorrupt, "the audit key has another use");
  return x509::verify_chain(audit, {}, {root}, {now_ms, {}});
}

Status lint_hierarchy(const Plan& plan, ByteView root_der, ByteView issuing_der,
                      std::int64_t now_ms) {
  KEYWARD_TRY(root, x509::parse_certificate(root_der));
  KEYWARD_TRY(issuing, x509::parse_certificate(issuing_der));
  KEYWARD_CHECK(lint_ca(plan.root, root, now_ms));
  KEYWARD_CHECK(lint_ca(plan.issuing, issuing, now_ms));
  if (!root.key || !issuing.key)
    return fail(ErrorKind::kCorrupt, "a key of a type that is not read here");
  KEYWARD_CHECK(x509::verify_signed_by(root, *root.key));
  if (issuing.issuer_der != root.subject_der)
    return fail(ErrorKind::kCorrupt, "the issuing CA names another issuer");
  if (root.spki_der == issuing.spki_der)
    return fail(ErrorKind::kCorrupt, "root and issuing CA share a key");
  return x509::verify_chain(issuing, {}, {root}, {now_ms, {std::string(kNameConstraintsOid)}});
}

}  // namespace keyward::ceremony
