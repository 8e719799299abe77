#include "firmware/issue/lint.h"

#include <algorithm>
#include <array>
#include <string>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/crl_content.h"
#include "firmware/issue/pseudonym.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

namespace oid {
constexpr std::string_view kSubjectKeyId = "2.5.29.14", kKeyUsage = "2.5.29.15",
                           kSubjectAltName = "2.5.29.17", kBasicConstraints = "2.5.29.19",
                           kAuthorityKeyId = "2.5.29.35", kCrlDistributionPoints = "2.5.29.31",
                           kAuthorityInfoAccess = "1.3.6.1.5.5.7.1.1",
                           kExtendedKeyUsage = "2.5.29.37", kTnAuthList = "1.3.6.1.5.5.7.1.26",
                           kJwtClaimConstraints = "1.3.6.1.5.5.7.1.27",
                           kEnhancedJwtClaimConstraints = "1.3.6.1.5.5.7.1.33";
}  // namespace oid
constexpr std::array kAllowedExtensions{oid::kSubjectKeyId,
                                        oid::kKeyUsage,
                                        oid::kSubjectAltName,
                                        oid::kBasicConstraints,
                                        oid::kAuthorityKeyId,
                                        oid::kExtendedKeyUsage,
                                        oid::kCrlDistributionPoints,
                                        oid::kTnAuthList,
                                        oid::kAuthorityInfoAccess,
                                        oid::kJwtClaimConstraints,
                                        oid::kEnhancedJwtClaimConstraints};
// BIT STRING digitalSignature; the same with keyEncipherment (RFC 5280 §4.2.1.3).
constexpr std::array<std::uint8_t, 2> kNotCa{0x30, 0x00};
constexpr std::array<std::uint8_t, 4> kUsageSign{0x03, 0x02, 0x07, 0x80},
    kUsageSignEncipher{0x03, 0x02, 0x05, 0xa0};
constexpr std::string_view kAttestationKeyPurpose = "2.23.133.8.3";

const char* version(const LintSubject& s) {
  return s.certificate.version == 3 ? nullptr : "not version 3";
}

const char* serial(const LintSubject& s) {
  const auto& serial = s.certificate.serial;
  if (serial.empty() || serial.size() > 20) return "1 to 20 octets (RFC 5280 §4.1.2.2)";
  if ((serial[0] & 0x80) != 0) return "negative";
  if (serial.size() < 9) return "too short to hold 64 random bits";
  return nullptr;
}

const char* validity_order(const LintSubject& s) {
  return s.certificate.not_before_ms < s.certificate.not_after_ms ? nullptr
                                                                  : "ends before it begins";
}

const char* validity_cap(const LintSubject& s) {
  const auto length_ms = s.certificate.not_after_ms - s.certificate.not_before_ms;
  return length_ms <= s.profile.lifetime_ms + s.backdate_ms ? nullptr
                                                            : "longer than the profile allows";
}

const char* validity_of_issuer(const LintSubject& s) {
  const auto& issuer = s.issuer.certificate;
  const bool inside = s.certificate.not_before_ms >= issuer.not_before_ms &&
                      s.certificate.not_after_ms <= issuer.not_after_ms;
  return inside ? nullptr : "outside the issuer's validity";
}

const char* issuer_name(const LintSubject& s) {
  return equal(s.certificate.issuer_der, s.issuer.certificate.subject_der)
             ? nullptr
             : "not the issuing CA's name";
}

// The profile's words come first, and nothing follows them but one common name.
const char* subject_words(const LintSubject& s) {
  const Bytes words = subject_der(s.profile, "");
  x509::DerReader name(s.certificate.subject_der), wanted(words);
  const auto all = name.element(x509::tag::kSequence), first = wanted.element(x509::tag::kSequence);
  if (!all || !first) return "a subject that is no name";
  const ByteView octets = *all, begin = *first;
  if (octets.size() < begin.size() || !equal(octets.first(begin.size()), begin))
    return "not the profile's words in the subject";
  x509::DerReader others(octets.subspan(begin.size()));
  if (others.at_end()) return nullptr;
  if (!s.profile.common_name) return "a common name that the profile leaves out";
  const auto part = others.element(x509::tag::kSet);
  if (!part || !others.at_end()) return "more than a common name in the subject";
  x509::DerReader attribute(*part);
  auto pair = attribute.sequence();
  if (!pair || !attribute.at_end()) return "more than a common name in the subject";
  const auto oid = pair->oid();
  return oid && x509::oid_text(*oid) == "2.5.4.3" ? nullptr
                                                  : "another name than a common one in the subject";
}

