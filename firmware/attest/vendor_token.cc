// Owns the checks of one vendor's token, in their order. Must not know orders or grants.
#include "firmware/attest/vendor_token.h"

#include <algorithm>

#include "firmware/attest/device_policy.h"
#include "firmware/identifier/identifier.h"
#include "firmware/jose/compact.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::attest {
namespace {

constexpr const char* kWrong = "incorrectResponse";
constexpr const char* kUnauthorized = "unauthorized";
constexpr std::int64_t kTimeMaxS = 253'402'300'799;  // 9999-12-31T23:59:59Z
constexpr std::size_t kCandidatesMax = 16;           // signatures that one token may cost
constexpr std::size_t kRootFilesMax = 16;

template <class T>
using Checked = tl::expected<T, AuthorityRefusal>;

tl::unexpected<AuthorityRefusal> no(const char* type, const char* code, const char* detail) {
  return tl::unexpected(AuthorityRefusal{type, code, detail});
}
tl::unexpected<AuthorityRefusal> bad_syntax(const char* detail) {
  return no(kWrong, "vendor.syntax", detail);
}
tl::unexpected<AuthorityRefusal> bad_claims(const char* detail) {
  return no(kWrong, "vendor.claims", detail);
}

// RFC 7518 §3.1 and RFC 8037 §3.1. Nothing symmetric, and never "none".
struct Algorithm {
  std::string_view name;
  crypto::KeyKind kind;
  crypto::SignatureScheme scheme;
  crypto::HashAlgorithm hash;
};
constexpr Algorithm kAlgorithms[] = {
    {"ES256", crypto::KeyKind::kEcP256, crypto::SignatureScheme::kEcdsaRaw,
     crypto::HashAlgorithm::kSha256},
    {"ES384", crypto::KeyKind::kEcP384, crypto::SignatureScheme::kEcdsaRaw,
     crypto::HashAlgorithm::kSha384},
    {"PS256", crypto::KeyKind::kRsa, crypto::SignatureScheme::kRsaPss,
     crypto::HashAlgorithm::kSha256},
    {"RS256", crypto::KeyKind::kRsa, crypto::SignatureScheme::kRsaPkcs1,
     crypto::HashAlgorithm::kSha256},
    {"EdDSA", crypto::KeyKind::kEd25519, crypto::SignatureScheme::kEd25519,
     crypto::HashAlgorithm::kSha512},
};

const Algorithm* algorithm_of(std::string_view name) {
  const auto* const found = std::ranges::find(kAlgorithms, name, &Algorithm::name);
  return found == std::end(kAlgorithms) ? nullptr : found;
}

struct Token {
  jose::CompactJws jws;
  std::string alg;
  std::string kid;
  std::vector<Bytes> x5c;
};

Checked<void> read_header(std::string_view header_b64, Token& out) {
  const auto octets = base64url_decode(header_b64);
  if (!octets) return bad_syntax("the token's header is not base64url");
  const auto document = json::Document::parse(text_of(*octets), limits::kAuthorityTokenBytesMax);
  if (!document || !document->root().is_object())
    return bad_syntax("the token's header is not a JSON object");
  const auto root = document->root();
  // Extensions that must be understood, and keys that the token brings along without a chain.
  for (const auto name : {"crit", "b64", "jwk", "jku"}) {
    if (root.get(name).exists())
      return bad_syntax("the token's header has a member that is not taken");
  }
  if (!root.get("alg").is_string()) return bad_syntax("the token's header has no alg");
  const auto kid = root.get("kid"), typ = root.get("typ"), x5c = root.get("x5c");
  if (kid.exists() && !kid.is_string()) return bad_syntax("the token's kid is not a text");
  const auto type = typ.string();
  if (typ.exists() && type != "JWT" && type != "jwt" && type != "at+jwt")
    return bad_syntax("the token is not of type JWT");
  out.alg = root.get("alg").string();
  out.kid = kid.string();
  if (!x5c.exists()) return {};
  auto chain = jose::parse_x5c(x5c);
  if (!chain) return bad_syntax("x5c is not a chain of certificates");
  out.x5c = std::move(*chain);
  return {};
}

Checked<Token> read_token(std::string_view text) {
  if (text.size() > limits::kAuthorityTokenBytesMax) return bad_syntax("the token is too large");
  auto jws = jose::parse_compact(text);
  if (!jws) return bad_syntax(jws.error().what);
  Token out;
  out.jws = std::move(*jws);
  if (const auto read = read_header(out.jws.protected_b64, out); !read)
    return tl::unexpected(read.error());
  return out;
}

struct Candidate {
  const Vendor* vendor;
  crypto::PublicKey key;
};

bool takes(const Vendor& vendor, std::string_view alg) {
  return std::ranges::find(vendor.algorithms, alg) != vendor.algorithms.end();
}

Checked<std::vector<Candidate>> by_chain(const Token& token, const Algorithm& algorithm,
                                         const VendorPolicy& policy, std::int64_t now_ms) {
  std::vector<Candidate> out;
  const char* why = "no vendor's certificates are trusted";
  for (const auto& vendor : policy) {
    if (vendor.roots.empty() || !takes(vendor, token.alg)) continue;
    const auto key = token_signer(token.x5c, vendor.roots, now_ms);
    if (!key) {
      why = key.error().what;
    } else if (key->kind() == algorithm.kind) {
      out.push_back({&vendor, *key});
    } else {
      why = "the algorithm does not fit the certificate's key";
    }
  }
  if (out.empty()) return no(kUnauthorized, "vendor.certificate", why);
  return out;
}

Checked<std::vector<Candidate>> by_key(const Token& token, const Algorithm& algorithm,
                                       const VendorPolicy& policy) {
  std::vector<Candidate> out;
  for (const auto& vendor : policy) {
    if (!takes(vendor, token.alg)) continue;
    for (const auto& known : vendor.keys) {
      const bool named = token.kid.empty() || known.kid.empty() || known.kid == token.kid;
      if (named && known.key.kind() == algorithm.kind) out.push_back({&vendor, known.key});
    }
  }
  if (out.empty()) return no(kUnauthorized, "vendor.key", "no vendor's key of that name and kind");
  if (out.size() > kCandidatesMax)
    return no(kUnauthorized, "vendor.key", "the token must say by kid which key it is signed with");
  return out;
}

// Those vendors whose key the signature is by.
Checked<std::vector<Candidate>> find_signers(const Token& token, const VendorPolicy& policy,
                                             std::int64_t now_ms) {
  const auto* algorithm = algorithm_of(token.alg);
  const bool taken =
      std::ranges::any_of(policy, [&](const Vendor& vendor) { return takes(vendor, token.alg); });
  if (algorithm == nullptr || !taken)
    return no(kUnauthorized, "vendor.algorithm", "the token's algorithm is not taken");
  auto signers = token.x5c.empty() ? by_key(token, *algorithm, policy)
                                   : by_chain(token, *algorithm, policy, now_ms);
  if (!signers) return signers;
  std::erase_if(*signers, [&](const Candidate& one) {
    return !one.key.verify(algorithm->scheme, algorithm->hash, view_of(token.jws.signing_input),
                           token.jws.signature);
  });
  if (signers->empty())
    return no(kUnauthorized, "vendor.signature", "the token's signature does not hold");
  return signers;
}

struct Claims {
  std::string iss, sub, jti;
  std::vector<std::string> aud;
  std::optional<std::int64_t> exp_s, nbf_s, iat_s;
  std::vector<std::string> fingerprints;  // every one that the token names
  bool has_atc = false;
  std::string tktype, tkvalue;
  bool ca = false;
};

Checked<void> read_times(const json::Value& root, Claims& out) {
  const std::pair<const char*, std::optional<std::int64_t>*> times[] = {
      {"exp", &out.exp_s}, {"nbf", &out.nbf_s}, {"iat", &out.iat_s}};
  for (const auto& [name, into] : times) {
    const auto value = root.get(name);
    if (!value.exists()) continue;
    if (!value.is_integer() || value.integer() < 0 || value.integer() > kTimeMaxS)
      return bad_claims("exp, nbf or iat is not a time");
    *into = value.integer();
  }
  return {};
}

Checked<void> read_audience(const json::Value& aud, Claims& out) {
  if (aud.is_string()) out.aud.emplace_back(aud.string());
  if (!aud.exists() || aud.is_string()) return {};
  if (!aud.is_array()) return bad_claims("aud is neither a text nor a list");
  for (const auto& one : aud.items()) {
    if (!one.is_string()) return bad_claims("aud holds what is no text");
    out.aud.emplace_back(one.string());
  }
  if (out.aud.size() > limits::kVendorDomainsMax + 1) return bad_claims("aud is too long");
  return {};
}

Checked<void> read_fingerprint(const json::Value& value, Claims& out) {
  if (!value.exists()) return {};
  if (!value.is_string()) return bad_claims("a fingerprint is not a text");
  out.fingerprints.emplace_back(value.string());
  return {};
}

Checked<void> read_atc(const json::Value& atc, Claims& out) {
  if (!atc.exists()) return {};
  const auto ca = atc.get("ca");
  if (!atc.is_object() || !atc.get("tktype").is_string() || !atc.get("tkvalue").is_string() ||
      (ca.exists() && !ca.is_bool()))
    return bad_claims("atc is not as RFC 9447 has it");
  out.has_atc = true;
  out.tktype = atc.get("tktype").string();
  out.tkvalue = atc.get("tkvalue").string();
  out.ca = ca.boolean();
  return read_fingerprint(atc.get("fingerprint"), out);
}

Checked<Claims> read_claims(ByteView payload) {
  const auto document = json::Document::parse(text_of(payload), limits::kAuthorityTokenBytesMax);
  if (!document || !document->root().is_object())
    return bad_claims("the token's payload is not a JSON object");
  const auto root = document->root();
  Claims out;
  const std::pair<const char*, std::string*> texts[] = {
      {"iss", &out.iss}, {"sub", &out.sub}, {"jti", &out.jti}};
  for (const auto& [name, into] : texts) {
    const auto value = root.get(name);
    if (value.exists() && !value.is_string()) return bad_claims("iss, sub or jti is not a text");
    *into = value.string();
  }
  if (out.jti.size() > limits::kAuthorityTokenIdBytesMax) return bad_claims("jti is too long");
  const auto cnf = root.get("cnf");
  if (cnf.exists() && !cnf.get("jkt").is_string())
    return bad_claims("cnf holds no jkt");  // another key's proof, which nobody here asks for
  for (const auto& step : {read_times(root, out), read_audience(root.get("aud"), out),
                           read_fingerprint(root.get("fingerprint"), out),
                           read_fingerprint(cnf.get("jkt"), out), read_atc(root.get("atc"), out)}) {
    if (!step) return tl::unexpected(step.error());
  }
  return out;
}

bool is_mac(std::string_view text, const wire::Identifier& identifier) {
  const auto read = identifier::canonical(wire::IdentifierType::kMac, text);
  return read && *read == identifier;
}

Checked<void> check_subject(const Claims& claims, const VendorRequest& request) {
  if (request.atc) {
    if (!claims.has_atc) return no(kWrong, "vendor.atc", "the token has no atc (RFC 9447)");
    if (claims.tktype != "mac") return no(kWrong, "vendor.type", "tktype is not mac");
    if (claims.ca) return no(kUnauthorized, "vendor.ca", "certificates of CAs are not issued here");
  }
  const bool named = request.atc ? is_mac(claims.tkvalue, *request.identifier)
                                 : is_mac(claims.sub, *request.identifier);
  // What else it says of a device must be the same device.
  const bool other =
      (request.atc && !claims.sub.empty() && !is_mac(claims.sub, *request.identifier)) ||
      (!request.atc && claims.has_atc && !is_mac(claims.tkvalue, *request.identifier));
  if (!named || other) return no(kWrong, "vendor.sub", "the token is not for the order's device");
  return {};
}

// The CA itself, and customers beside it.
Checked<std::vector<std::string>> domains_of(const Claims& claims, const Vendor& vendor) {
  std::vector<std::string> out;
  bool names_us = false;
  for (const auto& one : claims.aud) {
    if (one == vendor.audience) {
      names_us = true;
      continue;
    }
    const auto domain = identifier::canonical(wire::IdentifierType::kDns, one);
    if (!domain || identifier::is_wildcard(*domain)) continue;
    if (std::ranges::find(out, domain->value) == out.end()) out.push_back(domain->value);
  }
  if (!names_us || out.empty())
    return no(kUnauthorized, "vendor.aud",
              "aud must name this CA and at least one domain of a customer");
  return out;
}

// When the token ends.
Checked<std::int64_t> check_times(const Claims& claims, const Vendor& vendor, std::int64_t now_ms) {
  const bool by_age = vendor.age_max_s > 0 && claims.iat_s;
  if (!claims.exp_s && !by_age)
    return no(kUnauthorized, "vendor.lifetime", "the token does not say when it ends");
  std::int64_t end_s = claims.exp_s.value_or(kTimeMaxS);
  if (by_age) end_s = std::min(end_s, *claims.iat_s + vendor.age_max_s);
  if (now_ms >= end_s * 1'000)
    return no(kUnauthorized, "vendor.expired", "the token has expired, or is too old");
  const auto begin_s = std::max(claims.nbf_s.value_or(0), claims.iat_s.value_or(0));
  if (now_ms + limits::kAuthorityClockLeewayMs < begin_s * 1'000)
    return no(kUnauthorized, "vendor.not-yet", "the token is not valid yet");
  return end_s * 1'000;
}

Checked<void> check_account(const Claims& claims, const Vendor& vendor,
                            const Digest256& thumbprint) {
  const bool all = std::ranges::all_of(claims.fingerprints, [&](const std::string& text) {
    return fingerprint_is(text, thumbprint);
  });
  if (!all || (claims.fingerprints.empty() && vendor.must_name_account))
    return no(kUnauthorized, "vendor.fingerprint",
              "the token is for another account's key, or names none");
  return {};
}

bool covers(const Vendor& vendor, std::string_view mac) {
  return std::ranges::any_of(vendor.mac_prefixes, [&](const std::string& prefix) {
    return mac.starts_with(prefix) && (mac.size() == prefix.size() || mac[prefix.size()] == ':');
  });
}

Checked<VendorVerdict> judge(const Candidate& signer, const Claims& claims, ByteView payload,
                             const VendorRequest& request, std::int64_t now_ms) {
  const auto& vendor = *signer.vendor;
  if (const auto subject = check_subject(claims, request); !subject)
    return tl::unexpected(subject.error());
  const auto domains = domains_of(claims, vendor);
  if (!domains) return tl::unexpected(domains.error());
  const auto expires_ms = check_times(claims, vendor, now_ms);
  if (!expires_ms) return tl::unexpected(expires_ms.error());
  if (claims.jti.empty() && vendor.must_have_id)
    return no(kWrong, "vendor.jti", "the token has no jti, so that it could be used twice");
  if (const auto account = check_account(claims, vendor, request.thumbprint); !account)
    return tl::unexpected(account.error());
  if (!covers(vendor, request.identifier->value))
    return no(kUnauthorized, "vendor.mac", "the device's address is not of this vendor's");
  VendorVerdict out;
  out.vendor = vendor.name;
  out.domains = *domains;
  out.expires_ms = *expires_ms;
  // Not the token's text: an ECDSA signature can be written a second way.
  const auto id = claims.jti.empty() ? crypto::sha256(view_of("payload"), payload)
                                     : crypto::sha256(view_of("jti"), view_of(claims.jti));
  out.token_id = crypto::sha256(signer.key.spki_sha256(), id);
  return out;
}

Checked<VendorVerdict> verify(const VendorRequest& request, const VendorPolicy& policy,
                              std::int64_t now_ms) {
  const auto token = read_token(request.token);
  if (!token) return tl::unexpected(token.error());
  const auto signers = find_signers(*token, policy, now_ms);
  if (!signers) return tl::unexpected(signers.error());
  const auto payload = base64url_decode(token->jws.payload_b64);
  if (!payload) return bad_claims("the token's payload is not base64url");
  const auto claims = read_claims(*payload);
  if (!claims) return tl::unexpected(claims.error());
  for (const auto& signer : *signers) {
    if (claims->iss == signer.vendor->iss) return judge(signer, *claims, *payload, request, now_ms);
  }
  return no(kUnauthorized, "vendor.iss", "the token's issuer is not the vendor who signed it");
}

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<Vendor> load_vendor(const VendorConfig& config) {
  Vendor out;
  out.name = config.name;
  out.iss = config.iss;
  out.audience = config.audience;
  out.age_max_s = config.age_max_s;
  out.must_name_account = config.must_name_account;
  out.must_have_id = config.must_have_id;
  if (config.iss.empty()) return bad("vendors: iss is needed");
  if (config.audience.empty()) return bad("vendors: audience, this CA's own name, is needed");
  if (config.keys.empty() && config.roots.empty()) return bad("vendors: keys or roots are needed");
  if (!config.keys.empty()) {
    KEYWARD_TRY(text, read_text_file(config.keys, limits::kVendorKeysBytesMax));
    KEYWARD_TRY(keys, parse_key_set(text));
    out.keys = std::move(keys);
  }
  if (!config.roots.empty()) {
    KEYWARD_TRY(roots, load_anchors(config.roots, "vendors: no certificate in roots"));
    out.roots = std::move(roots);
  }
  out.algorithms = config.algorithms;
  if (out.algorithms.empty()) out.algorithms = {"ES256"};
  for (const auto& name : out.algorithms) {
    if (algorithm_of(name) == nullptr)
      return bad("vendors: algs are ES256, ES384, PS256, RS256, EdDSA");
  }
  if (config.macs.empty()) return bad("vendors: macs, the vendor's prefixes, are needed");
  for (const auto& text : config.macs) {
    KEYWARD_TRY(prefix, canonical_mac_prefix(text));
    out.mac_prefixes.push_back(std::move(prefix));
  }
  return out;
}

}  // namespace

std::vector<VendorConfig> read_vendors(config::Section& section) {
  auto vendors = section.table("vendors");
  std::vector<VendorConfig> out;
  for (const auto& name : vendors.keys()) {
    auto table = vendors.table(name);
    VendorConfig one;
    one.name = name;
    one.iss = table.string("iss");
    one.keys = table.string_or("keys", "");
    one.roots = table.strings_or_empty("roots", kRootFilesMax);
    one.audience = table.string("audience");
    one.algorithms = table.strings_or_empty("algs", std::size(kAlgorithms));
    one.macs = table.strings_or_empty("macs", limits::kVendorMacsMax);
    one.age_max_s = table.integer_or("max_age_s", 0, limits::kVendorTokenAgeMaxS, 0);
    one.must_name_account = table.boolean_or("require_fingerprint", true);
    one.must_have_id = table.boolean_or("require_jti", true);
    out.push_back(std::move(one));
  }
  return out;
}

Result<VendorPolicy> load_vendors(const std::vector<VendorConfig>& configs) {
  if (configs.size() > limits::kVendorsMax)
    return fail(ErrorKind::kExhausted, "vendors: too many of them");
  VendorPolicy out;
  for (const auto& config : configs) {
    KEYWARD_TRY(vendor, load_vendor(config));
    const bool twice =
        std::ranges::any_of(out, [&](const Vendor& other) { return other.iss == vendor.iss; });
    if (twice) return bad("vendors: an iss stands twice");
    out.push_back(std::move(vendor));
  }
  return out;
}

Result<std::vector<VendorKey>> parse_key_set(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kVendorKeysBytesMax));
  const auto keys = document.root().get("keys");
  if (!document.root().is_object() || !keys.is_array() || keys.items().empty())
    return bad("keys: not a JSON Web Key Set with keys");
  if (keys.items().size() > limits::kVendorKeysMax)
    return fail(ErrorKind::kExhausted, "keys: too many of them");
  std::vector<VendorKey> out;
  for (const auto& item : keys.items()) {
    const auto kid = item.get("kid"), use = item.get("use");
    if (kid.exists() && !kid.is_string()) return bad("keys: a kid is not a text");
    if (use.exists() && use.string() != "sig") return bad("keys: a key is not for signatures");
    KEYWARD_TRY(jwk, jose::Jwk::from_json(item));
    out.push_back({std::string(kid.string()), jwk.key()});
  }
  return out;
}

Result<std::string> canonical_mac_prefix(std::string_view text) {
  constexpr std::size_t kOctetsMax = 8;  // an EUI-64
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 != 2) {
      hex += text[i];
    } else if ((text[i] != ':' && text[i] != '-') || i + 1 == text.size()) {
      return bad("vendors: macs are whole octets, \"00:24:98\"");
    }
  }
  const auto octets = hex_decode(hex);
  if (!octets || octets->empty() || octets->size() > kOctetsMax ||
      text.size() != octets->size() * 3 - 1)
    return bad("vendors: macs are whole octets, \"00:24:98\"");
  std::string out;
  for (const auto octet : *octets)
    out += (out.empty() ? "" : ":") + hex_encode(ByteView(&octet, 1));
  return out;
}

VendorVerdict verify_vendor_token(const VendorRequest& request, const VendorPolicy& policy,
                                  std::int64_t now_ms) {
  auto verdict = verify(request, policy, now_ms);
  if (verdict) return std::move(*verdict);
  VendorVerdict out;
  out.refusal = verdict.error();
  return out;
}

}  // namespace keyward::attest
