#include "tests/support/statement/statement.h"

#include <cstdlib>

#include <tss2/tss2_mu.h>

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/rng.h"

namespace keyward::test {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::PrivateKey;
using crypto::SignatureScheme;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::uint32_t kGoodAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

Bytes name_of(std::string_view common_name) {
  return x509::name_der({{"2.5.4.3", std::string(common_name)}});
}

Bytes tcg_attribute(std::string_view oid, std::string_view value) {
  const Bytes attribute =
      x509::der_sequence({x509::der_oid(oid), x509::tlv(x509::tag::kUtf8String, view_of(value))});
  return x509::tlv(x509::tag::kSet, attribute);
}

Bytes subject_alt_name(const AkCertificateSpec& spec) {
  Bytes rdns;
  if (spec.tcg_manufacturer) append(rdns, tcg_attribute("2.23.133.2.1", "id:00000000"));
  if (spec.tcg_model) append(rdns, tcg_attribute("2.23.133.2.2", "soft"));
  if (spec.tcg_version) append(rdns, tcg_attribute("2.23.133.2.3", "id:00000001"));
  Bytes names = x509::tlv(x509::tag::context_constructed(4), x509::tlv(x509::tag::kSequence, rdns));
  if (spec.permanent_identifier) {
    Bytes body = x509::tlv(x509::tag::kUtf8String, view_of(*spec.permanent_identifier));
    if (spec.assigner) append(body, x509::der_oid(*spec.assigner));
    const Bytes value =
        x509::tlv(x509::tag::context_constructed(0), x509::tlv(x509::tag::kSequence, body));
    append(names, x509::tlv(x509::tag::context_constructed(0),
                            {x509::der_oid("1.3.6.1.5.5.7.8.3"), value}));
  }
  if (spec.hardware_module) {
    const Bytes body =
        x509::der_sequence({x509::der_oid(spec.hardware_module->first),
                            x509::der_octet_string(view_of(spec.hardware_module->second))});
    append(names, x509::tlv(x509::tag::context_constructed(0),
                            {x509::der_oid("1.3.6.1.5.5.7.8.4"),
                             x509::tlv(x509::tag::context_constructed(0), body)}));
  }
  return x509::tlv(x509::tag::kSequence, names);
}

struct SigningWay {
  SignatureScheme scheme;
  HashAlgorithm hash;
  std::uint16_t tpm_scheme, tpm_hash;  // TPM_ALG_ID
};
SigningWay way_of(std::int64_t cose_alg) {
  const auto rsa = SignatureScheme::kRsaPkcs1, pss = SignatureScheme::kRsaPss;
  switch (cose_alg) {
    case -35:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha384, TPM2_ALG_ECDSA, TPM2_ALG_SHA384};
    case -36:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha512, TPM2_ALG_ECDSA, TPM2_ALG_SHA512};
    case -257:
      return {rsa, HashAlgorithm::kSha256, TPM2_ALG_RSASSA, TPM2_ALG_SHA256};
    case -258:
      return {rsa, HashAlgorithm::kSha384, TPM2_ALG_RSASSA, TPM2_ALG_SHA384};
    case -259:
      return {rsa, HashAlgorithm::kSha512, TPM2_ALG_RSASSA, TPM2_ALG_SHA512};
    case -37:
      return {pss, HashAlgorithm::kSha256, TPM2_ALG_RSAPSS, TPM2_ALG_SHA256};
    case -38:
      return {pss, HashAlgorithm::kSha384, TPM2_ALG_RSAPSS, TPM2_ALG_SHA384};
    case -39:
      return {pss, HashAlgorithm::kSha512, TPM2_ALG_RSAPSS, TPM2_ALG_SHA512};
    case -65535:
      return {rsa, HashAlgorithm::kSha1, TPM2_ALG_RSASSA, TPM2_ALG_SHA1};
    default:
      return {SignatureScheme::kEcdsa, HashAlgorithm::kSha256, TPM2_ALG_ECDSA, TPM2_ALG_SHA256};
  }
}

HashAlgorithm name_hash(std::uint16_t name_alg) {
  switch (name_alg) {
    case TPM2_ALG_SHA1:
      return HashAlgorithm::kSha1;
    case TPM2_ALG_SHA384:
      return HashAlgorithm::kSha384;
    case TPM2_ALG_SHA512:
      return HashAlgorithm::kSha512;
    default:
      return HashAlgorithm::kSha256;
  }
}

// Made once for the whole program: RSA keys are slow to make.
const PrivateKey& rsa_ak() {
  static const auto* const key = new PrivateKey(must(PrivateKey::generate(KeyKind::kRsa, 2048)));
  return *key;
}

// The same TBSCertificate as X.509 version 1: without [0] version, which is its first five octets.
Bytes without_version(const Bytes& tbs_der) {
  x509::DerReader outer(tbs_der);
  const auto content = must(outer.element(x509::tag::kSequence));
  return x509::tlv(x509::tag::kSequence, content.subspan(5));
}

