// Owns TPM2_MakeCredential in software (TCG TPM 2.0 Library, Part 1 §24 and annexes B.10.4, C.6.4;
// ADR 8): a secret that only the TPM with this endorsement key opens, and only while it holds the
// object of this name (TPM2_ActivateCredential). Must not know certificates or policy.
// Errors: kBadInput (a structure), kRefused (a key or algorithm that is not taken), kInternal.
// Threads: any.
#pragma once

#include <cstdint>

#include "firmware/attest/tpm_structures.h"
#include "firmware/crypto/crypto.h"

namespace keyward::attest {

struct EkPublic {
  crypto::PublicKey key;
  crypto::HashAlgorithm hash{};  // of its nameAlg
  int aes_bits = 128;            // of its symmetric parameters, CFB: 128 or 256
};
// The parameters of a storage key: nameAlg SHA-256 or longer, symmetric AES-CFB 128 or 256.
Result<EkPublic> ek_parameters(const TpmPublicArea& area);
// As the TCG's templates have them (EK Credential Profile 2.5 annex B): L-1/H-1, L-2/H-2 for RSA
// 2048 and P-256, H-3, H-4, H-6, H-7 for P-384, P-521, RSA 3072 and 4096.
Result<EkPublic> ek_template(const crypto::PublicKey& key);

struct MadeCredential {
  Bytes id_object;         // content of TPM2B_ID_OBJECT: TPM2B integrityHMAC || encIdentity
  Bytes encrypted_secret;  // content of TPM2B_ENCRYPTED_SECRET
};
// `secret`: 1 octet up to the digest size of the EK's nameAlg. `name`: of the object, nameAlg ||
// digest.
Result<MadeCredential> make_credential(const EkPublic& ek, ByteView name, ByteView secret);

}  // namespace keyward::attest
