// Owns the attestation task's handlers: mint a token, appraise a statement, send the grant. Must
// not know the network, a device node or a database.
#pragma once

#include <string>
#include <vector>

#include "firmware/attest/device_attest.h"
#include "firmware/challenge/token.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"

namespace keyward::attestation {

// Reads every certificate of every file. kBadInput with no certificate at all: a verifier without
// an anchor would only ever refuse, which an operator should hear at start.
Result<std::vector<x509::Certificate>> load_anchors(const std::vector<std::string>& pem_paths);

class Loop {
 public:
  // `authorities`: tokens for tkauth-01 may be minted, since there is a root to check answers with.
  Loop(const challenge::TokenMint& mint, attest::DeviceAttestPolicy policy,
       std::int64_t grant_lifetime_ms, bool authorities, task::Peer& signer)
      : mint_(mint),
        policy_(std::move(policy)),
        grant_lifetime_ms_(grant_lifetime_ms),
        authorities_(authorities),
        signer_(signer) {}

  task::Answer<wire::DeviceTokenMintReply> mint(const wire::DeviceTokenMint& request) const;
  task::Answer<wire::DeviceVerifyReply> verify(const wire::DeviceVerify& request);

 private:
  const challenge::TokenMint& mint_;
  attest::DeviceAttestPolicy policy_;
  std::int64_t grant_lifetime_ms_;
  bool authorities_;
  task::Peer& signer_;
};

}  // namespace keyward::attestation
