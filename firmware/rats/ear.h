// Owns the EAT Attestation Result (draft-ietf-rats-ear-03) and the trustworthiness vector of AR4SI:
// two sets of names, one result (D-R8). Must not know which tier a policy asks for.
//
// verify_ear_*: the signature first. A result is of one set of names, by its eat_profile, and the
// other set's names are unknown claims there. Codes: "jws.*", "cose.*", "trust.*", then
// "ear.malformed", "ear.type", "ear.profile", "ear.iat", "ear.expired", "ear.not-yet",
// "ear.verifier-id", "ear.submods", "ear.status", "ear.vector", "ear.status-better", "ear.policy-id",
// "ear.nonce", "ear.key", "ear.raw-evidence". Threads: pure functions.
#pragma once

#include <array>

#include "firmware/rats/cose.h"
#include "firmware/rats/eat.h"
#include "firmware/rats/jwt.h"

namespace keyward::rats {

inline constexpr std::string_view kEarProfile = "tag:ietf.org,2026:rats/ear#03";
inline constexpr std::string_view kEarProfileLegacy = "tag:github.com,2023:veraison/ear";

enum class Tier : std::uint8_t { kNone = 0, kAffirming = 2, kWarning = 32, kContraindicated = 96 };
std::string_view to_string(Tier tier);
std::optional<Tier> tier_from(std::string_view text);
// AR4SI by range: {-1,0,1} none, 2..31/-2..-32, 32..95/-33..-96, 96..127/-97..-128.
Tier tier_of(std::int8_t value);

inline constexpr std::array<std::string_view, 8> kVectorNames{
    "instance-identity", "configuration",  "executables",    "file-system",
    "hardware",          "runtime-opaque", "storage-opaque", "sourced-data"};
using TrustVector = std::array<std::optional<std::int8_t>, 8>;
Tier worst_of(const TrustVector& vector);

struct EarAppraisal {
  std::string label;  // of the submodule
  Tier status = Tier::kNone;
  bool has_vector = false;
  TrustVector vector{};
  std::vector<std::string> policy_ids;
  std::vector<Bytes> nonces;
  std::optional<crypto::PublicKey> attested_key;  // ear_veraison_key_attestation.akpub
  std::vector<std::string> unknown;               // ignored, as the draft demands
};

struct Ear {
  Encoding encoding = Encoding::kJson;
  bool legacy_names = false;
  std::int64_t iat_s = 0;
  std::optional<std::int64_t> exp_s;
  std::string developer;
  std::string build;
  std::vector<Bytes> nonces;
  std::optional<Tier> status;  // overall, where the verifier says one
  std::optional<Digest256> raw_evidence_sha256;
  std::vector<EarAppraisal> appraisals;  // at least one
  std::vector<std::string> unknown;
  std::optional<Signer> signer;
  // The worst of all.
  Tier worst() const;
};

Appraised<Ear> verify_ear_jwt(std::string_view token, const TrustAnchors& anchors);
Appraised<Ear> verify_ear_cwt(ByteView token, const TrustAnchors& anchors);
// Is this eat_profile parameter one of an EAR?
bool is_ear_profile(std::string_view eat_profile);

}  // namespace keyward::rats
