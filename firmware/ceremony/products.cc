// Owns what a ceremony makes beside keys. Must not know files.
#include "firmware/ceremony/products.h"

#include <algorithm>

#include "firmware/ceremony/certifying.h"
#include "firmware/ceremony/name_constraints.h"
#include "firmware/json/json.h"
#include "firmware/operate/operators.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/ledger_head_usage.h"
#include "firmware/x509/tbs.h"

namespace keyward::ceremony {
namespace {

constexpr std::string_view kOcspSigning = "1.3.6.1.5.5.7.3.9";     // RFC 6960 §4.2.2.2
constexpr std::string_view kOcspNoCheck = "1.3.6.1.5.5.7.48.1.5";  // RFC 6960 §4.2.2.2.1
constexpr std::string_view kNameConstraints = "2.5.29.30", kSubjectKeyId = "2.5.29.14",
                           kAuthorityKeyId = "2.5.29.35", kCrlNumber = "2.5.29.20",
                           kReasonCode = "2.5.29.21";
constexpr std::uint8_t kDerNull[] = {0x05, 0x00};

tl::unexpected<Error> corrupt(const char* what) { return fail(ErrorKind::kCorrupt, what); }

struct Signing {
  x509::Certificate issuer;
  hal::KeyAlgorithm algorithm{};
  Bytes key_id;
};

// RFC 5280 §4.2.1.1: what the issuer calls its key.
Result<Bytes> key_id_in(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension(kSubjectKeyId);
  if (extension == nullptr) return x509::key_id_of(certificate.spki_der);
  x509::DerReader reader(extension->value);
  KEYWARD_TRY(id, reader.element(x509::tag::kOctetString));
  return to_bytes(id);
}

Result<Signing> open(const SigningCa& by) {
  KEYWARD_TRY(key, by.token.find_key(by.key_label));
  KEYWARD_TRY(issuer, x509::parse_certificate(by.issuer_der));
  if (issuer.spki_der != key.spki_der) return corrupt("the issuer's certificate is of another key");
  if (issuer.basic_constraints_ca() != true || issuer.key_usage(x509::kKeyCertSign) != true)
    return fail(ErrorKind::kRefused, "the issuer's certificate is not a CA's");
  KEYWARD_TRY(key_id, key_id_in(issuer));
  return Signing{std::move(issuer), key.algorithm, std::move(key_id)};
}

x509::TbsSpec start(const Signing& signing, Bytes subject_name, ByteView spki,
                    std::int64_t lifetime_days, std::int64_t now_ms) {
  x509::TbsSpec spec;
  spec.serial = new_serial();
  spec.signature_algorithm = x509::signature_algorithm_der(signing.algorithm);
  spec.issuer_name_der = signing.issuer.subject_der;
  spec.subject_name_der = std::move(subject_name);
  // Not before its issuer: a shell of validity that some readers insist upon.
  spec.not_before_ms = std::max(now_ms - kBackdateMs, signing.issuer.not_before_ms);
  spec.not_after_ms = std::min(now_ms + lifetime_days * kDayMs, signing.issuer.not_after_ms);
  spec.spki_der = to_bytes(spki);
  return spec;
}

void finish(x509::TbsSpec& spec, const Signing& signing, const std::string& crl_url) {
  spec.extensions.push_back(x509::ext_subject_key_id(spec.spki_der));
  spec.extensions.push_back(x509::ext_authority_key_id(signing.key_id));
  if (!crl_url.empty()) spec.extensions.push_back(x509::ext_crl_distribution_points(crl_url));
}

// RFC 5280 §5.1.2.6, §5.3.1: unspecified is said by saying nothing.
Bytes revoked_der(const std::vector<RevokedPlan>& list) {
  constexpr std::uint8_t kEnumerated = 0x0a;
  if (list.empty()) return {};
  Bytes entries;
  for (const auto& one : list) {
    const Bytes reason = x509::tlv(kEnumerated, ByteView(&one.reason, 1));
    const Bytes extensions =
        one.reason == 0 ? Bytes()
                        : x509::der_sequence({x509::extension_der(kReasonCode, false, reason)});
    append(entries, x509::der_sequence({x509::der_unsigned(ByteView(one.serial)),
                                        x509::der_time(one.at_ms), extensions}));
  }
  return x509::tlv(x509::tag::kSequence, entries);
}

Bytes crl_tbs(const x509::Certificate& issuer, ByteView algorithm, ByteView key_id,
              const CrlTerms& terms) {
  const Bytes number = x509::der_unsigned(terms.number);
  const Bytes extensions = x509::der_sequence(
      {x509::ext_authority_key_id(key_id), x509::extension_der(kCrlNumber, false, number)});
  return x509::der_sequence({x509::der_unsigned(std::uint64_t{1}), algorithm, issuer.subject_der,
                             x509::der_time(terms.this_update_ms),
                             x509::der_time(terms.next_update_ms), revoked_der(terms.revoked),
                             x509::tlv(x509::tag::context_constructed(0), ByteView(extensions))});
}

Status check_key_ids(const x509::Certificate& issuer, const x509::Certificate& certificate) {
  KEYWARD_TRY(key_id, key_id_in(issuer));
  const auto* extension = certificate.extension(kAuthorityKeyId);
  if (extension == nullptr) return corrupt("there is no authority key identifier");
  // Other CAs add the issuer's name and serial number behind the key identifier.
  x509::DerReader outer(extension->value);
  KEYWARD_TRY(fields, outer.sequence());
  const auto held = fields.element(x509::tag::context(0));
  if (!held || !equal(*held, key_id))
    return corrupt("the authority key identifier is not the issuer's");
  return {};
}

Status check_end_entity(const x509::Certificate& certificate, std::string_view usage) {
  if (certificate.basic_constraints_ca() == true ||
      certificate.key_usage(x509::kDigitalSignature) != true ||
      certificate.key_usage(x509::kKeyCertSign) == true)
    return corrupt("the certificate's rights are wrong");
  if (certificate.extended_key_usages() != std::vector<std::string>{std::string(usage)})
    return corrupt("the certificate's extended key usage is not the one");
  return {};
}

Status check_below(const x509::Certificate& issuer, const x509::Certificate& certificate,
                   std::int64_t now_ms) {
  KEYWARD_CHECK(check_key_ids(issuer, certificate));
  if (certificate.spki_der == issuer.spki_der) return corrupt("it shares its issuer's key");
  if (certificate.not_after_ms > issuer.not_after_ms) return corrupt("it outlives its issuer");
  return x509::verify_chain(certificate, {}, {issuer}, {now_ms, {std::string(kNameConstraints)}});
}

}  // namespace

// ---- what both forms of a ceremony share (certifying.h)

Bytes name_of(const CaPlan& plan) {
  std::vector<x509::NameAttribute> attributes;
  if (!plan.country.empty()) attributes.push_back({"2.5.4.6", plan.country});
  if (!plan.organization.empty()) attributes.push_back({"2.5.4.10", plan.organization});
  attributes.push_back({"2.5.4.3", plan.common_name});
  return x509::name_der(attributes);
}

Bytes name_of(const EndEntity& subject) {
  CaPlan plan;
  plan.common_name = subject.common_name;
  plan.organization = subject.organization;
  plan.country = subject.country;
  return name_of(plan);
}

std::vector<Bytes> ca_extensions(const CaPlan& subject) {
  std::vector<Bytes> out{x509::ext_basic_constraints(true, subject.path_length),
                         x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign})};
  if (auto names = name_constraints_extension(subject.permitted_dns, subject.permitted_ip);
      !names.empty())
    out.push_back(std::move(names));
  return out;
}

