// Owns what a ceremony makes beside keys: certificates of CAs, of the ledger's key and of OCSP
// responders, the first revocation lists, the operators file; and the reading of each as a stranger
// would. Must not know files, tokens' names, or in which order a ceremony goes.
//
// `issuer_der` is always the certificate of the key that signs; that the token's key is its key is
// checked before anything is signed. Lifetimes end with the issuer's at the latest.
// Errors: kBadInput (not readable), kCorrupt (does not pass its lint, or another key), kRefused (no
// path), kUnavailable (token away). Threads: one.
// Source: RFC 5280 §4.2.1, §5; RFC 6960 §4.2.2.2.
#pragma once

#include "firmware/ceremony/whole_plan.h"

namespace keyward::ceremony {

// The key that signs, in its token, and its certificate.
struct SigningCa {
  hal::SigningToken& token;
  std::string key_label;
  ByteView issuer_der;
};

// `crl_url`: where the issuer's own list is; empty: not said.
Result<Bytes> certify_ca(const SigningCa& by, const CaPlan& subject, ByteView spki,
                         const std::string& crl_url, std::int64_t now_ms);
struct EndEntity {
  std::string common_name, organization, country;
  std::int64_t lifetime_days = 0;
};
// Signs and is used for heads of ledgers and for transcripts alone.
Result<Bytes> certify_audit(const SigningCa& by, const EndEntity& subject, ByteView spki,
                            const std::string& crl_url, std::int64_t now_ms);
// id-kp-OCSPSigning alone, with id-pkix-ocsp-nocheck: nobody asks about the one who answers.
Result<Bytes> certify_ocsp(const SigningCa& by, const EndEntity& subject, ByteView spki,
                           std::int64_t now_ms);

struct CrlTerms {
  std::uint64_t number = 0;
  std::int64_t this_update_ms = 0;
  std::int64_t next_update_ms = 0;
  std::vector<RevokedPlan> revoked;  // in this order
};
Result<Bytes> make_crl(const SigningCa& by, const CrlTerms& terms);

// kBadInput, kExhausted: what operate::Operators says.
Result<std::string> write_operators(const WholePlan& plan,
                                    const std::vector<std::string>& key_texts);
// The public key of an operator, PEM or JWK, as a canonical JWK. kRefused: not P-256 or Ed25519.
Result<std::string> read_operator_key(std::string_view text);

// ---- as a stranger reads them
Status lint_root(const CaPlan& plan, ByteView der, std::int64_t now_ms);
Status lint_ca_below(const CaPlan& plan, ByteView issuer_der, ByteView der, std::int64_t now_ms);
Status lint_audit_certificate(ByteView root_der, ByteView der, std::int64_t now_ms);
Status lint_ocsp_certificate(ByteView issuer_der, ByteView der, std::int64_t now_ms);
Status lint_crl(ByteView issuer_der, ByteView der, const CrlTerms& terms);
Status lint_operators(const WholePlan& plan, std::string_view text);

}  // namespace keyward::ceremony
