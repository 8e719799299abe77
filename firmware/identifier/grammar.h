// Owns the canonical forms by type. Never included outside firmware/identifier.
#pragma once

#include <string>
#include <string_view>

#include "firmware/wire/messages/common.h"
#include "hal/base/result.h"

namespace keyward::identifier {

Result<std::string> canonical_dns(std::string_view value, bool allow_single_label);
Result<std::string> canonical_ip(std::string_view value);
Status check_permanent_identifier(std::string_view value);
Status check_hardware_module(std::string_view value);
Result<std::string> canonical_authority(wire::IdentifierType type, std::string_view value);
Result<std::string> canonical_hint(std::string_view value);
Result<std::string> canonical_mac(std::string_view value);
Result<std::string> canonical_uri(std::string_view value);
bool has_control_character(std::string_view utf8);  // C0, DEL, C1

}  // namespace keyward::identifier
