// Owns running one step in a process of its own, so that a PKCS#11 module is initialised once per
// process and a step's secrets end with it. Must not know what the step does. The caller is
// single-threaded.
#pragma once

#include <functional>

#include "hal/base/bytes.h"

namespace keyward::ctl {

// The step's bytes, or its error (its text is copied for the life of the process). kInternal: it
// crashed.
Result<Bytes> in_child(const std::function<Result<Bytes>()>& step);

}  // namespace keyward::ctl
