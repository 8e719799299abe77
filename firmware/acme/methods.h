// Owns which challenge can prove which identifier, and which of them a profile counts. Must not
// know how anything is proved. Threads: pure.
//
// Source: RFC 8555 §8 and §7.1.3 (wildcards), RFC 8737 (tls-alpn-01), RFC 8738 §7 (ip: never dns-01),
// draft-ietf-acme-dns-account-label, draft-ietf-acme-dns-persist, RFC 9444 §4 (names below),
// RFC 9447 (tkauth-01), device-attest-10 §5.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "firmware/wire/messages/issuer_get.h"

namespace keyward::acme {

// What an authorization is to prove.
struct Wanted {
  wire::Identifier identifier;  // canonical; a wildcard keeps its "*."
  bool subtree = false;         // and every name below it (RFC 9444)
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

std::optional<wire::ValidationMethod> method_from(std::string_view challenge_type);
bool can_prove(wire::ValidationMethod method, const Wanted& wanted);
// A name or address: its proof may serve several orders (D-A9) and may precede any order.
bool is_name(wire::IdentifierType type);
// Answered by the task itself in the client's request; the others are looked for in the background.
bool is_synchronous(wire::ValidationMethod method);

// The methods of the profile that can prove it, in the order in which they are offered.
std::vector<wire::ValidationMethod> methods_for(const wire::ProfileInfo& profile,
                                                const Wanted& wanted);
// Of all profiles that take identifiers of this type.
std::vector<wire::ValidationMethod> methods_for(const std::vector<wire::ProfileInfo>& profiles,
                                                const Wanted& wanted);
// nullptr: there is none of this name.
const wire::ProfileInfo* find_profile(const std::vector<wire::ProfileInfo>& profiles,
                                      std::string_view name);
// Its certificates are for TPMs' attestation keys and come by the attestation CA alone, never by an
// order.
bool is_attestation_ca(const wire::ProfileInfo& profile);
bool takes_names(const std::vector<wire::ProfileInfo>& profiles);

}  // namespace keyward::acme
