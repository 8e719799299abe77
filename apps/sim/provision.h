// Owns the first use of a simulator's folder: ceremony, TPM, sealed PIN, manufacturer. Must not
// know how the appliance runs.
#pragma once

#include "apps/sim/places.h"
#include "apps/sim/progress.h"
#include "apps/sim/settings.h"

namespace keyward::simulator {

// Does nothing if it was done. What an interrupted first try left is removed and made anew: nothing
// was issued from it yet. The caller holds the folder's lock.
Status provision(const Places& places, const Settings& settings, const Progress& progress);

// Field notes: a power cut while SoftHSM rewrites token.object can lose the token. The copy is
// taken while nothing uses the token; a token without its objects is put back from it before the
// start.
Status back_up_tokens(const Places& places);
Status restore_tokens_if_lost(const Places& places, const Progress& progress);

}  // namespace keyward::simulator
