// Owns the key ceremony: from one plan to a root and an issuing CA, whose keys are made in tokens.
// Must not know which token, which files, or that the simulator exists.
//
// Errors: kBadInput (plan), kRefused (a key exists, or the token made one that could leave it),
// kCorrupt (what was made does not pass its own lint), kUnavailable (token away). Threads: one.
// Source: RFC 5280 §4.1, §4.2.1; DESIGN §2.8.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hal/signing_token.h"

namespace keyward::ceremony {

struct CaPlan {
  std::string key_label;
  hal::KeyAlgorithm algorithm = hal::KeyAlgorithm::kEcdsaP256;
  std::string common_name;
  std::string organization;  // empty: left out
  std::string country;       // two letters; empty: left out
  std::int64_t lifetime_days = 0;
  std::optional<int> path_length;
  std::vector<std::string> permitted_dns;  // name constraints; empty: none
  std::vector<std::string> permitted_ip;   // the same, "10.20.0.0/16"
};

// The key that signs the ledger's head, in the issuing token; the root certifies it.
struct AuditPlan {
  std::string key_label;  // empty: none
  std::string common_name;
  std::int64_t lifetime_days = 0;
};

struct Plan {
  CaPlan root;
  CaPlan issuing;
  // In the issuing token: a key for encrypted evidence (signer.evidence_key_label); empty: none.
  std::string evidence_key_label;
  AuditPlan audit;
  AuditPlan ocsp;  // of the issuing CA's responder, in its token, certified by it
};

struct PlanResult {
  Plan plan;  // to be used only if there is no problem
  std::vector<std::string> problems;
};
PlanResult parse_plan(std::string_view toml, const std::string& name);
PlanResult load_plan(const std::string& path);

// Generates the key in the token (kRefused if the label exists) and checks that it cannot leave it.
Result<hal::TokenKey> make_key(hal::SigningToken& token, const CaPlan& plan);

// The root's own certificate, signed by its key in the token.
Result<Bytes> make_root(hal::SigningToken& token, const CaPlan& plan, std::int64_t now_ms);

// The issuing CA's certificate, signed by the root's key in the token. `issuing_spki` comes from
// another one.
Result<Bytes> make_issuing(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                           ByteView issuing_spki, std::int64_t now_ms);

// The audit key's certificate, signed by the root's key in the token: an end entity that signs and is
// used for heads alone. Ends with the root at the latest.
Result<Bytes> make_audit(hal::SigningToken& root_token, const Plan& plan, ByteView root_der,
                         ByteView audit_spki, std::int64_t now_ms);
// The responder's certificate, signed by the issuing CA's key in the same token.
Result<Bytes> make_ocsp(hal::SigningToken& issuing_token, const Plan& plan, ByteView issuing_der,
                        ByteView ocsp_spki, std::int64_t now_ms);
// kCorrupt, kRefused.
Status lint_audit(const Plan& plan, ByteView root_der, ByteView audit_der, std::int64_t now_ms);

// Reads both back as a stranger would: signatures, path, validity, CA rights, constraints.
// kCorrupt.
Status lint_hierarchy(const Plan& plan, ByteView root_der, ByteView issuing_der,
                      std::int64_t now_ms);

}  // namespace keyward::ceremony
