// Owns the reading of X.509 certificates (RFC 5280), strict DER, and chain building to given
// anchors. Must not know where anchors come from, nor any policy beside RFC 5280's path rules.
// Errors: kBadInput (not DER, not RFC 5280), kRefused (signature, path). Threads: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"

namespace keyward::x509 {

struct Extension {
  std::string oid;  // dotted
  bool critical = false;
  Bytes value;  // content of the OCTET STRING
};

struct Certificate {
  Bytes der;
  Bytes tbs_der;     // whole TBSCertificate TLV
  int version = 0;   // 3 for v3
  Bytes serial;      // INTEGER content octets
  Bytes issuer_der;  // Name, whole TLV; compared as raw octets (field notes: unsorted RDN sets)
  Bytes subject_der;
  bool subject_is_empty = false;
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
  std::optional<crypto::PublicKey> key;  // absent: an algorithm we do not read
  Bytes spki_der;
  Bytes signature_algorithm_der;  // AlgorithmIdentifier; inner and outer were equal
  Bytes signature;
  std::vector<Extension> extensions;

  const Extension* extension(
      std::string_view oid) const;  // null: absent (duplicates are refused at parse)
  std::optional<bool> basic_constraints_ca() const;  // absent: no extension
  std::vector<std::string> extended_key_usages()
      const;  // dotted; empty: no extension, or not readable
  std::optional<bool> key_usage(unsigned bit) const;  // absent: no extension; bits as in tbs.h
};

struct BasicConstraints {
  bool ca = false;
  std::optional<std::uint64_t> path_length;
};
std::optional<BasicConstraints> read_basic_constraints(
    const Certificate& certificate);  // unreadable: not a CA

// Making a usable key of the SPKI is the dearest part of reading (15 µs of 20): who only compares
// octets leaves it out, and finds `key` absent.
enum class KeyReading : std::uint8_t { kRead = 1, kSkip = 2 };
Result<Certificate> parse_certificate(ByteView der, KeyReading reading = KeyReading::kRead);

// The signature of `child` is the issuer key's. Algorithms: ECDSA/RSA PKCS#1/PSS with SHA-256..512,
// Ed25519.
Status verify_signed_by(const Certificate& child, const crypto::PublicKey& issuer_key);

bool is_signature_algorithm(ByteView algorithm_der);  // one of these
// The same over any octets, with the AlgorithmIdentifier that stands beside them (whole TLV).
Status verify_octets_signed_by(ByteView algorithm_der, ByteView octets, ByteView signature,
                               const crypto::PublicKey& key);

// Walks leaf -> ... -> an anchor through `intermediates`. Checks signatures, names, validity at
// `at_utc_ms`, CA flag, path length, keyCertSign, unhandled critical extensions (those in
// `handled_critical_oids` and RFC 5280's basic ones are handled). Anchors: matched by subject and
// key; stops at the first anchor, even if more certificates follow. Errors, by static text:
// "certificate expired", "certificate not yet valid", "no path to a trust anchor", "bad signature
// in chain", "issuer is not a CA", "path too long", "unhandled critical extension", "too many
// certificates in chain"; all kRefused. Anchors' validity and critical extensions count too.
struct ChainOptions {
  std::int64_t at_utc_ms = 0;
  std::vector<std::string> handled_critical_oids;
};
Status verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                    const std::vector<Certificate>& anchors, const ChainOptions& options);

// PEM (RFC 7468): every CERTIFICATE block, in order.
Result<std::vector<Bytes>> certificates_from_pem(std::string_view pem, std::size_t count_max);
std::string to_pem(std::string_view label, ByteView der);

}  // namespace keyward::x509
