// Owns the key commands of Tss2Tpm: primaries, children, persistent objects, signatures.
#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "hal/tss2/marshal.h"
#include "hal/tss2/templates.h"
#include "hal/tss2/tss2_tpm_impl.h"

namespace keyward::hal::tss2 {
namespace {

constexpr std::uint32_t kOwnerHierarchy = TPM2_RH_OWNER;

bool persistent(std::uint32_t handle) {  // of the owner's range (Structures §7.5)
  return handle >= TPM2_PERSISTENT_FIRST && handle < TPM2_PLATFORM_PERSISTENT;
}

struct HashLength {
  TPM2_ALG_ID alg;
  std::size_t digest_bytes;
};
constexpr HashLength kSigningHashes[] = {
    {TPM2_ALG_SHA256, 32}, {TPM2_ALG_SHA384, 48}, {TPM2_ALG_SHA512, 64}};

Status check_digest(ByteView digest, std::uint16_t hash_alg) {
  for (const auto& hash : kSigningHashes) {
    if (hash.alg != hash_alg) continue;
    if (digest.size() == hash.digest_bytes) return {};
    return fail(ErrorKind::kBadInput, "tpm: a digest of another length than its hash");
  }
  return fail(ErrorKind::kBadInput, "tpm: not a hash to sign with");
}

Result<Bytes> der_ecdsa(const TPMS_SIGNATURE_ECDSA& signature) {
  KEYWARD_TRY(r, octets_of(signature.signatureR, &TPM2B_ECC_PARAMETER::buffer));
  KEYWARD_TRY(s, octets_of(signature.signatureS, &TPM2B_ECC_PARAMETER::buffer));
  const std::unique_ptr<ECDSA_SIG, decltype(&::ECDSA_SIG_free)> der(::ECDSA_SIG_new(),
                                                                    &::ECDSA_SIG_free);
  BIGNUM* const r_number = ::BN_bin2bn(r.data(), static_cast<int>(r.size()), nullptr);
  BIGNUM* const s_number = ::BN_bin2bn(s.data(), static_cast<int>(s.size()), nullptr);
  if (!der || r_number == nullptr || s_number == nullptr ||
      ::ECDSA_SIG_set0(der.get(), r_number, s_number) != 1) {
    ::BN_free(r_number);
    ::BN_free(s_number);
    return fail(ErrorKind::kInternal, "tpm: no memory for a signature");
  }
  unsigned char* raw = nullptr;
  const int size = ::i2d_ECDSA_SIG(der.get(), &raw);
  if (size <= 0) return fail(ErrorKind::kInternal, "tpm: cannot encode a signature");
  Bytes out(raw, raw + size);
  ::OPENSSL_free(raw);
  return out;
}

Result<Bytes> signature_octets(const TPMT_SIGNATURE& signature, std::uint16_t hash_alg) {
  if (signature.signature.any.hashAlg != hash_alg) {
    return fail(ErrorKind::kCorrupt, "tpm: signed with another hash than asked");
  }
  if (signature.sigAlg == TPM2_ALG_ECDSA) return der_ecdsa(signature.signature.ecdsa);
  if (signature.sigAlg != TPM2_ALG_RSASSA) {
    return fail(ErrorKind::kCorrupt, "tpm: signed with another scheme than asked");
  }
  KEYWARD_TRY(octets, octets_of(signature.signature.rsassa.sig, &TPM2B_PUBLIC_KEY_RSA::buffer));
  return to_bytes(octets);
}

}  // namespace

Result<Handle> Tss2Tpm::create_primary(const ConnectionPtr& connection, ESYS_TR hierarchy,
                                       const TPM2B_PUBLIC& area, EsysMem<TPM2B_PUBLIC>* made) {
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION creation_pcr{};
  EsysMem<TPM2B_PUBLIC> area_made;
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(connection->check(
      ::Esys_CreatePrimary(connection->esys(), hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                           ESYS_TR_NONE, &sensitive, &area, &outside, &creation_pcr, &tr,
                           out(area_made), nullptr, nullptr, nullptr),
      "tpm: CreatePrimary failed"));
  if (made != nullptr) *made = std::move(area_made);
  return Handle(connection, tr, Handle::Kind::kTransient);
}

Result<Handle> Tss2Tpm::open_resource(const ConnectionPtr& connection, TPM2_HANDLE handle,
                                      const char* what) {
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(connection->check(::Esys_TR_FromTPMPublic(connection->esys(), handle, ESYS_TR_NONE,
                                                          ESYS_TR_NONE, ESYS_TR_NONE, &tr),
                                  what));
  return Handle(connection, tr, Handle::Kind::kResource);
}

Result<Handle> Tss2Tpm::open_parent(const ConnectionPtr& connection, std::uint32_t parent) {
  if (parent == kOwnerHierarchy)
    return create_primary(connection, ESYS_TR_RH_OWNER, srk_template());
  if (!persistent(parent)) return fail(ErrorKind::kBadInput, "tpm: not a parent for a key of ours");
  return open_resource(connection, parent, "tpm: the parent key is not there");
}

Result<TpmKeyBlob> Tss2Tpm::create_child(const ConnectionPtr& connection, const TPM2B_PUBLIC& area,
                                         const TPM2B_SENSITIVE_CREATE& sensitive, bool encrypt) {
  KEYWARD_TRY(parent, open_parent(connection, kOwnerHierarchy));
  Handle session;
  if (encrypt) {
    KEYWARD_TRY(started, start_session(connection, SessionUse::kEncryptCommand, parent.tr()));
    session = std::move(started);
  }
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION creation_pcr{};
  EsysMem<TPM2B_PRIVATE> private_area;
  EsysMem<TPM2B_PUBLIC> public_area;
  KEYWARD_CHECK(connection->check(
      ::Esys_Create(connection->esys(), parent.tr(), ESYS_TR_PASSWORD, session.tr(), ESYS_TR_NONE,
                    &sensitive, &area, &outside, &creation_pcr, out(private_area), out(public_area),
                    nullptr, nullptr, nullptr),
      "tpm: Create failed"));
  TpmKeyBlob blob;
  KEYWARD_TRY(public_octets, write_tpm2b_public(*public_area));
  KEYWARD_TRY(private_octets, write_tpm2b_private(*private_area));
  blob.public_area = std::move(public_octets);
  blob.private_area = std::move(private_octets);
  blob.parent = kOwnerHierarchy;
  return blob;
}

Result<std::unique_ptr<Tss2Object>> Tss2Tpm::load_under(const Handle& parent,
                                                        const TpmKeyBlob& blob) {
  KEYWARD_TRY(public_area, read_tpm2b_public(blob.public_area));
  KEYWARD_TRY(private_area, read_tpm2b_private(blob.private_area));
  const auto& connection = parent.connection();
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(
      connection->check(::Esys_Load(connection->esys(), parent.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &private_area, &public_area, &tr),
                        "tpm: Load failed"));
  Handle handle(connection, tr, Handle::Kind::kTransient);
  EsysMem<TPM2B_NAME> name;
  KEYWARD_CHECK(connection->check(::Esys_TR_GetName(connection->esys(), tr, out(name)),
                                  "tpm: a loaded object has no name"));
  return Tss2Object::make(std::move(handle), public_area, *name);
}

Result<TpmObjectPtr> Tss2Tpm::create_ek(TpmKeyType type) {
  KEYWARD_TRY(area, ek_template(type));
  KEYWARD_TRY(connection, connect());
  EsysMem<TPM2B_PUBLIC> made;
  KEYWARD_TRY(handle, create_primary(connection, ESYS_TR_RH_ENDORSEMENT, area, &made));
  EsysMem<TPM2B_NAME> name;
  KEYWARD_CHECK(connection->check(::Esys_TR_GetName(connection->esys(), handle.tr(), out(name)),
                                  "tpm: a created object has no name"));
  KEYWARD_TRY(object, Tss2Object::make(std::move(handle), *made, *name));
  return TpmObjectPtr(std::move(object));
}

Result<TpmKeyBlob> Tss2Tpm::create_key(const TpmKeyTemplate& wanted) {
  KEYWARD_TRY(area, key_template(wanted));
  KEYWARD_TRY(connection, connect());
  return create_child(connection, area, TPM2B_SENSITIVE_CREATE{}, false);
}

Result<TpmObjectPtr> Tss2Tpm::load(const TpmKeyBlob& blob) {
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(parent, open_parent(connection, blob.parent));
  KEYWARD_TRY(object, load_under(parent, blob));
  return TpmObjectPtr(std::move(object));
}

Status Tss2Tpm::make_persistent(const TpmObject& object, std::uint32_t handle) {
  if (!persistent(handle))
    return fail(ErrorKind::kBadInput, "tpm: not a persistent handle of the owner");
  KEYWARD_TRY(connection, connect());
  // Only the handle is used; the object stays as it is.
  KEYWARD_TRY(mine, own(connection, const_cast<TpmObject&>(object)));
  ESYS_TR made = ESYS_TR_NONE;
  KEYWARD_CHECK(connection->check(
      ::Esys_EvictControl(connection->esys(), ESYS_TR_RH_OWNER, mine->tr(), ESYS_TR_PASSWORD,
                          ESYS_TR_NONE, ESYS_TR_NONE, handle, &made),
      "tpm: EvictControl failed"));
  const Handle forget(connection, made, Handle::Kind::kResource);
  return {};
}

Result<TpmObjectPtr> Tss2Tpm::open_persistent(std::uint32_t handle) {
  if (!persistent(handle))
    return fail(ErrorKind::kBadInput, "tpm: not a persistent handle of the owner");
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(resource, open_resource(connection, handle, "tpm: no key at this handle"));
  EsysMem<TPM2B_PUBLIC> area;
  EsysMem<TPM2B_NAME> name;
  KEYWARD_CHECK(connection->check(
      ::Esys_ReadPublic(connection->esys(), resource.tr(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                        out(area), out(name), nullptr),
      "tpm: ReadPublic failed"));
  KEYWARD_TRY(object, Tss2Object::make(std::move(resource), *area, *name));
  return TpmObjectPtr(std::move(object));
}

Result<Bytes> Tss2Tpm::sign_digest(TpmObject& key, ByteView digest, std::uint16_t hash_alg) {
  KEYWARD_CHECK(check_digest(digest, hash_alg));
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(mine, own(connection, key));
  const auto& area = mine->area();
  if ((area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0) {
    return fail(ErrorKind::kRefused, "tpm: not a signing key");
  }
  if ((area.objectAttributes & TPMA_OBJECT_RESTRICTED) != 0) {
    return fail(ErrorKind::kRefused, "tpm: a restricted key signs no digest from outside");
  }
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = area.type == TPM2_ALG_RSA ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
  scheme.details.any.hashAlg = hash_alg;
  TPM2B_DIGEST input{};
  KEYWARD_CHECK(fill(input, &TPM2B_DIGEST::buffer, digest));
  TPMT_TK_HASHCHECK no_ticket{};
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  EsysMem<TPMT_SIGNATURE> signature;
  KEYWARD_CHECK(
      connection->check(::Esys_Sign(connection->esys(), mine->tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &input, &scheme, &no_ticket, out(signature)),
                        "tpm: Sign failed"));
  return signature_octets(*signature, hash_alg);
}

}  // namespace keyward::hal::tss2
