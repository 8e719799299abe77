// Owns which files a task may touch: the common ones, the board's, its own folder, and what its
// configuration names. Must not know what configuration keys mean, nor how rules are enforced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firmware/sandbox/landlock.h"
#include "firmware/supervise/installation.h"

namespace keyward::supervise {

// Absolute paths in the strings of a TOML text: "/a/b", and those after '=' ("swtpm:path=/a/b").
std::vector<std::string> named_paths(std::string_view toml);

// A file that the configuration names is read together with its folder: an operator replaces it by
// rename, and a rule holds the old file alone. Folders that hold the tasks' own ones, and the
// system's own (/, /etc, /tmp, ...), are not opened that way.
sandbox::FileRules file_rules(const Installation& installation, const std::string& task,
                              const std::string& executable, std::string_view config);

}  // namespace keyward::supervise
