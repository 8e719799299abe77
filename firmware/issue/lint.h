// Owns the last look at a certificate before it is signed: parsed back from its octets, with a
// dummy signature, and compared with RFC 5280 and with what the order allows. Must not know how the
// TBS was built.
//
// Each lint is one small function; kLints is all of them. A lint answers null, or why not (static
// text).
#pragma once

#include <span>
#include <vector>

#include "firmware/issue/profile.h"
#include "firmware/issue/verdict.h"

namespace keyward::issue {

struct LintSubject {
  const x509::Certificate& certificate;  // parsed from the TBS joined with a dummy signature
  const Profile& profile;
  const Issuer& issuer;
  const std::vector<wire::Identifier>& identifiers;  // that it is to hold
  const crypto::PublicKey& key;                      // of the CSR
  std::int64_t backdate_ms = 0;
  const wire::OrderTerms* terms = nullptr;  // null: nothing was asked for beside the identifiers
  std::string_view pseudonym{};             // instead of every identifier; empty: none
  std::optional<TpmFacts> tpm{};            // of an attestation key
  std::string_view list{};                  // the shard that it is to name; empty: the whole list
};

struct Lint {
  const char* name;
  const char* (*check)(const LintSubject& subject);
};
std::span<const Lint> all_lints();

// A TBS that passed every lint; the only thing that an intent can be written for.
class LintedTbs {
 public:
  LintedTbs(LintedTbs&&) = default;
  LintedTbs& operator=(LintedTbs&&) = default;
  const Bytes& tbs_der() const { return tbs_der_; }
  const Bytes& serial() const { return serial_; }
  const Validity& validity() const { return validity_; }
  // The shard of revocation lists that it names.
  const std::optional<std::string>& list() const { return list_; }

 private:
  friend Verdict<LintedTbs> lint_tbs(Bytes, const CertificatePlan&, std::int64_t);
  LintedTbs(Bytes tbs_der, const CertificatePlan& plan)
      : tbs_der_(std::move(tbs_der)), serial_(plan.serial), validity_(plan.validity) {
    if (!plan.list.empty()) list_ = plan.list;
  }
  Bytes tbs_der_;
  Bytes serial_;
  Validity validity_;
  std::optional<std::string> list_;
};

// "lint-failed": the detail names the lint.
Verdict<LintedTbs> lint_tbs(Bytes tbs_der, const CertificatePlan& plan, std::int64_t backdate_ms);

}  // namespace keyward::issue
