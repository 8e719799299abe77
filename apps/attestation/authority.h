// Owns the handler of authority tokens (tkauth-01) and vendors' tokens (vendor-jwt-01, tkauth-01 of
// tktype mac): challenge token, verification, use once, grant.
// Must not know how a token is verified (firmware/attest).
#pragma once

#include <memory>

#include "firmware/attest/authority_token.h"
#include "firmware/attest/spent_tokens.h"
#include "firmware/attest/vendor_token.h"
#include "firmware/challenge/token.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/authority_verify.h"

namespace keyward::attestation {

class Authority {
 public:
  Authority(const challenge::TokenMint& mint, attest::AuthorityPolicy policy,
            attest::VendorPolicy vendors, std::unique_ptr<attest::SpentTokens> spent,
            task::Peer& signer)
      : mint_(mint),
        policy_(std::move(policy)),
        vendors_(std::move(vendors)),
        spent_(std::move(spent)),
        signer_(signer) {}

  task::Answer<wire::AuthorityVerifyReply> verify(const wire::AuthorityVerify& request);

 private:
  // What either kind of token comes to.
  struct Accepted {
    std::int64_t expires_ms = 0;
    std::int64_t not_after_max_ms = 0;
    Digest256 token_id{};
    std::vector<std::string> domains{};
    std::string_view replayed = "tkauth.replayed";
  };
  task::Answer<wire::AuthorityVerifyReply> verify_vendor(const wire::AuthorityVerify& request,
                                                         std::int64_t now_ms);
  task::Answer<wire::AuthorityVerifyReply> grant(const wire::AuthorityVerify& request,
                                                 const Accepted& accepted, std::int64_t now_ms);
  const challenge::TokenMint& mint_;
  attest::AuthorityPolicy policy_;
  attest::VendorPolicy vendors_;
  std::unique_ptr<attest::SpentTokens> spent_;
  task::Peer& signer_;
};

}  // namespace keyward::attestation
