// Owns the reading of what decides which certificates the signer lets through, from the signer's
// section of the installation file: the same for the signer and for `keywardctl policy`. Must not
// know tokens, tasks, nor whether a policy is good. Errors: collected by the Section, and `problem`.
// Threads: one, at start.
#pragma once

#include <string>
#include <vector>

#include "firmware/config/config.h"
#include "firmware/issue/gate.h"

namespace keyward::issue {

struct PolicySettings {
  GateConfig gate;
  std::string issuer_chain;  // path
  std::string crl_url;
  std::string ocsp_url;
  std::string ca_issuers_url;
  std::string operators;  // path of the operators file; empty: nobody orders anything
  std::string policy_approval = "none";
  std::vector<std::string> permitted_ip;
  std::string problem;  // with the profiles or tenants; else empty
};

// `own`: [signer]; `shared`: the table in which [tenants] stands.
PolicySettings read_policy_settings(config::Section& own, config::Section& shared);
// Forms of names and prefixes, and what does not go together; `problem` stays the caller's to say.
// kBadInput.
Status complete_policy(PolicySettings& settings);

}  // namespace keyward::issue
