// Owns the names of devices whose certificates must not say which device it is (device-attest-10,
// Privacy Considerations; D-D10). Must not know profiles.
//
// A UUID of version 8 (RFC 9562 §5.8) made of HMAC-SHA256 under the signer's own key over the account
// and the device: the same for every certificate of that device in that account, another one in
// another account, and without the key no identifier can be tried against it, however few there may
// be. Threads: pure functions.
#pragma once

#include <string>

#include "firmware/issue/ticket.h"

namespace keyward::issue {

// `account`: the thumbprint of the account's first key, which stays when the key changes.
std::string pseudonym_of(const TicketKey& key, const Digest256& account,
                         const wire::Identifier& device);
std::string pseudonym_uri(const std::string& pseudonym);  // RFC 9562 §4: "urn:uuid:..."

}  // namespace keyward::issue
