// Owns identifier types, dispatch to canonical forms, comparison. Must not know who proved what.
#include "firmware/identifier/identifier.h"

#include <array>
#include <utility>

#include "firmware/identifier/grammar.h"

namespace keyward::identifier {
namespace {

constexpr std::array<std::pair<IdentifierType, std::string_view>, 10> kTypes{{
    {IdentifierType::kDns, "dns"},
    {IdentifierType::kIp, "ip"},
    {IdentifierType::kPermanentIdentifier, "permanent-identifier"},
    {IdentifierType::kHardwareModule, "hardware-module"},
    {IdentifierType::kTnAuthList, "TNAuthList"},
    {IdentifierType::kJwtClaimConstraints, "JWTClaimConstraints"},
    {IdentifierType::kEnhancedJwtClaimConstraints, "EnhancedJWTClaimConstraints"},
    {IdentifierType::kRemoteAttestation, "remote-attestation"},
    {IdentifierType::kMac, "mac"},
    {IdentifierType::kUri, "uri"},
}};

Result<std::string> canonical_value(IdentifierType type, std::string_view value,
                                    bool allow_single_label) {
  switch (type) {
    case IdentifierType::kDns:
      return canonical_dns(value, allow_single_label);
    case IdentifierType::kIp:
      return canonical_ip(value);
    case IdentifierType::kPermanentIdentifier: {
      KEYWARD_CHECK(check_permanent_identifier(value));
      return std::string(value);
    }
    case IdentifierType::kHardwareModule: {
      KEYWARD_CHECK(check_hardware_module(value));
      return std::string(value);
    }
    case IdentifierType::kTnAuthList:
    case IdentifierType::kJwtClaimConstraints:
    case IdentifierType::kEnhancedJwtClaimConstraints:
      return canonical_authority(type, value);
    case IdentifierType::kRemoteAttestation:
      return canonical_hint(value);
    case IdentifierType::kMac:
      return canonical_mac(value);
    case IdentifierType::kUri:
      return canonical_uri(value);
  }
  return fail(ErrorKind::kBadInput, "identifier: unknown type");
}

}  // namespace

std::string_view to_string(IdentifierType type) {
  for (const auto& [known, name] : kTypes) {
    if (known == type) return name;
  }
  return "unknown";
}

std::optional<IdentifierType> type_from(std::string_view text) {
  for (const auto& [type, name] : kTypes) {
    if (name == text) return type;
  }
  return std::nullopt;
}

Result<Identifier> canonical(IdentifierType type, std::string_view value, bool allow_single_label) {
  KEYWARD_TRY(text, canonical_value(type, value, allow_single_label));
  return Identifier{type, std::move(text)};
}

bool is_wildcard(const Identifier& identifier) {
  return identifier.type == IdentifierType::kDns && identifier.value.starts_with("*.");
}

Identifier without_wildcard(const Identifier& identifier) {
  if (!is_wildcard(identifier)) return identifier;
  return {identifier.type, identifier.value.substr(2)};
}

bool is_within(std::string_view name, std::string_view base) {
  if (base.empty() || !name.ends_with(base)) return false;
  return name.size() == base.size() || name[name.size() - base.size() - 1] == '.';
}

}  // namespace keyward::identifier
