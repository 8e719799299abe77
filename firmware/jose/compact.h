// Owns the compact form of a JWS (RFC 7515 §7.1) and the chain in a header (§4.1.6), cut but not
// verified. Must not know whose tokens they are. Errors: kBadInput. Threads: values.
#pragma once

#include <string_view>
#include <vector>

#include "firmware/json/json.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::jose {

// Views into the token. The caller bounds its size.
struct CompactJws {
  std::string_view protected_b64;
  std::string_view payload_b64;
  std::string_view signing_input;  // protected "." payload
  Bytes signature;                 // 1 to limits::kJwsSignatureBytesMax octets
};
Result<CompactJws> parse_compact(std::string_view token);

// The certificates of x5c, leaf first: 1 to limits::kChainCertificatesMax. Base64, not base64url.
Result<std::vector<Bytes>> parse_x5c(const json::Value& value);

}  // namespace keyward::jose
