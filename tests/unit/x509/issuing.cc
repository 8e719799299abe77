#include "issuing.h"

namespace keyward::x509 {

Bytes common_name(const std::string& value) { return name_der({{"2.5.4.3", value}}); }

crypto::PrivateKey new_key(crypto::KeyKind kind) { return *crypto::PrivateKey::generate(kind); }

Bytes issue(const crypto::PublicKey& subject_key, const crypto::PrivateKey& issuer_key,
            const Plan& plan) {
  using crypto::KeyKind;
  const auto kind = issuer_key.public_key().kind();
  const auto algorithm = kind == KeyKind::kEcP384    ? hal::KeyAlgorithm::kEcdsaP384
                         : kind == KeyKind::kRsa     ? hal::KeyAlgorithm::kRsa2048
                         : kind == KeyKind::kEd25519 ? hal::KeyAlgorithm::kEd25519
                                                     : hal::KeyAlgorithm::kEcdsaP256;
  const auto scheme = kind == KeyKind::kRsa       ? crypto::SignatureScheme::kRsaPkcs1
                      : kind == KeyKind::kEd25519 ? crypto::SignatureScheme::kEd25519
                                                  : crypto::SignatureScheme::kEcdsa;
  const auto hash =
      kind == KeyKind::kEcP384 ? crypto::HashAlgorithm::kSha384 : crypto::HashAlgorithm::kSha256;
  TbsSpec spec;
  spec.serial = plan.serial;
  spec.signature_algorithm = signature_algorithm_der(algorithm);
  spec.issuer_name_der = plan.issuer;
  spec.subject_name_der = plan.subject;
  spec.not_before_ms = plan.not_before_ms;
  spec.not_after_ms = plan.not_after_ms;
  spec.spki_der = subject_key.spki_der();
  spec.extensions = plan.extensions;
  const auto tbs = build_tbs(spec);
  return join_certificate(tbs, spec.signature_algorithm, *issuer_key.sign(scheme, hash, tbs));
}

Certificate issue_parsed(const crypto::PublicKey& subject_key, const crypto::PrivateKey& issuer_key,
                         const Plan& plan) {
  auto parsed = parse_certificate(issue(subject_key, issuer_key, plan));
  EXPECT_TRUE(parsed) << parsed.error().what;
  return std::move(*parsed);
}

std::string openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  const auto done = test::run_command(arguments);
  EXPECT_EQ(done.status, 0) << done.output;
  return done.output;
}

}  // namespace keyward::x509
