// Owns the attestation task's handlers: mint a token, appraise a statement, send the grant. Must
// not know the network, a device node or a database.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/attestation/devices.h"
#include "firmware/attest/device_attest.h"
#include "firmware/challenge/token.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"

namespace keyward::attestation {

class Loop {
 public:
  // `authorities`: tokens for tkauth-01 may be minted, since there is a root to check answers with;
  // `vendors`: those for mac.
  // `is_admitted`: this account key, by an external account binding that still stands.
  Loop(const challenge::TokenMint& mint, attest::DeviceAttestPolicy policy,
       std::int64_t grant_lifetime_ms, bool authorities, bool vendors,
       std::function<bool(const Digest256&)> is_admitted, Devices& devices, task::Peer& signer)
      : mint_(mint),
        policy_(std::move(policy)),
        grant_lifetime_ms_(grant_lifetime_ms),
        authorities_(authorities),
        vendors_(vendors),
        is_admitted_(std::move(is_admitted)),
        devices_(devices),
        signer_(signer) {}

  task::Answer<wire::DeviceTokenMintReply> mint(const wire::DeviceTokenMint& request) const;
  task::Answer<wire::DeviceVerifyReply> verify(const wire::DeviceVerify& request);

 private:
  const challenge::TokenMint& mint_;
  attest::DeviceAttestPolicy policy_;
  std::int64_t grant_lifetime_ms_;
  bool authorities_, vendors_;
  std::function<bool(const Digest256&)> is_admitted_;
  Devices& devices_;
  task::Peer& signer_;
};

}  // namespace keyward::attestation
