// Owns the choice of the key that must have signed. Must not know what is signed.
#include "firmware/rats/trust.h"

#include <algorithm>
#include <array>

#include "hal/base/limits.h"

namespace keyward::rats {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::SignatureScheme;

constexpr unsigned kDigitalSignature = 0;  // RFC 5280 §4.2.1.3

constexpr std::array<SignatureAlgorithm, 10> kAlgorithms{{
    {"ES256", -7, KeyKind::kEcP256, SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256},
    {"ES384", -35, KeyKind::kEcP384, SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha384},
    {"ES512", -36, KeyKind::kEcP521, SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha512},
    {"EdDSA", -8, KeyKind::kEd25519, SignatureScheme::kEd25519, HashAlgorithm::kSha512},
    {"PS256", -37, KeyKind::kRsa, SignatureScheme::kRsaPss, HashAlgorithm::kSha256},
    {"PS384", -38, KeyKind::kRsa, SignatureScheme::kRsaPss, HashAlgorithm::kSha384},
    {"PS512", -39, KeyKind::kRsa, SignatureScheme::kRsaPss, HashAlgorithm::kSha512},
    {"RS256", -257, KeyKind::kRsa, SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256},
    {"RS384", -258, KeyKind::kRsa, SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha384},
    {"RS512", -259, KeyKind::kRsa, SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha512},
}};

bool verifies(const crypto::PublicKey& key, const SignatureAlgorithm& algorithm, ByteView message,
              ByteView signature) {
  return key.kind() == algorithm.kind &&
         key.verify(algorithm.scheme, algorithm.hash, message, signature).has_value();
}

tl::unexpected<Refusal> bad_certificate(std::string detail) {
  return refuse("trust.certificate", std::move(detail));
}

Appraised<Signer> signer_of_chain(const TrustAnchors& anchors, const std::vector<Bytes>& x5c) {
  if (x5c.size() > limits::kChainCertificatesMax)
    return bad_certificate("the chain that came along has too many certificates");
  std::vector<x509::Certificate> chain;
  for (const auto& der : x5c) {
    auto certificate = x509::parse_certificate(der);
    if (!certificate) return bad_certificate("a certificate that came along does not read");
    chain.push_back(std::move(*certificate));
  }
  auto leaf = chain.front();
  if (!leaf.key) return bad_certificate("the signer's certificate has a key that is not accepted");
  const bool known = std::ranges::any_of(anchors.keys, [&](const TrustedKey& trusted) {
    return trusted.key.spki_sha256() == leaf.key->spki_sha256();
  });
  if (!known) {
    if (anchors.roots.empty())
      return bad_certificate("the signer brought a certificate, and no root is configured");
    const auto path = x509::verify_chain(leaf, {chain.begin() + 1, chain.end()}, anchors.roots,
                                         {anchors.at_utc_ms, {}});
    if (!path)
      return bad_certificate(std::string("the signer's certificate: ") + path.error().what);
  }
  if (!leaf.key_usage(kDigitalSignature).value_or(true))
    return bad_certificate("the signer's certificate is not for signatures");
  if (leaf.basic_constraints_ca().value_or(false))
    return bad_certificate("the signer's certificate is a CA's");
  auto key = *leaf.key;
  // What a certificate says that no root vouches for must not be read by anybody.
  if (known) return Signer{std::move(key), std::nullopt};
  return Signer{std::move(key), std::move(leaf)};
}

}  // namespace

const SignatureAlgorithm* algorithm_from_jose(std::string_view name) {
  const auto* found = std::ranges::find(kAlgorithms, name, &SignatureAlgorithm::jose);
  return found == kAlgorithms.end() ? nullptr : found;
}

const SignatureAlgorithm* algorithm_from_cose(std::int64_t number) {
  const auto* found = std::ranges::find(kAlgorithms, number, &SignatureAlgorithm::cose);
  return found == kAlgorithms.end() ? nullptr : found;
}

const SignatureAlgorithm& algorithm_for(crypto::KeyKind kind) {
  for (const auto& row : kAlgorithms) {
    if (row.kind == kind) return row;
  }
  return kAlgorithms.front();
}

Appraised<Signer> verify_signer(const TrustAnchors& anchors, const SignerHint& hint,
                                ByteView to_be_signed, ByteView signature,
                                std::string_view refusal_code) {
  if (!hint.x5c.empty()) {
    auto signer = signer_of_chain(anchors, hint.x5c);
    if (!signer) return signer;
    if (!verifies(signer->key, *hint.algorithm, to_be_signed, signature))
      return refuse(refusal_code, "the signature is not the certificate's key's");
    return signer;
  }
  bool any = false;
  for (const auto& trusted : anchors.keys) {
    if (hint.kid && !trusted.kid.empty() && !equal(*hint.kid, view_of(trusted.kid))) continue;
    if (trusted.key.kind() != hint.algorithm->kind) continue;
    any = true;
    if (verifies(trusted.key, *hint.algorithm, to_be_signed, signature))
      return Signer{trusted.key, std::nullopt};
  }
  if (!any)
    return refuse("trust.key", "no configured key has the signer's kid and fits its algorithm");
  return refuse(refusal_code, "the signature is none of a configured key");
}

}  // namespace keyward::rats
