// Owns the last step of the sandbox, inside the started task: the allow list of system calls, and
// the report of all that took effect. Must not know messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace keyward::sandbox {

// Names of layers, as in reports and in a board's `require`.
inline constexpr std::string_view kLayerUid = "uid";            // a user id of its own
inline constexpr std::string_view kLayerNetwork = "network";    // an empty network name space
inline constexpr std::string_view kLayerLandlock = "landlock";  // files
inline constexpr std::string_view kLayerScope = "scope";        // Landlock ABI 6: signals, TCP
inline constexpr std::string_view kLayerSeccomp = "seccomp";    // the allow list
inline constexpr std::string_view kLayers[] = {kLayerUid, kLayerNetwork, kLayerLandlock,
                                               kLayerScope, kLayerSeccomp};

// Environment variable by which the part before exec tells the part after it what took effect.
inline constexpr const char* kLayersVariable = "KEYWARD_SANDBOX_LAYERS";

// True: this build's sanitizers need calls that no allow list foresees; the deny list stays.
bool sanitizer_build();

// The allow list of `task` and `extra_calls` of the board: everything else returns ENOSYS, and what
// only an intruder calls ends the process. Applies to all threads. kBadInput: no such task, or an
// extra call that would undo the filter.
Status allow_only(std::string_view task, const std::vector<std::string>& extra_calls, bool network);

// What the part before exec said; removes it from the environment.
std::vector<std::string> take_inherited_layers();

}  // namespace keyward::sandbox
