#include "firmware/ceremony/ceremony.h"

#include "firmware/ceremony/certifying.h"
#include "firmware/ceremony/name_constraints.h"
#include "firmware/ceremony/products.h"
#include "hal/base/rng.h"

namespace keyward::ceremony {

Bytes new_serial() {
  Bytes serial = random_bytes(16);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
  return serial;
}

Result<Bytes> sign_tbs(hal::SigningToken& token, const std::string& key_label,
                       const x509::TbsSpec& spec) {
  const Bytes tbs = x509::build_tbs(spec);
  KEYWARD_TRY(signature,
              token.sign(key_label, tbs, Deadline::after_ms(kSignMs), hal::SignPriority::kUrgent));
  return x509::join_certificate(tbs, spec.signature_algorithm, signature);
}

Status lint_ca(const CaPlan& plan, const x509::Certificate& certificate, std::int64_t now_ms) {
  constexpr std::string_view kNameConstraintsOid = "2.5.29.30";
  if (certificate.version != 3 || certificate.subject_der != name_of(plan))
    return fail(ErrorKind::kCorrupt, "version or subject differs from the plan");
  const auto basic = x509::read_basic_constraints(certificate);
  if (!basic || !basic->ca) return fail(ErrorKind::kCorrupt, "not a CA certificate");
  if (plan.path_length.has_value() != basic->path_length.has_value() ||
      (plan.path_length && static_cast<std::uint64_t>(*plan.path_length) != *basic->path_length))
    return fail(ErrorKind::kCorrupt, "the path length differs from the plan");
  if (certificate.key_usage(x509::kKeyCertSign) != true ||
      certificate.key_usage(x509::kCrlSign) != true ||
      certificate.key_usage(x509::kDigitalSignature) == true)
    return fail(ErrorKind::kCorrupt, "the key usage is not a CA's");
  if (certificate.not_before_ms > now_ms || certificate.not_after_ms <= now_ms)
    return fail(ErrorKind::kCorrupt, "not valid now");
  const auto* names = certificate.extension(kNameConstraintsOid);
  const Bytes held = names == nullptr
                         ? Bytes()
                         : x509::extension_der(kNameConstraintsOid, names->critical, names->value);
  if (held != name_constraints_extension(plan.permitted_dns, plan.permitted_ip))
    return fail(ErrorKind::kCorrupt, "name constraints differ from the plan");
  return {};
}

Result<Bytes> decode_base64(std::string_view text) {
  std::string line(text);
  std::erase_if(line, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  return base64_decode(line);
}

Result<hal::TokenKey> make_key(hal::SigningToken& token, const CaPlan& plan) {
  KEYWARD_TRY(key, token.generate_key(plan.key_label, plan.algorithm));
  if (!key.sensitive || key.extractable || !key.never_extractable || !key.local) {
    return fail(ErrorKind::kRefused, "the token made a key that could leave it");
  }
  return std::move(key);
}

Result<Bytes> make_root(hal::SigningToken& token, const CaPlan& plan, std::int64_t now_ms) {
  KEYWARD_TRY(key, token.find_key(plan.key_label));
  x509::TbsSpec spec;
  spec.serial = new_serial();
  spec.signature_algorithm = x509::signature_algorithm_der(key.algorithm);
  spec.issuer_name_der = name_of(plan);
  spec.subject_name_der = spec.issuer_name_der;
  spec.not_before_ms = now_ms - kBackdateMs;
  spec.not_after_ms = now_ms + plan.lifetime_days * kDayMs;
  spec.spki_der = key.spki_der;
  spec.extensions = {x509::ext_basic_constraints(true, plan.path_length),
                     x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign}),
                     x509::ext_subject_key_id(key.spki_der),
                     x509::ext_authority_key_id(x509::key_id_of(key.spki_der))};
  return sign_tbs(token, plan.key_label, spec);
}

Result<Bytes> make_issuing(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                           ByteView issuing_spki, std::int64_t now_ms) {
  return certify_ca({root_token, plan.root.key_label, root_der}, plan.issuing, issuing_spki, "",
                    now_ms);
}

Result<Bytes> make_audit(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                         ByteView audit_spki, std::int64_t now_ms) {
  return certify_audit(
      {root_token, plan.root.key_label, root_der},
      {plan.audit.common_name, plan.root.organization, plan.root.country, plan.audit.lifetime_days},
      audit_spki, "", now_ms);
}

Result<Bytes> make_ocsp(hal::SigningToken& issuing_token, const Plan& plan, ByteView issuing_der,
                        ByteView ocsp_spki, std::int64_t now_ms) {
  const auto& ca = plan.issuing;
  KEYWARD_TRY(der, certify_ocsp({issuing_token, ca.key_label, issuing_der},
                                {plan.ocsp.common_name, ca.organization, ca.country,
                                 plan.ocsp.lifetime_days},
                                ocsp_spki, now_ms));
  KEYWARD_CHECK(lint_ocsp_certificate(issuing_der, der, now_ms));
  return std::move(der);
}

Status lint_audit(const Plan& plan, ByteView root_der, ByteView audit_der, std::int64_t now_ms) {
  if (plan.audit.key_label == plan.issuing.key_label)
    return fail(ErrorKind::kCorrupt, "the audit key has another use");
  return lint_audit_certificate(root_der, audit_der, now_ms);
}

Status lint_hierarchy(const Plan& plan, ByteView root_der, ByteView issuing_der,
                      std::int64_t now_ms) {
  KEYWARD_CHECK(lint_root(plan.root, root_der, now_ms));
  return lint_ca_below(plan.issuing, root_der, issuing_der, now_ms);
}

}  // namespace keyward::ceremony