std::vector<Bytes> audit_extensions() {
  return {x509::ext_basic_constraints(false, std::nullopt),
          x509::ext_key_usage({x509::kDigitalSignature}),
          x509::ext_extended_key_usage({std::string(x509::kLedgerHeadUsage)})};
}

// ---- making

Result<Bytes> certify_ca(const SigningCa& by, const CaPlan& subject, ByteView spki,
                         const std::string& crl_url, std::int64_t now_ms) {
  KEYWARD_TRY(signing, open(by));
  auto spec = start(signing, name_of(subject), spki, subject.lifetime_days, now_ms);
  spec.extensions = ca_extensions(subject);
  finish(spec, signing, crl_url);
  return sign_tbs(by.token, by.key_label, spec);
}

Result<Bytes> certify_audit(const SigningCa& by, const EndEntity& subject, ByteView spki,
                            const std::string& crl_url, std::int64_t now_ms) {
  KEYWARD_TRY(signing, open(by));
  auto spec = start(signing, name_of(subject), spki, subject.lifetime_days, now_ms);
  spec.extensions = audit_extensions();
  finish(spec, signing, crl_url);
  return sign_tbs(by.token, by.key_label, spec);
}

Result<Bytes> certify_ocsp(const SigningCa& by, const EndEntity& subject, ByteView spki,
                           std::int64_t now_ms) {
  KEYWARD_TRY(signing, open(by));
  auto spec = start(signing, name_of(subject), spki, subject.lifetime_days, now_ms);
  spec.extensions = {x509::ext_basic_constraints(false, std::nullopt),
                     x509::ext_key_usage({x509::kDigitalSignature}),
                     x509::ext_extended_key_usage({std::string(kOcspSigning)}),
                     x509::extension_der(kOcspNoCheck, false, kDerNull)};
  finish(spec, signing, "");
  return sign_tbs(by.token, by.key_label, spec);
}

