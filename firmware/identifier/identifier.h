// Owns identifiers: grammar, canonical form, comparison, wildcard. Must not know who proved what.
//
// Canonical dns: lower-case A-labels, no trailing dot, LDH labels of 1..63, total <= 253, at least
// two labels unless allowed by the caller, xn-- labels must be valid IDNA2008; "*." only at the
// front. Canonical permanent-identifier and hardware-module: the octets as they are
// (device-attest-10 forbids normalisation), checked against the grammar. ip: RFC 5952 text.
// remote-attestation: a hint of [a-z0-9_], at most 64 octets and possibly none; "-" becomes "_"
// (draft-ietf-acme-rats). mac: "00:24:98:7b:19:02", EUI-48 or EUI-64 (D-T1), read with ":", "-" or
// no separator; a group's address is refused. uri: sip:, sips: or https: with a dns name as its
// host; scheme and host in lower case, the rest as written.
// TNAuthList and the claim constraints: unpadded base64url of strictly read DER (RFC 8226, 9118).
// Errors: kBadInput (malformed), kRefused (well-formed, but not accepted: control characters,
// D-D11).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware/wire/messages/common.h"
#include "hal/base/result.h"

namespace keyward::identifier {

using wire::Identifier;
using wire::IdentifierType;

std::string_view to_string(
    IdentifierType
        type);  // "dns", "ip", "permanent-identifier", "hardware-module", "TNAuthList", …
std::optional<IdentifierType> type_from(std::string_view text);

// From what a client wrote to canonical form. A-label, case and trailing-dot forms of a dns name
// become one; a U-label is refused (RFC 8555 §7.1.4 wants A-labels).
Result<Identifier> canonical(IdentifierType type, std::string_view value,
                             bool allow_single_label = false);

struct DeviceValue {  // permanent-identifier "value[/assigner]" or hardware-module "serial/type"
  std::string value;
  std::optional<std::string> oid;
};
Result<DeviceValue> split_device_value(const Identifier& identifier);

// An authority token vouches for it (RFC 9447): TNAuthList, JWTClaimConstraints and its enhanced
// form. An order holds at most one of each type, so that its terms stay within their limit.
bool is_authority_type(IdentifierType type);
// The DER that such an identifier stands for: the content of the certificate's extension.
// kBadInput: another type, or a value that is not in canonical form.
Result<Bytes> authority_der(const Identifier& identifier);

// A remote attestation that a client offers or a profile asks for: a hint, no name of anybody.
bool is_attestation_type(IdentifierType type);
Result<std::string> hint_of(const Identifier& identifier);   // canonical; kBadInput: another type
Result<Bytes> mac_octets(const Identifier& identifier);      // 6 or 8; kBadInput: another type
Result<std::string> mac_text(ByteView octets);               // canonical value of a mac
Result<std::string> uri_host(const Identifier& identifier);  // canonical dns; kBadInput

bool is_wildcard(const Identifier& identifier);  // dns "*.name"
Identifier without_wildcard(const Identifier& identifier);
// `name` is `base` or below it, by whole labels.
bool is_within(std::string_view name, std::string_view base);

}  // namespace keyward::identifier
