// Owns the verification of a device vendor's token: whether the vendor says that one MAC address is
// the device of these customers, and for this account (third-party device attestation, D-T2). Must
// not know the network, nor which tokens were seen before.
//
// Order: form -> algorithm -> keys that may sign it -> signature -> and only then the claims. The
// issuer's name stands in the payload, so the vendor is the one whose key the signature is by, and
// `iss` must then be that vendor's. Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/attest/authority_token.h"
#include "firmware/config/config.h"

namespace keyward::attest {

struct VendorKey {
  std::string kid;  // empty: the JWKS names none
  crypto::PublicKey key;
};

struct Vendor {
  std::string name;  // in the configuration, for the log
  std::string iss;
  std::vector<VendorKey> keys;            // of tokens without x5c
  std::vector<x509::Certificate> roots;   // of tokens with x5c: the vendor's own, nobody else's
  std::string audience;                   // this CA's name
  std::vector<std::string> algorithms;    // of ES256, ES384, PS256, RS256, EdDSA
  std::vector<std::string> mac_prefixes;  // canonical, whole octets: "00:24:98"
  std::int64_t age_max_s = 0;             // since iat; 0: exp alone counts
  bool must_name_account = true;          // by cnf.jkt or a fingerprint
  bool must_have_id = true;               // jti; else the payload itself is used once
};
using VendorPolicy = std::vector<Vendor>;

struct VendorConfig {
  std::string name, iss, keys, audience;
  std::vector<std::string> roots, algorithms, macs;
  std::int64_t age_max_s = 0;
  bool must_name_account = true, must_have_id = true;
};
// Tables of [attestation.vendors].
std::vector<VendorConfig> read_vendors(config::Section& section);
// Reads the files. kBadInput: a rule that is missing or compares nothing.
Result<VendorPolicy> load_vendors(const std::vector<VendorConfig>& configs);
// A JSON Web Key Set (RFC 7517 §5), public keys alone.
Result<std::vector<VendorKey>> parse_key_set(std::string_view text);
// "00:24:98", "00-24-98" to the former. kBadInput: not whole octets, or none.
Result<std::string> canonical_mac_prefix(std::string_view text);

struct VendorRequest {
  std::string_view token;                        // compact JWS
  const wire::Identifier* identifier = nullptr;  // a canonical mac
  Digest256 thumbprint{};                        // of the account's key
  bool atc = false;  // RFC 9447's form (tktype "mac"), not the plain one with `sub`
};

struct VendorVerdict {
  std::optional<AuthorityRefusal> refusal;
  std::string vendor;                // its name in the configuration
  std::vector<std::string> domains;  // customers' in `aud`, canonical dns names
  std::int64_t expires_ms = 0;
  Digest256 token_id{};  // vendor's key and jti
};
// Codes, in order: vendor.syntax, vendor.algorithm, vendor.key, vendor.certificate,
// vendor.signature, vendor.claims, vendor.iss, vendor.atc, vendor.type, vendor.ca, vendor.sub,
// vendor.aud, vendor.lifetime, vendor.expired, vendor.not-yet, vendor.jti, vendor.fingerprint,
// vendor.mac. That a token is used once is SpentTokens' part (vendor.replayed).
VendorVerdict verify_vendor_token(const VendorRequest& request, const VendorPolicy& policy,
                                  std::int64_t now_ms);

}  // namespace keyward::attest
