// Owns name constraints as a plan has them (RFC 5280 §4.2.1.10): permitted dns and ip subtrees.
// Included by this folder and its tests alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hal/base/bytes.h"

namespace keyward::ceremony {

// "10.20.0.0/16" as address and mask (8 or 32 octets). Absent: no such network, or a bit stands
// behind the length.
std::optional<Bytes> ip_subtree_octets(const std::string& text);
// Whole Extension TLV, critical; empty: nothing is constrained.
Bytes name_constraints_extension(const std::vector<std::string>& dns,
                                 const std::vector<std::string>& ip);

}  // namespace keyward::ceremony
