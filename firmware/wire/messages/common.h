// Owns the value types that several messages share. Must not know any task.
#pragma once

#include "firmware/wire/codec.h"

namespace keyward::wire {

enum class IdentifierType : std::uint8_t {
  kDns = 1,
  kIp = 2,
  kPermanentIdentifier = 3,
  kHardwareModule = 4,
  kTnAuthList = 5,                   // RFC 9448
  kJwtClaimConstraints = 6,          // draft-ietf-acme-authority-token-jwtclaimcon
  kEnhancedJwtClaimConstraints = 7,  // the same, RFC 9118
  kRemoteAttestation = 8,            // draft-ietf-acme-rats: a hint, in no certificate
  kMac = 9,                          // a device's address (third-party device attestation)
  kUri = 10,                         // the service that such a device is for
};
inline bool is_known(IdentifierType t) {
  return t >= IdentifierType::kDns && t <= IdentifierType::kUri;
}

enum class ValidationMethod : std::uint8_t {
  kHttp01 = 1,
  kDns01 = 2,
  kTlsAlpn01 = 3,
  kDeviceAttest01 = 4,
  kAppliance = 5,
  kDnsAccount01 = 6,
  kDnsPersist01 = 7,
  kTkauth01 = 8,
  kPossession01 = 9,
  kRemoteAttest01 = 10,
  kVendorJwt01 = 11
};
inline bool is_known(ValidationMethod m) {
  return m >= ValidationMethod::kHttp01 && m <= ValidationMethod::kVendorJwt01;
}

enum class AccountStatus : std::uint8_t { kValid = 1, kDeactivated = 2, kRevoked = 3 };
inline bool is_known(AccountStatus s) {
  return s >= AccountStatus::kValid && s <= AccountStatus::kRevoked;
}

enum class OrderStatus : std::uint8_t {
  kPending = 1,
  kReady = 2,
  kProcessing = 3,
  kValid = 4,
  kInvalid = 5,
  kCanceled = 6  // RFC 8739 §3.1.2
};
inline bool is_known(OrderStatus s) {
  return s >= OrderStatus::kPending && s <= OrderStatus::kCanceled;
}

enum class AuthzStatus : std::uint8_t {
  kPending = 1,
  kValid = 2,
  kInvalid = 3,
  kDeactivated = 4,
  kExpired = 5,
  kRevoked = 6
};
inline bool is_known(AuthzStatus s) {
  return s >= AuthzStatus::kPending && s <= AuthzStatus::kRevoked;
}

enum class ChallengeStatus : std::uint8_t {
  kPending = 1,
  kProcessing = 2,
  kValid = 3,
  kInvalid = 4
};
inline bool is_known(ChallengeStatus s) {
  return s >= ChallengeStatus::kPending && s <= ChallengeStatus::kInvalid;
}

inline bool is_known(TaskId t) { return t >= TaskId::kSupervisor && t <= TaskId::kSyslog; }

// An identifier in canonical form (firmware/identifier): what the client wrote stays with acme.
struct Identifier {
  IdentifierType type = IdentifierType::kDns;
  std::string value;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "type", m.type);
    v(2, "value", m.value, limits::kIdentifierBytesMax);
  }
  friend bool operator==(const Identifier&, const Identifier&) = default;
  friend auto operator<=>(const Identifier&, const Identifier&) = default;
};

// A JWS exactly as the client sent it (RFC 7515 §7.2.2): the texts that the signature covers.
struct ClientJws {
  std::string protected_b64;  // base64url, unpadded, as received
  std::string payload_b64;
  Bytes signature;  // decoded
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "protected_b64", m.protected_b64, limits::kRequestBodyBytesMax);
    v(2, "payload_b64", m.payload_b64, limits::kRequestBodyBytesMax);
    v(3, "signature", m.signature, limits::kJwsSignatureBytesMax);
  }
};

// A key that the account had before (RFC 8555 §7.3.5): what was made for it is still the account's.
struct EarlierKey {
  Digest256 thumbprint{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
  }
  friend bool operator==(const EarlierKey&, const EarlierKey&) = default;
};

enum class RecoveryStatus : std::uint8_t {
  kPending = 1,     // waits for a proof: the code that was sent, or nothing if none can come
  kProcessing = 2,  // proved; the cooling-off time runs
  kValid = 3,       // the account has the new key
  kInvalid = 4      // refused, vetoed or too late
};
inline bool is_known(RecoveryStatus s) {
  return s >= RecoveryStatus::kPending && s <= RecoveryStatus::kInvalid;
}

// Why a challenge failed: an ACME error type without its URN prefix, a stable reason, and words.
struct ChallengeProblem {
  std::string type;  // e.g. "badAttestationStatement", "connection"
  std::string code;  // stable, e.g. "tpm.extra-data"
  std::string detail;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "type", m.type, limits::kCodeBytesMax);
    v(2, "code", m.code, limits::kCodeBytesMax);
    v(3, "detail", m.detail, limits::kDetailBytesMax);
  }
};

}  // namespace keyward::wire
