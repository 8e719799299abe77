// Owns the reading of a newOrder payload and the comparison of a CSR with its order. Must not know
// grants, tickets or signatures: what comes in here was verified before. Threads: functions.
#pragma once

#include <string>
#include <vector>

#include "firmware/issue/profile.h"
#include "firmware/issue/verdict.h"
#include "firmware/jose/jws.h"
#include "firmware/x509/csr.h"

namespace keyward::issue {

struct NamePolicy {
  std::vector<std::string> permitted_dns;  // subtrees; empty: any
  std::vector<wire::Identifier>
      appliance_names;  // canonical; always permitted, proved by kAppliance alone
};

// "identifier-not-permitted". With permitted_dns set, an ip is permitted only as an appliance's
// name.
Verdict<void> check_permitted(const wire::Identifier& identifier, const NamePolicy& policy);

// From the signed payload (RFC 8555 §7.4, profiles-00): "payload-malformed",
// "identifier-unsupported", "identifier-malformed", "identifier-not-permitted",
// "validity-not-supported", "profile-unknown", "profile-identifiers".
Verdict<wire::OrderTerms> read_new_order(const jose::VerifiedJws& jws, const Profiles& profiles,
                                         const NamePolicy& policy);

// The DER of the CSR in a finalize payload: "payload-malformed".
Verdict<Bytes> read_finalize(const jose::VerifiedJws& jws);

// "csr-malformed", "csr-signature", "csr-key-refused".
Verdict<x509::CertificateRequest> read_csr(ByteView der);

// What the CSR asks for beside names: "csr-extension" (CA:TRUE, or an extension that no profile
// has; D-A10).
Verdict<void> check_csr_extensions(const x509::CertificateRequest& csr);

// Exactly the order's names; device identifiers may be left out (device-attest-10, updating RFC
// 8555 §7.4); a common name must be one of them: "csr-names".
Verdict<void> check_csr_names(const x509::CertificateRequest& csr, const wire::OrderTerms& terms);

// P-256, P-384, RSA 2048–4096, Ed25519, and never the account's key: "csr-key-refused",
// "csr-key-is-account-key" (RFC 8555 §11.1).
Verdict<void> check_csr_key(const crypto::PublicKey& csr_key, const crypto::PublicKey& account_key);

}  // namespace keyward::issue