// SubjectPublicKeyInfo of a made-up 1024-bit modulus.
Bytes weak_rsa_spki() {
  Bytes modulus = random_bytes(128);
  modulus.front() |= 0x80;
  modulus.back() |= 1;
  const Bytes key = x509::der_sequence({x509::der_unsigned(modulus), x509::der_unsigned(65'537)});
  const Bytes algorithm = x509::der_sequence(
      {x509::der_oid("1.2.840.113549.1.1.1"), x509::tlv(x509::tag::kNull, ByteView())});
  return x509::der_sequence({algorithm, x509::der_bit_string(key)});
}

Bytes certificate(const PrivateKey& issuer, const Bytes& subject_spki, Bytes subject,
                  std::int64_t from_ms, std::int64_t to_ms, std::vector<Bytes> extensions,
                  Bytes issuer_name, bool version_1 = false) {
  x509::TbsSpec tbs;
  tbs.serial = random_bytes(8);
  tbs.serial[0] = static_cast<std::uint8_t>((tbs.serial[0] & 0x7f) | 1);
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = std::move(issuer_name);
  tbs.subject_name_der = std::move(subject);
  tbs.not_before_ms = from_ms;
  tbs.not_after_ms = to_ms;
  tbs.spki_der = subject_spki;
  tbs.extensions = std::move(extensions);
  const Bytes der = version_1 ? without_version(x509::build_tbs(tbs)) : x509::build_tbs(tbs);
  return x509::join_certificate(
      der, tbs.signature_algorithm,
      must(issuer.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, der)));
}

}  // namespace

StatementMaker::StatementMaker(std::int64_t at_utc_ms) : at_utc_ms_(at_utc_ms) {
  for (auto* key : {&ca_, &other_ca_, &ak_, &other_ak_, &device_, &other_device_})
    *key = must(PrivateKey::generate(KeyKind::kEcP256));
  const Bytes name = name_of("Make-believe TPM manufacturer");
  anchor_ = must(x509::parse_certificate(certificate(
      *ca_, ca_->public_key().spki_der(), name, at_utc_ms - 10 * kHourMs, at_utc_ms + 100 * kHourMs,
      {x509::ext_basic_constraints(true, 0), x509::ext_key_usage({x509::kKeyCertSign})}, name)));
}

StatementMaker::StatementMaker(std::int64_t at_utc_ms, PrivateKey manufacturer,
                               x509::Certificate anchor)
    : StatementMaker(at_utc_ms) {
  ca_ = std::move(manufacturer);
  anchor_ = std::move(anchor);
}

StatementSpec StatementMaker::good() {
  StatementSpec spec;
  spec.attributes = kGoodAttributes;
  return spec;
}

Bytes StatementMaker::ak_certificate(const StatementSpec& spec) const {
  return ak_certificate(spec, ak_of(spec).public_key());
}

const PrivateKey& StatementMaker::ak_of(const StatementSpec& spec) const {
  return way_of(spec.ak_alg).scheme == SignatureScheme::kEcdsa ? *ak_ : rsa_ak();
}

// As the TPM writes it (Part 2 §11.3.4), or plain.
Bytes StatementMaker::signature(const StatementSpec& spec, const PrivateKey& key,
                                ByteView info) const {
  const auto way = way_of(spec.ak_alg);
  const Bytes plain = must(key.sign(way.scheme, way.hash, info));
  if (!spec.tpmt_signature) return plain;
  const auto scheme = spec.tpmt_scheme.value_or(way.tpm_scheme);
  const auto hash = spec.tpmt_hash.value_or(way.tpm_hash);
  Bytes out;
  const auto u16 = [&](std::size_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value & 0xff));
  };
  u16(scheme);
  u16(hash);
  if (way.scheme != SignatureScheme::kEcdsa) {
    u16(plain.size());
    append(out, plain);
    return out;
  }
  const Bytes raw = must(crypto::ecdsa_der_to_raw(plain, 32));
  for (const auto at : {0u, 32u}) {
    u16(32);
    append(out, ByteView(raw).subspan(at, 32));
  }
  return out;
}

Bytes StatementMaker::ak_certificate(const StatementSpec& spec,
                                     const crypto::PublicKey& ak_key) const {
  const auto& ak = spec.ak;
  std::vector<Bytes> extensions;
  if (ak.basic_constraints)
    extensions.push_back(x509::ext_basic_constraints(ak.is_ca, std::nullopt));
  if (!ak.usages.empty()) extensions.push_back(x509::ext_extended_key_usage(ak.usages));
  if (ak.san)
    extensions.push_back(x509::extension_der("2.5.29.17", ak.san_critical,
                                             ak.raw_san ? *ak.raw_san : subject_alt_name(ak)));
  if (spec.ak_version_1) extensions.clear();
  const auto from = ak.not_before_ms != 0 ? ak.not_before_ms : at_utc_ms_ - kHourMs;
  const auto to = ak.not_after_ms != 0 ? ak.not_after_ms : at_utc_ms_ + kHourMs;
  const Bytes subject = ak.empty_subject ? x509::name_der({}) : x509::name_der({{"2.5.4.3", "AK"}});
  return certificate(spec.unknown_ca || spec.impostor_ca ? *other_ca_ : *ca_,
                     spec.ak_rsa_1024 ? weak_rsa_spki() : ak_key.spki_der(), subject, from, to,
                     extensions, spec.unknown_ca ? name_of("Somebody else") : anchor_->subject_der,
                     spec.ak_version_1);
}