const char* subject_name(const LintSubject& s) {
  if (equal(s.certificate.subject_der, s.issuer.certificate.subject_der))
    return "the issuing CA's own name";
  if (s.profile.kind == ProfileKind::kAttestationKey)
    return s.certificate.subject_is_empty ? nullptr : "an attestation key with a subject";
  if (const auto* fault = subject_words(s)) return fault;
  const bool needs_a_name = s.profile.kind != ProfileKind::kServer;
  return needs_a_name && s.certificate.subject_is_empty ? "a subject without a name" : nullptr;
}

const char* signature_algorithm(const LintSubject& s) {
  return equal(s.certificate.signature_algorithm_der, s.issuer.signature_algorithm_der)
             ? nullptr
             : "not the issuing key's";
}

const char* public_key(const LintSubject& s) {
  if (!equal(s.certificate.spki_der, s.key.spki_der())) return "not the request's key";
  return equal(s.certificate.spki_der, s.issuer.certificate.spki_der) ? "the issuing CA's own key"
                                                                      : nullptr;
}

const char* no_ca(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kBasicConstraints);
  if (extension == nullptr || !extension->critical)
    return "basicConstraints missing or not critical";
  // DER of an empty sequence: cA is FALSE by default (X.690 §11.5).
  return equal(extension->value, kNotCa) ? nullptr : "a CA certificate";
}

const char* key_usage(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kKeyUsage);
  if (extension == nullptr || !extension->critical) return "missing or not critical";
  const bool enciphers =
      s.key.kind() == crypto::KeyKind::kRsa && s.profile.kind != ProfileKind::kAttestationKey;
  const ByteView wanted = enciphers ? ByteView(kUsageSignEncipher) : ByteView(kUsageSign);
  return equal(extension->value, wanted) ? nullptr : "not the profile's bits";
}

const char* extended_key_usage(const LintSubject& s) {
  const auto& wanted = s.profile.purposes;
  if (wanted.empty() && s.certificate.extension(oid::kExtendedKeyUsage) != nullptr)
    return "a purpose where the profile has none";
  // What an attestation key says is believed: nothing else may have its purpose.
  const bool attests = std::ranges::find(wanted, kAttestationKeyPurpose) != wanted.end();
  if (attests != (s.profile.kind == ProfileKind::kAttestationKey))
    return "an attestation key's purpose in another kind of certificate, or none in its own";
  return s.certificate.extended_key_usages() == wanted ? nullptr
                                                       : "not exactly the profile's purpose";
}

const char* authority_key_id(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kAuthorityKeyId);
  if (extension == nullptr || extension->critical) return "missing or critical";
  x509::DerReader outer(extension->value);
  auto sequence = outer.sequence();
  if (!sequence) return "not readable";
  const auto id = sequence->element(x509::tag::context(0));
  return id && sequence->at_end() && equal(*id, s.issuer.key_id)
             ? nullptr
             : "not the issuer's subject key identifier";
}

const char* subject_key_id(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kSubjectKeyId);
  if (extension == nullptr || extension->critical) return "missing or critical";
  x509::DerReader reader(extension->value);
  const auto id = reader.element(x509::tag::kOctetString);
  return id && equal(*id, x509::key_id_of(s.key.spki_der())) ? nullptr : "not the key's identifier";
}

const char* alternative_names(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kSubjectAltName);
  if (s.profile.kind == ProfileKind::kSti)
    return extension == nullptr ? nullptr : "a name beside the telephone identity (RFC 8226)";
  if (extension == nullptr) return "missing";
  if (extension->critical != s.certificate.subject_is_empty)
    return "critical if, and only if, the subject is empty (RFC 5280 §4.2.1.6)";
  const auto wanted = alternative_names_of(s.identifiers, extension->critical, s.pseudonym, s.tpm);
  if (!wanted) return "the order's identifiers have no form";
  const auto got = x509::extension_der(oid::kSubjectAltName, extension->critical, extension->value);
  return equal(got, *wanted) ? nullptr : "not exactly the order's identifiers";
}

// Who asks for a remote attestation is not known by it; a TPM's facts stand in its keys' alone.
const char* names_of_kind(const LintSubject& s) {
  if (s.tpm.has_value() != (s.profile.kind == ProfileKind::kAttestationKey))
    return "a TPM's facts in another kind of certificate, or none for an attestation key";
  const auto is = [](wire::IdentifierType type) {
    return [type](const wire::Identifier& id) { return id.type == type; };
  };
  if (std::ranges::any_of(s.identifiers, is(wire::IdentifierType::kRemoteAttestation)))
    return "a remote attestation as a name";
  const bool service = std::ranges::any_of(s.identifiers, is(wire::IdentifierType::kMac)) ||
                       std::ranges::any_of(s.identifiers, is(wire::IdentifierType::kUri));
  if (service && s.profile.kind != ProfileKind::kThirdParty)
    return "a vendor's device in another kind of certificate";
  return nullptr;
}

