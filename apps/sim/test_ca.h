// Owns the adoption of a test CA's keys in place of the first ceremony: whoever made them still has
// them in files. For programs that hand out the CA's keys on purpose (keyward-pebble), never for an
// appliance: the signer takes such keys only where the installation says that it is a simulator with
// test keys. Must not know how the certificates were made.
#pragma once

#include <string>

#include "apps/sim/places.h"

namespace keyward::simulator {

// `folder` holds root.pem, chain.pem (issuing CA first, root last) and issuing.key (PKCS#8, not
// encrypted). The key is imported into a new SoftHSMv2 token. kBadInput: a file is missing;
// kUnavailable: softhsm2-util failed (its words are on standard error).
Status adopt_test_ca(const Places& places, const std::string& folder);

}  // namespace keyward::simulator
