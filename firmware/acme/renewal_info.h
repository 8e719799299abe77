// Owns renewal information (RFC 9773): when a certificate should be renewed, and which certificate
// an order replaces. Must not know who asks: the resource is public, as RFC 9773 §4.1 has it.
#pragma once

#include "firmware/acme/incidents.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

// base64url(keyIdentifier of the AKI) "." base64url(serial, content octets); RFC 9773 §4.1.
struct CertificateId {
  Bytes key_identifier;
  Bytes serial;
  std::string text() const;
};
// kBadInput: not of that form.
Result<CertificateId> parse_certificate_id(std::string_view text);
// kBadInput: the certificate cannot be read or names no issuer's key.
Result<CertificateId> certificate_id_of(ByteView certificate_der);

struct RenewalWindow {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;  // in a later second than start (§4.2)
};
// From the validity alone: it begins after `start_percent` of it, or after half of it where it lasts
// less than ten days, and is a thirtieth of it long, so that a fleet does not come all at once.
RenewalWindow usual_window(std::int64_t not_before_ms, std::int64_t not_after_ms,
                           std::int64_t start_percent);

// GET /acme/renewal-info/{id}
Outcome<HttpResponse> renewal_info(Context& context, const RouteMatch& match);

// "replaces" of a newOrder payload (§5): the certificate is this account's, shares an identifier
// with the order, and no order that is not invalid replaces it yet. Empty: there is no such member.
// The store refuses a second replacement as well, should two orders come at once.
Outcome<std::optional<std::string>> check_replaces(
    Context& context, const Account& account, const json::Value& payload,
    const std::vector<wire::Identifier>& identifiers);

}  // namespace keyward::acme
