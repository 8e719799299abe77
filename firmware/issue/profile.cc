#include "firmware/issue/profile.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/grants.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::string_view kCommonName = "2.5.4.3";
constexpr std::string_view kServerAuth = "1.3.6.1.5.5.7.3.1", kClientAuth = "1.3.6.1.5.5.7.3.2";
constexpr std::size_t kCommonNameMax = 64;  // RFC 5280, ub-common-name

std::int64_t floor_to_second(std::int64_t ms) { return ms - ms % 1000; }

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

// OpenSSL applies dns name constraints to a CN that looks like a host name when there is no dns
// SAN.
bool looks_like_host(std::string_view text) {
  return text.find('.') != text.npos && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == '_';
         });
}

std::string device_name(const wire::Identifier& device, bool issuer_is_constrained) {
  const auto parts = identifier::split_device_value(device);
  const std::string value = parts ? parts->value : device.value;
  const bool fits = !value.empty() && value.size() <= kCommonNameMax && is_printable_ascii(value);
  if (fits && !(issuer_is_constrained && looks_like_host(value))) return value;
  return "device-" + hex_encode(crypto::sha256(view_of(device.value))).substr(0, 32);
}

}  // namespace

Profiles::Profiles(std::int64_t device_days, std::int64_t server_days)
    : profiles_{Profile{"device", true, std::string(kClientAuth), device_days * kDayMs},
                Profile{"server", false, std::string(kServerAuth), server_days * kDayMs}} {}

const Profile* Profiles::find(std::string_view name) const {
  const auto found = std::find_if(profiles_.begin(), profiles_.end(),
                                  [&](const Profile& p) { return p.name == name; });
  return found == profiles_.end() ? nullptr : &*found;
}

const Profile* Profiles::fitting(const std::vector<wire::Identifier>& identifiers) const {
  const auto found = std::find_if(profiles_.begin(), profiles_.end(),
                                  [&](const Profile& p) { return takes(p, identifiers); });
  return found == profiles_.end() ? nullptr : &*found;
}

std::vector<wire::ProfileInfo> Profiles::infos() const {
  std::vector<wire::ProfileInfo> out;
  for (const auto& profile : profiles_) {
    wire::ProfileInfo info;
    info.name = profile.name;
    info.description = profile.for_devices
                           ? "Client certificate for a device whose key was attested"
                           : "TLS server certificate";
    info.identifier_types = profile.for_devices ? std::vector<std::string>{"permanent-identifier"}
                                                : std::vector<std::string>{"dns"};
    info.methods = profile.for_devices ? std::vector<std::string>{"device-attest-01"}
                                       : std::vector<std::string>{"http-01"};
    out.push_back(std::move(info));
  }
  return out;
}

bool takes(const Profile& profile, const std::vector<wire::Identifier>& identifiers) {
  return !identifiers.empty() &&
         std::all_of(identifiers.begin(), identifiers.end(), [&](const wire::Identifier& id) {
           return is_device_type(id.type) == profile.for_devices;
         });
}

std::optional<Validity> validity_of(const Profile& profile, const Issuer& issuer,
                                    std::int64_t backdate_ms, std::int64_t now_ms) {
  const auto& own = issuer.certificate;
  if (now_ms < own.not_before_ms || now_ms >= own.not_after_ms) return std::nullopt;
  Validity validity;
  validity.not_before_ms = std::max(floor_to_second(now_ms - backdate_ms), own.not_before_ms);
  // notAfter is inclusive (RFC 5280 §4.1.2.5): one second less than the lifetime.
  validity.not_after_ms =
      std::min(floor_to_second(now_ms + profile.lifetime_ms) - 1'000, own.not_after_ms);
  return validity;
}

Bytes subject_of(const CertificatePlan& plan) {
  const std::string common_name(kCommonName);
  if (plan.profile.for_devices) {
    return x509::name_der(
        {{common_name, device_name(plan.identifiers.front(), !plan.issuer.permitted_dns.empty())}});
  }
  for (const auto& id : plan.identifiers) {
    if (id.type == wire::IdentifierType::kDns && id.value.size() <= kCommonNameMax)
      return x509::name_der({{common_name, id.value}});
  }
  return x509::name_der({});
}

Result<Bytes> build_profile_tbs(const CertificatePlan& plan) {
  const Bytes subject = subject_of(plan);
  const bool subject_is_empty = subject == x509::name_der({});
  KEYWARD_TRY(names, x509::ext_subject_alt_name(plan.identifiers, subject_is_empty));
  // Key transport only where the key can do it (RFC 8446 clients need digitalSignature alone;
  // TLS 1.2 RSA).
  const Bytes usage = plan.key.kind() == crypto::KeyKind::kRsa
                          ? x509::ext_key_usage({x509::kDigitalSignature, x509::kKeyEncipherment})
                          : x509::ext_key_usage({x509::kDigitalSignature});
  x509::TbsSpec spec;
  spec.serial = plan.serial;
  spec.signature_algorithm = plan.issuer.signature_algorithm_der;
  spec.issuer_name_der = plan.issuer.certificate.subject_der;
  spec.subject_name_der = subject;
  spec.not_before_ms = plan.validity.not_before_ms;
  spec.not_after_ms = plan.validity.not_after_ms;
  spec.spki_der = plan.key.spki_der();
  spec.extensions = {x509::ext_authority_key_id(plan.issuer.key_id),
                     x509::ext_subject_key_id(plan.key.spki_der()),
                     usage,
                     x509::ext_basic_constraints(false, std::nullopt),
                     x509::ext_extended_key_usage({plan.profile.extended_key_usage}),
                     names};
  return x509::build_tbs(spec);
}

}  // namespace keyward::issue
