// Owns the attestation commands of Tss2Tpm: certify, quote, credentials. Judges nothing: that is
// the verifier's part (firmware/attest).
#include <algorithm>

#include "hal/tss2/marshal.h"
#include "hal/tss2/tss2_tpm_impl.h"

namespace keyward::hal::tss2 {
namespace {

constexpr TPMT_SIG_SCHEME kSchemeOfKey = {TPM2_ALG_NULL, {}};

Result<TpmAttestation> attestation(const TPM2B_ATTEST& attest, const TPMT_SIGNATURE& signature) {
  TpmAttestation result;
  KEYWARD_TRY(attest_octets, octets_of(attest, &TPM2B_ATTEST::attestationData));
  KEYWARD_TRY(signature_octets, write_signature(signature));
  result.attest = to_bytes(attest_octets);
  result.signature = std::move(signature_octets);
  return result;
}

}  // namespace

Result<TpmAttestation> Tss2Tpm::certify(TpmObject& key, TpmObject& ak, ByteView qualifying_data) {
  TPM2B_DATA qualifying{};
  KEYWARD_CHECK(fill(qualifying, &TPM2B_DATA::buffer, qualifying_data));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(my_key, own(connection, key));
  KEYWARD_TRY(my_ak, own(connection, ak));
  EsysMem<TPM2B_ATTEST> attest;
  EsysMem<TPMT_SIGNATURE> signature;
  KEYWARD_CHECK(
      connection->check(::Esys_Certify(connection->esys(), my_key->tr(), my_ak->tr(),
                                       ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       &qualifying, &kSchemeOfKey, out(attest), out(signature)),
                        "tpm: Certify failed"));
  return attestation(*attest, *signature);
}

Result<TpmAttestation> Tss2Tpm::quote(TpmObject& ak, const PcrSelection& selection,
                                      ByteView qualifying_data) {
  TPM2B_DATA qualifying{};
  KEYWARD_CHECK(fill(qualifying, &TPM2B_DATA::buffer, qualifying_data));
  KEYWARD_TRY(pcrs, pcr_selection(selection));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(my_ak, own(connection, ak));
  EsysMem<TPM2B_ATTEST> attest;
  EsysMem<TPMT_SIGNATURE> signature;
  KEYWARD_CHECK(connection->check(
      ::Esys_Quote(connection->esys(), my_ak->tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                   &qualifying, &kSchemeOfKey, &pcrs, out(attest), out(signature)),
      "tpm: Quote failed"));
  return attestation(*attest, *signature);
}

Result<TpmCredential> Tss2Tpm::make_credential(ByteView ek_public, ByteView ak_name,
                                               ByteView secret) {
  KEYWARD_TRY(area, read_tpmt_public(ek_public));
  TPM2B_NAME name{};
  KEYWARD_CHECK(fill(name, &TPM2B_NAME::name, ak_name));
  TPM2B_DIGEST credential{};
  KEYWARD_CHECK(fill(credential, &TPM2B_DIGEST::buffer, secret));
  if (secret.empty() || ak_name.empty())
    return fail(ErrorKind::kBadInput, "tpm: an empty credential or name");
  KEYWARD_TRY(connection, connect());
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(
      connection->check(::Esys_LoadExternal(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE,
                                            ESYS_TR_NONE, nullptr, &area, ESYS_TR_RH_NULL, &tr),
                        "tpm: LoadExternal failed"));
  const Handle ek(connection, tr, Handle::Kind::kTransient);
  EsysMem<TPM2B_ID_OBJECT> id_object;
  EsysMem<TPM2B_ENCRYPTED_SECRET> encrypted_secret;
  KEYWARD_CHECK(connection->check(
      ::Esys_MakeCredential(connection->esys(), ek.tr(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                            &credential, &name, out(id_object), out(encrypted_secret)),
      "tpm: MakeCredential failed"));
  TpmCredential result;
  KEYWARD_TRY(id_octets, write_id_object(*id_object));
  KEYWARD_TRY(secret_octets, write_encrypted_secret(*encrypted_secret));
  result.id_object = std::move(id_octets);
  result.encrypted_secret = std::move(secret_octets);
  return result;
}

Result<Bytes> Tss2Tpm::activate_credential(TpmObject& ak, TpmObject& ek,
                                           const TpmCredential& credential) {
  KEYWARD_TRY(id_object, read_id_object(credential.id_object));
  KEYWARD_TRY(secret, read_encrypted_secret(credential.encrypted_secret));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(my_ak, own(connection, ak));
  KEYWARD_TRY(my_ek, own(connection, ek));
  // EK Credential Profile §B.6.2: the EK is used through PolicySecret(endorsement) alone.
  KEYWARD_TRY(session, start_session(connection, SessionUse::kPolicy, ESYS_TR_NONE));
  KEYWARD_CHECK(connection->check(
      ::Esys_PolicySecret(connection->esys(), ESYS_TR_RH_ENDORSEMENT, session.tr(),
                          ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, nullptr, nullptr,
                          0, nullptr, nullptr),
      "tpm: PolicySecret failed"));
  EsysMem<TPM2B_DIGEST> opened;
  const Status activated = connection->check(
      ::Esys_ActivateCredential(connection->esys(), my_ak->tr(), my_ek->tr(), ESYS_TR_PASSWORD,
                                session.tr(), ESYS_TR_NONE, &id_object, &secret, out(opened)),
      "tpm: ActivateCredential failed");
  if (!activated && activated.error().kind == ErrorKind::kCorrupt && random(1)) {
    // libtpms answers TPM_RC_FAILURE to an RSA secret that was made for another EK, and goes on
    // working.
    return fail(ErrorKind::kBadInput, "tpm: the credential is for another TPM",
                activated.error().native);
  }
  KEYWARD_CHECK(activated);
  KEYWARD_TRY(octets, octets_of(*opened, &TPM2B_DIGEST::buffer));
  return to_bytes(octets);
}

}  // namespace keyward::hal::tss2
