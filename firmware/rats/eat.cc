// Owns the claims of RFC 9711, each by its type and length. Must not know any policy.
#include "firmware/rats/eat.h"

#include <algorithm>
#include <array>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"

namespace keyward::rats {
namespace {

using Kind = Value::Kind;

constexpr std::array<std::string_view, 5> kDebugNames{"enabled", "disabled", "disabled-since-boot",
                                                      "disabled-permanently",
                                                      "disabled-fully-and-permanently"};
constexpr std::array<std::string_view, 4> kResultNames{"success", "fail", "not-run", "absent"};
constexpr std::array<std::string_view, 5> kUseNames{"generic", "registration", "provisioning",
                                                    "csr", "pop"};

struct Range {
  std::size_t min;
  std::size_t max;
};

// Octets: base64url in JSON, a byte string in CBOR.
std::optional<Bytes> octets_of(const Value& value, Encoding encoding, Range range) {
  std::optional<Bytes> out;
  if (encoding == Encoding::kCbor) {
    if (value.is(Kind::kBytes)) out = value.bytes;
  } else if (value.is(Kind::kText)) {
    if (auto decoded = base64url_decode(value.text)) out = std::move(*decoded);
  }
  if (out && (out->size() < range.min || out->size() > range.max)) out.reset();
  return out;
}

// A number in CBOR, a name in JSON (JC<> in RFC 9711's CDDL).
template <std::size_t kCount>
std::optional<std::int64_t> choice_of(const Value& value, Encoding encoding,
                                      const std::array<std::string_view, kCount>& names,
                                      std::int64_t first) {
  if (encoding == Encoding::kCbor) {
    const bool in = value.is(Kind::kInteger) && value.integer >= first &&
                    value.integer < first + static_cast<std::int64_t>(kCount);
    return in ? std::optional(value.integer) : std::nullopt;
  }
  if (!value.is(Kind::kText)) return std::nullopt;
  const auto found = std::ranges::find(names, std::string_view(value.text));
  if (found == names.end()) return std::nullopt;
  return first + (found - names.begin());
}

// One claim after another out of a set; each reader says what it found wrong with its claim.
class Reader {
 public:
  Reader(EatClaims& out, const TrustAnchors& anchors, int depth)
      : out_(out), anchors_(anchors), depth_(depth) {}

