#include "firmware/attest/ak_certificate.h"

#include <algorithm>

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::string_view kAikCertificate = "2.23.133.8.3";               // tcg-kp-AIKCertificate
constexpr std::string_view kPermanentIdentifierOid = "1.3.6.1.5.5.7.8.3";  // RFC 4043
constexpr std::string_view kHardwareModuleOid = "1.3.6.1.5.5.7.8.4";       // RFC 4108
constexpr std::string_view kTpmManufacturer = "2.23.133.2.1";
constexpr std::string_view kTpmModel = "2.23.133.2.2";
constexpr std::string_view kTpmVersion = "2.23.133.2.3";
constexpr std::uint8_t kOtherName = x509::tag::context_constructed(0);
constexpr std::uint8_t kDirectoryName = x509::tag::context_constructed(4);

Status read_directory_name(ByteView name_der, AkSubject& out) {
  return x509::for_each_attribute(name_der,
                                  [&](ByteView type, const x509::DerReader::Any& value) -> Status {
                                    if (value.content.empty())
                                      return {};  // an empty attribute says nothing
                                    const std::string oid = x509::oid_text(type);
                                    out.has_manufacturer |= oid == kTpmManufacturer;
                                    out.has_model |= oid == kTpmModel;
                                    out.has_version |= oid == kTpmVersion;
                                    return {};
                                  });
}

// PermanentIdentifier ::= SEQUENCE { identifierValue UTF8String OPTIONAL, assigner OID OPTIONAL }
Status read_permanent_identifier(x509::DerReader& other_name, AkSubject& out) {
  KEYWARD_TRY(wrapped, other_name.nested(x509::tag::context_constructed(0)));
  KEYWARD_CHECK(other_name.expect_end());
  KEYWARD_TRY(body, wrapped.sequence());
  KEYWARD_CHECK(wrapped.expect_end());
  // Without identifierValue the subject's serialNumber would be meant; device-attest-10 forbids
  // that.
  if (body.peek_tag() != x509::tag::kUtf8String) return {};
  KEYWARD_TRY(value, body.element(x509::tag::kUtf8String));
  if (!wire::is_valid_utf8(value))
    return fail(ErrorKind::kBadInput, "identifierValue is not UTF-8");
  PermanentIdentifier identifier{std::string(text_of(value)), std::nullopt};
  if (!body.at_end()) {
    KEYWARD_TRY(assigner, body.oid());
    identifier.assigner = x509::oid_text(assigner);
  }
  KEYWARD_CHECK(body.expect_end());
  out.permanent_identifiers.push_back(std::move(identifier));
  return {};
}

// HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING }
Status read_hardware_module(x509::DerReader& other_name, AkSubject& out) {
  KEYWARD_TRY(wrapped, other_name.nested(x509::tag::context_constructed(0)));
  KEYWARD_CHECK(other_name.expect_end());
  KEYWARD_TRY(body, wrapped.sequence());
  KEYWARD_CHECK(wrapped.expect_end());
  KEYWARD_TRY(type, body.oid());
  KEYWARD_TRY(serial, body.element(x509::tag::kOctetString));
  KEYWARD_CHECK(body.expect_end());
  // An order never names an empty serial: such a name says nothing.
  if (!serial.empty())
    out.hardware_modules.push_back({x509::oid_text(type), std::string(text_of(serial))});
  return {};
}

bool asserts_permanent_identifier(const AkSubject& subject, std::string_view order_value) {
  const auto slash = order_value.find('/');
  const std::string_view value = order_value.substr(0, slash);
  return std::ranges::any_of(subject.permanent_identifiers, [&](const auto& asserted) {
    if (asserted.value != value) return false;
    // D-D8: an order without assigner is met by any; one with assigner only by the same.
    if (slash == std::string_view::npos) return true;
    return asserted.assigner && *asserted.assigner == order_value.substr(slash + 1);
  });
}

bool asserts_hardware_module(const AkSubject& subject, std::string_view order_value,
                             std::string_view module_type) {
  const auto slash = order_value.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view serial = order_value.substr(0, slash),
                         type = order_value.substr(slash + 1);
  const bool named = std::ranges::any_of(subject.hardware_modules, [&](const auto& asserted) {
    return asserted.serial == serial && asserted.type == type;
  });
  if (named) return true;
  if (module_type.empty() || type != module_type) return false;
  return std::ranges::any_of(subject.permanent_identifiers,
                             [&](const auto& asserted) { return asserted.value == serial; });
}

}  // namespace

