// Owns the reading of a newOrder payload and the comparison of a CSR with its order. Must not know
// grants, tickets or signatures: what comes in here was verified before. Threads: functions.
#pragma once

#include <string>
#include <vector>

#include "firmware/issue/ip_subtree.h"
#include "firmware/issue/star.h"
#include "firmware/jose/jws.h"
#include "firmware/x509/csr.h"

namespace keyward::issue {

// Subtrees of this installation. Both lists empty: any name. Otherwise a name or an address lies in
// its list, or is the appliance's own.
struct NamePolicy {
  std::vector<std::string> permitted_dns;
  std::vector<IpSubtree> permitted_ip;
  std::vector<std::string> denied_dns;  // subtrees that are never certified, permitted or not
  std::vector<wire::Identifier>
      appliance_names;  // canonical; always permitted, proved by kAppliance alone
};

// "identifier-not-permitted". Devices and what authorities vouch for have no subtrees; a uri has its
// host's.
Verdict<void> check_permitted(const wire::Identifier& identifier, const NamePolicy& policy);

struct OrderRules {
  const Profiles& profiles;
  const NamePolicy& names;
  const Issuer& issuer;
  ValidityRules validity;
};

// From the signed payload (RFC 8555 §7.4, profiles-00, RFC 8739, RFC 9444): "payload-malformed",
// "identifier-unsupported", "identifier-malformed", "identifier-not-permitted", or
// "identifiers-refused" if more than one identifier is at fault, with an entry in `faults` for each
// whose type is known; "profile-unknown", "profile-identifiers", "validity-not-permitted",
// "star-not-offered", "star-terms".
Verdict<wire::OrderTerms> read_new_order(const jose::VerifiedJws& jws, const OrderRules& rules,
                                         std::int64_t now_ms);

// The DER of the CSR in a finalize payload: "payload-malformed".
Verdict<Bytes> read_finalize(const jose::VerifiedJws& jws);

// "csr-malformed", "csr-signature", "csr-key-refused".
Verdict<x509::CertificateRequest> read_csr(ByteView der);

// What the CSR asks for beside names: "csr-extension" (CA:TRUE, or an extension that this order has
// no use for; D-A10).
Verdict<void> check_csr_extensions(const x509::CertificateRequest& csr,
                                   const wire::OrderTerms& terms);

// What authorities vouch for stands in the CSR octet for octet (RFC 9448 §5.1): "csr-names".
Verdict<void> check_csr_authority(const x509::CertificateRequest& csr,
                                  const wire::OrderTerms& terms);

// Exactly the order's names, MAC addresses and URIs, and never a remote attestation; device
// identifiers may be left out (device-attest-10, updating RFC 8555 §7.4); a common name must be one of them, or `own_name`, the one that the certificate will
// have: "csr-names".
Verdict<void> check_csr_names(const x509::CertificateRequest& csr, const wire::OrderTerms& terms,
                              const std::optional<std::string>& own_name = std::nullopt);

// Which of the order's identifiers the certificate is to hold: all but remote attestations (D-R5),
// and for devices what the profile says (D-D10). A common name counts as held by the CSR (RFC 8555 §7.4). To be called
// after check_csr_names: of a CSR that it refused this says nothing useful.
std::vector<wire::Identifier> certificate_names(const x509::CertificateRequest& csr,
                                                const wire::OrderTerms& terms,
                                                const Profile& profile);

// P-256, P-384, RSA 2048–4096, Ed25519, and never the account's key: "csr-key-refused",
// "csr-key-profile" (what the profile wants beside that), "csr-key-is-account-key" (RFC 8555 §11.1). Telephone identities: P-256 alone, since PASSporT has no
// other algorithm than ES256 (RFC 8225 §9.2).
Verdict<void> check_csr_key(const crypto::PublicKey& csr_key, const crypto::PublicKey& account_key,
                            const Profile& profile = {});

}  // namespace keyward::issue