Result<Bytes> make_crl(const SigningCa& by, const CrlTerms& terms) {
  KEYWARD_TRY(signing, open(by));
  if (signing.issuer.key_usage(x509::kCrlSign) != true)
    return fail(ErrorKind::kRefused, "the issuer's certificate may sign no lists");
  const Bytes algorithm = x509::signature_algorithm_der(signing.algorithm);
  const Bytes tbs = crl_tbs(signing.issuer, algorithm, signing.key_id, terms);
  KEYWARD_TRY(signature, by.token.sign(by.key_label, tbs, Deadline::after_ms(kSignMs),
                                       hal::SignPriority::kUrgent));
  return x509::join_certificate(tbs, algorithm, signature);
}

Result<std::string> read_operator_key(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----",
                             kEnd = "-----END PUBLIC KEY-----";
  const auto begin = text.find(kBegin);
  Result<jose::Jwk> jwk = fail(ErrorKind::kBadInput, "neither a PEM public key nor a JWK");
  if (begin == std::string_view::npos) {
    KEYWARD_TRY(document, json::Document::parse(text, limits::kOperatorsBytesMax));
    jwk = jose::Jwk::from_json(document.root());
  } else {
    const auto end = text.find(kEnd, begin);
    if (end == std::string_view::npos) return fail(ErrorKind::kBadInput, "pem: no end");
    KEYWARD_TRY(der,
                decode_base64(text.substr(begin + kBegin.size(), end - begin - kBegin.size())));
    KEYWARD_TRY(key, crypto::PublicKey::from_spki(der));
    jwk = jose::Jwk::from_public_key(key);
  }
  if (!jwk) return fail(jwk.error());
  const auto kind = jwk->key().kind();
  if (kind != crypto::KeyKind::kEcP256 && kind != crypto::KeyKind::kEd25519)
    return fail(ErrorKind::kRefused, "an operator's key must be P-256 or Ed25519");
  return jwk->canonical();
}

