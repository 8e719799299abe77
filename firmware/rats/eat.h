// Owns the Entity Attestation Token (RFC 9711): one normalised claims set from a JWT or a CWT. Must
// not know any policy: what a claim should be is the appraisal's business.
//
// verify_eat_*: the signature first, with keys of the caller; then exp, nbf and iat against
// TrustAnchors::at_utc_ms; then every claim by its type and length. An unsigned claims set (RFC 9782
// application/eat-ucs+json, +cbor) is read only inside a CMW that was itself signed. Codes: "jws.*",
// "cose.*", "trust.*", then "eat.malformed", "eat.type" (typ of another token), "eat.unsigned",
// "eat.expired", "eat.not-yet", and of a claim that is not as RFC 9711 has it: "eat.nonce", "eat.ueid",
// "eat.sueids", "eat.oemid", "eat.hwmodel", "eat.hwversion", "eat.uptime", "eat.oemboot",
// "eat.dbgstat", "eat.location", "eat.profile", "eat.bootcount", "eat.bootseed", "eat.dloas",
// "eat.swname", "eat.swversion", "eat.manifests", "eat.measurements", "eat.measres", "eat.intuse",
// "eat.submods", "eat.submod-depth", "eat.time", "eat.cnf", "eat.registered" (iss, sub, aud, jti).
// Threads: pure functions.
#pragma once

#include <map>

#include "firmware/rats/cose.h"
#include "firmware/rats/jwt.h"

namespace keyward::rats {

enum class DebugStatus : std::uint8_t {  // RFC 9711 §4.2.9; a higher number is stricter
  kEnabled = 0,
  kDisabled = 1,
  kDisabledSinceBoot = 2,
  kDisabledPermanently = 3,
  kDisabledFullyAndPermanently = 4,
};
std::string_view to_string(DebugStatus status);
std::optional<DebugStatus> debug_status_from(std::string_view text);

enum class MeasurementResult : std::uint8_t { kSuccess = 1, kFail, kNotRun, kAbsent };

struct Version {
  std::string version;
  std::string scheme;  // text, or a number's digits; "" if not said
};
struct Attachment {          // of manifests and measurements (§4.2.15, §4.2.16)
  std::string content_type;  // text, or a CoAP content format's digits
  Bytes body;
};
struct MeasurementGroup {  // of measres (§4.2.17)
  std::string system;
  struct Item {
    std::string id;  // text; a byte string in hex
    MeasurementResult result;
  };
  std::vector<Item> items;
};

struct Submod;
struct EatClaims {
  Encoding encoding = Encoding::kJson;
  std::vector<Bytes> nonces;  // JSON: the text's octets; CBOR: the octets
  std::optional<Bytes> ueid;
  std::map<std::string, Bytes> sueids;
  std::string oemid;  // a private enterprise number in digits, else hex; "" if absent
  std::optional<Bytes> hwmodel;
  std::optional<Version> hwversion;
  std::optional<std::int64_t> uptime_s;
  std::optional<bool> oemboot;
  std::optional<DebugStatus> dbgstat;
  bool has_location = false;  // personal data: neither read nor kept
  std::string profile;        // a URI, or an OID's dotted text; "" if absent
  std::optional<std::int64_t> bootcount;
  std::optional<Bytes> bootseed;
  std::size_t dloas = 0;  // how many
  std::string swname;
  std::optional<Version> swversion;
  std::vector<Attachment> manifests;
  std::vector<Attachment> measurements;
  std::vector<MeasurementGroup> measres;
  std::optional<std::int64_t> intuse;  // 1..5
  std::optional<std::int64_t> iat_s;
  std::optional<std::int64_t> exp_s;
  std::optional<std::int64_t> nbf_s;
  std::string iss;
  std::string sub;
  std::vector<std::string> aud;
  std::optional<crypto::PublicKey> cnf;  // RFC 7800 jwk, RFC 8747 COSE_Key
  std::vector<Submod> submods;
  std::vector<std::string> unknown;  // names or numbers, ignored (RFC 9711 §7.2.2)
};
struct Submod {
  std::string label;
  bool is_token = false;  // a nested token; its signature was verified with the same anchors
  EatClaims claims;
};

struct VerifiedEat {
  EatClaims claims;
  std::optional<Signer> signer;  // absent: an unsigned set inside a signed CMW
};

Appraised<VerifiedEat> verify_eat_jwt(std::string_view token, const TrustAnchors& anchors);
Appraised<VerifiedEat> verify_eat_cwt(ByteView token, const TrustAnchors& anchors);
// `inside_signed_cmw` is FlatRecord::is_signed; false is "eat.unsigned".
Appraised<VerifiedEat> read_eat_ucs(ByteView claims, Encoding encoding, bool inside_signed_cmw,
                                    const TrustAnchors& anchors);

// D-R3 and the binding to the account: what one of the nonces is. JSON compares text, CBOR octets
// (the token decoded; its ASCII as well). kAccount: the key authorization or its SHA-256.
enum class Freshness : std::uint8_t { kNone = 0, kNonce = 1, kAccount = 2 };
Freshness freshness_of(const std::vector<Bytes>& nonces, Encoding encoding, std::string_view token,
                       std::string_view key_authorization);
// The same of octets of any technology (PKIX evidence, TPM extraData).
Freshness freshness_of_octets(ByteView nonce, std::string_view token,
                              std::string_view key_authorization);

// ---- shared with ear.cc
Appraised<std::vector<Bytes>> read_nonces(const Value& value, Encoding encoding,
                                          std::size_t json_text_min = 8);
Appraised<void> check_times(std::optional<std::int64_t> iat_s, std::optional<std::int64_t> exp_s,
                            std::optional<std::int64_t> nbf_s, std::int64_t at_utc_ms,
                            std::string_view code_prefix);

}  // namespace keyward::rats
