// Owns the contract of a TPM 2.0. Must not know tpm2-tss types, ACME, or what a quote is for.
//
// Structures travel as the TPM's own marshalled octets (TPMT_PUBLIC, TPMS_ATTEST, TPM2B_PRIVATE),
// as the TCG "Structures" part writes them; firmware parses them. Handles are RAII: a TpmObject
// flushes itself. Errors: kUnavailable (TPM away), kRefused (policy or authorisation failed),
// kBadInput, kCorrupt, kInternal. Threads: one Tpm object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/trusted_time.h"

namespace keyward::hal {

enum class TpmKeyType : std::uint8_t {
  kEccP256 = 1,
  kEccP384 = 2,
  kRsa2048 = 3,
  kRsa1024ForTests = 4
};

// A PCR bank (TPM_ALG_ID of its hash) and the registers chosen in it.
struct PcrSelection {
  std::uint16_t hash_alg = 0x000B;  // TPM_ALG_SHA256
  std::vector<std::uint8_t> registers;
};

// What a child key may be. Defaults: a device key as device-attest-01 wants it.
struct TpmKeyTemplate {
  TpmKeyType type = TpmKeyType::kEccP256;
  bool restricted = false;  // true makes an attestation key
  bool fixed_tpm = true;    // false makes a key that can be duplicated (tests)
  bool no_da = true;        // outside dictionary-attack protection
};

// A key as it rests outside the TPM. `parent` is a persistent handle or 0x40000001 (owner
// hierarchy's standard storage primary, TCG Provisioning Guidance: made again deterministically).
struct TpmKeyBlob {
  Bytes public_area;   // TPM2B_PUBLIC, marshalled with its size
  Bytes private_area;  // TPM2B_PRIVATE, marshalled with its size
  std::uint32_t parent = 0x40000001;
};

class TpmObject {  // a loaded or persistent object; flushed (if transient) when it ends
 public:
  virtual ~TpmObject() = default;
  virtual ByteView public_area() const = 0;  // TPMT_PUBLIC without the TPM2B length
  virtual ByteView name() const = 0;         // nameAlg || digest
};
using TpmObjectPtr = std::unique_ptr<TpmObject>;

struct TpmAttestation {
  Bytes attest;     // TPMS_ATTEST, marshalled
  Bytes signature;  // TPMT_SIGNATURE, marshalled
};

struct TpmCredential {
  Bytes id_object;         // TPM2B_ID_OBJECT
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET
};

class Tpm {
 public:
  virtual ~Tpm() = default;

  virtual Result<Bytes> random(std::size_t size_bytes) = 0;
  virtual Result<std::vector<Bytes>> pcr_read(const PcrSelection& selection) = 0;
  virtual Status pcr_extend(std::uint8_t pcr, ByteView sha256_digest) = 0;
  virtual Status shutdown_orderly() = 0;  // TPM2_Shutdown(CLEAR)
  // TPM2_ReadClock (Commands §29.1). A stand-in that has none keeps the default.
  virtual Result<TpmClock> read_clock() {
    return fail(ErrorKind::kUnavailable, "tpm: no clock here");
  }

  // Keys. Every object made here is noda unless the template says otherwise.
  virtual Result<TpmObjectPtr> create_ek(TpmKeyType type) = 0;  // TCG EK template L-1 / L-2
  virtual Result<TpmKeyBlob> create_key(const TpmKeyTemplate& key_template) = 0;  // under the SRK
  virtual Result<TpmObjectPtr> load(const TpmKeyBlob& blob) = 0;
  virtual Status make_persistent(const TpmObject& object, std::uint32_t handle) = 0;
  virtual Result<TpmObjectPtr> open_persistent(std::uint32_t handle) = 0;

  // Signs a digest. ECDSA: DER ECDSA-Sig-Value; RSA: PKCS#1 v1.5 octets. Not for restricted keys.
  virtual Result<Bytes> sign_digest(TpmObject& key, ByteView digest, std::uint16_t hash_alg) = 0;

  virtual Result<TpmAttestation> certify(TpmObject& key, TpmObject& ak,
                                         ByteView qualifying_data) = 0;
  virtual Result<TpmAttestation> quote(TpmObject& ak, const PcrSelection& selection,
                                       ByteView qualifying_data) = 0;
  // TPM2_MakeCredential needs no secret of this TPM and may run on any; activation needs EK and AK.
  virtual Result<TpmCredential> make_credential(ByteView ek_public, ByteView ak_name,
                                                ByteView secret) = 0;
  virtual Result<Bytes> activate_credential(TpmObject& ak, TpmObject& ek,
                                            const TpmCredential& credential) = 0;

  // Sealing under the current values of the PCRs (PolicyPCR); unseal is kRefused after they change.
  virtual Result<TpmKeyBlob> seal(ByteView secret, const PcrSelection& selection) = 0;
  virtual Result<SecretBytes> unseal(const TpmKeyBlob& blob, const PcrSelection& selection) = 0;

  // Sealing to this TPM whatever was booted (PolicyCommandCode(Unseal)): for what must outlive an
  // update of the firmware. Not for what opens the HSM.
  virtual Result<TpmKeyBlob> seal_unmeasured(ByteView secret) = 0;
  virtual Result<SecretBytes> unseal_unmeasured(const TpmKeyBlob& blob) = 0;

  virtual Result<Bytes> nv_read(std::uint32_t index) = 0;
  virtual Status nv_define_counter(
      std::uint32_t index) = 0;  // TPM2_NT_COUNTER, noda; kRefused if it exists
  virtual Result<std::uint64_t> nv_increment(std::uint32_t index) = 0;
  virtual Result<std::uint64_t> nv_read_counter(std::uint32_t index) = 0;
};

}  // namespace keyward::hal
