// Owns the printing of the wire's CDDL from the message structs. Must not know sockets.
#pragma once

#include <string>

namespace keyward::wire {

std::string schema_cddl();  // firmware/wire/schema.cddl must equal this (tests/unit/wire)

}  // namespace keyward::wire
