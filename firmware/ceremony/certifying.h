// Owns what both forms of a ceremony share in building and judging CA certificates. Included by this
// folder alone.
#pragma once

#include "firmware/ceremony/products.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/tbs.h"

namespace keyward::ceremony {

inline constexpr std::int64_t kDayMs = 86'400'000;
inline constexpr std::int64_t kBackdateMs =
    300'000;  // a client's clock may be somewhat behind ours
inline constexpr std::int64_t kSignMs = 30'000;

Bytes name_of(const CaPlan& plan);
Bytes name_of(const EndEntity& subject);
// Rights and constraints, as whole Extension TLVs; key identifiers are the issuer's matter.
std::vector<Bytes> ca_extensions(const CaPlan& subject);
std::vector<Bytes> audit_extensions();
// 127 random bits, always positive and of the same length (RFC 5280 §4.1.2.2).
Bytes new_serial();
Result<Bytes> sign_tbs(hal::SigningToken& token, const std::string& key_label,
                       const x509::TbsSpec& spec);
// What the certificate says by itself, beside signature and path.
Status lint_ca(const CaPlan& plan, const x509::Certificate& certificate, std::int64_t now_ms);
// Base64 with white space, of a PEM body or an x5c member. kBadInput.
Result<Bytes> decode_base64(std::string_view text);

}  // namespace keyward::ceremony
