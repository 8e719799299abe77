// Owns the choice of a certificate's format by the Accept header (RFC 8555 §7.4.2, RFC 9110
// §12.5.1). Must not know certificates. Threads: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward::acme {

enum class CertificateFormat : std::uint8_t {
  kPemChain,  // application/pem-certificate-chain (RFC 8555 §9.1): what one gets without asking
  kPkix,      // application/pkix-cert (RFC 5280 §4.2.2.1): the leaf alone, DER
  kPkcs7,     // application/pkcs7-mime; smime-type=certs-only (RFC 8551 §3.8), DER
};
std::string_view media_type_of(CertificateFormat format);

// The best offered format by quality; among equals the first of the list above. A type's quality is
// that of the most specific range that names it; quality 0 refuses it. An absent or empty header
// takes anything; an element that is no media range is passed over, and a header of nothing but
// those counts as absent. Empty: nothing offered is acceptable (406).
std::optional<CertificateFormat> choose_format(std::string_view accept);

}  // namespace keyward::acme
