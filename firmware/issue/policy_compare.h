// Owns the words for how one policy differs from another: what becomes possible that was not, and
// what is possible no more (docs/operations/policy.md). Must not know files, nor who asks. What is
// neither wider nor narrower for sure counts as wider: somebody must look. Threads: functions.
#pragma once

#include <string>
#include <vector>

#include "firmware/issue/policy_settings.h"

namespace keyward::issue {

struct PolicyChange {
  bool wider = false;
  std::string words;  // a sentence
};

std::vector<PolicyChange> compare_policies(const PolicySettings& before,
                                           const PolicySettings& after);

}  // namespace keyward::issue
