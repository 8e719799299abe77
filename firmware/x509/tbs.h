// Owns the writing of certificates: builds TBSCertificate byte by byte and joins a signature to it.
// Must not know profiles or policy: it writes what it is told, in RFC 5280's form.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"
#include "hal/signing_token.h"

namespace keyward::x509 {

// AlgorithmIdentifier of certificates signed by such a key.
Bytes signature_algorithm_der(hal::KeyAlgorithm algorithm);

struct NameAttribute {
  std::string oid;    // "2.5.4.3" commonName, "2.5.4.10" O, "2.5.4.6" C (PrintableString), ...
  std::string value;  // UTF-8
};
Bytes name_der(
    const std::vector<NameAttribute>& attributes);  // one attribute per RDN; empty is allowed

struct TbsSpec {
  Bytes serial;               // big-endian, positive, at most 20 octets
  Bytes signature_algorithm;  // signature_algorithm_der()
  Bytes issuer_name_der;
  Bytes subject_name_der;
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
  Bytes spki_der;
  std::vector<Bytes> extensions;  // whole Extension TLVs, in this order
};
Bytes build_tbs(const TbsSpec& spec);
Bytes join_certificate(ByteView tbs_der, ByteView signature_algorithm, ByteView signature);

// Extensions, whole Extension TLVs.
Bytes extension_der(std::string_view oid, bool critical, ByteView value);
Bytes ext_basic_constraints(bool ca, std::optional<int> path_length);  // critical
inline constexpr unsigned kDigitalSignature = 0, kKeyEncipherment = 2, kKeyAgreement = 4,
                          kKeyCertSign = 5, kCrlSign = 6;
Bytes ext_key_usage(std::initializer_list<unsigned> bits);  // critical
Bytes ext_extended_key_usage(const std::vector<std::string>& oids);
Bytes ext_subject_key_id(
    ByteView spki_der);  // RFC 7093 method 1: first 160 bits of SHA-256 of the key bits
Bytes ext_authority_key_id(ByteView key_id);
// RFC 5280 §4.2.2.1, RFC 6960 §3.1; an empty URL is left out, one at least must be there.
Bytes ext_authority_info_access(std::string_view ocsp_url, std::string_view ca_issuers_url);
Bytes ext_crl_distribution_points(std::string_view url);  // one full name (RFC 5280 §4.2.1.13)
Bytes key_id_of(ByteView spki_der);                       // the 20 octets
// dns, ip, permanent-identifier, hardware-module, mac (RFC 4043, RFC 4108, RFC 10031 otherNames),
// uri, in the order given.
// Then the URIs. Before them all a directoryName, unless it is empty: a whole Name.
Result<Bytes> ext_subject_alt_name(const std::vector<wire::Identifier>& identifiers, bool critical,
                                   const std::vector<std::string>& uris = {},
                                   ByteView directory_name = {});
Bytes ext_name_constraints_dns(
    const std::vector<std::string>& permitted);  // critical; RFC 5280 §4.2.1.10

}  // namespace keyward::x509
