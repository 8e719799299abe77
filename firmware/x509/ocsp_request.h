// Owns the reading of OCSP requests (RFC 6960 §4.1, RFC 9654 §2.1). Must not know who answers, nor
// whose certificates are asked for.
//
// Strict DER. A signature over the request is passed over unread: answers are public, so that who
// asks decides nothing (RFC 6960 §4.1.2 leaves it to the responder). Errors: kBadInput, which a
// responder answers with malformedRequest. Threads: functions.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"

namespace keyward::x509 {

inline constexpr std::size_t kOcspRequestBytesMax = limits::kOcspRequestBytesMax;
inline constexpr std::size_t kOcspQuestionsMax = limits::kOcspQuestionsMax;
inline constexpr std::size_t kOcspNonceBytesMax = 128;  // RFC 9654 §2.1
inline constexpr std::size_t kOcspExtensionsMax = 8;
inline constexpr std::size_t kOcspSerialBytesMax = 20;  // RFC 5280 §4.1.2.2

enum class OcspHash { kSha1, kSha256 };

struct OcspQuestion {
  std::optional<OcspHash> hash;  // none: another one, so that the issuer is not known here
  Bytes issuer_name_hash;        // of the length that `hash` has
  Bytes issuer_key_hash;
  Bytes serial;       // big-endian, no leading zero
  Bytes cert_id_der;  // as it came: the answer repeats it
};

struct OcspRequest {
  std::vector<OcspQuestion> questions;  // at least one
  std::optional<Bytes> nonce;           // without its OCTET STRING
};

Result<OcspRequest> parse_ocsp_request(ByteView der);

}  // namespace keyward::x509
