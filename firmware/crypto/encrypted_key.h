// Owns PKCS#8 private keys under a passphrase (RFC 5958 §3): operators' keys on a stick. Must not
// know how a passphrase is asked for. Errors: kBadInput (not such a text), kRefused (another
// passphrase), kInternal. Threads: functions.
#pragma once

#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::crypto {

bool is_encrypted_key(std::string_view pem);
// The same key as PKCS#8 without encryption, for PrivateKey::from_pem().
Result<SecretBytes> decrypt_key_pem(std::string_view pem, std::string_view passphrase);
// PBES2, AES-256-CBC, PBKDF2 with HMAC-SHA-256 and 600,000 rounds.
Result<SecretBytes> encrypt_key_pem(std::string_view pem, std::string_view passphrase);

}  // namespace keyward::crypto
