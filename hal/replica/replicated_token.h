// Owns the choice among several tokens that hold the same keys: one signs, the others are in reserve.
// Must not know what a token is made of.
//
// The token in use stays in use while it is ready; the first ready one after it in the list takes its
// place. A call that failed in a token is not made again in another one: the first may have signed,
// and each signature is accounted for. The caller's own second try goes where a token is ready.
// Threads: any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hal/signing_token.h"

namespace keyward::hal {

// `tokens`: 1 to limits::kTokenReplicasMax, else kBadInput. All are unlocked by the same PIN. A token
// whose key of a label differs from the first that was found is not used for it (kCorrupt if there
// is no other); keys are cloned by the vendor's means, so that generate_key() is kRefused.
Result<std::unique_ptr<SigningToken>> make_replicated_token(
    std::vector<std::unique_ptr<SigningToken>> tokens);

}  // namespace keyward::hal
