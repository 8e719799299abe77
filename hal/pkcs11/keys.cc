// Owns key objects on the token: finding a pair by label, reading it back, generating it.
#include "hal/pkcs11/keys.h"

#include <cstring>

#include "hal/base/rng.h"
#include "hal/pkcs11/return_value.h"

namespace keyward::hal::pkcs11 {
namespace {

// Owns the values that a template points to.
class Template {
 public:
  Template& flag(CK_ATTRIBUTE_TYPE type, bool on) {
    const CK_BBOOL value = on ? CK_TRUE : CK_FALSE;
    return bytes(type, ByteView(&value, 1));
  }
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
    return bytes(type, ByteView(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
  }
  Template& bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
    values_.push_back(std::make_unique<Bytes>(to_bytes(value)));
    attributes_.push_back(
        CK_ATTRIBUTE{type, values_.back()->data(), static_cast<CK_ULONG>(values_.back()->size())});
    return *this;
  }
  std::span<CK_ATTRIBUTE> span() { return attributes_; }

 private:
  std::vector<std::unique_ptr<Bytes>> values_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

Result<Bytes> attribute(Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                        CK_RV& rv) {
  Bytes value;
  rv = session.attribute(object, type, value);
  if (rv != CKR_OK) return fail(error_of(rv, "C_GetAttributeValue"));
  return value;
}

// An attribute that the module does not know reads as `fallback`, which is always the unsafe value.
Result<bool> flag(Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool fallback,
                  CK_RV& rv) {
  Bytes value;
  rv = session.attribute(object, type, value);
  if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE) {
    rv = CKR_OK;
    return fallback;
  }
  if (rv != CKR_OK) return fail(error_of(rv, "C_GetAttributeValue"));
  if (value.size() != sizeof(CK_BBOOL)) return fallback;
  return value[0] != CK_FALSE;
}

Result<CK_OBJECT_HANDLE> find_one(Session& session, CK_OBJECT_CLASS object_class,
                                  std::string_view label, CK_RV& rv) {
  Template wanted;
  wanted.number(CKA_CLASS, object_class).bytes(CKA_LABEL, view_of(label));
  std::vector<CK_OBJECT_HANDLE> hits;
  rv = session.find(wanted.span(), 2, hits);
  if (rv != CKR_OK) return fail(error_of(rv, "C_FindObjects"));
  if (hits.empty()) return fail(ErrorKind::kBadInput, "no key carries the label");
  if (hits.size() > 1) return fail(ErrorKind::kCorrupt, "several keys carry the label");
  return hits.front();
}

Result<CK_ULONG> key_type_of(Session& session, CK_OBJECT_HANDLE object, CK_RV& rv) {
  KEYWARD_TRY(value, attribute(session, object, CKA_KEY_TYPE, rv));
  CK_ULONG type = 0;
  if (value.size() != sizeof type)
    return fail(ErrorKind::kCorrupt, "CKA_KEY_TYPE has the wrong size");
  std::memcpy(&type, value.data(), sizeof type);
  return type;
}

Result<PublicKey> read_public(Session& session, CK_OBJECT_HANDLE object, CK_ULONG key_type,
                              CK_RV& rv) {
  if (key_type == CKK_RSA) {
    KEYWARD_TRY(modulus, attribute(session, object, CKA_MODULUS, rv));
    KEYWARD_TRY(exponent, attribute(session, object, CKA_PUBLIC_EXPONENT, rv));
    const auto algorithm = algorithm_of(key_type, {}, modulus);
    if (!algorithm) return fail(ErrorKind::kCorrupt, "the RSA key's size is not offered");
    KEYWARD_TRY(spki, spki_of_rsa(modulus, exponent));
    return PublicKey::from_spki(*algorithm, spki);
  }
  KEYWARD_TRY(params, attribute(session, object, CKA_EC_PARAMS, rv));
  const auto algorithm = algorithm_of(key_type, params, {});
  if (!algorithm) return fail(ErrorKind::kCorrupt, "the key's type or curve is not offered");
  KEYWARD_TRY(value, attribute(session, object, CKA_EC_POINT, rv));
  KEYWARD_TRY(point, point_from_attribute(*algorithm, value));
  KEYWARD_TRY(spki, spki_of_point(*algorithm, point));
  return PublicKey::from_spki(*algorithm, spki);
}

Status read_private(Session& session, CK_OBJECT_HANDLE object, TokenKey& facts, CK_RV& rv) {
  KEYWARD_TRY(sensitive, flag(session, object, CKA_SENSITIVE, false, rv));
  KEYWARD_TRY(extractable, flag(session, object, CKA_EXTRACTABLE, true, rv));
  KEYWARD_TRY(always_sensitive, flag(session, object, CKA_ALWAYS_SENSITIVE, false, rv));
  KEYWARD_TRY(never_extractable, flag(session, object, CKA_NEVER_EXTRACTABLE, false, rv));
  KEYWARD_TRY(local, flag(session, object, CKA_LOCAL, false, rv));
  facts.sensitive = sensitive;
  facts.extractable = extractable;
  facts.always_sensitive = always_sensitive;
  facts.never_extractable = never_extractable;
  facts.local = local;
  return {};
}

// A key has one use.
enum class KeyUse : std::uint8_t { kSign = 1, kAgree = 2 };

Template public_template(std::string_view label, ByteView id, const AlgorithmFact& fact,
                         const TemplateOmissions& omit, KeyUse use) {
  Template out;
  out.flag(CKA_TOKEN, true).flag(CKA_PRIVATE, false);
  out.bytes(CKA_LABEL, view_of(label)).bytes(CKA_ID, id);
  if (!omit.public_usage) out.flag(CKA_VERIFY, use == KeyUse::kSign).flag(CKA_ENCRYPT, false);
  if (!omit.wrap) out.flag(CKA_WRAP, false);
  if (!omit.modifiable) out.flag(CKA_MODIFIABLE, false);
  if (fact.key_type == CKK_RSA) {
    constexpr std::uint8_t kF4[] = {0x01, 0x00, 0x01};
    out.number(CKA_MODULUS_BITS, fact.bits).bytes(CKA_PUBLIC_EXPONENT, kF4);
  } else {
    out.bytes(CKA_EC_PARAMS, fact.ec_params);
  }
  return out;
}

// SoftHSM's defaults are DECRYPT, UNWRAP, COPYABLE, MODIFIABLE and DESTROYABLE true, even for a key
// generated to sign: each is said here.
Template private_template(std::string_view label, ByteView id, const TemplateOmissions& omit,
                          KeyUse use) {
  Template out;
  out.flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true);
  out.flag(CKA_EXTRACTABLE, false).flag(CKA_SIGN, use == KeyUse::kSign);
  if (use == KeyUse::kAgree) out.flag(CKA_DERIVE, true);
  out.bytes(CKA_LABEL, view_of(label)).bytes(CKA_ID, id);
  if (!omit.decrypt) out.flag(CKA_DECRYPT, false);
  if (!omit.wrap) out.flag(CKA_UNWRAP, false);
  if (!omit.copyable) out.flag(CKA_COPYABLE, false);
  if (!omit.modifiable) out.flag(CKA_MODIFIABLE, false);
  if (!omit.destroyable) out.flag(CKA_DESTROYABLE, false);
  return out;
}

Result<FoundKey> generate_for(Session& session, std::string_view label, KeyAlgorithm algorithm,
                              KeyUse use, const Pkcs11Quirks& quirks, CK_RV& rv);

}  // namespace

