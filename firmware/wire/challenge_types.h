// Owns the names of challenge types (RFC 8555 §9.7.8 and the drafts'). Must not know how they work.
#pragma once

#include <optional>
#include <string_view>

#include "firmware/wire/messages/common.h"

namespace keyward::wire {

// "" for kAppliance, which is no challenge.
std::string_view challenge_type(ValidationMethod method);
std::optional<ValidationMethod> method_of(std::string_view challenge_type);

}  // namespace keyward::wire
