// Owns the translation between our algorithms and PKCS#11's: mechanisms, inputs, outputs, key
// sizes. Pure functions on bytes. Must not know sessions.
//
// Checked here because modules do not: SoftHSM's C_SignInit takes a mechanism of another key type,
// and its C_Sign(CKM_ECDSA) a digest of any length.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <p11-kit/pkcs11.h>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/pkcs11/pkcs11_token.h"
#include "hal/pkcs11/slots.h"
#include "hal/signing_token.h"

namespace keyward::hal::pkcs11 {

struct AlgorithmFact {
  KeyAlgorithm algorithm;
  CK_KEY_TYPE key_type;
  CK_MECHANISM_TYPE sign;
  CK_MECHANISM_TYPE generate;
  unsigned bits;                // of the curve or modulus
  ByteView ec_params;           // DER of the curve's OID; empty for RSA
  std::size_t signature_bytes;  // what C_Sign must return
};
const AlgorithmFact& fact_of(KeyAlgorithm algorithm);

bool is_supported(KeyAlgorithm algorithm, std::span<const MechanismFact> mechanisms,
                  const Pkcs11Quirks& quirks);

// What goes to C_SignInit and C_Sign. `prepared` comes from PublicKey::prepare(). kInternal: wrong
// size.
struct SignInput {
  CK_MECHANISM_TYPE mechanism = 0;
  Bytes data;
};
Result<SignInput> sign_input(KeyAlgorithm algorithm, ByteView prepared, ByteView message,
                             const Pkcs11Quirks& quirks);

// What C_Sign returned, in the form of the contract. kCorrupt: wrong size, or an ECDSA half is
// zero.
Result<Bytes> signature_from_token(KeyAlgorithm algorithm, ByteView raw);

// The algorithm of a key by its attributes; nothing if it is none of ours.
std::optional<KeyAlgorithm> algorithm_of(CK_KEY_TYPE key_type, ByteView ec_params,
                                         ByteView modulus);

// CKA_EC_POINT is a DER OCTET STRING by the standard and raw octets in some modules: both,
// strictly.
Result<Bytes> point_from_attribute(KeyAlgorithm algorithm, ByteView value);

}  // namespace keyward::hal::pkcs11
