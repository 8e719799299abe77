// Owns the mapping of message types to their names. Must not know what they mean.
#pragma once

#include <optional>
#include <string_view>

#include "firmware/wire/types.h"

namespace keyward::wire {

std::string_view message_name(MessageType type);  // "" if there is none
std::optional<MessageType> message_type_from(std::string_view name);

}  // namespace keyward::wire
