// Owns the handlers of remote-attest-01: mint the freshness nonce, open and appraise the evidence,
// hand over to another verifier where the policy says so, send the grant. Must not know how evidence
// is judged (firmware/appraise).
#pragma once

#include <string>

#include "apps/attestation/devices.h"
#include "apps/attestation/evidence_keys.h"
#include "firmware/appraise/decision.h"
#include "firmware/challenge/token.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/evidence_key_get.h"
#include "firmware/wire/messages/remote_verify.h"

namespace keyward::attestation {

struct RemoteConfig {
  appraise::PolicySet::Paths policies;
  EvidenceKeyConfig key;
};
// [attestation.policies], evidence_key, evidence_key_days, evidence_key_unsealed.
RemoteConfig read_remote_config(config::Section& section);
// Complains to the log and exits where a policy does not load.
appraise::PolicySet load_policies_or_die(const appraise::PolicySet::Paths& paths);

class Remote {
 public:
  Remote(const challenge::TokenMint& mint, appraise::PolicySet policies, EvidenceKeys& keys,
         std::int64_t grant_lifetime_ms, Devices& devices, task::Peer& signer)
      : mint_(mint),
        policies_(std::move(policies)),
        keys_(keys),
        grant_lifetime_ms_(grant_lifetime_ms),
        devices_(devices),
        signer_(signer) {}

  task::Answer<wire::DeviceTokenMintReply> mint(const wire::DeviceTokenMint& request);
  task::Answer<wire::RemoteVerifyReply> verify(const wire::RemoteVerify& request);
  task::Answer<wire::EvidenceKeyGetReply> evidence_key(const wire::EvidenceKeyGet& request);

 private:
  rats::Appraised<rats::ResponsePayload> read(const wire::RemoteVerify& request,
                                              std::int64_t now_ms);
  task::Answer<wire::RemoteVerifyReply> grant(const wire::RemoteVerify& request,
                                              const appraise::AppraisalPolicy& policy,
                                              const appraise::Decision& decision,
                                              const std::optional<Digest256>& ak_sha256,
                                              std::int64_t now_ms);
  const challenge::TokenMint& mint_;
  appraise::PolicySet policies_;
  EvidenceKeys& keys_;
  std::int64_t grant_lifetime_ms_;
  Devices& devices_;
  task::Peer& signer_;
};

}  // namespace keyward::attestation
