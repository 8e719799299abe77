// Owns a MonotonicCounter in a TPM NV index. Must not know what is counted.
// The Tpm must outlive the counter. Threads: that of the Tpm. Errors: those of the Tpm.
#pragma once

#include <memory>

#include "hal/monotonic_counter.h"
#include "hal/tpm.h"

namespace keyward::hal {

// Opens the counter at `index` and makes it on first use, also when a power cut fell between making
// it and its first increment. A new counter starts above every counter this TPM ever had.
Result<std::unique_ptr<MonotonicCounter>> open_nv_counter(Tpm& tpm, std::uint32_t index);

}  // namespace keyward::hal