Result<FoundKey> find_pair(Session& session, std::string_view label, CK_RV& rv) {
  KEYWARD_TRY(private_handle, find_one(session, CKO_PRIVATE_KEY, label, rv));
  auto public_handle = find_one(session, CKO_PUBLIC_KEY, label, rv);
  if (!public_handle && public_handle.error().kind == ErrorKind::kBadInput)
    return fail(ErrorKind::kCorrupt, "the private key has no public half under its label");
  if (!public_handle) return fail(public_handle.error());
  KEYWARD_TRY(private_type, key_type_of(session, private_handle, rv));
  KEYWARD_TRY(public_type, key_type_of(session, *public_handle, rv));
  if (private_type != public_type)
    return fail(ErrorKind::kCorrupt, "the halves of the key are of different types");
  KEYWARD_TRY(public_key, read_public(session, *public_handle, public_type, rv));
  auto known = std::make_shared<KnownKey>();
  known->facts.label = std::string(label);
  known->facts.algorithm = public_key.algorithm();
  known->facts.spki_der = to_bytes(public_key.spki_der());
  KEYWARD_CHECK(read_private(session, private_handle, known->facts, rv));
  KEYWARD_TRY(signs, flag(session, private_handle, CKA_SIGN, true, rv));
  known->signs = signs;
  known->public_key = std::move(public_key);
  return FoundKey{std::move(known), private_handle};
}