// D-D10: what the profile says about the order's device identifiers, read from the certificate.
const char* device_privacy(const LintSubject& s) {
  if (!s.profile.for_devices())
    return s.pseudonym.empty() ? nullptr : "a pseudonym where there is no device";
  if (s.identifiers.empty() == s.pseudonym.empty())
    return "neither, or both, of identifier and pseudonym";
  if (!s.pseudonym.empty()) {
    const Bytes subject = subject_der(s.profile, s.pseudonym);
    if (!equal(s.certificate.subject_der, subject)) return "another subject than the pseudonym";
  }
  if (s.profile.device_names == DeviceNames::kOmit)
    return s.identifiers.empty() ? nullptr : "a device identifier that the profile leaves out";
  if (s.terms == nullptr) return nullptr;
  auto order = s.terms->identifiers;
  std::erase_if(order, [](const auto& id) { return identifier::is_attestation_type(id.type); });
  if (s.profile.device_names == DeviceNames::kRequire)
    return s.identifiers == order ? nullptr : "a device identifier of the order is missing";
  const bool all_of_order = std::ranges::all_of(
      s.identifiers, [&](const auto& id) { return std::ranges::find(order, id) != order.end(); });
  return all_of_order ? nullptr : "a device identifier that the order has not";
}

// RFC 8226 §8, §9, RFC 9118 §4: what the order's identifiers stand for, octet for octet; nowhere
// else.
const char* authority_identity(const LintSubject& s) {
  Bytes got;
  for (const auto& extension : s.certificate.extensions) {
    const bool authority = extension.oid == oid::kTnAuthList ||
                           extension.oid == oid::kJwtClaimConstraints ||
                           extension.oid == oid::kEnhancedJwtClaimConstraints;
    if (authority)
      append(got, x509::extension_der(extension.oid, extension.critical, extension.value));
  }
  if (s.profile.kind != ProfileKind::kSti)
    return got.empty() ? nullptr : "a telephone identity in a certificate of another kind";
  const auto wanted = authority_extensions(s.identifiers);
  if (!wanted || wanted->empty()) return "the order's identifiers have no form";
  Bytes all;
  for (const auto& extension : *wanted) append(all, extension);
  return equal(got, all) ? nullptr : "not exactly the order's identifiers";
}

// RFC 8555 §7.4: what the client asked for, to the second, or nothing at all.
const char* validity_as_asked(const LintSubject& s) {
  if (s.terms == nullptr) return nullptr;
  const bool begins =
      !s.terms->not_before_ms || *s.terms->not_before_ms == s.certificate.not_before_ms;
  const bool ends = !s.terms->not_after_ms || *s.terms->not_after_ms == s.certificate.not_after_ms;
  return begins && ends ? nullptr : "not what the order asks for";
}

// RFC 8739 §3.1.1, §3.5: between the order's dates, and no longer than its lifetime with what comes
// before it.
const char* renewal_bounds(const LintSubject& s) {
  if (s.terms == nullptr || !s.terms->star) return nullptr;
  const auto& star = *s.terms->star;
  if (s.certificate.not_before_ms < star.start_ms) return "begins before the order's start";
  if (s.certificate.not_after_ms > star.end_ms) return "ends after the order's end";
  const auto length_ms = s.certificate.not_after_ms - s.certificate.not_before_ms;
  const auto half_ms = (star.lifetime_ms + 1'000) / 2;
  return length_ms <= star.lifetime_ms + std::max(star.lifetime_adjust_ms, half_ms)
             ? nullptr
             : "longer than the order's lifetime";
}

const char* no_other_extension(const LintSubject& s) {
  const bool known =
      std::all_of(s.certificate.extensions.begin(), s.certificate.extensions.end(),
                  [](const x509::Extension& e) {
                    return std::find(kAllowedExtensions.begin(), kAllowedExtensions.end(), e.oid) !=
                           kAllowedExtensions.end();
                  });
  return known ? nullptr : "an extension that no profile has";
}

// RFC 5280 §4.2.1.13: where the issuer's list is, and nothing else.
const char* distribution_points(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kCrlDistributionPoints);
  if (s.issuer.crl_url.empty())
    return extension == nullptr ? nullptr : "a distribution point that the issuer has not";
  if (extension == nullptr || extension->critical) return "missing, or critical";
  const Bytes wanted = x509::ext_crl_distribution_points(list_url(s.issuer, s.list));
  const Bytes held = x509::extension_der(oid::kCrlDistributionPoints, false, extension->value);
  return held == wanted ? nullptr : "not the issuer's";
}

