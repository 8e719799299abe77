// Owns the check of a client's signature, before anything of what was signed is read. Must not know
// accounts or what a request means. Codes: "jws-malformed", "jws-signature", "jws-algorithm",
// "jws-key-refused". Threads: functions.
#pragma once

#include "firmware/issue/verdict.h"
#include "firmware/jose/jws.h"
#include "firmware/wire/messages/common.h"

namespace keyward::issue {

// Of what the client sent: protected "." payload "." signature octets. Stands in the ledger.
Digest256 digest_of(const wire::ClientJws& jws);

Verdict<jose::VerifiedJws> verify_client_jws(const jose::FlattenedJws& jws,
                                             const crypto::PublicKey& key);
Verdict<jose::VerifiedJws> verify_client_jws(const wire::ClientJws& jws,
                                             const crypto::PublicKey& key);

// Signed with the key in its own header ("jwk"); whose key that is, the caller decides.
struct OwnKeyJws {
  jose::Jwk key;
  jose::VerifiedJws jws;
};
Verdict<OwnKeyJws> verify_own_key_jws(const jose::FlattenedJws& jws);
Verdict<OwnKeyJws> verify_own_key_jws(const wire::ClientJws& jws);

}  // namespace keyward::issue
