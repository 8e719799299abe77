// Owns the handler of authority tokens (tkauth-01): challenge token, verification, use once, grant.
// Must not know how a token is verified (firmware/attest).
#pragma once

#include <memory>

#include "firmware/attest/authority_token.h"
#include "firmware/attest/spent_tokens.h"
#include "firmware/challenge/token.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/authority_verify.h"

namespace keyward::attestation {

class Authority {
 public:
  Authority(const challenge::TokenMint& mint, attest::AuthorityPolicy policy,
            std::unique_ptr<attest::SpentTokens> spent, task::Peer& signer)
      : mint_(mint), policy_(std::move(policy)), spent_(std::move(spent)), signer_(signer) {}

  task::Answer<wire::AuthorityVerifyReply> verify(const wire::AuthorityVerify& request);

 private:
  task::Answer<wire::AuthorityVerifyReply> grant(const wire::AuthorityVerify& request,
                                                 const attest::AuthorityVerdict& verdict,
                                                 std::int64_t now_ms);
  const challenge::TokenMint& mint_;
  attest::AuthorityPolicy policy_;
  std::unique_ptr<attest::SpentTokens> spent_;
  task::Peer& signer_;
};

}  // namespace keyward::attestation
