// Owns the grammar of an issue-value: an issuer's name and parameters, as CAA properties and
// dns-persist-01 records hold them (RFC 8659 §4.2). Must not know what a parameter means.
// Errors: kBadInput. Threads: pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"

namespace keyward::validate {

struct IssueValue {
  std::string issuer;                                           // lower case; empty: nobody
  std::vector<std::pair<std::string, std::string>> parameters;  // tag in lower case, value
};

// Strict: what the grammar does not make, as a ';' at the end of parameters, is no issue-value.
Result<IssueValue> parse_issue_value(std::string_view text);

std::string ascii_lower(std::string_view text);

}  // namespace keyward::validate
