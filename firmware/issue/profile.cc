#include "firmware/issue/profile.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/crl_content.h"
#include "firmware/issue/grants.h"
#include "firmware/issue/pseudonym.h"
#include "firmware/wire/challenge_types.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::string_view kCommonName = "2.5.4.3", kCountry = "2.5.4.6",
                           kOrganization = "2.5.4.10", kOrganizationalUnit = "2.5.4.11";
constexpr std::string_view kTnAuthList = "1.3.6.1.5.5.7.1.26",
                           kJwtClaimConstraints = "1.3.6.1.5.5.7.1.27",
                           kEnhancedJwtClaimConstraints = "1.3.6.1.5.5.7.1.33";
constexpr std::string_view kServerAuth = "1.3.6.1.5.5.7.3.1", kClientAuth = "1.3.6.1.5.5.7.3.2";
// tcg-kp-AIKCertificate; tpmManufacturer, tpmModel, tpmVersion.
constexpr std::string_view kAttestationKeyPurpose = "2.23.133.8.3",
                           kTpmManufacturer = "2.23.133.2.1", kTpmModel = "2.23.133.2.2",
                           kTpmVersion = "2.23.133.2.3";
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

// The first service provider code of a TNAuthorizationList (RFC 8226 §9: [0] EXPLICIT IA5String).
std::optional<std::string> service_provider_code(ByteView list_der) {
  x509::DerReader outer(list_der);
  auto entries = outer.sequence();
  while (entries && !entries->at_end()) {
    auto entry = entries->any();
    if (!entry) return std::nullopt;
    if (entry->tag != x509::tag::context_constructed(0)) continue;
    x509::DerReader inner(entry->content);
    const auto code = inner.element(x509::tag::kIa5String);
    if (!code) return std::nullopt;
    return std::string(text_of(*code));
  }
  return std::nullopt;
}

std::string telephone_name(const std::vector<wire::Identifier>& identifiers) {
  for (const auto& id : identifiers) {
    if (id.type != wire::IdentifierType::kTnAuthList) continue;
    const auto der = identifier::authority_der(id);
    const auto code = der ? service_provider_code(*der) : std::nullopt;
    const std::string name = "SHAKEN " + code.value_or("");
    if (code && name.size() <= kCommonNameMax && is_printable_ascii(name)) return name;
    return "telephone-" + hex_encode(crypto::sha256(view_of(id.value))).substr(0, 32);
  }
  return "telephone";  // takes() wants a TNAuthList
}

std::vector<std::string> identifier_types_of(const Profile& profile) {
  using wire::IdentifierType;
  std::vector<IdentifierType> types;
  switch (profile.kind) {
    case ProfileKind::kDevice:
      types = {IdentifierType::kPermanentIdentifier, IdentifierType::kHardwareModule};
      break;
    case ProfileKind::kServer:
      types = {IdentifierType::kDns};
      if (profile.ip) types.push_back(IdentifierType::kIp);
      break;
    case ProfileKind::kAttestationKey:  // of no order
      break;
    case ProfileKind::kThirdParty:
      types = {IdentifierType::kMac, IdentifierType::kUri};
      break;
    case ProfileKind::kSti:
      types = {IdentifierType::kTnAuthList, IdentifierType::kJwtClaimConstraints,
               IdentifierType::kEnhancedJwtClaimConstraints};
      break;
  }
  std::vector<std::string> out;
  for (const auto type : types) out.emplace_back(identifier::to_string(type));
  return out;
}

std::string_view description_of(ProfileKind kind) {
  switch (kind) {
    case ProfileKind::kDevice:
      return "Client certificate for a device whose key was attested";
    case ProfileKind::kServer:
      return "TLS server certificate";
    case ProfileKind::kSti:
      return "Telephone identity certificate (RFC 8226)";
    case ProfileKind::kAttestationKey:
      return "Certificate of a TPM's attestation key";
    case ProfileKind::kThirdParty:
      return "Certificate of a device that its vendor vouches for";
  }
  return "";
}

