// Owns the AlgorithmIdentifiers of signatures. Must not know certificates.
#include "firmware/x509/signature.h"

#include <array>

#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::x509 {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::SignatureScheme;

constexpr std::string_view kRsaPss = "1.2.840.113549.1.1.10";
constexpr std::string_view kMgf1 = "1.2.840.113549.1.1.8";

struct MethodRow {
  std::string_view oid;
  SignatureMethod method;
};
constexpr std::array<MethodRow, 7> kMethods{{
    {"1.2.840.10045.4.3.2", {SignatureScheme::kEcdsa, HashAlgorithm::kSha256}},
    {"1.2.840.10045.4.3.3", {SignatureScheme::kEcdsa, HashAlgorithm::kSha384}},
    {"1.2.840.10045.4.3.4", {SignatureScheme::kEcdsa, HashAlgorithm::kSha512}},
    {"1.2.840.113549.1.1.11", {SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256}},
    {"1.2.840.113549.1.1.12", {SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha384}},
    {"1.2.840.113549.1.1.13", {SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha512}},
    {"1.3.101.112", {SignatureScheme::kEd25519, HashAlgorithm::kSha512}},
}};

struct HashRow {
  std::string_view oid;
  HashAlgorithm hash;
};
constexpr std::array<HashRow, 3> kHashes{{
    {"2.16.840.1.101.3.4.2.1", HashAlgorithm::kSha256},
    {"2.16.840.1.101.3.4.2.2", HashAlgorithm::kSha384},
    {"2.16.840.1.101.3.4.2.3", HashAlgorithm::kSha512},
}};

tl::unexpected<Error> refused() {
  return fail(ErrorKind::kRefused, "signature algorithm is not accepted");
}

// A hash AlgorithmIdentifier; parameters absent or NULL (RFC 4055 §2.1).
Result<HashAlgorithm> read_hash(DerReader in) {
  KEYWARD_TRY(oid, in.oid());
  const auto name = oid_text(oid);
  if (!in.at_end()) {
    KEYWARD_TRY(null, in.element(tag::kNull));
    if (!null.empty()) return fail(ErrorKind::kBadInput, "der: NULL with content");
  }
  KEYWARD_CHECK(in.expect_end());
  for (const auto& row : kHashes) {
    if (row.oid == name) return row.hash;
  }
  return refused();
}

// RSASSA-PSS-params (RFC 4055 §3.1): one hash for both uses, the salt as long as the hash. The
// defaults are SHA-1, so every field must be there.
Result<SignatureMethod> read_pss(DerReader& in) {
  KEYWARD_TRY(params, in.sequence());
  KEYWARD_CHECK(in.expect_end());
  const auto field = [&params](unsigned number) -> Result<DerReader> {
    if (params.peek_tag() != tag::context_constructed(number)) return refused();
    return params.nested(tag::context_constructed(number));
  };
  KEYWARD_TRY(hash_field, field(0));
  KEYWARD_TRY(hash_identifier, hash_field.sequence());
  KEYWARD_TRY(hash, read_hash(hash_identifier));
  KEYWARD_TRY(mgf_field, field(1));
  KEYWARD_TRY(mgf, mgf_field.sequence());
  KEYWARD_TRY(mgf_oid, mgf.oid());
  if (oid_text(mgf_oid) != kMgf1) return refused();
  KEYWARD_TRY(mgf_hash_identifier, mgf.sequence());
  KEYWARD_TRY(mgf_hash, read_hash(mgf_hash_identifier));
  KEYWARD_TRY(salt_field, field(2));
  KEYWARD_TRY(salt_bytes, salt_field.small_unsigned());
  KEYWARD_CHECK(params.expect_end());
  if (mgf_hash != hash || salt_bytes != crypto::digest_bytes(hash)) return refused();
  return SignatureMethod{SignatureScheme::kRsaPss, hash};
}

}  // namespace

Result<SignatureMethod> signature_method(ByteView algorithm_der) {
  DerReader outer(algorithm_der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(oid, in.oid());
  const auto name = oid_text(oid);
  if (name == kRsaPss) return read_pss(in);
  for (const auto& row : kMethods) {
    if (row.oid != name) continue;
    // RSA: NULL (some writers leave it out); the others: absent (RFC 5758 §3.2, RFC 8410 §3).
    if (row.method.scheme == SignatureScheme::kRsaPkcs1 && !in.at_end()) {
      KEYWARD_TRY(null, in.element(tag::kNull));
      if (!null.empty()) return fail(ErrorKind::kBadInput, "der: NULL with content");
    }
    KEYWARD_CHECK(in.expect_end());
    return row.method;
  }
  return refused();
}

SignatureMethod method_for(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcP256:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha256};
    case KeyKind::kEcP384:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha384};
    case KeyKind::kEcP521:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha512};
    case KeyKind::kEd25519:
      return {SignatureScheme::kEd25519, HashAlgorithm::kSha512};
    case KeyKind::kRsa:
      break;
  }
  return {SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256};
}

Bytes algorithm_der_for(KeyKind kind) {
  const auto method = method_for(kind);
  for (const auto& row : kMethods) {
    if (row.method.scheme != method.scheme || row.method.hash != method.hash) continue;
    const Bytes null = kind == KeyKind::kRsa ? tlv(tag::kNull, ByteView()) : Bytes();
    return der_sequence({der_oid(row.oid), null});
  }
  return {};
}

Bytes signature_algorithm_der(hal::KeyAlgorithm algorithm) {
  switch (algorithm) {
    case hal::KeyAlgorithm::kEcdsaP256:
      return algorithm_der_for(KeyKind::kEcP256);
    case hal::KeyAlgorithm::kEcdsaP384:
      return algorithm_der_for(KeyKind::kEcP384);
    case hal::KeyAlgorithm::kEd25519:
      return algorithm_der_for(KeyKind::kEd25519);
    case hal::KeyAlgorithm::kRsa2048:
    case hal::KeyAlgorithm::kRsa3072:
    case hal::KeyAlgorithm::kRsa4096:
      break;
  }
  return algorithm_der_for(KeyKind::kRsa);
}

}  // namespace keyward::x509