  Appraised<void> nonce(const Value& value) {
    auto nonces = read_nonces(value, out_.encoding);
    if (!nonces) return refuse("eat.nonce", nonces.error().detail);
    out_.nonces = std::move(*nonces);
    return {};
  }
  Appraised<void> ueid(const Value& value) {
    out_.ueid = octets_of(value, out_.encoding, {7, 33});
    return out_.ueid ? ok() : bad("eat.ueid", "ueid has not 7 to 33 octets");
  }
  Appraised<void> sueids(const Value& value) {
    if (!value.is(Kind::kMap) || value.keys.empty() || value.keys.size() > limits::kClaimItemsMax)
      return bad("eat.sueids", "sueids is not a map of identifiers");
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      auto octets = octets_of(value.items[i], out_.encoding, {7, 33});
      if (!octets || !out_.sueids.emplace(value.keys[i].print(), std::move(*octets)).second)
        return bad("eat.sueids", "one of sueids has not 7 to 33 octets");
    }
    return {};
  }
  Appraised<void> oemid(const Value& value) {  // RFC 9711 §4.2.3
    if (value.is(Kind::kInteger) && value.integer >= 0) {
      out_.oemid = std::to_string(value.integer);
      return {};
    }
    const auto octets = octets_of(value, out_.encoding, {3, 16});
    if (!octets || (octets->size() != 3 && octets->size() != 16))
      return bad("eat.oemid", "oemid is no enterprise number and has not 3 or 16 octets");
    out_.oemid = hex_encode(*octets);
    return {};
  }
  Appraised<void> hwmodel(const Value& value) {
    out_.hwmodel = octets_of(value, out_.encoding, {1, 32});
    return out_.hwmodel ? ok() : bad("eat.hwmodel", "hwmodel has not 1 to 32 octets");
  }
  Appraised<void> hwversion(const Value& value) {
    out_.hwversion = version_of(value);
    return out_.hwversion ? ok() : bad("eat.hwversion", "hwversion is not a version");
  }
  Appraised<void> swversion(const Value& value) {
    out_.swversion = version_of(value);
    return out_.swversion ? ok() : bad("eat.swversion", "swversion is not a version");
  }
  Appraised<void> swname(const Value& value) {
    out_.swname = value.text;
    return short_text(value) ? ok() : bad("eat.swname", "swname is not text");
  }
  Appraised<void> uptime(const Value& value) {
    out_.uptime_s = natural(value);
    return out_.uptime_s ? ok() : bad("eat.uptime", "uptime is not a number of seconds");
  }
  Appraised<void> bootcount(const Value& value) {
    out_.bootcount = natural(value);
    return out_.bootcount ? ok() : bad("eat.bootcount", "bootcount is not a number");
  }
  Appraised<void> oemboot(const Value& value) {
    if (!value.is(Kind::kBoolean)) return bad("eat.oemboot", "oemboot is not true or false");
    out_.oemboot = value.boolean;
    return {};
  }
  Appraised<void> dbgstat(const Value& value) {
    const auto status = choice_of(value, out_.encoding, kDebugNames, 0);
    if (!status) return bad("eat.dbgstat", "dbgstat is none of the five");
    out_.dbgstat = static_cast<DebugStatus>(*status);
    return {};
  }
  Appraised<void> location(const Value& value) {
    out_.has_location = true;
    return value.is(Kind::kMap) ? ok() : bad("eat.location", "location is not a map");
  }
  Appraised<void> profile(const Value& value) {  // §4.3.2: a URI, or an OID
    out_.profile = value.text;
    if (out_.encoding == Encoding::kCbor && value.is(Kind::kBytes))
      out_.profile = x509::oid_text(value.bytes);
    const bool fits = !out_.profile.empty() && out_.profile.size() <= limits::kMediaTypeBytesMax;
    return fits ? ok() : bad("eat.profile", "eat_profile is neither a URI nor an OID");
  }
  Appraised<void> bootseed(const Value& value) {
    out_.bootseed = octets_of(value, out_.encoding, {32, 64});
    return out_.bootseed ? ok() : bad("eat.bootseed", "bootseed has not 32 to 64 octets");
  }
  Appraised<void> dloas(const Value& value) {  // §4.2.14: [registrar, platform, ?application]
    if (!is_list(value)) return bad("eat.dloas", "dloas is not a list");
    for (const auto& item : value.items) {
      const bool form =
          item.is(Kind::kArray) && item.items.size() >= 2 && item.items.size() <= 3 &&
          std::ranges::all_of(item.items, [](const Value& v) { return v.is(Kind::kText); });
      if (!form) return bad("eat.dloas", "one of dloas is not two or three texts");
    }
    out_.dloas = value.items.size();
    return {};
  }
  Appraised<void> manifests(const Value& value) {
    return attachments(value, out_.manifests)
               ? ok()
               : bad("eat.manifests", "manifests is not a list of them");
  }
  Appraised<void> measurements(const Value& value) {
    return attachments(value, out_.measurements)
               ? ok()
               : bad("eat.measurements", "measurements is not a list of them");
  }
  Appraised<void> measres(const Value& value) {
    if (!is_list(value)) return bad("eat.measres", "measres is not a list");
    for (const auto& group : value.items) {
      if (!measurement_group(group))
        return bad("eat.measres", "one of measres is not a system with its results");
    }
    return {};
  }
  Appraised<void> intuse(const Value& value) {
    out_.intuse = choice_of(value, out_.encoding, kUseNames, 1);
    return out_.intuse ? ok() : bad("eat.intuse", "intuse is none of the five");
  }
  Appraised<void> cnf(const Value& value);
  Appraised<void> submods(const Value& value);
  Appraised<void> iat(const Value& value) { return time(value, out_.iat_s); }
  Appraised<void> exp(const Value& value) { return time(value, out_.exp_s); }
  Appraised<void> nbf(const Value& value) { return time(value, out_.nbf_s); }
  Appraised<void> iss(const Value& value) { return registered(value, out_.iss); }
  Appraised<void> sub(const Value& value) { return registered(value, out_.sub); }
  Appraised<void> aud(const Value& value) {  // RFC 7519 §4.1.3, RFC 8392 §3.1.3
    out_.aud.clear();
    if (short_text(value)) {
      out_.aud.push_back(value.text);
      return {};
    }
    if (!is_list(value) || !std::ranges::all_of(value.items, short_text))
      return bad("eat.registered", "aud is neither text nor a list of it");
    for (const auto& item : value.items) out_.aud.push_back(item.text);
    return {};
  }
  Appraised<void> jti(const Value& value) {
    const bool right =
        out_.encoding == Encoding::kCbor ? value.is(Kind::kBytes) : short_text(value);
    return right ? ok() : bad("eat.registered", "jti or cti has another type than it must");
  }

