// Owns the evidence of hardware security modules (draft-ietf-rats-pkix-key-attestation) and the
// attestation attribute of a CSR (draft-ietf-lamps-csr-attestation). Must not know any policy.
//
// Strict DER. verify_pkix_evidence: structure cut, every signature verified over the octets of the
// tbs, and only then the claims are read. Codes, in order: "pkix.oids" (none configured),
// "pkix.malformed", "pkix.unsigned" (no signature), "pkix.signer" (names no key, or a key that is not
// the certificate's), "pkix.algorithm", "trust.key", "trust.certificate", "pkix.ak-usage" (keyUsage or
// extended key usage), "pkix.signature", "pkix.version", "pkix.elements" (two of platform or
// transaction), "pkix.claim" (type, value, or twice), "pkix.ak-spki" (names another signer).
// Threads: pure functions.
#pragma once

#include "firmware/rats/trust.h"
#include "firmware/x509/csr.h"

namespace keyward::rats {

// Drafts still write TBD for all of these: dotted OIDs from the configuration. `arc` is
// id-pkix-evidence; element and claim types are below it as the draft's module has them. Both
// are needed: one that is empty takes no evidence at all.
struct PkixOids {
  std::string arc;
  std::string attestation_key_usage;  // id-kp-attestationKey
};

struct PkixPlatform {
  std::string vendor;
  Bytes oemid;
  Bytes hwmodel;
  std::string hwversion;
  std::string hwserial;
  std::string swname;
  std::string swversion;
  std::optional<std::int64_t> dbgstat;  // as EAT's
  std::optional<std::int64_t> uptime_s;
  std::optional<std::int64_t> bootcount;
  std::optional<bool> fipsboot;
  std::string fipsver;
  std::optional<std::int64_t> fipslevel;  // 1..4
  std::string fipsmodule;
};

struct PkixKey {
  std::vector<std::string> identifiers;
  std::optional<crypto::PublicKey> key;  // of the claim spki, one that this product reads
  Bytes spki;
  std::optional<bool> extractable;
  std::optional<bool> sensitive;
  std::optional<bool> never_extractable;
  std::optional<bool> local;
  std::optional<std::int64_t> expiry_ms;
};

struct PkixEvidence {
  std::optional<Bytes> nonce;
  std::optional<std::int64_t> timestamp_ms;
  std::optional<PkixPlatform> platform;
  std::vector<PkixKey> keys;
  std::vector<std::string> unknown;  // claim and element types, dotted; ignored
  std::vector<Signer> signers;       // every one verified
};

// An attestation key is one of anchors.keys, or its certificate leads through the evidence's
// intermediates to one of anchors.roots. Every signature must verify.
Appraised<PkixEvidence> verify_pkix_evidence(ByteView der, const TrustAnchors& anchors,
                                             const PkixOids& oids);

// ---- CSR
inline constexpr std::string_view kIdAaAttestation = "1.2.840.113549.1.9.16.2.59";
struct AttestationStatement {
  std::string type;  // dotted
  Bytes statement;   // whole TLV
};
struct CsrAttestation {
  crypto::PublicKey key;  // of the CSR; possession was proved
  std::vector<AttestationStatement> statements;
  std::vector<Bytes> certificates;  // DER
};
// The CSR's own signature first. Codes: "csr.malformed", "csr.attestation" (missing, twice, or not an
// AttestationBundle).
Appraised<CsrAttestation> read_csr_attestation(ByteView csr_der);

}  // namespace keyward::rats
