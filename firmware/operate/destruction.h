// Owns a certificate of destruction: what was destroyed at a unit, as a JWS by the operator who saw to it
// (RFC 7515, flattened JSON). Must not know how things are destroyed.
//
// Protected header: alg (ES256 or EdDSA), kid (RFC 7638 thumbprint), typ "keyward-destruction+jws". Threads: functions.
#pragma once

#include <string>
#include <string_view>

#include "firmware/operate/operators.h"

namespace keyward::operate {

inline constexpr std::size_t kDestructionBytesMax = 262'144;

Result<std::string> sign_destruction(const crypto::PrivateKey& key, std::string_view payload);

struct VerifiedDestruction {
  std::string operator_name;
  std::string payload;  // JSON, as it was signed
};
// kBadInput: not this form; kRefused: nobody of the file signed it, or the signature is not right.
Result<VerifiedDestruction> verify_destruction(std::string_view text, const Operators& operators);

}  // namespace keyward::operate
