// Owns the check of one external account binding (RFC 8555 §7.3.4). Must not know what was bound
// before, nor the signer.
//
// The MAC is verified before the payload is read. A kid that is not known and a MAC that is wrong
// cost the same and are told apart by `code` alone, which is for the log: the client gets one answer
// for both. Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "firmware/eab/credentials.h"
#include "firmware/wire/messages/eab_verify.h"

namespace keyward::eab {

struct Refusal {
  std::string_view type;  // ACME error type, without its URN prefix
  std::string_view code;  // eab.form, eab.alg, eab.kid, eab.nonce, eab.url, eab.mac, eab.key, …
  std::string_view detail;
};
// What may leave: eab.kid becomes eab.mac.
wire::ChallengeProblem to_problem(const Refusal& refusal);

struct CheckedBinding {
  const Credential* credential = nullptr;  // in the book that was given
  Digest256 thumbprint{};                  // of the account's key
};
// Codes: eab.form, eab.alg, eab.nonce, eab.url, eab.kid, eab.mac, eab.revoked, eab.expired, eab.key.
// `book` may be null: no kid is known then.
tl::expected<CheckedBinding, Refusal> check_binding(const wire::EabVerify& request,
                                                    const CredentialBook* book,
                                                    std::int64_t now_ms);

}  // namespace keyward::eab
