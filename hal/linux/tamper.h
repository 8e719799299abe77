// Owns the tamper input as the kernel shows it: a file that reads 0 or 1, such as the chassis
// intrusion alarm of hwmon (Documentation/hwmon/sysfs-interface: intrusion[0-*]_alarm) or a GPIO's
// value. Must not know what follows from it. Threads: one at a time.
#pragma once

#include <memory>
#include <string>

#include "hal/tamper.h"

namespace keyward::hal {

// `active`: the value, 0 or 1, that means "opened".
std::unique_ptr<Tamper> make_file_tamper(std::string path, int active);

}  // namespace keyward::hal
