// Owns sealing under PCR values. Secrets cross the bus encrypted: each command has its own session,
// salted with the SRK, so that an observer of the bus sees no PIN. (Who can replace the TPM on the
// bus can replace the SRK as well: that is not covered.)
#include <openssl/crypto.h>

#include "hal/tss2/marshal.h"
#include "hal/tss2/templates.h"
#include "hal/tss2/tss2_tpm_impl.h"

namespace keyward::hal::tss2 {
namespace {

constexpr std::size_t kSealedBytesMax = 128;  // MAX_SYM_DATA of the reference TPM and of real ones

struct WipingFree {
  void operator()(TPM2B_SENSITIVE_DATA* p) const {
    ::OPENSSL_cleanse(p, sizeof *p);
    ::Esys_Free(p);
  }
};

class SensitiveCreate {  // wiped when it ends
 public:
  TPM2B_SENSITIVE_CREATE& get() { return value_; }
  ~SensitiveCreate() { ::OPENSSL_cleanse(&value_, sizeof value_); }

 private:
  TPM2B_SENSITIVE_CREATE value_{};
};

Status check_sealable(ByteView secret) {
  if (secret.empty()) return fail(ErrorKind::kBadInput, "tpm: nothing to seal");
  if (secret.size() > kSealedBytesMax) return fail(ErrorKind::kBadInput, "tpm: too much to seal");
  return {};
}

}  // namespace

Result<Handle> Tss2Tpm::policy_pcr_session(const ConnectionPtr& connection, SessionUse use,
                                           ESYS_TR salt_key, const PcrSelection& selection) {
  KEYWARD_TRY(pcrs, pcr_selection(selection));
  KEYWARD_TRY(session, start_session(connection, use, salt_key));
  const TPM2B_DIGEST current_values{};  // Commands §23.7: an empty digest means the values of now
  KEYWARD_CHECK(
      connection->check(::Esys_PolicyPCR(connection->esys(), session.tr(), ESYS_TR_NONE,
                                         ESYS_TR_NONE, ESYS_TR_NONE, &current_values, &pcrs),
                        "tpm: PolicyPCR failed"));
  return std::move(session);
}

// Holds in every state: the object's policy is then that it may be unsealed, and nothing else.
Result<Handle> Tss2Tpm::policy_unseal_session(const ConnectionPtr& connection, SessionUse use,
                                              ESYS_TR salt_key) {
  KEYWARD_TRY(session, start_session(connection, use, salt_key));
  KEYWARD_CHECK(
      connection->check(::Esys_PolicyCommandCode(connection->esys(), session.tr(), ESYS_TR_NONE,
                                                 ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CC_Unseal),
                        "tpm: PolicyCommandCode failed"));
  return std::move(session);
}

Result<TpmKeyBlob> Tss2Tpm::seal_by_policy(const ConnectionPtr& connection, ByteView secret,
                                           const Handle& trial) {
  EsysMem<TPM2B_DIGEST> policy;
  KEYWARD_CHECK(
      connection->check(::Esys_PolicyGetDigest(connection->esys(), trial.tr(), ESYS_TR_NONE,
                                               ESYS_TR_NONE, ESYS_TR_NONE, out(policy)),
                        "tpm: PolicyGetDigest failed"));
  SensitiveCreate sensitive;
  KEYWARD_CHECK(fill(sensitive.get().sensitive.data, &TPM2B_SENSITIVE_DATA::buffer, secret));
  return create_child(connection, sealed_template(*policy), sensitive.get(), true);
}

Result<SecretBytes> Tss2Tpm::unseal_in(const ConnectionPtr& connection, ESYS_TR object,
                                       const Handle& session) {
  TPM2B_SENSITIVE_DATA* raw = nullptr;
  const TSS2_RC rc =
      ::Esys_Unseal(connection->esys(), object, session.tr(), ESYS_TR_NONE, ESYS_TR_NONE, &raw);
  KEYWARD_CHECK(connection->check(rc, "tpm: Unseal failed"));
  const std::unique_ptr<TPM2B_SENSITIVE_DATA, WipingFree> opened(raw);
  KEYWARD_TRY(octets, octets_of(*opened, &TPM2B_SENSITIVE_DATA::buffer));
  return SecretBytes(octets);
}

Result<TpmKeyBlob> Tss2Tpm::seal(ByteView secret, const PcrSelection& selection) {
  KEYWARD_CHECK(check_sealable(secret));
  // A bank that the TPM does not keep would drop out of the policy silently; reading it is refused.
  KEYWARD_CHECK(pcr_read(selection));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(trial, policy_pcr_session(connection, SessionUse::kTrial, ESYS_TR_NONE, selection));
  return seal_by_policy(connection, secret, trial);
}

Result<SecretBytes> Tss2Tpm::unseal(const TpmKeyBlob& blob, const PcrSelection& selection) {
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(parent, open_parent(connection, blob.parent));
  KEYWARD_TRY(object, load_under(parent, blob));
  KEYWARD_TRY(session,
              policy_pcr_session(connection, SessionUse::kEncryptResponse, parent.tr(), selection));
  return unseal_in(connection, object->tr(), session);
}

Result<TpmKeyBlob> Tss2Tpm::seal_unmeasured(ByteView secret) {
  KEYWARD_CHECK(check_sealable(secret));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(trial, policy_unseal_session(connection, SessionUse::kTrial, ESYS_TR_NONE));
  return seal_by_policy(connection, secret, trial);
}

Result<SecretBytes> Tss2Tpm::unseal_unmeasured(const TpmKeyBlob& blob) {
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(parent, open_parent(connection, blob.parent));
  KEYWARD_TRY(object, load_under(parent, blob));
  KEYWARD_TRY(session,
              policy_unseal_session(connection, SessionUse::kEncryptResponse, parent.tr()));
  return unseal_in(connection, object->tr(), session);
}

}  // namespace keyward::hal::tss2