Result<std::string> write_operators(const WholePlan& plan,
                                    const std::vector<std::string>& key_texts) {
  json::Writer out;
  out.begin_object().member_int("version", 1).member("unit", plan.unit);
  out.key("operators").begin_array();
  for (std::size_t i = 0; i < plan.operators.size(); ++i) {
    if (i >= key_texts.size()) return fail(ErrorKind::kInternal, "an operator without a key");
    KEYWARD_TRY(jwk, read_operator_key(key_texts[i]));
    out.begin_object().member("name", plan.operators[i].name).key("jwk").raw(jwk);
    out.key("roles").begin_array();
    for (const auto& role : plan.operators[i].roles) out.string(role);
    out.end_array().end_object();
  }
  out.end_array().key("dual_control").begin_array();
  for (const auto& word : plan.dual_control) out.string(word);
  std::string text = out.end_array().end_object().take() + "\n";
  KEYWARD_CHECK(lint_operators(plan, text));
  return text;
}

// ---- as a stranger reads them

Status lint_root(const CaPlan& plan, ByteView der, std::int64_t now_ms) {
  KEYWARD_TRY(root, x509::parse_certificate(der));
  KEYWARD_CHECK(lint_ca(plan, root, now_ms));
  if (!root.key) return corrupt("a key of a type that is not read here");
  if (root.issuer_der != root.subject_der) return corrupt("the root names another issuer");
  return x509::verify_signed_by(root, *root.key);
}

Status lint_ca_below(const CaPlan& plan, ByteView issuer_der, ByteView der, std::int64_t now_ms) {
  KEYWARD_TRY(issuer, x509::parse_certificate(issuer_der));
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  KEYWARD_CHECK(lint_ca(plan, certificate, now_ms));
  return check_below(issuer, certificate, now_ms);
}

Status lint_audit_certificate(ByteView root_der, ByteView der, std::int64_t now_ms) {
  KEYWARD_TRY(root, x509::parse_certificate(root_der));
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  KEYWARD_CHECK(check_end_entity(certificate, x509::kLedgerHeadUsage));
  return check_below(root, certificate, now_ms);
}

Status lint_ocsp_certificate(ByteView issuer_der, ByteView der, std::int64_t now_ms) {
  KEYWARD_TRY(issuer, x509::parse_certificate(issuer_der));
  KEYWARD_TRY(certificate, x509::parse_certificate(der));
  KEYWARD_CHECK(check_end_entity(certificate, kOcspSigning));
  const auto* no_check = certificate.extension(kOcspNoCheck);
  if (no_check == nullptr || no_check->critical || !equal(no_check->value, kDerNull))
    return corrupt("id-pkix-ocsp-nocheck is missing or wrong");
  return check_below(issuer, certificate, now_ms);
}

// A list of known terms has one form: any other octet is wrong.
Status lint_crl(ByteView issuer_der, ByteView der, const CrlTerms& terms) {
  KEYWARD_TRY(issuer, x509::parse_certificate(issuer_der));
  KEYWARD_TRY(key_id, key_id_in(issuer));
  x509::DerReader outer(der);
  KEYWARD_TRY(list, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(tbs, list.element_whole(x509::tag::kSequence));
  KEYWARD_TRY(algorithm, list.element_whole(x509::tag::kSequence));
  KEYWARD_TRY(signature, list.bit_string_octets());
  KEYWARD_CHECK(list.expect_end());
  if (!equal(tbs, crl_tbs(issuer, algorithm, key_id, terms)))
    return corrupt("the revocation list is not the one of these terms");
  if (!issuer.key) return corrupt("the issuer's key is of a type that is not read here");
  return x509::verify_octets_signed_by(algorithm, tbs, signature, *issuer.key);
}

Status lint_operators(const WholePlan& plan, std::string_view text) {
  KEYWARD_TRY(read, operate::Operators::parse(text));
  if (read.unit() != plan.unit || read.dual_control() != plan.dual_control ||
      read.all().size() != plan.operators.size())
    return corrupt("the operators file differs from the plan");
  for (std::size_t i = 0; i < plan.operators.size(); ++i) {
    if (read.all()[i].name != plan.operators[i].name ||
        read.all()[i].roles != plan.operators[i].roles)
      return corrupt("an operator differs from the plan");
  }
  return {};
}

}  // namespace keyward::ceremony
