// Owns what the signer reads from the installation file. Must not know what is done with it. Keys:
// README.md beside it. Threads: one, at start.
#pragma once

#include <string>
#include <vector>

#include "board/compose.h"
#include "firmware/issue/gate.h"
#include "firmware/issue/policy_settings.h"
#include "firmware/task/task.h"

namespace keyward::signer {

struct Configuration {
  issue::GateConfig gate;
  issue::PolicySettings policy;  // as it was read, until complete()
  board::TokenSpec token;
  std::string issuer_chain;
  std::vector<std::string> alternate_chains;
  std::string evidence_key_label;  // empty: none
  std::string audit_key_label;     // signs the ledger's head; empty: heads are not signed
  std::string audit_certificate;   // PEM, the root's word for that key; empty: none
  bool audit_anchored = false;     // heads are bound to the platform's counter
  std::int64_t audit_every_rows = 0;
  std::int64_t audit_every_ms = 0;
  std::string audit_anchor;
  std::string operators;           // path of the operators file; empty: nobody orders anything
  std::string crl_url;             // in certificates; empty: none
  std::string ocsp_url;            // the same
  std::string ca_issuers_url;      // the same
  std::string ocsp_key_label;      // of the OCSP responder; empty: none
  std::string ocsp_certificate;    // PEM, the issuing CA's word for that key
  std::int64_t ocsp_validity_ms = 0;
  std::string time_level;          // any, rtc, operator, synchronised
  std::int64_t stuck_exit_ms = 0;  // 0: never
  bool simulator = false;
  bool test_keys = false;  // the CA's keys are known to others on purpose
  std::string state_dir;
  std::vector<std::string> appliance_names;
  std::vector<std::string> environment;
  std::string problem;  // with the profiles or tenants; else empty
};

// Ends the task if a key is missing, unknown or out of its range.
Configuration read_configuration(task::Task& task);
// What a config reader cannot know: forms of names and of NAME=VALUE, and what does not go together.
// kBadInput, kRefused.
Status complete(Configuration& config);

}  // namespace keyward::signer
