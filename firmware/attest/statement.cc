// Owns the steps that formats share. Must not know any format.
#include "firmware/attest/statement.h"

#include <algorithm>
#include <array>

#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::array<CoseAlgorithm, 10> kAlgorithms{{
    {-7, crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256},
    {-35, crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha384},
    {-36, crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha512},
    {-257, crypto::SignatureScheme::kRsaPkcs1, crypto::HashAlgorithm::kSha256},
    {-258, crypto::SignatureScheme::kRsaPkcs1, crypto::HashAlgorithm::kSha384},
    {-259, crypto::SignatureScheme::kRsaPkcs1, crypto::HashAlgorithm::kSha512},
    {-37, crypto::SignatureScheme::kRsaPss, crypto::HashAlgorithm::kSha256},
    {-38, crypto::SignatureScheme::kRsaPss, crypto::HashAlgorithm::kSha384},
    {-39, crypto::SignatureScheme::kRsaPss, crypto::HashAlgorithm::kSha512},
    {-8, crypto::SignatureScheme::kEd25519, crypto::HashAlgorithm::kSha512},
}};

std::string code(std::string_view format, std::string_view what) {
  return std::string(format) + "." + std::string(what);
}

}  // namespace

Appraised<Chain> appraise_chain(const Statement& statement, std::string_view format,
                                const std::vector<x509::Certificate>& roots) {
  std::vector<x509::Certificate> read;
  for (const auto& der : statement.object.x5c) {
    auto certificate = x509::parse_certificate(der);
    if (!certificate) {
      return refuse(code(format, "chain"),
                    std::string("a certificate in x5c is malformed: ") + certificate.error().what);
    }
    read.push_back(std::move(*certificate));
  }
  if (read.empty()) return refuse(code(format, "chain"), "the statement has no certificate in x5c");
  Chain out{std::move(read.front()), {}};
  out.above.assign(std::make_move_iterator(read.begin() + 1), std::make_move_iterator(read.end()));
  const auto walked = x509::verify_chain(out.leaf, out.above, roots, {statement.at_utc_ms, {}});
  if (walked) {
    statement.passed(code(format, "chain"),
                     "the attestation certificate chains to a configured root, and is valid now");
    return out;
  }
  const std::string_view why = walked.error().what;
  if (why == "certificate expired")
    return refuse(code(format, "expired"),
                  "the attestation certificate, or one in its chain, has expired");
  if (why == "certificate not yet valid") {
    return refuse(code(format, "not-yet-valid"),
                  "the attestation certificate, or one in its chain, is not valid yet: check the "
                  "clocks");
  }
  if (why == "no path to a trust anchor") {
    return refuse(code(format, "unknown-ca"),
                  "the attestation certificate was issued by a CA that is not among the configured "
                  "roots of this format");
  }
  return refuse(code(format, "chain"),
                "the attestation certificate's chain does not verify: " + std::string(why));
}

std::optional<CoseAlgorithm> cose_algorithm(std::optional<std::int64_t> id) {
  const auto* const found = std::ranges::find(kAlgorithms, id.value_or(0), &CoseAlgorithm::id);
  if (found == kAlgorithms.end()) return std::nullopt;
  return *found;
}

Appraised<void> check_signature(const Statement& statement, std::string_view format,
                                const std::optional<crypto::PublicKey>& key, ByteView message,
                                ByteView signature) {
  const auto algorithm = cose_algorithm(statement.object.alg);
  if (!algorithm) {
    return refuse(code(format, "algorithm"),
                  "the member 'alg' must be one of ES256/384/512, RS256/384/512, PS256/384/512, "
                  "EdDSA (SHA-1 is refused)");
  }
  if (!key || !key->verify(algorithm->scheme, algorithm->hash, message, signature)) {
    return refuse(code(format, "signature"),
                  "the signature over the challenge is not by the key in the leaf certificate: it "
                  "answers another challenge or account, or is by another key");
  }
  statement.passed(code(format, "signature"),
                   "the leaf certificate's key signed this challenge's octets");
  return {};
}

Appraised<crypto::PublicKey> certifiable_key(const Statement& statement, std::string_view format,
                                             const std::optional<crypto::PublicKey>& key) {
  const bool taken =
      key && (key->kind() == crypto::KeyKind::kEcP256 || key->kind() == crypto::KeyKind::kEcP384 ||
              key->kind() == crypto::KeyKind::kRsa);
  if (!taken) {
    return refuse(code(format, "key"),
                  "the attested key is of a type or size that is not certified here: P-256, P-384 "
                  "or RSA of 2048 to 4096 bits");
  }
  statement.passed(code(format, "key"), "the attested key is of a type that may be certified");
  return *key;
}

Appraised<void> check_identifier(const Statement& statement, std::string_view format,
                                 std::span<const std::string> asserted, std::string_view assigner) {
  const bool nothing = std::ranges::all_of(asserted, [](const auto& one) { return one.empty(); });
  if (nothing) {
    return refuse(code(format, "no-identifier"),
                  "the statement names no device, so nothing ties it to the ordered one");
  }
  const std::string_view whole = statement.identifier.value;
  const auto slash = whole.find('/');
  const bool suffixed = slash != std::string_view::npos;
  const auto suffix = suffixed ? whole.substr(slash + 1) : std::string_view();
  bool suffix_holds = !suffixed || (!assigner.empty() && suffix == assigner);
  if (statement.identifier.type == wire::IdentifierType::kHardwareModule) {
    const auto type = statement.policy.hardware_module_types.find(statement.object.format);
    suffix_holds = suffixed && type != statement.policy.hardware_module_types.end() &&
                   !type->second.empty() && suffix == type->second;
  }
  const auto value = whole.substr(0, slash);
  if (!suffix_holds || value.empty() || std::ranges::find(asserted, value) == asserted.end()) {
    return refuse(code(format, "identifier"),
                  "the statement is of another device than the order's identifier");
  }
  statement.passed(code(format, "identifier"),
                   "the statement names the order's device, octet by octet");
  return {};
}

}  // namespace keyward::attest
