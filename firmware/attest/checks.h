// Owns the list of checks that an appraisal passed, for who wants it explained (keyward-attest). Must
// not know what a check means: ids are those of the refusals that would have come instead.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keyward::attest {

struct Check {
  std::string id;
  std::string text;
};
using Checks = std::vector<Check>;

// `checks` null: nobody asked.
inline void note(Checks* checks, std::string_view id, std::string_view text) {
  if (checks != nullptr) checks->push_back({std::string(id), std::string(text)});
}

}  // namespace keyward::attest
