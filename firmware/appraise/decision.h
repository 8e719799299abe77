// Owns the decision on a remote attestation: evidence in, and out either what it proves or every
// reason why not. Must not know tasks, tokens or grants. The same code for the task and for
// keyward-attest.
//
// Reasons have stable ids (docs/appraisal.md). Own ones: "evidence.kind", "evidence.none",
// "evidence.relay", "pcr.missing", "pcr.value", "log.missing", "log.replay", "log.bank",
// "event.missing", "event.forbidden", "event.not-allowed", "claim.missing", "claim.value",
// "claim.version", "claim.minimum", "claim.debug", "claim.age", "claim.submod", "eat.freshness",
// "eat.profile-other", "ear.freshness", "ear.verifier", "ear.tier", "ear.required",
// "ear.policy-id-other", "ear.evidence-other", "pkix.freshness", "pkix.keys", "pkix.extractable",
// "pkix.never-extractable", "pkix.local", "pkix.sensitive", "pkix.fips", "pkix.csr-key",
// "bind.none", "bind.devices", "bind.keys"; and those of the readers. Threads: pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware/appraise/policy.h"
#include "firmware/appraise/tpm_quote.h"
#include "firmware/rats/cmw.h"

namespace keyward::appraise {

struct WhyNot {
  std::string id;
  std::string words;
  std::string submod;  // of a token with submodules, or the label in a collection; "": the whole
};
using WhyNots = std::vector<WhyNot>;

struct RelayWanted {
  std::string verifier;
  std::string media_type;
  Bytes evidence;
};

struct Question {
  Fresh fresh;
  std::int64_t at_utc_ms = 0;
  std::optional<Bytes> relayed;  // what the other verifier said of the same evidence
  std::optional<Digest256> relayed_evidence_sha256;  // set by appraise()
  // Device identifiers that an inventory knows a key by; empty: no inventory.
  std::function<std::vector<wire::Identifier>(const crypto::PublicKey&)> devices_of_key;
};

// What one piece of evidence proves.
struct Findings {
  Freshness freshness = Freshness::kNone;
  std::optional<crypto::PublicKey> key;
  std::vector<wire::Identifier> devices;
  std::optional<Bytes>
      ak_serial{};  // of the certificate of the attestation key that signed a quote
};

struct Decision {
  WhyNots why_not;                   // at most limits::kWhyNotMax
  std::optional<RelayWanted> relay;  // nothing decided yet
  attest::Checks passed;
  std::set<Kind> kinds;  // that were appraised
  Findings findings;     // of all of them together, as far as the policy binds by it
  bool is_accepted() const { return why_not.empty() && !relay; }
};

Decision appraise(const AppraisalPolicy& policy, const rats::ResponsePayload& payload,
                  const Question& question);
// attestClaimsHint: the policy's, or the names of the claims that it compares.
std::vector<std::string> claims_hint(const AppraisalPolicy& policy);

// ---- one kind each (tpm_rules.cc, claim_rules.cc); reasons are added to `decision`
Findings appraise_quote(const TpmRules& rules, ByteView record, const Question& question,
                        Decision& decision);
Findings appraise_eat(const EatRules& rules, const rats::CmwRecord& record, bool is_signed,
                      const Question& question, Decision& decision);
Findings appraise_ear(const EarRules& rules, const rats::MediaType& type, ByteView token,
                      const Question& question, Decision& decision);
Findings appraise_pkix(const PkixRules& rules, ByteView der, const crypto::PublicKey* csr_key,
                       const Question& question, Decision& decision);

void add(Decision& decision, std::string_view id, std::string words, std::string submod = "");
inline void add(Decision& decision, const attest::Refusal& refusal) {
  add(decision, refusal.code, refusal.detail);
}

}  // namespace keyward::appraise