Bytes StatementMaker::pub_area(const StatementSpec& spec, const PrivateKey& key) const {
  TPMT_PUBLIC area{};
  area.nameAlg = spec.name_alg;
  area.objectAttributes = spec.attributes;
  if (spec.rsa_bits != 0) {
    area.type = TPM2_ALG_RSA;
    area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.rsaDetail.keyBits = static_cast<std::uint16_t>(spec.rsa_bits);
    area.unique.rsa.size = static_cast<std::uint16_t>(spec.rsa_bits / 8);
    random_fill({area.unique.rsa.buffer, area.unique.rsa.size});
    area.unique.rsa.buffer[0] |= 0x80;
    area.unique.rsa.buffer[area.unique.rsa.size - 1] |= 1;
  } else {
    area.type = TPM2_ALG_ECC;
    area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.eccDetail.curveID = spec.curve;
    area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    const Bytes& spki = key.public_key().spki_der();  // ends with 04 || x || y
    area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
    std::copy(spki.end() - 64, spki.end() - 32, area.unique.ecc.x.buffer);
    std::copy(spki.end() - 32, spki.end(), area.unique.ecc.y.buffer);
  }
  Bytes out(1024);
  std::size_t size = 0;
  if (::Tss2_MU_TPMT_PUBLIC_Marshal(&area, out.data(), out.size(), &size) != TSS2_RC_SUCCESS)
    std::abort();
  out.resize(size);
  return out;
}

Bytes StatementMaker::cert_info(const StatementSpec& spec, ByteView area) const {
  TPMS_ATTEST attest{};
  attest.magic = spec.magic;
  attest.type = spec.attest_type;
  const auto extra =
      crypto::hash(spec.extra_data_sha256 ? HashAlgorithm::kSha256 : way_of(spec.ak_alg).hash,
                   view_of(spec.key_authorization));
  attest.extraData.size = static_cast<std::uint16_t>(extra.size());
  std::copy(extra.begin(), extra.end(), attest.extraData.buffer);
  auto& name = attest.attested.certify.name;
  const auto digest = crypto::hash(name_hash(spec.name_alg), area);
  name.name[0] = static_cast<std::uint8_t>(spec.name_alg >> 8);
  name.name[1] = static_cast<std::uint8_t>(spec.name_alg & 0xff);
  std::copy(digest.begin(), digest.end(), name.name + 2);
  name.size = static_cast<std::uint16_t>(2 + digest.size());
  Bytes out(1024);
  std::size_t size = 0;
  if (::Tss2_MU_TPMS_ATTEST_Marshal(&attest, out.data(), out.size(), &size) != TSS2_RC_SUCCESS)
    std::abort();
  out.resize(size);
  return out;
}

Bytes StatementMaker::attestation_object(const StatementSpec& spec) const {
  return attestation_object(spec, *device_);
}

Bytes StatementMaker::attestation_object(const StatementSpec& spec,
                                         const PrivateKey& device_key) const {
  const auto edit = [](const StatementSpec::Edit& change, Bytes& octets) {
    if (change) change(octets);
  };
  Bytes certified = pub_area(spec, device_key);
  edit(spec.edit_pub_area, certified);
  Bytes info = cert_info(spec, certified);
  edit(spec.edit_cert_info, info);
  if (spec.trailing_cert_info) info.push_back(0);
  Bytes sig = signature(spec, spec.signed_by_other_ak ? *other_ak_ : ak_of(spec), info);
  if (spec.trailing_sig) sig.push_back(0);
  if (spec.flip_cert_info) info.back() ^= 1;
  Bytes shown = spec.other_key_in_pub_area ? pub_area(spec, *other_device_) : certified;
  if (spec.trailing_pub_area) shown.push_back(0);
  Bytes ak_der = ak_certificate(spec);
  edit(spec.edit_sent_cert_info, info);
  edit(spec.edit_sent_pub_area, shown);
  edit(spec.edit_sent_sig, sig);
  edit(spec.edit_sent_certificate, ak_der);
  wire::CborWriter out;
  out.map(2);
  out.text("fmt");
  out.text(spec.format);
  out.text("attStmt");
  const auto wanted = [&](std::string_view member) {
    if (member == spec.without_member) return false;
    out.text(member);
    return true;
  };
  out.map(spec.without_member.empty() ? 6 : 5);
  if (wanted("ver")) out.text(spec.ver);
  if (wanted("alg")) out.integer(spec.alg);
  if (wanted("x5c")) {
    out.array(1);
    out.bytes(ak_der);
  }
  if (wanted("sig")) out.bytes(sig);
  if (wanted("certInfo")) out.bytes(info);
  if (wanted("pubArea")) out.bytes(shown);
  return out.take();
}

}  // namespace keyward::test