// RFC 5280 §4.2.2.1: where the issuer's OCSP responder and certificate are, and nothing else.
const char* information_access(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kAuthorityInfoAccess);
  if (s.issuer.ocsp_url.empty() && s.issuer.ca_issuers_url.empty())
    return extension == nullptr ? nullptr : "a place that the issuer has not";
  if (extension == nullptr || extension->critical) return "missing, or critical";
  const Bytes wanted = x509::ext_authority_info_access(s.issuer.ocsp_url, s.issuer.ca_issuers_url);
  const Bytes held = x509::extension_der(oid::kAuthorityInfoAccess, false, extension->value);
  return held == wanted ? nullptr : "not the issuer's";
}

bool is_in_network(ByteView address, ByteView subtree) {
  if (subtree.size() != address.size() * 2) return false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (((address[i] ^ subtree[i]) & subtree[address.size() + i]) != 0) return false;
  }
  return true;
}

bool is_permitted(const Issuer& issuer, const x509::DerReader::Any& name) {
  constexpr auto kDnsName = x509::tag::context(2), kIpAddress = x509::tag::context(7);
  if (name.tag == kIpAddress && !issuer.permitted_ip.empty())
    return std::ranges::any_of(issuer.permitted_ip, [&](const Bytes& subtree) {
      return is_in_network(name.content, subtree);
    });
  if (name.tag != kDnsName || issuer.permitted_dns.empty()) return true;
  std::string_view dns = text_of(name.content);
  if (dns.starts_with("*.")) dns.remove_prefix(2);
  return std::ranges::any_of(issuer.permitted_dns, [&](const std::string& base) {
    return identifier::is_within(dns, base);
  });
}

// RFC 5280 §4.2.1.10: every dns name and address lies in a permitted subtree of the issuer; a kind of
// name that the issuer does not constrain is free.
const char* name_constraints(const LintSubject& s) {
  const auto* extension = s.certificate.extension(oid::kSubjectAltName);
  const bool none = s.issuer.permitted_dns.empty() && s.issuer.permitted_ip.empty();
  if (none || extension == nullptr) return nullptr;  // `alternative_names` wants it there
  x509::DerReader outer(extension->value);
  auto names = outer.sequence();
  if (!names) return "not readable";
  while (!names->at_end()) {
    const auto name = names->any();
    if (!name) return "not readable";
    if (!is_permitted(s.issuer, *name)) return "a name outside the issuer's name constraints";
  }
  return nullptr;
}

constexpr Lint kLints[] = {
    {"version", version},
    {"serial", serial},
    {"validity-order", validity_order},
    {"validity-cap", validity_cap},
    {"validity-of-issuer", validity_of_issuer},
    {"issuer-name", issuer_name},
    {"subject-name", subject_name},
    {"signature-algorithm", signature_algorithm},
    {"public-key", public_key},
    {"no-ca", no_ca},
    {"key-usage", key_usage},
    {"extended-key-usage", extended_key_usage},
    {"authority-key-id", authority_key_id},
    {"subject-key-id", subject_key_id},
    {"alternative-names", alternative_names},
    {"no-other-extension", no_other_extension},
    {"distribution-points", distribution_points},
    {"information-access", information_access},
    {"name-constraints", name_constraints},
    {"authority-identity", authority_identity},
    {"validity-as-asked", validity_as_asked},
    {"renewal-bounds", renewal_bounds},
    {"device-privacy", device_privacy},
    {"names-of-kind", names_of_kind},
};

}  // namespace

std::span<const Lint> all_lints() { return kLints; }

Verdict<LintedTbs> lint_tbs(Bytes tbs_der, const CertificatePlan& plan, std::int64_t backdate_ms) {
  const Bytes dummy_signature(64, 0);  // never leaves: a certificate that verifies nowhere
  const auto certificate = x509::parse_certificate(
      x509::join_certificate(tbs_der, plan.issuer.signature_algorithm_der, dummy_signature),
      x509::KeyReading::kSkip);  // `public_key` compares its octets
  if (!certificate)
    return refuse(wire::FailureKind::kInternal, "lint-failed",
                  std::string("parse: ") + certificate.error().what);
  if (!equal(certificate->tbs_der, tbs_der))
    return refuse(wire::FailureKind::kInternal, "lint-failed", "parse: another TBS was read back");
  const LintSubject subject{*certificate, plan.profile, plan.issuer, plan.identifiers,
                            plan.key,     backdate_ms,  plan.terms,  plan.pseudonym,
                            plan.tpm,     plan.list};
  for (const auto& lint : kLints) {
    if (const char* why = lint.check(subject)) {
      return refuse(wire::FailureKind::kInternal, "lint-failed",
                    std::string(lint.name) + ": " + why);
    }
  }
  return LintedTbs(std::move(tbs_der), plan);
}

}  // namespace keyward::issue
