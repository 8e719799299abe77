// Owns the mapping between AlgorithmIdentifiers of signatures and how crypto verifies them (RFC
// 3279, 4055, 5758, 8410). Never included outside firmware/x509.
#pragma once

#include "firmware/crypto/crypto.h"

namespace keyward::x509 {

struct SignatureMethod {
  crypto::SignatureScheme scheme;
  crypto::HashAlgorithm hash;
};
// From a whole AlgorithmIdentifier TLV. kRefused: not accepted (SHA-1 among them).
Result<SignatureMethod> signature_method(ByteView algorithm_der);
// What a key of this kind signs with here, and how that is written.
SignatureMethod method_for(crypto::KeyKind kind);
Bytes algorithm_der_for(crypto::KeyKind kind);

}  // namespace keyward::x509
