// Owns the octets of OCSP responses (RFC 6960 §4.2). Must not know certificates' states nor keys: it
// writes what it is told.
//
// What is to be signed first, then the whole with the signature in it. Threads: functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hal/base/bytes.h"

namespace keyward::x509 {

// OCSPResponseStatus, RFC 6960 §4.2.1, of responses without an answer. Nobody signs them.
enum class OcspError : std::uint8_t {
  kMalformedRequest = 1,
  kInternalError = 2,
  kTryLater = 3,
  kUnauthorized = 6,
};
Bytes ocsp_error(OcspError status);

enum class OcspState : std::uint8_t { kGood = 0, kRevoked = 1, kUnknown = 2 };

struct OcspAnswer {
  Bytes cert_id_der;  // as it was asked
  OcspState state = OcspState::kUnknown;
  std::int64_t revoked_ms = 0;          // revoked alone; UTC
  std::optional<std::uint64_t> reason;  // revoked alone; RFC 5280 §5.3.1
  std::int64_t this_update_ms = 0;
  std::int64_t next_update_ms = 0;
};

struct OcspContent {
  Bytes responder_key_hash;  // SHA-1 of the responder's key bits (byKey), 20 octets
  std::int64_t produced_ms = 0;
  std::vector<OcspAnswer> answers;
  std::optional<Bytes> nonce;  // RFC 9654, repeated
};
Bytes ocsp_response_data(const OcspContent& content);
// successful(0), id-pkix-ocsp-basic, with the responder's certificate.
Bytes ocsp_response(ByteView response_data, ByteView signature_algorithm, ByteView signature,
                    ByteView responder_der);

// What CertID holds of an issuer (RFC 6960 §4.1.1).
struct OcspIssuerHashes {
  Bytes name_sha1, key_sha1, name_sha256, key_sha256;
};
OcspIssuerHashes ocsp_issuer_hashes(ByteView subject_der, ByteView spki_der);

}  // namespace keyward::x509
