// Owns the process's randomness: the kernel's getrandom(2). Must not know keys. Threads: any.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/bytes.h"

namespace keyward {

// Fills `out`; aborts the process if the kernel refuses, since nothing here may go on without
// randomness.
void random_fill(std::span<std::uint8_t> out);
Bytes random_bytes(std::size_t size_bytes);
std::string random_id(std::size_t size_bytes = 16);  // base64url of that many random bytes

}  // namespace keyward
