// Owns the writing of a chain as PKCS#7 "certs-only" (RFC 8551 §3.8, RFC 2315 §9): a SignedData
// without content and signers. Must not know who asks for it. Threads: pure.
#pragma once

#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::crypto {

// DER. kBadInput: a certificate that cannot be read, or none at all.
Result<Bytes> certs_only_der(const std::vector<Bytes>& certificates);

}  // namespace keyward::crypto