 private:
  static Appraised<void> ok() { return {}; }
  static Appraised<void> bad(const char* code, const char* detail) { return refuse(code, detail); }
  static bool is_list(const Value& value) {
    return value.is(Kind::kArray) && !value.items.empty() &&
           value.items.size() <= limits::kClaimItemsMax;
  }
  static bool short_text(const Value& value) {
    return value.is(Kind::kText) && !value.text.empty() &&
           value.text.size() <= limits::kUrlBytesMax;
  }
  static std::optional<std::int64_t> natural(const Value& value) {
    const bool right = value.is(Kind::kInteger) && value.integer >= 0;
    return right ? std::optional(value.integer) : std::nullopt;
  }
  static std::optional<Version> version_of(const Value& value) {
    if (!value.is(Kind::kArray) || value.items.empty() || value.items.size() > 2) return {};
    if (!short_text(value.items[0])) return {};
    Version out{value.items[0].text, ""};
    if (value.items.size() == 2) {
      const auto& scheme = value.items[1];
      if (scheme.is(Kind::kInteger)) {
        out.scheme = std::to_string(scheme.integer);
      } else if (short_text(scheme)) {
        out.scheme = scheme.text;
      } else {
        return {};
      }
    }
    return out;
  }
  // RFC 9711 §4.1 and RFC 7519 §2: NumericDate; a float has no place in a token that is compared.
  static Appraised<void> time(const Value& value, std::optional<std::int64_t>& out) {
    constexpr std::int64_t kYear9999 = 253'402'300'799;
    out = natural(value);
    if (out && *out > kYear9999) out.reset();
    return out ? ok() : bad("eat.time", "iat, exp or nbf is not a whole number of seconds");
  }
  static Appraised<void> registered(const Value& value, std::string& out) {
    out = value.text;
    return short_text(value) ? ok() : bad("eat.registered", "iss or sub is not text");
  }
  bool attachments(const Value& value, std::vector<Attachment>& out) const {
    if (!is_list(value)) return false;
    for (const auto& item : value.items) {
      if (!item.is(Kind::kArray) || item.items.size() != 2) return false;
      const auto& type = item.items[0];
      auto body = octets_of(item.items[1], out_.encoding, {0, limits::kEvidenceBytesMax});
      const bool number = type.is(Kind::kInteger) && type.integer >= 0;
      if (!body || (!number && !short_text(type))) return false;
      out.push_back({number ? std::to_string(type.integer) : type.text, std::move(*body)});
    }
    return true;
  }
  bool measurement_group(const Value& value) {
    if (!value.is(Kind::kArray) || value.items.size() != 2) return false;
    if (!short_text(value.items[0]) || !is_list(value.items[1])) return false;
    MeasurementGroup group{value.items[0].text, {}};
    for (const auto& item : value.items[1].items) {
      if (!item.is(Kind::kArray) || item.items.size() != 2) return false;
      const auto& id = item.items[0];
      const auto result = choice_of(item.items[1], out_.encoding, kResultNames, 1);
      if (!result || (!short_text(id) && !id.is(Kind::kBytes))) return false;
      group.items.push_back({id.is(Kind::kText) ? id.text : hex_encode(id.bytes),
                             static_cast<MeasurementResult>(*result)});
    }
    out_.measres.push_back(std::move(group));
    return true;
  }
  Appraised<Submod> submod(const Value& value);

