// Owns the reading of a revocation request and the rules of who may revoke what, and why (RFC 8555
// §7.6). Must not know the ledger's files, nor keys beyond the ones it is shown.
//
// Decisions: an expired certificate may be revoked all the same (that its key was stolen may be
// found out late, and is worth knowing: the key is never certified again). keyCompromise is said by
// the key's holder alone: it takes the key out of use for everybody. A certificate is revoked once;
// its reason stays. Threads: functions.
#pragma once

#include <optional>
#include <span>

#include "firmware/issue/client_jws.h"
#include "firmware/issue/grants.h"
#include "firmware/issue/ledger_rows.h"
#include "firmware/x509/certificate.h"

namespace keyward::issue {

inline constexpr std::uint64_t kReasonKeyCompromise = 1;  // RFC 5280 §5.3.1

struct RevocationRequest {
  Bytes certificate_der;
  std::optional<std::uint64_t> reason;
};
// "payload-malformed". Members that RFC 8555 does not know are ignored.
Verdict<RevocationRequest> read_revocation(const jose::VerifiedJws& jws);

// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation,
// privilegeWithdrawn; keyCompromise by the certificate's key alone: else "revocation-reason".
Verdict<void> check_reason(std::optional<std::uint64_t> reason, RevocationAuthority authority);

// The names that a certificate holds, canonical, if dns and ip are all that it holds; else none.
std::optional<std::vector<wire::Identifier>> names_in(const x509::Certificate& certificate);

// Whether live grants of the account cover every identifier of the certificate. Devices and what
// authorities vouch for are proved for one order alone, so that none of their certificates passes;
// neither does one without names. Any method that proves names counts.
bool holds_all_names(const x509::Certificate& certificate, const IntentRow& intent,
                     const GrantTable& grants, std::span<const Digest256> thumbprints,
                     std::string_view kid, std::int64_t now_ms);

}  // namespace keyward::issue
