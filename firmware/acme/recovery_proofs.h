// Owns what a request for account recovery may say, and its proofs. Must not know what a recovery
// does.
//
// Everything that is judged here stands in the request itself: whether it is accepted tells nothing
// about the account that it names. What needs the account is judged later, behind the answer.
// Threads: pure, but for `proves`.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

enum class RecoveryMethod : std::uint8_t { kContact, kBinding, kCertificate };
std::string_view to_string(RecoveryMethod method);

struct RecoveryAsk {
  RecoveryMethod method = RecoveryMethod::kContact;
  std::string account_id;  // of a URL of ours; may be nobody's
  std::string url;         // of the request
  std::string new_jwk;     // canonical
  std::optional<wire::ClientJws> binding;
  Bytes certificate;  // DER; its key has signed the new key and the account's URL
};
Outcome<RecoveryAsk> read_recovery_ask(const Context& context, const SignedRequest& request);

// Does the binding or the certificate prove the account? Asks other tasks.
Answer<bool> proves(Context& context, const RecoveryAsk& ask);

}  // namespace keyward::acme
