// Owns the reading of a key change that the old key signed (RFC 8555 §7.3.5): says which key is the
// new one. Must not know which keys there are (key_links.h). Threads: functions.
#pragma once

#include "firmware/issue/client_jws.h"

namespace keyward::issue {

// The inner JWS: no nonce, the same url, signed by the key that it holds; its payload names the
// account of the outer one and `old_key`. Codes: "key-change-malformed", "key-change-key" (of a kind
// that is not accepted), "key-change-algorithm", "key-change-signature", "key-change-url",
// "key-change-account", "key-change-old-key".
Verdict<jose::Jwk> read_key_change(const jose::VerifiedJws& outer, const jose::Jwk& old_key);

}  // namespace keyward::issue
