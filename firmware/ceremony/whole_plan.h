// Owns the plan of a whole ceremony: one reviewed TOML file with tokens, root, issuing CAs,
// cross-certificates, responders, audit and evidence key, operators and custodians. Must not know
// tokens, nor how anything in it is made (products.h).
//
// Everything that is wrong is said at once, with file, line or key. What can be made but deserves a
// second look is a warning, for the review. Errors: none, problems are texts. Threads: values.
#pragma once

#include "firmware/ceremony/ceremony.h"

namespace keyward::ceremony {

inline constexpr std::size_t kTokensMax = 16;   // each costs a custodian's attention
inline constexpr std::size_t kIssuingMax = 16;  // issuing CAs below one root
inline constexpr std::size_t kPersonsMax = 32;  // operators, or persons present

enum class PinSource : std::uint8_t { kMadeUp = 1, kPrompt = 2, kFile = 3 };

struct TokenPlan {
  std::string name;    // within the plan
  std::string board;   // path of the board's token file; beside the plan if relative
  std::string label;   // of the PKCS#11 token
  std::string folder;  // {folder} in the board file; below the output folder if relative
  bool initialize = false;
  PinSource pin = PinSource::kPrompt;
  std::string pin_file, so_pin_file;
};

struct IssuingPlan {
  std::string name;  // in file names: issuing-<name>.pem
  std::string token;
  CaPlan ca;
  std::vector<std::string> profiles;  // for the installation file's reader; the signer has them
  std::int64_t crl_days = 0;          // of the first list; 0: none
  std::string certified;              // below a CA elsewhere: where its answer will be; PEM
};

// RFC 6960 §4.2.2.2: certified by the CA whose certificates it answers for.
struct OcspPlan {
  std::string issuing;  // name; the key lies in that CA's token
  std::string key_label;
  hal::KeyAlgorithm algorithm = hal::KeyAlgorithm::kEcdsaP256;
  std::string common_name;
  std::int64_t lifetime_days = 0;
};

// Another root certifies an issuing CA's key again.
struct CrossPlan {
  std::string name;  // cross-<name>.pem
  std::string issuing;
  std::string token;  // holds the other root's key
  std::string key_label;
  std::string certificate;  // the other root's, PEM; beside the plan if relative
  std::int64_t lifetime_days = 0;
};

struct OperatorPlan {
  std::string name;
  std::string public_key;  // PEM or JWK; beside the plan if relative
  std::vector<std::string> roles;
};

struct CustodiansPlan {
  std::vector<std::string> names;
  std::int64_t threshold = 0;
  std::vector<std::string> pins;  // tokens whose PIN gets a recovery slot
  bool backup = false;            // makes the key of backups and splits it
};

// What the root no longer stands for: a CA that it certified, or a ledger's signer.
struct RevokedPlan {
  Bytes serial;
  std::int64_t at_ms = 0;
  std::uint8_t reason = 0;  // RFC 5280 §5.3.1
};

struct WholePlan {
  std::string unit;
  std::string title;
  std::vector<std::string> present;
  std::vector<TokenPlan> tokens;
  std::string root_token;
  CaPlan root;  // external: organization and country alone
  // The CA above is elsewhere and certifies by request: none of its keys is in a token here.
  bool root_external = false;
  std::string root_certificate;  // PEM of a root that exists, beside the plan; empty: it is made
  std::int64_t root_crl_days = 0;
  std::uint64_t root_crl_number = 1;  // grows with each list of this root
  std::vector<RevokedPlan> revoked;
  std::string root_crl_url;  // where relying parties find the root's list; empty: nowhere
  std::vector<IssuingPlan> issuing;
  std::vector<OcspPlan> ocsp;
  std::vector<CrossPlan> cross;
  std::string audit_token, evidence_token;
  AuditPlan audit;
  std::string audit_certificate;  // of a signer that exists; empty: it is made
  std::string audit_certified;    // below a CA elsewhere: where its answer will be; PEM
  hal::KeyAlgorithm audit_algorithm = hal::KeyAlgorithm::kEcdsaP256;
  std::string evidence_key_label;
  std::vector<OperatorPlan> operators;
  std::vector<std::string> dual_control;
  CustodiansPlan custodians;

  const TokenPlan* token(std::string_view name) const;
  const IssuingPlan* issuing_named(std::string_view name) const;
};

struct WholePlanResult {
  WholePlan plan;  // to be used only if there is no problem
  std::vector<std::string> problems;
  std::vector<std::string> warnings;
};
WholePlanResult parse_whole_plan(std::string_view toml, const std::string& name);

}  // namespace keyward::ceremony
