// Owns the reading of PKCS#10 (RFC 2986). Must not know policy: it says what is there.
#pragma once

#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"

namespace keyward::x509 {

// An extension that a CSR asks for, its value octet for octet.
struct RequestedExtension {
  std::string oid;
  Bytes value;  // content of the OCTET STRING
};

struct CertificateRequest {
  crypto::PublicKey key;
  std::vector<std::string> common_names{};
  bool subject_has_other_attributes = false;
  std::vector<std::string> dns_names{};  // dNSName SANs, as written
  std::vector<Bytes> ip_addresses{};     // iPAddress SANs, 4 or 16 octets
  std::vector<std::string>
      permanent_identifiers{};  // "value" or "value/oid", rebuilt from the SAN otherName
  std::vector<std::string> hardware_modules{};  // "serial/oid"
  std::vector<std::string> macs{};              // canonical (RFC 10031)
  std::vector<std::string> uris{};              // as written
  bool has_other_san = false;                   // email, another otherName, ...
  bool asks_for_ca = false;                     // basicConstraints CA:TRUE
  // TNAuthList, JWTClaimConstraints, EnhancedJWTClaimConstraints (RFC 8226, RFC 9118); not read.
  std::vector<RequestedExtension> authority_extensions{};
  std::vector<std::string>
      other_extension_oids{};  // asked for beside these, SAN, KU, EKU, basicConstraints
  // Contents of the SET of each id-aa-attestation attribute (draft-ietf-lamps-csr-attestation); not
  // read.
  std::vector<Bytes> attestations{};
};

// Strict DER, exact end, at most limits::kCsrBytesMax; the proof-of-possession signature is
// verified before the names are read. Errors: kBadInput; kRefused (signature, key).
Result<CertificateRequest> parse_csr(ByteView der);

// Client side: SAN entries for the identifiers; `sign` signs the CertificationRequestInfo and
// returns the signature as X.509 wants it (ECDSA DER). The scheme follows the key kind (P-256/RSA:
// SHA-256, P-384: SHA-384).
// CertificationRequestInfo (RFC 2986 §4.1) with these extensions asked for, whole TLVs; at least one.
Bytes request_info_der(ByteView subject_name_der, ByteView spki_der,
                       const std::vector<Bytes>& extensions);
using SignFunction = Result<Bytes> (*)(void* context, ByteView to_be_signed);
Result<Bytes> build_csr(const crypto::PublicKey& key,
                        const std::vector<wire::Identifier>& identifiers, SignFunction sign,
                        void* context);
Result<Bytes> build_csr(const crypto::PrivateKey& key,
                        const std::vector<wire::Identifier>& identifiers);

}  // namespace keyward::x509
