// Owns the shape of Tss2Tpm, whose commands are spread over keys.cc, attest.cc, seal.cc, nv.cc.
// Private to this folder. Threads: one at a time.
#pragma once

#include "hal/tpm.h"
#include "hal/tss2/connection.h"

namespace keyward::hal::tss2 {

class Tss2Object final : public TpmObject {
 public:
  // kCorrupt if the TPM returned what cannot be marshalled.
  static Result<std::unique_ptr<Tss2Object>> make(Handle handle, const TPM2B_PUBLIC& area,
                                                  const TPM2B_NAME& name);
  ByteView public_area() const override { return public_area_; }
  ByteView name() const override { return name_; }
  ESYS_TR tr() const { return handle_.tr(); }
  const ConnectionPtr& connection() const { return handle_.connection(); }
  const TPMT_PUBLIC& area() const { return area_; }

 private:
  Tss2Object() = default;
  Handle handle_;
  TPMT_PUBLIC area_{};
  Bytes public_area_;
  Bytes name_;
};

class Tss2Tpm final : public Tpm {
 public:
  Tss2Tpm(std::string tcti, ConnectionPtr connection)
      : tcti_(std::move(tcti)), connection_(std::move(connection)) {}

  Result<Bytes> random(std::size_t size_bytes) override;
  Result<std::vector<Bytes>> pcr_read(const PcrSelection& selection) override;
  Status pcr_extend(std::uint8_t pcr, ByteView sha256_digest) override;
  Status shutdown_orderly() override;
  Result<TpmClock> read_clock() override;

  Result<TpmObjectPtr> create_ek(TpmKeyType type) override;
  Result<TpmKeyBlob> create_key(const TpmKeyTemplate& wanted) override;
  Result<TpmObjectPtr> load(const TpmKeyBlob& blob) override;
  Status make_persistent(const TpmObject& object, std::uint32_t handle) override;
  Result<TpmObjectPtr> open_persistent(std::uint32_t handle) override;
  Result<Bytes> sign_digest(TpmObject& key, ByteView digest, std::uint16_t hash_alg) override;

  Result<TpmAttestation> certify(TpmObject& key, TpmObject& ak, ByteView qualifying_data) override;
  Result<TpmAttestation> quote(TpmObject& ak, const PcrSelection& selection,
                               ByteView qualifying_data) override;
  Result<TpmCredential> make_credential(ByteView ek_public, ByteView ak_name,
                                        ByteView secret) override;
  Result<Bytes> activate_credential(TpmObject& ak, TpmObject& ek,
                                    const TpmCredential& credential) override;

  Result<TpmKeyBlob> seal(ByteView secret, const PcrSelection& selection) override;
  Result<SecretBytes> unseal(const TpmKeyBlob& blob, const PcrSelection& selection) override;
  Result<TpmKeyBlob> seal_unmeasured(ByteView secret) override;
  Result<SecretBytes> unseal_unmeasured(const TpmKeyBlob& blob) override;

  Result<Bytes> nv_read(std::uint32_t index) override;
  Status nv_define_counter(std::uint32_t index) override;
  Result<std::uint64_t> nv_increment(std::uint32_t index) override;
  Result<std::uint64_t> nv_read_counter(std::uint32_t index) override;

 private:
  // The live connection, made anew if the last one broke.
  Result<ConnectionPtr> connect();
  Result<Handle> create_primary(const ConnectionPtr& connection, ESYS_TR hierarchy,
                                const TPM2B_PUBLIC& area, EsysMem<TPM2B_PUBLIC>* made = nullptr);
  // SRK or persistent parent. Made for each call: it costs a transient slot while it lives.
  Result<Handle> open_parent(const ConnectionPtr& connection, std::uint32_t parent);
  Result<std::unique_ptr<Tss2Object>> load_under(const Handle& parent, const TpmKeyBlob& blob);
  Result<TpmKeyBlob> create_child(const ConnectionPtr& connection, const TPM2B_PUBLIC& area,
                                  const TPM2B_SENSITIVE_CREATE& sensitive, bool encrypt);
  // kBadInput for another implementation's object, kUnavailable for one of an earlier connection.
  Result<Tss2Object*> own(const ConnectionPtr& connection, TpmObject& object);
  Result<Handle> policy_pcr_session(const ConnectionPtr& connection, SessionUse use,
                                    ESYS_TR salt_key, const PcrSelection& selection);
  Result<Handle> policy_unseal_session(const ConnectionPtr& connection, SessionUse use,
                                       ESYS_TR salt_key);
  Result<TpmKeyBlob> seal_by_policy(const ConnectionPtr& connection, ByteView secret,
                                    const Handle& trial);
  Result<SecretBytes> unseal_in(const ConnectionPtr& connection, ESYS_TR object,
                                const Handle& session);
  Result<EsysMem<TPM2B_NV_PUBLIC>> nv_public(const Handle& nv);
  Result<Handle> open_resource(const ConnectionPtr& connection, TPM2_HANDLE handle,
                               const char* what);
  Result<Bytes> nv_read_all(const Handle& nv, const TPMS_NV_PUBLIC& area);

  std::string tcti_;
  ConnectionPtr connection_;
};

// kBadInput: empty, twice the same register, or none the TPM architecture has.
Result<TPML_PCR_SELECTION> pcr_selection(const PcrSelection& selection);

}  // namespace keyward::hal::tss2
