// Owns the reading of WebAuthn authenticator data (WebAuthn Level 3 §6.1) and of the COSE key in it
// (RFC 9053 §7). Must not know statements or policy. Read only after a signature over it holds.
#pragma once

#include <optional>
#include <string>

#include "firmware/crypto/crypto.h"

namespace keyward::attest {

struct AuthenticatorData {
  Bytes rp_id_hash;
  bool backup_eligible = false;
  Bytes aaguid;                          // 16 octets
  std::optional<crypto::PublicKey> key;  // absent: a COSE key of a type that we do not take
};
// kBadInput: "authData: …": too short, no attested credential, not strict CBOR, octets behind it.
Result<AuthenticatorData> parse_authenticator_data(ByteView bytes);

}  // namespace keyward::attest
