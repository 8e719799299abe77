// Owns a device's side of the attestation CA for tests: endorsement keys and attestation keys in a TPM
// (swtpm), and TPM2_ActivateCredential. A TPM that does not do as it is told ends the program.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "hal/base/bytes.h"

namespace keyward::test {

// EK templates of the TCG (EK Credential Profile annex B).
enum class EkKind {
  kRsa2048,      // L-1: authorised by PolicySecret alone
  kP256,         // L-2
  kHighRsa2048,  // H-1: UserWithAuth as well, PolicyOR
  kHighP384,     // H-3
};

class TpmRig {
 public:
  explicit TpmRig(const std::string& tcti);
  ~TpmRig();
  TpmRig(const TpmRig&) = delete;
  TpmRig& operator=(const TpmRig&) = delete;

  struct Key {
    std::uint32_t handle = 0;
    Bytes area;  // TPMT_PUBLIC
  };
  Key make_ek(EkKind kind);
  Key make_ak(bool rsa = false);  // ECDSA P-256, or RSASSA 2048
  // None: the TPM does not open it.
  std::optional<Bytes> activate(const Key& ek, EkKind kind, const Key& ak, ByteView id_object,
                                ByteView encrypted_secret);
  std::optional<Bytes> read_nv(std::uint32_t index);  // e.g. 0x01c00002: certificate of L-1's EK
  void flush(const Key& key);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::test
