// Owns the file form of a TPM key: "TSS2 PRIVATE KEY" PEM around TPMKey (draft "ASN.1 Specification
// for TPM 2.0 Key Files"), which tpm2-openssl loads. Must not know how the key is used.
//
//   TPMKey ::= SEQUENCE { type OBJECT IDENTIFIER, emptyAuth [0] EXPLICIT BOOLEAN OPTIONAL,
//                         parent INTEGER, pubkey OCTET STRING, privkey OCTET STRING }
//
// Only keys without a password are written and read; policies, secrets and importable keys are
// refused. The octets of pubkey and privkey are not looked into here: Tpm::load does. Errors:
// kBadInput (not this form), kRefused (a password or a further field that we do not honour),
// kExhausted (oversize). Threads: pure functions.
#pragma once

#include <string>

#include "hal/tpm.h"

namespace keyward::hal {

enum class TpmKeyFileKind : std::uint8_t {
  kLoadable = 3,  // 2.23.133.10.1.3
  kSealed = 5,    // 2.23.133.10.1.5
};

Bytes tss2_key_der(const TpmKeyBlob& blob, TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);
std::string tss2_key_pem(const TpmKeyBlob& blob, TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);
Result<TpmKeyBlob> parse_tss2_key_der(ByteView der,
                                      TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);
Result<TpmKeyBlob> parse_tss2_key_pem(std::string_view pem,
                                      TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);

// The same in a file, mode 0600, replaced whole. read: also kUnavailable (no such file).
Status write_tss2_key_file(const std::string& path, const TpmKeyBlob& blob,
                           TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);
Result<TpmKeyBlob> read_tss2_key_file(const std::string& path,
                                      TpmKeyFileKind kind = TpmKeyFileKind::kLoadable);

}  // namespace keyward::hal
