#include "tests/support/endorsement/endorsement.h"

#include <cstdlib>

#include <tss2/tss2_mu.h>

#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/rng.h"

namespace keyward::test {
namespace {

using crypto::KeyKind;
using crypto::PrivateKey;

constexpr std::int64_t kHourMs = 3'600'000;

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

Bytes attribute(std::string_view oid, std::string_view value) {
  return x509::der_sequence(
      {x509::der_oid(oid), x509::tlv(x509::tag::kUtf8String, view_of(value))});
}

// One RDN of three attributes in an order that DER forbids.
Bytes unsorted_name(std::string_view common_name) {
  Bytes set = attribute("2.5.4.10", "Maker of TPMs");
  append(set, attribute("2.5.4.3", common_name));
  append(set, attribute("2.5.4.6", "XX"));
  return x509::tlv(x509::tag::kSequence, x509::tlv(x509::tag::kSet, set));
}

Bytes subject_alt_name(const EkSpec& spec) {
  Bytes set = attribute("2.23.133.2.3", spec.version);
  append(set, attribute("2.23.133.2.1", spec.manufacturer));
  append(set, attribute("2.23.133.2.2", spec.model));
  const Bytes name = x509::tlv(x509::tag::kSequence, x509::tlv(x509::tag::kSet, set));
  return x509::der_sequence({x509::tlv(x509::tag::context_constructed(4), name)});
}

Bytes issued(const PrivateKey& issuer, x509::TbsSpec spec, bool version_1, bool flip) {
  spec.serial = random_bytes(8);
  spec.serial[0] = 0x11;
  spec.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  Bytes tbs = x509::build_tbs(spec);
  if (version_1) {  // without the version field and without extensions
    x509::DerReader outer(tbs);
    auto in = must(outer.sequence());
    (void)must(in.any());
    Bytes rest;
    for (int i = 0; i < 6; ++i) append(rest, must(in.any()).whole);
    tbs = x509::tlv(x509::tag::kSequence, rest);
  }
  Bytes signature =
      must(issuer.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, tbs));
  if (flip) signature.back() ^= 1;
  return x509::join_certificate(tbs, spec.signature_algorithm, signature);
}

Bytes ca_certificate(const PrivateKey& issuer, ByteView issuer_name, const PrivateKey& key,
                     ByteView name, std::int64_t from, std::int64_t to) {
  x509::TbsSpec spec;
  spec.issuer_name_der = to_bytes(issuer_name);
  spec.subject_name_der = to_bytes(name);
  spec.not_before_ms = from;
  spec.not_after_ms = to;
  spec.spki_der = key.public_key().spki_der();
  spec.extensions = {x509::ext_basic_constraints(true, std::nullopt),
                     x509::ext_key_usage({x509::kKeyCertSign}),
                     x509::ext_subject_key_id(spec.spki_der),
                     x509::ext_authority_key_id(x509::key_id_of(issuer.public_key().spki_der()))};
  return issued(issuer, spec, false, false);
}

Bytes weak_rsa_spki() {
  Bytes modulus = random_bytes(128);
  modulus.front() |= 0x80;
  modulus.back() |= 1;
  const Bytes key = x509::der_sequence({x509::der_unsigned(modulus), x509::der_unsigned(65'537)});
  return x509::der_sequence({x509::der_sequence({x509::der_oid("1.2.840.113549.1.1.1"),
                                                 x509::tlv(x509::tag::kNull, ByteView())}),
                             x509::der_bit_string(key)});
}

Bytes authority_info() {
  const Bytes location =
      x509::tlv(x509::tag::context(6), view_of("http://tpm.example/intermediate.cer"));
  const Bytes access = x509::der_sequence({x509::der_oid("1.3.6.1.5.5.7.48.2"), location});
  return x509::extension_der("1.3.6.1.5.5.7.1.1", false, x509::der_sequence({access}));
}

}  // namespace

AreaSpec good_ek_area() {
  AreaSpec out;
  out.attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                   TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                   TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  out.aes_bits = 128;
  return out;
}

AreaSpec good_ak_area() {
  AreaSpec out;
  out.attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                   TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                   TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
  out.scheme = TPM2_ALG_ECDSA;
  return out;
}

Bytes area_of(const AreaSpec& spec, const crypto::PublicKey& key) {
  TPMT_PUBLIC area{};
  area.type = TPM2_ALG_ECC;
  area.nameAlg = spec.name_alg;
  area.objectAttributes = spec.attributes;
  auto& ecc = area.parameters.eccDetail;
  ecc.symmetric.algorithm = spec.aes_bits != 0 ? TPM2_ALG_AES : TPM2_ALG_NULL;
  ecc.symmetric.keyBits.aes = static_cast<std::uint16_t>(spec.aes_bits);
  ecc.symmetric.mode.aes = spec.aes_mode;
  ecc.scheme.scheme = spec.scheme;
  ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  ecc.curveID = spec.curve;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  const Bytes& spki = key.spki_der();  // ends with 04 || x || y
  area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
  std::copy(spki.end() - 64, spki.end() - 32, area.unique.ecc.x.buffer);
  std::copy(spki.end() - 32, spki.end(), area.unique.ecc.y.buffer);
  Bytes out(1024);
  std::size_t size = 0;
  if (::Tss2_MU_TPMT_PUBLIC_Marshal(&area, out.data(), out.size(), &size) != TSS2_RC_SUCCESS)
    std::abort();
  out.resize(size);
  return out;
}

EkMaker::EkMaker(std::int64_t at_utc_ms, std::int64_t intermediate_not_after_ms)
    : at_utc_ms_(at_utc_ms) {
  for (auto* key : {&root_key_, &intermediate_key_, &other_key_, &ek_, &ak_})
    key->emplace(must(PrivateKey::generate(KeyKind::kEcP256)));
  const auto from = at_utc_ms - 100 * kHourMs, to = at_utc_ms + 100 * kHourMs;
  const auto root_name = unsorted_name("TPM Root CA");
  root_.emplace(must(x509::parse_certificate(
      ca_certificate(*root_key_, root_name, *root_key_, root_name, from, to))));
  intermediate_.emplace(must(x509::parse_certificate(ca_certificate(
      *root_key_, root_name, *intermediate_key_, unsorted_name("TPM Intermediate CA"), from,
      intermediate_not_after_ms != 0 ? intermediate_not_after_ms : to))));
}

Bytes EkMaker::certificate(const EkSpec& spec) const {
  return certificate(spec, ek_->public_key());
}

Bytes EkMaker::certificate(const EkSpec& spec, const crypto::PublicKey& ek) const {
  const bool by_root = spec.issuer == EkSpec::Issuer::kRoot;
  const bool by_other =
      spec.issuer == EkSpec::Issuer::kUnknown || spec.issuer == EkSpec::Issuer::kNamesake;
  const auto& issuer = by_other ? *other_key_ : by_root ? *root_key_ : *intermediate_key_;
  x509::TbsSpec tbs;
  tbs.issuer_name_der = spec.issuer == EkSpec::Issuer::kUnknown
                            ? unsorted_name("TPM Intermediate CA 2")
                        : by_root ? root_->subject_der
                                  : intermediate_->subject_der;
  tbs.subject_name_der = x509::name_der({});
  tbs.not_before_ms = spec.not_before_ms != 0 ? spec.not_before_ms : at_utc_ms_ - kHourMs;
  tbs.not_after_ms = spec.not_after_ms != 0 ? spec.not_after_ms : at_utc_ms_ + kHourMs;
  tbs.spki_der = spec.weak_key ? weak_rsa_spki() : ek.spki_der();
  const bool rsa = ek.kind() == KeyKind::kRsa;
  tbs.extensions = {x509::ext_authority_key_id(x509::key_id_of(issuer.public_key().spki_der())),
                    x509::ext_key_usage({spec.other_key_usage ? x509::kDigitalSignature
                                         : rsa                ? x509::kKeyEncipherment
                                                              : x509::kKeyAgreement})};
  if (spec.basic_constraints)
    tbs.extensions.push_back(x509::ext_basic_constraints(spec.ca, std::nullopt));
  if (!spec.usages.empty()) tbs.extensions.push_back(x509::ext_extended_key_usage(spec.usages));
  if (spec.san)
    tbs.extensions.push_back(x509::extension_der(
        "2.5.29.17", true, spec.raw_san ? *spec.raw_san : subject_alt_name(spec)));
  if (spec.aia) tbs.extensions.push_back(authority_info());
  return issued(issuer, tbs, spec.version_1, spec.flip_signature);
}

}  // namespace keyward::test
