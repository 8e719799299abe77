// Owns the one place where a TSS2_RC becomes an Error. Must not know which command it came from.
#pragma once

#include <tss2/tss2_common.h>

#include "hal/base/result.h"

namespace keyward::hal::tss2 {

ErrorKind kind_of(TSS2_RC rc);
// True when nothing more can come over this connection: drop it and connect again.
bool connection_lost(TSS2_RC rc);

}  // namespace keyward::hal::tss2