  EatClaims& out_;
  const TrustAnchors& anchors_;
  int depth_;
};

using Read = Appraised<void> (Reader::*)(const Value&);
struct ClaimRow {
  std::string_view name;
  std::int64_t key;
  Read read;
};
constexpr std::array<ClaimRow, 29> kClaims{{
    {"iss", 1, &Reader::iss},
    {"sub", 2, &Reader::sub},
    {"aud", 3, &Reader::aud},
    {"exp", 4, &Reader::exp},
    {"nbf", 5, &Reader::nbf},
    {"iat", 6, &Reader::iat},
    {"jti", 7, &Reader::jti},
    {"cnf", 8, &Reader::cnf},
    {"eat_nonce", 10, &Reader::nonce},
    {"ueid", 256, &Reader::ueid},
    {"sueids", 257, &Reader::sueids},
    {"oemid", 258, &Reader::oemid},
    {"hwmodel", 259, &Reader::hwmodel},
    {"hwversion", 260, &Reader::hwversion},
    {"uptime", 261, &Reader::uptime},
    {"oemboot", 262, &Reader::oemboot},
    {"dbgstat", 263, &Reader::dbgstat},
    {"location", 264, &Reader::location},
    {"eat_profile", 265, &Reader::profile},
    {"submods", 266, &Reader::submods},
    {"bootcount", 267, &Reader::bootcount},
    {"bootseed", 268, &Reader::bootseed},
    {"dloas", 269, &Reader::dloas},
    {"swname", 270, &Reader::swname},
    {"swversion", 271, &Reader::swversion},
    {"manifests", 272, &Reader::manifests},
    {"measurements", 273, &Reader::measurements},
    {"measres", 274, &Reader::measres},
    {"intuse", 275, &Reader::intuse},
}};

const ClaimRow* row_of(const Key& key, Encoding encoding) {
  for (const auto& row : kClaims) {
    if (encoding == Encoding::kJson ? key.text == row.name : !key.is_text && key.integer == row.key)
      return &row;
  }
  return nullptr;
}

Appraised<EatClaims> read_claims(const Value& set, Encoding encoding, const TrustAnchors& anchors,
                                 int depth) {
  if (!set.is(Kind::kMap)) return refuse("eat.malformed", "the claims set is not a map");
  EatClaims out;
  out.encoding = encoding;
  Reader reader(out, anchors, depth);
  for (std::size_t i = 0; i < set.keys.size(); ++i) {
    const auto* row = row_of(set.keys[i], encoding);
    if (row == nullptr) {
      if (out.unknown.size() < limits::kClaimItemsMax) out.unknown.push_back(set.keys[i].print());
      continue;
    }
    KEYWARD_APPRAISE((reader.*(row->read))(set.items[i]));
  }
  KEYWARD_APPRAISE(check_times(out.iat_s, out.exp_s, out.nbf_s, anchors.at_utc_ms, "eat."));
  return out;
}

// The key of a jwk member; Value has lost the order alone, which a JWK does not have.
Result<crypto::PublicKey> key_from_jwk(const Value& value) {
  json::Writer out;
  out.begin_object();
  for (std::size_t i = 0; i < value.keys.size(); ++i) {
    if (value.items[i].is(Kind::kText)) out.member(value.keys[i].text, value.items[i].text);
  }
  out.end_object();
  KEYWARD_TRY(document, json::Document::parse(out.take(), limits::kJwsProtectedBytesMax));
  KEYWARD_TRY(jwk, jose::Jwk::from_json(document.root()));
  return jwk.key();
}

Appraised<void> Reader::cnf(const Value& value) {
  const bool json = out_.encoding == Encoding::kJson;
  // RFC 7800 §3.2 `jwk`, RFC 8747 §3.2 COSE_Key (1). A kid alone proves no key.
  const auto* member = json ? value.find("jwk") : value.find(1);
  if (member == nullptr || !member->is(Kind::kMap))
    return refuse("eat.cnf", "cnf holds no whole public key");
  auto key = json ? key_from_jwk(*member) : key_from_cose(*member);
  if (!key) return refuse("eat.cnf", "the key of cnf is not one that is accepted");
  out_.cnf = std::move(*key);
  return {};
}

// RFC 9711 §4.2.18: a claims set as it is, or a nested token of either kind. A detached digest or
// bundle would be believed unseen, and is refused.
Appraised<Submod> Reader::submod(const Value& value) {
  Submod out;
  if (value.is(Kind::kMap)) {
    auto claims = read_claims(value, out_.encoding, anchors_, depth_ + 1);
    if (!claims) return tl::unexpected(claims.error());
    out.claims = std::move(*claims);
    return out;
  }
  std::string_view jwt;
  std::optional<Bytes> cwt;
  if (out_.encoding == Encoding::kCbor) {
    if (value.is(Kind::kText)) jwt = value.text;
    if (value.is(Kind::kBytes)) cwt = value.bytes;
  } else if (value.is(Kind::kArray) && value.items.size() == 2 && value.items[0].is(Kind::kText) &&
             value.items[1].is(Kind::kText)) {
    if (value.items[0].text == "JWT") jwt = value.items[1].text;
    if (value.items[0].text == "CBOR")
      cwt = octets_of(value.items[1], Encoding::kJson, {1, limits::kEvidenceBytesMax});
  }
  if (jwt.empty() && !cwt)
    return refuse("eat.submods", "a submodule is neither a claims set nor a nested token");
  out.is_token = true;
  const auto encoding = cwt ? Encoding::kCbor : Encoding::kJson;
  Bytes payload;
  if (cwt) {
    auto message = verify_sign1(*cwt, anchors_);
    if (!message) return tl::unexpected(message.error());
    payload = std::move(message->payload);
  } else {
    auto message = verify_compact(jwt, anchors_);
    if (!message) return tl::unexpected(message.error());
    payload = std::move(message->payload);
  }
  const auto set = cwt ? parse_cbor(payload) : parse_json(text_of(payload));
  if (!set) return refuse("eat.malformed", "a nested token's claims set does not read");
  auto claims = read_claims(*set, encoding, anchors_, depth_ + 1);
  if (!claims) return tl::unexpected(claims.error());
  out.claims = std::move(*claims);
  return out;
}

Appraised<void> Reader::submods(const Value& value) {
  if (!value.is(Kind::kMap) || value.keys.empty() || value.keys.size() > limits::kSubmodsMax)
    return refuse("eat.submods", "submods is not a map of one to sixteen");
  if (depth_ >= limits::kSubmodDepthMax)
    return refuse("eat.submod-depth", "too many nested submodules");
  for (std::size_t i = 0; i < value.keys.size(); ++i) {
    const auto label = value.keys[i].text;  // text alone, in CBOR as well
    if (label.empty() || label.size() > limits::kIdBytesMax)
      return refuse("eat.submods", "a submodule's label is not short text");
    auto one = submod(value.items[i]);
    if (!one) return tl::unexpected(one.error());
    one->label = label;
    out_.submods.push_back(std::move(*one));
  }
  return {};
}

bool is_eat_type(std::string_view typ) {
  constexpr std::array<std::string_view, 6> kTypes{
      "", "jwt", "eat+jwt", "application/eat+jwt", "eat-jwt", "application/eat-jwt"};
  std::string lower(typ);
  for (auto& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(kTypes, std::string_view(lower)) != kTypes.end();
}

Appraised<VerifiedEat> claims_of(ByteView payload, Encoding encoding, std::optional<Signer> signer,
                                 const TrustAnchors& anchors) {
  const auto set = encoding == Encoding::kCbor ? parse_cbor(payload) : parse_json(text_of(payload));
  if (!set) return refuse("eat.malformed", "the claims set does not read");
  auto claims = read_claims(*set, encoding, anchors, 0);
  if (!claims) return tl::unexpected(claims.error());
  return VerifiedEat{std::move(*claims), std::move(signer)};
}

}  // namespace

std::string_view to_string(DebugStatus status) {
  return kDebugNames[static_cast<std::size_t>(status)];
}

std::optional<DebugStatus> debug_status_from(std::string_view text) {
  const auto found = std::ranges::find(kDebugNames, text);
  if (found == kDebugNames.end()) return std::nullopt;
  return static_cast<DebugStatus>(found - kDebugNames.begin());
}

Appraised<std::vector<Bytes>> read_nonces(const Value& value, Encoding encoding,
                                          std::size_t json_text_min) {
  const std::vector<Value> one = value.is(Kind::kArray) ? value.items : std::vector<Value>{value};
  // RFC 9711 §4.1: an array has two at least.
  if (value.is(Kind::kArray) && (one.size() < 2 || one.size() > limits::kClaimItemsMax))
    return refuse("eat.nonce", "eat_nonce is an array of fewer than two or too many");
  std::vector<Bytes> out;
  for (const auto& item : one) {
    if (encoding == Encoding::kCbor) {
      if (!item.is(Kind::kBytes) || item.bytes.size() < 8 || item.bytes.size() > 64)
        return refuse("eat.nonce", "eat_nonce has not 8 to 64 octets");
      out.push_back(item.bytes);
      continue;
    }
    if (!item.is(Kind::kText) || item.text.size() < json_text_min || item.text.size() > 88)
      return refuse("eat.nonce", "eat_nonce is not text of 8 to 88 characters");
    out.push_back(to_bytes(item.text));
  }
  return out;
}

Appraised<void> check_times(std::optional<std::int64_t> iat_s, std::optional<std::int64_t> exp_s,
                            std::optional<std::int64_t> nbf_s, std::int64_t at_utc_ms,
                            std::string_view code_prefix) {
  const auto latest_s = (at_utc_ms + limits::kTokenClockLeewayMs) / 1'000;
  if ((nbf_s && *nbf_s > latest_s) || (iat_s && *iat_s > latest_s))
    return refuse(std::string(code_prefix) + "not-yet", "iat or nbf lies in the future");
  if (exp_s && *exp_s <= (at_utc_ms - limits::kTokenClockLeewayMs) / 1'000)
    return refuse(std::string(code_prefix) + "expired", "exp has passed");
  return {};
}

Appraised<VerifiedEat> verify_eat_jwt(std::string_view token, const TrustAnchors& anchors) {
  auto message = verify_compact(token, anchors);
  if (!message) return tl::unexpected(message.error());
  if (!is_eat_type(message->typ)) return refuse("eat.type", "typ says that it is another token");
  return claims_of(message->payload, Encoding::kJson, std::move(message->signer), anchors);
}

Appraised<VerifiedEat> verify_eat_cwt(ByteView token, const TrustAnchors& anchors) {
  auto message = verify_sign1(token, anchors);
  if (!message) return tl::unexpected(message.error());
  const auto& type = message->content_type;
  if (!type.empty() && type != "application/eat+cwt" && type != "application/cwt" &&
      !type.starts_with("application/eat+cwt;"))
    return refuse("eat.type", "the content type says that it is another token");
  return claims_of(message->payload, Encoding::kCbor, std::move(message->signer), anchors);
}

Appraised<VerifiedEat> read_eat_ucs(ByteView claims, Encoding encoding, bool inside_signed_cmw,
                                    const TrustAnchors& anchors) {
  if (!inside_signed_cmw)
    return refuse("eat.unsigned", "an unsigned claims set stands in no signed conceptual message");
  return claims_of(claims, encoding, std::nullopt, anchors);
}

Freshness freshness_of_octets(ByteView nonce, std::string_view token,
                              std::string_view key_authorization) {
  if (token.empty() || key_authorization.empty()) return Freshness::kNone;
  if (equal(nonce, view_of(key_authorization)) ||
      equal(nonce, crypto::sha256(view_of(key_authorization))))
    return Freshness::kAccount;
  const auto decoded = base64url_decode(token);
  if (equal(nonce, view_of(token)) || (decoded && equal(nonce, *decoded))) return Freshness::kNonce;
  return Freshness::kNone;
}

Freshness freshness_of(const std::vector<Bytes>& nonces, Encoding encoding, std::string_view token,
                       std::string_view key_authorization) {
  auto best = Freshness::kNone;
  for (const auto& nonce : nonces) {
    auto one = Freshness::kNone;
    if (encoding == Encoding::kCbor) {
      one = freshness_of_octets(nonce, token, key_authorization);
    } else if (!token.empty() && !key_authorization.empty()) {
      const auto digest = base64url_encode(crypto::sha256(view_of(key_authorization)));
      if (text_of(nonce) == token) one = Freshness::kNonce;
      if (text_of(nonce) == key_authorization || text_of(nonce) == digest)
        one = Freshness::kAccount;
    }
    best = std::max(best, one);
  }
  return best;
}

}  // namespace keyward::rats
