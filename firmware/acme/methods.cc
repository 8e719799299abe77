#include "firmware/acme/methods.h"

#include <algorithm>
#include <array>

#include "firmware/acme/render.h"
#include "firmware/identifier/identifier.h"
#include "firmware/wire/challenge_types.h"

namespace keyward::acme {
namespace {

using wire::IdentifierType;
using wire::ValidationMethod;

// As they are offered; a client that takes the first one it knows gets the plainest.
constexpr std::array kOffered = {
    ValidationMethod::kHttp01,         ValidationMethod::kDns01,
    ValidationMethod::kTlsAlpn01,      ValidationMethod::kDnsAccount01,
    ValidationMethod::kDnsPersist01,   ValidationMethod::kDeviceAttest01,
    ValidationMethod::kTkauth01,       ValidationMethod::kPossession01,
    ValidationMethod::kRemoteAttest01, ValidationMethod::kVendorJwt01,
};

// What a profile of this kind says in place of challenge types.
constexpr std::string_view kAttestationCa = "attestation-ca";

bool is_dns_method(ValidationMethod method) {
  return method == ValidationMethod::kDns01 || method == ValidationMethod::kDnsAccount01 ||
         method == ValidationMethod::kDnsPersist01;
}

// A file or a key on one host says nothing about all names of a zone: wildcards and subtrees are
// proved in the DNS alone (RFC 8555 §8.3, RFC 9444 §4).
bool can_prove_dns(ValidationMethod method, const Wanted& wanted) {
  if (is_dns_method(method)) return true;
  if (wanted.subtree || identifier::is_wildcard(wanted.identifier)) return false;
  return method == ValidationMethod::kHttp01 || method == ValidationMethod::kTlsAlpn01 ||
         method == ValidationMethod::kPossession01;
}

template <class Profiles>
std::vector<ValidationMethod> filtered(const Profiles& profiles, const Wanted& wanted) {
  std::vector<ValidationMethod> out;
  for (const auto method : kOffered) {
    if (!can_prove(method, wanted)) continue;
    const auto name = wire::challenge_type(method);
    const bool counted = std::any_of(profiles.begin(), profiles.end(), [&](const auto* profile) {
      return std::find(profile->methods.begin(), profile->methods.end(), name) !=
             profile->methods.end();
    });
    if (counted) out.push_back(method);
  }
  return out;
}

bool takes(const wire::ProfileInfo& profile, IdentifierType type) {
  return std::find(profile.identifier_types.begin(), profile.identifier_types.end(),
                   identifier::to_string(type)) != profile.identifier_types.end();
}

}  // namespace

std::optional<ValidationMethod> method_from(std::string_view challenge_type) {
  for (const auto method : kOffered) {
    if (wire::challenge_type(method) == challenge_type) return method;
  }
  return std::nullopt;
}

bool can_prove(ValidationMethod method, const Wanted& wanted) {
  switch (wanted.identifier.type) {
    case IdentifierType::kDns:
      return can_prove_dns(method, wanted);
    case IdentifierType::kIp:  // RFC 8738 §7: dns-01 MUST NOT be used
      return method == ValidationMethod::kHttp01 || method == ValidationMethod::kTlsAlpn01 ||
             method == ValidationMethod::kPossession01;
    case IdentifierType::kPermanentIdentifier:
    case IdentifierType::kHardwareModule:
      return method == ValidationMethod::kDeviceAttest01;
    case IdentifierType::kTnAuthList:
    case IdentifierType::kJwtClaimConstraints:
    case IdentifierType::kEnhancedJwtClaimConstraints:
      return method == ValidationMethod::kTkauth01;
    case IdentifierType::kRemoteAttestation:  // draft-ietf-acme-rats
      return method == ValidationMethod::kRemoteAttest01;
    case IdentifierType::kMac:  // D-T2
      return method == ValidationMethod::kTkauth01 || method == ValidationMethod::kVendorJwt01;
    case IdentifierType::kUri:  // by its host's name alone (D-T3): see `plan_uri`
      break;
  }
  return false;
}

bool is_name(IdentifierType type) {
  return type == IdentifierType::kDns || type == IdentifierType::kIp;
}

bool is_synchronous(ValidationMethod method) {
  return method == ValidationMethod::kDeviceAttest01 || method == ValidationMethod::kTkauth01 ||
         method == ValidationMethod::kPossession01 || method == ValidationMethod::kVendorJwt01;
}

std::vector<ValidationMethod> methods_for(const wire::ProfileInfo& profile, const Wanted& wanted) {
  return filtered(std::array{&profile}, wanted);
}

std::vector<ValidationMethod> methods_for(const std::vector<wire::ProfileInfo>& profiles,
                                          const Wanted& wanted) {
  std::vector<const wire::ProfileInfo*> takers;
  for (const auto& profile : profiles) {
    if (takes(profile, wanted.identifier.type)) takers.push_back(&profile);
  }
  return filtered(takers, wanted);
}

const wire::ProfileInfo* find_profile(const std::vector<wire::ProfileInfo>& profiles,
                                      std::string_view name) {
  const auto at = std::find_if(profiles.begin(), profiles.end(),
                               [&](const auto& profile) { return profile.name == name; });
  return at == profiles.end() ? nullptr : &*at;
}

bool is_attestation_ca(const wire::ProfileInfo& profile) {
  return std::find(profile.methods.begin(), profile.methods.end(), kAttestationCa) !=
         profile.methods.end();
}

bool takes_names(const std::vector<wire::ProfileInfo>& profiles) {
  return std::any_of(profiles.begin(), profiles.end(), [](const auto& profile) {
    return takes(profile, IdentifierType::kDns) || takes(profile, IdentifierType::kIp);
  });
}

}  // namespace keyward::acme
