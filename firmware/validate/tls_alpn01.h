// Owns the tls-alpn-01 look: a TLS handshake that asks for acme-tls/1, and the certificate that
// comes back (RFC 8737, RFC 8738 §6). Must not know grants or tasks.
//
// Problem codes: "tls-alpn.connect", "tls-alpn.timeout" (connection), "tls-alpn.handshake",
// "tls-alpn.protocol" (tls), "tls-alpn.certificate", "tls-alpn.self-signed", "tls-alpn.san",
// "tls-alpn.extension", "tls-alpn.digest" (incorrectResponse), and those of locate.h. Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct TlsAlpn01Options {
  std::uint16_t port = 443;
  std::int64_t total_ms = limits::kTlsAlpn01TotalMs;
  EgressPolicy egress;
};

// The name that is sent as SNI: the reverse name of an address, without a dot at the end.
std::string sni_of(const wire::Identifier& identifier);
// What the certificate must be; `der` is the leaf. Empty: it is the answer to this challenge.
std::optional<wire::ChallengeProblem> judge_alpn_certificate(ByteView der,
                                                             const wire::Identifier& identifier,
                                                             const Digest256& digest);

LookOutcome tls_alpn01_look(const LookRequest& request, const TlsAlpn01Options& options,
                            Resolver& resolver);

}  // namespace keyward::validate
