// Owns the text names of the signing token's enumerators. Must not know PKCS#11.
#include "hal/signing_token.h"

#include <array>
#include <utility>

namespace keyward::hal {
namespace {

constexpr std::array<std::pair<KeyAlgorithm, std::string_view>, 6> kAlgorithmNames{{
    {KeyAlgorithm::kEcdsaP256, "ecdsa-p256"},
    {KeyAlgorithm::kEcdsaP384, "ecdsa-p384"},
    {KeyAlgorithm::kRsa2048, "rsa-2048"},
    {KeyAlgorithm::kRsa3072, "rsa-3072"},
    {KeyAlgorithm::kRsa4096, "rsa-4096"},
    {KeyAlgorithm::kEd25519, "ed25519"},
}};

}  // namespace

std::string_view to_string(KeyAlgorithm algorithm) {
  for (const auto& [value, name] : kAlgorithmNames)
    if (value == algorithm) return name;
  return "unknown";
}

std::optional<KeyAlgorithm> key_algorithm_from(std::string_view text) {
  for (const auto& [value, name] : kAlgorithmNames)
    if (name == text) return value;
  return std::nullopt;
}

std::string_view to_string(TokenState state) {
  switch (state) {
    case TokenState::kClosed:
      return "closed";
    case TokenState::kAway:
      return "away";
    case TokenState::kLocked:
      return "locked";
    case TokenState::kReady:
      return "ready";
  }
  return "unknown";
}

}  // namespace keyward::hal
