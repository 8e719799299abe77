// Owns the public areas that Keyward asks a TPM to make. Must not know how commands are sent.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "hal/tpm.h"

namespace keyward::hal::tss2 {

// The storage primary under which every key of Keyward rests: ECC P-256, AES-128-CFB, noDA, empty
// `unique`. It is the template that the TSS2 key file format (and so tpm2-openssl) assumes for a
// parent of 0x40000001; TCG's own SRK template H-2 differs in `noDA`.
TPM2B_PUBLIC srk_template();

// TCG EK Credential Profile 2.3: L-1 (RSA-2048, §B.3.3), L-2 (ECC P-256, §B.3.4). kBadInput
// otherwise.
Result<TPM2B_PUBLIC> ek_template(TpmKeyType type);

// A signing key: restricted keys carry their scheme, others choose it per signature.
Result<TPM2B_PUBLIC> key_template(const TpmKeyTemplate& wanted);

// A sealed data object that opens by `policy` (SHA-256) alone.
TPM2B_PUBLIC sealed_template(const TPM2B_DIGEST& policy);

// A counter that survives power loss, outside dictionary-attack protection.
TPM2B_NV_PUBLIC counter_template(TPM2_HANDLE index);

}  // namespace keyward::hal::tss2