bool takes_one(const Profile& profile, const wire::Identifier& id) {
  switch (profile.kind) {
    case ProfileKind::kDevice:
      return is_device_type(id.type);
    case ProfileKind::kServer:
      if (id.type == wire::IdentifierType::kIp) return profile.ip;
      return id.type == wire::IdentifierType::kDns &&
             (profile.wildcard || !identifier::is_wildcard(id));
    case ProfileKind::kSti:
      return identifier::is_authority_type(id.type);
    case ProfileKind::kThirdParty:
      return id.type == wire::IdentifierType::kMac || id.type == wire::IdentifierType::kUri;
    case ProfileKind::kAttestationKey:
      break;
  }
  return false;
}

}  // namespace

Profile make_profile(std::string_view name, ProfileKind kind, std::int64_t days) {
  Profile profile;
  profile.name = name;
  profile.kind = kind;
  profile.description = description_of(kind);
  profile.lifetime_ms = days * kDayMs;
  profile.methods = methods_of(kind);
  profile.purposes = purposes_of(kind);
  profile.wildcard = profile.ip = kind == ProfileKind::kServer;
  // Possession of an earlier certificate's key proves less: nobody has it without asking.
  std::erase(profile.methods, wire::ValidationMethod::kPossession01);
  return profile;
}

std::vector<wire::ValidationMethod> methods_of(ProfileKind kind) {
  using wire::ValidationMethod;
  switch (kind) {
    case ProfileKind::kDevice:
      return {ValidationMethod::kDeviceAttest01};
    case ProfileKind::kServer:
      return {ValidationMethod::kHttp01,       ValidationMethod::kDns01,
              ValidationMethod::kTlsAlpn01,    ValidationMethod::kDnsAccount01,
              ValidationMethod::kDnsPersist01, ValidationMethod::kPossession01};
    case ProfileKind::kSti:
      return {ValidationMethod::kTkauth01};
    case ProfileKind::kThirdParty:
      return {ValidationMethod::kTkauth01, ValidationMethod::kVendorJwt01};
    case ProfileKind::kAttestationKey:
      break;
  }
  return {};
}

std::vector<std::string> purposes_of(ProfileKind kind) {
  switch (kind) {
    case ProfileKind::kDevice:
      return {std::string(kClientAuth)};
    case ProfileKind::kServer:
      return {std::string(kServerAuth)};
    case ProfileKind::kThirdParty:  // a phone or a door station is both ends of TLS
      return {std::string(kClientAuth), std::string(kServerAuth)};
    case ProfileKind::kAttestationKey:
      return {std::string(kAttestationKeyPurpose)};
    case ProfileKind::kSti:
      break;
  }
  return {};
}

Profiles::Profiles(std::int64_t device_days, std::int64_t server_days)
    : Profiles(std::vector<Profile>{make_profile("device", ProfileKind::kDevice, device_days),
                                    make_profile("server", ProfileKind::kServer, server_days)}) {}

Profiles::Profiles(std::vector<Profile> profiles) : profiles_(std::move(profiles)) {
  std::sort(profiles_.begin(), profiles_.end(), [](const Profile& a, const Profile& b) {
    return a.preference != b.preference ? a.preference < b.preference : a.name < b.name;
  });
}

const Profile* Profiles::find(std::string_view name) const {
  const auto found = std::find_if(profiles_.begin(), profiles_.end(),
                                  [&](const Profile& p) { return p.name == name; });
  return found == profiles_.end() ? nullptr : &*found;
}

const Profile* Profiles::fitting(const std::vector<wire::Identifier>& identifiers,
                                 bool renewed) const {
  const auto found = std::find_if(profiles_.begin(), profiles_.end(), [&](const Profile& p) {
    return takes(p, identifiers) && (!renewed || p.star);
  });
  if (found == profiles_.end() && renewed) return fitting(identifiers);  // who refuses says why
  return found == profiles_.end() ? nullptr : &*found;
}

const Profile* Profiles::ak_profile() const {
  const auto found = std::ranges::find(profiles_, ProfileKind::kAttestationKey, &Profile::kind);
  return found == profiles_.end() ? nullptr : &*found;
}

