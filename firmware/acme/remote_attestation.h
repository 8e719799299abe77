// Owns how an answer to remote-attest-01 is taken and brought to be appraised: attestation judges
// it, another verifier may have to be asked in between (draft-ietf-acme-rats; D-R2, D-R10). Must not
// know evidence: it is handed on as it was signed, and never logged. Threads: any.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

// What a look at a challenge gave.
struct Look {
  std::optional<Problem> problem;  // absent: it holds
  // Nothing is decided, and nobody failed but a peer that comes back: to be asked again.
  bool peer_away = false;
  bool verifier_away = false;  // the same of another verifier; `problem` says it
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
};

// The signed payload, whose inside is attestation's to read: a JSON object, array or string that is
// not empty. "malformed" otherwise: the challenge stays pending (D-D2).
Outcome<Bytes> remote_answer(const SignedRequest& request);

// One appraisal of the kept answer. Blocks as long as attestation and another verifier take.
Look look_at_remote(Context& context, const wire::AuthzRecord& authz,
                    const wire::ChallengeRecord& challenge, const Account& account);

// The profile of the order that the authorization is for, from the signer's terms. Empty: the order
// is gone, or its terms cannot be read.
Answer<std::string> profile_of(Context& context, const wire::AuthzRecord& authz);

// verifierEncryptionCredential (D-R9): the key for encrypted evidence, as a JWK.
Outcome<HttpResponse> evidence_key(Context& context, std::string_view kid);

}  // namespace keyward::acme
