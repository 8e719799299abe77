// Owns the object identifiers that more than one file of firmware/x509 needs. Never included
// elsewhere.
#pragma once

#include <string_view>

namespace keyward::x509::oids {

inline constexpr std::string_view kCommonName = "2.5.4.3";
inline constexpr std::string_view kSubjectAltName = "2.5.29.17";
inline constexpr std::string_view kKeyUsage = "2.5.29.15";
inline constexpr std::string_view kBasicConstraints = "2.5.29.19";
inline constexpr std::string_view kNameConstraints = "2.5.29.30";
inline constexpr std::string_view kCertificatePolicies = "2.5.29.32";
inline constexpr std::string_view kAuthorityKeyId = "2.5.29.35";
inline constexpr std::string_view kExtendedKeyUsage = "2.5.29.37";
inline constexpr std::string_view kSubjectKeyId = "2.5.29.14";
inline constexpr std::string_view kExtensionRequest = "1.2.840.113549.1.9.14";  // RFC 2985 §5.4.2
inline constexpr std::string_view kAttestation =
    "1.2.840.113549.1.9.16.2.59";  // draft-ietf-lamps-csr-attestation
inline constexpr std::string_view kPermanentIdentifier = "1.3.6.1.5.5.7.8.3";   // RFC 4043
inline constexpr std::string_view kHardwareModuleName = "1.3.6.1.5.5.7.8.4";    // RFC 4108
inline constexpr std::string_view kMacAddress = "1.3.6.1.5.5.7.8.12";           // RFC 10031
inline constexpr std::string_view kTnAuthList = "1.3.6.1.5.5.7.1.26";           // RFC 8226 §9
inline constexpr std::string_view kJwtClaimConstraints = "1.3.6.1.5.5.7.1.27";  // RFC 8226 §8
inline constexpr std::string_view kEnhancedJwtClaimConstraints =
    "1.3.6.1.5.5.7.1.33";  // RFC 9118 §4

}  // namespace keyward::x509::oids