std::vector<wire::ProfileInfo> Profiles::infos() const {
  std::vector<wire::ProfileInfo> out;
  for (const auto& profile : profiles_) {
    wire::ProfileInfo info;
    info.name = profile.name;
    info.description = profile.description;
    info.identifier_types = identifier_types_of(profile);
    info.attestations = profile.attestations;
    for (const auto method : profile.methods)
      info.methods.emplace_back(wire::challenge_type(method));
    // No challenge: it says that such certificates are made here (docs/attestation-ca.md).
    if (profile.kind == ProfileKind::kAttestationKey) info.methods = {"attestation-ca"};
    if (profile.star) {
      info.star_lifetime_s_min = static_cast<std::uint64_t>(profile.star->lifetime_s_min);
      info.star_duration_s_max = static_cast<std::uint64_t>(profile.star->duration_s_max);
    }
    out.push_back(std::move(info));
  }
  return out;
}

// D-R5: an order of nothing but remote attestations would certify nothing.
bool takes(const Profile& profile, const std::vector<wire::Identifier>& identifiers) {
  const auto is_hint = [](const wire::Identifier& id) {
    return identifier::is_attestation_type(id.type);
  };
  const bool all = std::ranges::all_of(identifiers, [&](const wire::Identifier& id) {
    return is_hint(id) || takes_one(profile, id);
  });
  if (!all || std::ranges::all_of(identifiers, is_hint)) return false;
  if (profile.kind == ProfileKind::kThirdParty)
    return std::ranges::count(identifiers, wire::IdentifierType::kMac, &wire::Identifier::type) > 0;
  if (profile.kind != ProfileKind::kSti) return true;
  // One list, so that its token and its certificate say the same; RFC 9118's form of the claim
  // constraints replaces RFC 8226's.
  const auto lists = std::count_if(
      identifiers.begin(), identifiers.end(),
      [](const wire::Identifier& id) { return id.type == wire::IdentifierType::kTnAuthList; });
  const auto constraints = std::ranges::count_if(identifiers,
                                                 [](const wire::Identifier& id) {
                                                   return identifier::is_authority_type(id.type);
                                                 }) -
                           lists;
  return lists == 1 && constraints <= 1;
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

Bytes subject_der(const Profile& profile, std::string_view common_name) {
  std::vector<x509::NameAttribute> out;
  const auto& words = profile.subject;
  if (!words.country.empty()) out.push_back({std::string(kCountry), words.country});
  if (!words.organization.empty()) out.push_back({std::string(kOrganization), words.organization});
  for (const auto& unit : words.units) out.push_back({std::string(kOrganizationalUnit), unit});
  if (profile.common_name && !common_name.empty())
    out.push_back({std::string(kCommonName), std::string(common_name)});
  return x509::name_der(out);
}

Bytes subject_of(const CertificatePlan& plan) {
  if (!plan.pseudonym.empty()) return subject_der(plan.profile, plan.pseudonym);
  const auto name = common_name_of(plan.profile, plan.issuer, plan.identifiers);
  return subject_der(plan.profile, name.value_or(""));
}

std::optional<std::string> common_name_of(const Profile& profile, const Issuer& issuer,
                                          const std::vector<wire::Identifier>& identifiers) {
  switch (profile.kind) {
    case ProfileKind::kDevice:
      if (identifiers.empty()) return std::nullopt;  // a pseudonym's
      return device_name(identifiers.front(), !issuer.permitted_dns.empty());
    case ProfileKind::kSti:
      return telephone_name(identifiers);
    case ProfileKind::kThirdParty: {
      const auto mac =
          std::ranges::find(identifiers, wire::IdentifierType::kMac, &wire::Identifier::type);
      if (mac == identifiers.end()) return std::nullopt;
      return mac->value;
    }
    case ProfileKind::kAttestationKey:
      return std::nullopt;
    case ProfileKind::kServer:
      break;
  }
  for (const auto& id : identifiers) {
    if (id.type == wire::IdentifierType::kDns && id.value.size() <= kCommonNameMax) return id.value;
  }
  return std::nullopt;
}

std::string_view authority_extension_oid(wire::IdentifierType type) {
  switch (type) {
    case wire::IdentifierType::kTnAuthList:
      return kTnAuthList;
    case wire::IdentifierType::kJwtClaimConstraints:
      return kJwtClaimConstraints;
    case wire::IdentifierType::kEnhancedJwtClaimConstraints:
      return kEnhancedJwtClaimConstraints;
    default:
      return "";
  }
}

// RFC 8226 §8, §9 and RFC 9118 §4: none of them critical.
Result<std::vector<Bytes>> authority_extensions(const std::vector<wire::Identifier>& identifiers) {
  std::vector<Bytes> out;
  for (const auto& id : identifiers) {
    KEYWARD_TRY(value, identifier::authority_der(id));
    out.push_back(x509::extension_der(authority_extension_oid(id.type), false, value));
  }
  return out;
}

Result<Bytes> alternative_names_of(const std::vector<wire::Identifier>& identifiers, bool critical,
                                   std::string_view pseudonym, const std::optional<TpmFacts>& tpm) {
  std::vector<std::string> uris;
  if (!pseudonym.empty()) uris.push_back(pseudonym_uri(std::string(pseudonym)));
  Bytes tpm_name;
  if (tpm) {
    if (tpm->manufacturer.empty() || tpm->model.empty() || tpm->version.empty() ||
        identifiers.empty())
      return fail(ErrorKind::kBadInput, "profile: an attestation key's TPM is not told");
    tpm_name = x509::name_der({{std::string(kTpmManufacturer), tpm->manufacturer},
                               {std::string(kTpmModel), tpm->model},
                               {std::string(kTpmVersion), tpm->version}});
  }
  return x509::ext_subject_alt_name(identifiers, critical, uris, tpm_name);
}

Bytes key_usage_of(ProfileKind kind, const crypto::PublicKey& key) {
  // Key transport only where the key can do it (RFC 8446 clients need digitalSignature alone;
  // TLS 1.2 RSA).
  if (key.kind() == crypto::KeyKind::kRsa && kind != ProfileKind::kAttestationKey)
    return x509::ext_key_usage({x509::kDigitalSignature, x509::kKeyEncipherment});
  return x509::ext_key_usage({x509::kDigitalSignature});
}

Result<Bytes> build_profile_tbs(const CertificatePlan& plan) {
  const Bytes subject = subject_of(plan);
  const bool subject_is_empty = subject == x509::name_der({});
  if (plan.tpm.has_value() != (plan.profile.kind == ProfileKind::kAttestationKey))
    return fail(ErrorKind::kBadInput, "profile: a TPM's facts belong to attestation keys");
  x509::TbsSpec spec;
  spec.serial = plan.serial;
  spec.signature_algorithm = plan.issuer.signature_algorithm_der;
  spec.issuer_name_der = plan.issuer.certificate.subject_der;
  spec.subject_name_der = subject;
  spec.not_before_ms = plan.validity.not_before_ms;
  spec.not_after_ms = plan.validity.not_after_ms;
  spec.spki_der = plan.key.spki_der();
  spec.extensions = {
      x509::ext_authority_key_id(plan.issuer.key_id), x509::ext_subject_key_id(plan.key.spki_der()),
      key_usage_of(plan.profile.kind, plan.key), x509::ext_basic_constraints(false, std::nullopt)};
  if (plan.profile.kind == ProfileKind::kSti) {
    KEYWARD_TRY(authority, authority_extensions(plan.identifiers));
    for (auto& extension : authority) spec.extensions.push_back(std::move(extension));
  } else {
    KEYWARD_TRY(names,
                alternative_names_of(plan.identifiers, subject_is_empty, plan.pseudonym, plan.tpm));
    spec.extensions.push_back(x509::ext_extended_key_usage(plan.profile.purposes));
    spec.extensions.push_back(std::move(names));
  }
  if (!plan.issuer.crl_url.empty())
    spec.extensions.push_back(x509::ext_crl_distribution_points(list_url(plan.issuer, plan.list)));
  if (!plan.issuer.ocsp_url.empty() || !plan.issuer.ca_issuers_url.empty())
    spec.extensions.push_back(
        x509::ext_authority_info_access(plan.issuer.ocsp_url, plan.issuer.ca_issuers_url));
  return x509::build_tbs(spec);
}

}  // namespace keyward::issue
