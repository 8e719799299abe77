// Owns what a remote attestation must be to count for one issuance (draft-ietf-acme-rats): admission
// of the grant that `attestation` sends, and the search for one per hint. Must not know evidence or
// appraisal: what a policy compared is `attestation`'s.
//
// A grant is for one account, one order, one hint and one profile; it may name a key, which the
// CSR's must be, and devices, one of which the order must hold. Threads: functions.
#pragma once

#include "firmware/issue/grants.h"
#include "firmware/issue/profile.h"
#include "firmware/wire/messages/grant_remote.h"

namespace keyward::issue {

// Lower-case letters, digits and "_", 64 at most; empty is a hint too (D-R4: "-" is written "_").
bool is_canonical_hint(std::string_view hint);

// "identifier-malformed" (hint or device not canonical), "profile-unknown", "grant-not-permitted"
// (no order, too many devices, a key that is none), "grant-expired".
Verdict<Grant> admit(const wire::GrantRemote& message, const Profiles& profiles,
                     std::int64_t now_ms);

// What the order and its profile ask for, each once, sorted: what was promised to the client, and
// what the installation asks for by now.
std::vector<std::string> wanted_attestations(const wire::OrderTerms& terms, const Profile& profile);

// What an issuance asks for each hint.
struct AttestationQuery {
  std::span<const Digest256> thumbprints;  // of the account's key and of its earlier ones
  std::string_view ticket;
  std::string_view profile;
  const Digest256& csr_key_sha256;  // SubjectPublicKeyInfo
  const std::vector<wire::Identifier>& identifiers;
};
// The live grant for the hint, or the nearest miss: "attestation-missing", "attestation-profile",
// "attestation-expired", "attestation-key-mismatch", "grant-device-mismatch".
Verdict<Grant> find_attestation(const AttestationQuery& query, std::string_view hint,
                                const GrantTable& grants, std::int64_t now_ms);

}  // namespace keyward::issue
