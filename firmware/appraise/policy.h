// Owns appraisal policies: one TOML file each, with what evidence must say and whom to believe
// (docs/appraisal.md). Must not know how evidence is read.
//
// A policy that compares nothing does not load, nor one with a key that nobody knows: there is no
// way to write "accept all". Paths in a policy are relative to its own folder. Errors: the words of
// everything that is wrong. Threads: one loads; a loaded policy may be shared.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "firmware/appraise/event_log.h"
#include "firmware/config/config.h"
#include "firmware/rats/ear.h"
#include "firmware/rats/pkix_evidence.h"

namespace keyward::appraise {

enum class Kind : std::uint8_t { kTpmQuote = 1, kEat = 2, kEar = 3, kPkix = 4 };
std::string_view to_string(Kind kind);  // "tpm-quote", "eat", "ear", "pkix"

// Against evidence that is relayed from another device (D-R7): at least one must hold.
struct Bind {
  bool account = false;  // the evidence answers the key authorization
  bool device = false;   // the evidence names a device, which the order must hold
  bool key = false;      // the evidence carries a key, which the CSR's must equal
  bool nonce = false;    // the freshness nonce is enough: only where a policy says so
};

// ---- TPM quotes
struct PcrSet {  // one good state of a device; registers that it does not name are not compared
  std::string name;
  Bank bank{};
  std::map<unsigned, std::vector<Bytes>> allowed;
};
struct EventRule {
  enum class Verb : std::uint8_t { kRequired = 1, kForbidden = 2, kAllowed = 3 };
  Verb verb{};
  unsigned pcr = 0;
  std::optional<std::uint32_t> type;
  std::vector<std::pair<Bank, Bytes>> digests;  // one of these; empty: any
  std::string description;  // contained in an event whose data was measured; "": any
};
struct ReferenceEvent {
  unsigned pcr = 0;
  std::uint32_t type = 0;
  Bank bank{};
  Bytes digest;
  std::string description;
};
struct TpmRules {
  std::vector<x509::Certificate> ak_roots;
  std::vector<PcrSet> sets;  // one of them must hold
  std::vector<EventRule> events;
  std::vector<ReferenceEvent> reference_log;  // names the event that made a register differ
  bool require_event_log = false;
};

// ---- claims
struct ClaimRule {
  std::string claim;   // its name in a JWT
  std::string submod;  // "a/b"; "": the outermost set
  std::vector<std::string> one_of;
  std::string minimum_version;
  std::optional<std::int64_t> minimum;
  std::optional<rats::DebugStatus> debug_at_least;
  std::optional<std::int64_t> age_max_days;  // of a claim that is a date: patch levels
};
struct EatRules {
  std::vector<rats::TrustedKey> keys;
  std::vector<x509::Certificate> roots;
  std::string profile;  // eat_profile; "": any
  std::vector<ClaimRule> claims;
  std::string device_claim;  // "ueid" or "sub" names the device; "": none does
};

struct EarVerifier {
  std::string name;
  std::string developer;  // ear_verifier_id
  std::string build;      // "": any
  std::vector<rats::TrustedKey> keys;
  std::vector<x509::Certificate> roots;
};
struct EarRules {
  std::vector<EarVerifier> verifiers;
  std::vector<std::string> policy_ids;          // one of them; empty: not compared
  rats::Tier minimum = rats::Tier::kAffirming;  // of the status and every present claim
  std::array<std::optional<rats::Tier>, 8> minimum_of_claim;  // instead, by rats::kVectorNames
  std::array<bool, 8> required{};
};

// ---- hardware security modules
struct PkixRules {
  rats::PkixOids oids;
  std::vector<rats::TrustedKey> keys;
  std::vector<x509::Certificate> roots;
  bool not_extractable = false;
  bool never_extractable = false;
  bool local = false;
  bool sensitive = false;
  bool fips_boot = false;
  std::optional<std::int64_t> fips_level_min;
};

struct AppraisalPolicy {
  std::string name;
  std::string version;
  std::set<Kind> evidence;
  Bind bind;
  std::vector<std::string> claims_hint;  // attestClaimsHint; empty: made from the rules
  std::string relay;                     // the verifier to ask; "": judged here
  std::vector<std::string> relay_media_types;
  TpmRules tpm;
  EatRules eat;
  EarRules ear;
  PkixRules pkix;
};

// `problems` says everything that is wrong; then the result is empty.
std::optional<AppraisalPolicy> load_policy(const std::string& path,
                                           std::vector<std::string>& problems);
// `folder` for relative paths, `name` for messages.
std::optional<AppraisalPolicy> parse_policy(std::string_view toml, const std::string& name,
                                            const std::string& folder,
                                            std::vector<std::string>& problems);

// By profile and hint.
class PolicySet {
 public:
  // Reads [policies] of the attestation task: "profile/hint" or "*/hint" = path. A policy for the
  // hint "hsm" must bind the key (D-R7).
  using Paths = std::map<std::string, std::string>;
  static Paths read(config::Section& section);
  static std::optional<PolicySet> load(const Paths& paths, std::vector<std::string>& problems);

  // The profile's own before "*"; null: none is configured.
  const AppraisalPolicy* find(std::string_view profile, std::string_view hint) const;
  bool empty() const { return policies_.empty(); }
  std::size_t size() const { return policies_.size(); }

 private:
  std::map<std::string, std::shared_ptr<const AppraisalPolicy>, std::less<>> policies_;
};

}  // namespace keyward::appraise