Result<FoundKey> generate_pair(Session& session, std::string_view label, KeyAlgorithm algorithm,
                               const Pkcs11Quirks& quirks, CK_RV& rv) {
  return generate_for(session, label, algorithm, KeyUse::kSign, quirks, rv);
}

Result<FoundKey> generate_agreement_pair(Session& session, std::string_view label,
                                         const Pkcs11Quirks& quirks, CK_RV& rv) {
  return generate_for(session, label, KeyAlgorithm::kEcdsaP256, KeyUse::kAgree, quirks, rv);
}

namespace {

Result<FoundKey> generate_for(Session& session, std::string_view label, KeyAlgorithm algorithm,
                              KeyUse use, const Pkcs11Quirks& quirks, CK_RV& rv) {
  for (const CK_OBJECT_CLASS object_class : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    auto existing = find_one(session, object_class, label, rv);
    if (existing || existing.error().kind == ErrorKind::kCorrupt)
      return fail(ErrorKind::kRefused, "a key carries the label already");
    if (existing.error().kind != ErrorKind::kBadInput) return fail(existing.error());
  }
  const auto& fact = fact_of(algorithm);
  const Bytes id = random_bytes(16);
  Template public_part = public_template(label, id, fact, quirks.omit, use);
  Template private_part = private_template(label, id, quirks.omit, use);
  CK_OBJECT_HANDLE public_handle = 0;
  CK_OBJECT_HANDLE private_handle = 0;
  rv = session.generate_pair(fact.generate, public_part.span(), private_part.span(), public_handle,
                             private_handle);
  if (rv != CKR_OK) return fail(error_of(rv, "C_GenerateKeyPair"));
  auto found = find_pair(session, label, rv);
  if (!found) return found;
  if (found->known->facts.algorithm != algorithm)
    return fail(ErrorKind::kCorrupt, "the token generated another algorithm than was asked for");
  return found;
}

}  // namespace

Result<std::vector<std::string>> list_private_labels(Session& session, CK_RV& rv) {
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY);
  std::vector<CK_OBJECT_HANDLE> hits;
  rv = session.find(wanted.span(), limits::kTokenKeysMax, hits);
  if (rv != CKR_OK) return fail(error_of(rv, "C_FindObjects"));
  std::vector<std::string> labels;
  for (const auto handle : hits) {
    Bytes label;
    rv = session.attribute(handle, CKA_LABEL, label);
    if (rv == CKR_OK && !label.empty() && label.size() <= limits::kTokenKeyLabelBytesMax)
      labels.emplace_back(text_of(label));
  }
  rv = CKR_OK;
  return labels;
}

Status self_test(Session& session, const FoundKey& key, const Pkcs11Quirks& quirks, CK_RV& rv) {
  Bytes message = to_bytes("keyward self-test ");
  append(message, random_bytes(32));
  const auto algorithm = key.known->facts.algorithm;
  const Bytes prepared = PublicKey::prepare(algorithm, message);
  KEYWARD_TRY(input, sign_input(algorithm, prepared, message, quirks));
  Bytes raw;
  bool signing = false;
  rv = session.sign(input.mechanism, key.private_handle, input.data, raw, signing);
  if (rv != CKR_OK)
    return fail(ErrorKind::kUnavailable, "the self-test signature failed",
                static_cast<std::int64_t>(rv));
  KEYWARD_TRY(signature, signature_from_token(algorithm, raw));
  if (!key.known->public_key.verify(prepared, signature))
    return fail(ErrorKind::kCorrupt, "the self-test signature does not verify");
  return {};
}

}  // namespace keyward::hal::pkcs11
