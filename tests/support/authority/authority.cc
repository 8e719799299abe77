// Owns the making of chains and tokens. Must not know the verifier.
#include "tests/support/authority/authority.h"

#include <cstdlib>

#include "firmware/json/json.h"
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

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

Bytes name_of(std::string_view common_name) {
  return x509::name_der({{"2.5.4.3", std::string(common_name)}});
}

Bytes certificate(const PrivateKey& issuer, ByteView spki, std::string_view subject,
                  std::int64_t from_ms, std::int64_t to_ms, std::vector<Bytes> extensions) {
  x509::TbsSpec tbs;
  tbs.serial = random_bytes(8);
  tbs.serial[0] = static_cast<std::uint8_t>((tbs.serial[0] & 0x7f) | 1);
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = name_of("Make-believe token root");
  tbs.subject_name_der = name_of(subject);
  tbs.not_before_ms = from_ms;
  tbs.not_after_ms = to_ms;
  tbs.spki_der = to_bytes(spki);
  tbs.extensions = std::move(extensions);
  const Bytes der = x509::build_tbs(tbs);
  return x509::join_certificate(
      der, tbs.signature_algorithm,
      must(issuer.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, der)));
}

Bytes sign(const PrivateKey& key, std::string_view input) {
  const bool ec = key.public_key().kind() == KeyKind::kEcP256;
  return must(key.sign(ec ? SignatureScheme::kEcdsaRaw : SignatureScheme::kRsaPkcs1,
                       HashAlgorithm::kSha256, view_of(input)));
}

}  // namespace

std::string fingerprint_text(const Digest256& thumbprint) {
  std::string out = "SHA256 ";
  for (std::size_t i = 0; i < thumbprint.size(); ++i) {
    if (i > 0) out += ':';
    for (char c : hex_encode(ByteView(thumbprint).subspan(i, 1)))
      out += static_cast<char>(c >= 'a' ? c - 'a' + 'A' : c);
  }
  return out;
}

AuthorityMaker::AuthorityMaker(std::int64_t at_utc_ms, const AuthorityChainSpec& chain)
    : at_utc_ms_(at_utc_ms) {
  root_key_ = must(PrivateKey::generate(KeyKind::kEcP256));
  leaf_key_ = must(PrivateKey::generate(chain.leaf_key));
  other_key_ = must(PrivateKey::generate(chain.leaf_key));
  const auto other_root = must(PrivateKey::generate(KeyKind::kEcP256));
  root_ = must(x509::parse_certificate(
      certificate(*root_key_, root_key_->public_key().spki_der(), "Make-believe token root",
                  at_utc_ms - 10 * kHourMs, at_utc_ms + 100 * kHourMs,
                  {x509::ext_basic_constraints(true, std::nullopt),
                   x509::ext_key_usage({x509::kKeyCertSign})})));
  const auto usage = chain.no_digital_signature ? x509::ext_key_usage({x509::kKeyAgreement})
                                                : x509::ext_key_usage({x509::kDigitalSignature});
  leaf_der_ =
      certificate(chain.other_root ? other_root : *root_key_, leaf_key_->public_key().spki_der(),
                  "Make-believe token authority", at_utc_ms - 2 * kHourMs,
                  chain.expired ? at_utc_ms - kHourMs : at_utc_ms + 10 * kHourMs,
                  {x509::ext_basic_constraints(chain.leaf_is_ca, std::nullopt), usage});
}

std::string AuthorityMaker::root_pem() const { return x509::to_pem("CERTIFICATE", root_->der); }

std::string AuthorityMaker::chain_pem() const {
  return x509::to_pem("CERTIFICATE", leaf_der_) + root_pem();
}

std::string AuthorityMaker::token(const AuthorityTokenSpec& spec) const {
  json::Writer header;
  header.begin_object().member("typ", "JWT").member("alg", spec.header_alg);
  if (spec.x5c) {
    header.key("x5c").begin_array().string(base64_encode(leaf_der_)).end_array();
  } else {
    header.member("x5u", spec.x5u);
  }
  header.end_object();
  json::Writer claims;
  claims.begin_object().member("iss", "make-believe authority").member("jti", spec.jti);
  claims.member_int("exp", spec.exp_s.value_or((at_utc_ms_ + kHourMs) / 1'000));
  if (spec.nbf_s) claims.member_int("nbf", *spec.nbf_s);
  claims.key("atc").begin_object().member("tktype", spec.tktype).member("tkvalue", spec.tkvalue);
  claims.member("fingerprint", spec.fingerprint.value_or(fingerprint_text(spec.thumbprint)));
  if (!spec.ca.empty()) claims.key("ca").raw(spec.ca);
  claims.end_object().end_object();
  const auto header_b64 = base64url_encode(view_of(spec.header ? *spec.header : header.take()));
  const auto payload_b64 = base64url_encode(view_of(spec.claims ? *spec.claims : claims.take()));
  const auto signature =
      sign(spec.other_key ? *other_key_ : *leaf_key_, header_b64 + "." + payload_b64);
  const auto carried =
      spec.other_payload.empty() ? payload_b64 : base64url_encode(view_of(spec.other_payload));
  return header_b64 + "." + carried + "." + base64url_encode(signature);
}

}  // namespace keyward::test