Result<AkSubject> parse_ak_subject(ByteView subject_alt_name) {
  AkSubject out;
  x509::DerReader outer(subject_alt_name);
  KEYWARD_TRY(names, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  while (!names.at_end()) {
    KEYWARD_TRY(name, names.any());
    if (name.tag == kDirectoryName) KEYWARD_CHECK(read_directory_name(name.content, out));
    if (name.tag == kOtherName) {
      x509::DerReader other(name.content);
      KEYWARD_TRY(type, other.oid());
      if (x509::oid_text(type) == kPermanentIdentifierOid)
        KEYWARD_CHECK(read_permanent_identifier(other, out));
      else if (x509::oid_text(type) == kHardwareModuleOid)
        KEYWARD_CHECK(read_hardware_module(other, out));
    }
  }
  return out;
}

Appraised<AkSubject> check_ak_certificate(const x509::Certificate& certificate) {
  if (certificate.version != 3)
    return refuse("ak.version", "the AK certificate must be X.509 version 3");
  if (!certificate.subject_is_empty)
    return refuse("ak.subject", "the AK certificate's subject must be empty (TCG AK profile)");
  if (certificate.basic_constraints_ca() != false)
    return refuse("ak.ca", "the AK certificate must have basicConstraints with CA:FALSE");
  const auto usages = certificate.extended_key_usages();
  if (std::ranges::find(usages, kAikCertificate) == usages.end()) {
    return refuse(
        "ak.eku",
        "the AK certificate lacks the extended key usage 2.23.133.8.3 (tcg-kp-AIKCertificate)");
  }
  if (!certificate.key)
    return refuse("ak.key", "the AK certificate's key is of a type that is not accepted");
  const auto* san = certificate.extension(kSubjectAltName);
  if (san == nullptr || !san->critical) {
    return refuse("ak.san",
                  "the AK certificate needs a critical subjectAltName, since its subject is empty");
  }
  auto subject = parse_ak_subject(san->value);
  if (!subject)
    return refuse("ak.san", std::string("the AK certificate's subjectAltName is malformed: ") +
                                subject.error().what);
  if (!subject->has_manufacturer || !subject->has_model || !subject->has_version) {
    return refuse("ak.san",
                  "the AK certificate's subjectAltName must name TPM manufacturer, model and "
                  "version (2.23.133.2.1 to .3)");
  }
  return *subject;
}

Appraised<void> check_ak_chain(const x509::Certificate& leaf,
                               const std::vector<x509::Certificate>& intermediates,
                               const std::vector<x509::Certificate>& anchors,
                               std::int64_t at_utc_ms) {
  if (anchors.empty())
    return refuse("ak.unknown-ca", "no trust anchor for AK certificates is configured");
  const auto chained =
      x509::verify_chain(leaf, intermediates, anchors, {at_utc_ms, {std::string(kSubjectAltName)}});
  if (chained) return {};
  const std::string_view why = chained.error().what;
  if (why == "certificate expired")
    return refuse("ak.expired", "the AK certificate, or one in its chain, has expired");
  if (why == "certificate not yet valid")
    return refuse("ak.not-yet-valid",
                  "the AK certificate, or one in its chain, is not valid yet: check the clocks");
  if (why == "no path to a trust anchor") {
    return refuse("ak.unknown-ca",
                  "the AK certificate was issued by a CA that is not among the configured trust "
                  "anchors (attestation.ak_roots)");
  }
  return refuse("ak.chain", "the AK certificate's chain does not verify: " + std::string(why));
}

std::optional<Bytes> revocable_serial(const x509::Certificate& certificate) {
  if (certificate.serial.size() > limits::kSerialOctetsMax) return std::nullopt;
  return certificate.serial;
}

Appraised<void> check_ak_identifier(const AkSubject& subject, const wire::Identifier& identifier,
                                    std::string_view module_type) {
  const bool module = identifier.type == wire::IdentifierType::kHardwareModule;
  const bool by_table = module && !module_type.empty();
  const bool asserts_any = (module && !subject.hardware_modules.empty()) ||
                           ((!module || by_table) && !subject.permanent_identifiers.empty());
  if (!asserts_any) {
    return refuse("ak.no-identifier", std::string("the AK certificate asserts no ") +
                                          (module ? "HardwareModuleName" : "permanentIdentifier") +
                                          ", so nothing ties it to the ordered device");
  }
  const bool asserted = module ? asserts_hardware_module(subject, identifier.value, module_type)
                               : asserts_permanent_identifier(subject, identifier.value);
  if (asserted) return {};
  return refuse("ak.identifier",
                std::string("the AK certificate belongs to another device than the "
                            "order's ") +
                    (module ? "hardware-module" : "permanent-identifier"));
}

}  // namespace keyward::attest
