// Owns the checks of one token, in their order. Must not know which tokens were seen before.
#include "firmware/attest/authority_token.h"

#include <algorithm>
#include <array>

#include "firmware/identifier/identifier.h"
#include "firmware/jose/compact.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::attest {
namespace {

constexpr unsigned kDigitalSignature = 0;              // RFC 5280 §4.2.1.3
constexpr std::int64_t kExpiryMaxS = 253'402'300'799;  // 9999-12-31T23:59:59Z

constexpr const char* kWrong = "incorrectResponse";
constexpr const char* kUnauthorized = "unauthorized";

template <class T>
using Checked = tl::expected<T, AuthorityRefusal>;

tl::unexpected<AuthorityRefusal> refuse(const char* type, const char* code, const char* detail) {
  return tl::unexpected(AuthorityRefusal{type, code, detail});
}
tl::unexpected<AuthorityRefusal> bad_syntax(const char* detail) {
  return refuse(kWrong, "tkauth.syntax", detail);
}
tl::unexpected<AuthorityRefusal> bad_certificate(const char* detail) {
  return refuse(kUnauthorized, "tkauth.certificate", detail);
}
tl::unexpected<AuthorityRefusal> bad_claims(const char* detail) {
  return refuse(kWrong, "tkauth.claims", detail);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

struct Header {
  std::optional<jose::JwsAlgorithm> algorithm;
  std::string x5u;         // or
  std::vector<Bytes> x5c;  // leaf first
};

Checked<Header> read_header(std::string_view header_b64) {
  const auto octets = base64url_decode(header_b64);
  if (!octets) return bad_syntax("the token's header is not base64url");
  const auto document = json::Document::parse(text_of(*octets), limits::kAuthorityTokenBytesMax);
  if (!document || !document->root().is_object())
    return bad_syntax("the token's header is not a JSON object");
  const auto root = document->root();
  if (root.get("crit").exists() || root.get("b64").exists())
    return bad_syntax("the token's header asks for an extension");
  if (!root.get("alg").is_string()) return bad_syntax("the token's header has no alg");
  const auto typ = root.get("typ");
  if (typ.exists() && !equal_ignoring_case(typ.string(), "JWT"))
    return bad_syntax("the token is not of type JWT");
  const auto x5u = root.get("x5u");
  const auto x5c = root.get("x5c");
  if (x5u.exists() == x5c.exists()) return bad_syntax("the token needs one of x5u and x5c");
  Header out;
  out.algorithm = jose::jws_algorithm_from(root.get("alg").string());
  if (x5u.exists()) {
    if (!x5u.is_string() || x5u.string().empty() || x5u.string().size() > limits::kUrlBytesMax)
      return bad_syntax("x5u is not a URL");
    out.x5u = x5u.string();
    return out;
  }
  auto chain = jose::parse_x5c(x5c);
  if (!chain) return bad_syntax("x5c is not a chain of certificates");
  out.x5c = std::move(*chain);
  return out;
}

// https, a host of the list, and nothing in front of it.
bool may_be_fetched(std::string_view url, const std::vector<std::string>& hosts) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return false;
  if (!std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f; })) return false;
  if (url.find_first_of("#\\") != url.npos) return false;
  url.remove_prefix(kScheme.size());
  const auto authority = url.substr(0, url.find_first_of("/?"));
  return std::ranges::any_of(
      hosts, [&](const std::string& host) { return equal_ignoring_case(authority, host); });
}

Checked<std::vector<Bytes>> certificates_in(ByteView content) {
  if (content.size() > limits::kFetchedBytesMax)
    return bad_certificate("the authority's certificate file is too large");
  if (text_of(content).find("-----BEGIN") == std::string_view::npos)
    return std::vector<Bytes>{to_bytes(content)};
  auto ders = x509::certificates_from_pem(text_of(content), limits::kChainCertificatesMax);
  if (!ders || ders->empty())
    return bad_certificate("what stands at x5u is not a chain of certificates");
  return std::move(*ders);
}

struct Claims {
  std::string jti;
  std::int64_t exp_s = 0;
  std::optional<std::int64_t> nbf_s;
  std::string tktype;
  std::string tkvalue;
  std::string fingerprint;
  bool ca = false;
};

Checked<Claims> read_atc(const json::Value& atc, Claims out) {
  if (!atc.is_object()) return bad_claims("atc is not an object");
  for (const auto name : {"tktype", "tkvalue", "fingerprint"}) {
    if (!atc.get(name).is_string()) return bad_claims("atc lacks tktype, tkvalue or fingerprint");
  }
  const auto ca = atc.get("ca");
  if (ca.exists() && !ca.is_bool()) return bad_claims("atc.ca is not a boolean");
  out.tktype = atc.get("tktype").string();
  out.tkvalue = atc.get("tkvalue").string();
  out.fingerprint = atc.get("fingerprint").string();
  out.ca = ca.boolean();
  return out;
}

Checked<Claims> read_claims(std::string_view payload_b64) {
  const auto octets = base64url_decode(payload_b64);
  if (!octets) return bad_claims("the token's payload is not base64url");
  const auto document = json::Document::parse(text_of(*octets), limits::kAuthorityTokenBytesMax);
  if (!document || !document->root().is_object())
    return bad_claims("the token's payload is not a JSON object");
  const auto root = document->root();
  const auto jti = root.get("jti");
  const auto exp = root.get("exp");
  const auto nbf = root.get("nbf");
  if (!jti.is_string() || jti.string().empty() ||
      jti.string().size() > limits::kAuthorityTokenIdBytesMax)
    return bad_claims("jti is missing, or not a text of 1 to 256 octets");
  if (!exp.is_integer() || exp.integer() < 0 || exp.integer() > kExpiryMaxS)
    return bad_claims("exp is missing, or not a time");
  if (nbf.exists() && (!nbf.is_integer() || nbf.integer() < 0 || nbf.integer() > kExpiryMaxS))
    return bad_claims("nbf is not a time");
  Claims out;
  out.jti = jti.string();
  out.exp_s = exp.integer();
  if (nbf.exists()) out.nbf_s = nbf.integer();
  return read_atc(root.get("atc"), std::move(out));
}

Checked<void> check_claims(const Claims& claims, const AuthorityRequest& request,
                           std::int64_t now_ms) {
  const auto& identifier = *request.identifier;
  // RFC 9447's own example spells it otherwise than the registry does.
  if (!equal_ignoring_case(claims.tktype, identifier::to_string(identifier.type)))
    return refuse(kWrong, "tkauth.type", "tktype is not the identifier's type");
  // One form for each DER, thus equal texts are equal DER.
  const auto value = identifier::canonical(identifier.type, claims.tkvalue);
  if (!value || value->value != identifier.value)
    return refuse(kWrong, "tkauth.value", "tkvalue is not the identifier");
  if (now_ms >= claims.exp_s * 1'000)
    return refuse(kUnauthorized, "tkauth.expired", "the token has expired");
  if (claims.nbf_s && now_ms + limits::kAuthorityClockLeewayMs < *claims.nbf_s * 1'000)
    return refuse(kUnauthorized, "tkauth.not-yet", "the token is not valid yet");
  if (!fingerprint_is(claims.fingerprint, request.thumbprint))
    return refuse(kUnauthorized, "tkauth.fingerprint", "the token is for another account's key");
  if (claims.ca)
    return refuse(kUnauthorized, "tkauth.ca", "certificates of CAs are not issued here");
  return {};
}

Digest256 id_of(const crypto::PublicKey& key, std::string_view jti) {
  return crypto::sha256(key.spki_sha256(), view_of(jti));
}

AuthorityVerdict refused(const AuthorityRefusal& refusal) {
  AuthorityVerdict out;
  out.refusal = refusal;
  return out;
}

// The certificates that the header names; none with `fetch_url` set: they must be fetched.
Checked<std::vector<Bytes>> find_certificates(const Header& header, const AuthorityRequest& request,
                                              const AuthorityPolicy& policy,
                                              std::optional<std::string>& fetch_url) {
  if (!header.x5c.empty()) return header.x5c;
  const auto file = policy.certificates.find(header.x5u);
  if (file != policy.certificates.end()) return certificates_in(file->second);
  if (!may_be_fetched(header.x5u, policy.hosts))
    return refuse(kUnauthorized, "tkauth.x5u-untrusted", "x5u is not of a trusted authority");
  if (request.fetched) return certificates_in(*request.fetched);
  fetch_url = header.x5u;
  return std::vector<Bytes>{};
}

}  // namespace

Result<std::map<std::string, Bytes>> load_authority_files(const std::vector<std::string>& entries) {
  std::map<std::string, Bytes> out;
  for (const auto& entry : entries) {
    const auto split_at = entry.rfind('=');
    if (split_at == std::string::npos || !entry.starts_with("https://"))
      return fail(ErrorKind::kBadInput, "authority_files: \"https://…=/path\" is needed");
    KEYWARD_TRY(content, read_file(entry.substr(split_at + 1), limits::kFetchedBytesMax));
    out[entry.substr(0, split_at)] = std::move(content);
  }
  return out;
}

Result<crypto::PublicKey> token_signer(const std::vector<Bytes>& chain_ders,
                                       const std::vector<x509::Certificate>& roots,
                                       std::int64_t now_ms) {
  const auto no = [](const char* why) { return fail(ErrorKind::kRefused, why); };
  std::vector<x509::Certificate> chain;
  for (const auto& der : chain_ders) {
    auto certificate = x509::parse_certificate(der);
    if (!certificate) return no("the authority's certificate does not read");
    chain.push_back(std::move(*certificate));
  }
  if (chain.empty()) return no("the authority's certificate is missing");
  const auto leaf = std::move(chain.front());
  chain.erase(chain.begin());
  if (const auto path = x509::verify_chain(leaf, chain, roots, {now_ms, {}}); !path)
    return no(path.error().what);
  if (leaf.basic_constraints_ca().value_or(false))
    return no("the token is signed by a CA's own key");
  if (!leaf.key_usage(kDigitalSignature).value_or(true))
    return no("the authority's certificate is not for signatures");
  if (!leaf.key) return no("the authority's key is of a type that is not read");
  return *leaf.key;
}

bool fingerprint_is(std::string_view text, const Digest256& thumbprint) {
  constexpr std::string_view kName = "SHA256 ";
  if (text.size() <= kName.size() || !equal_ignoring_case(text.substr(0, kName.size()), kName)) {
    const auto bare = base64url_decode(text);
    return bare && equal(*bare, thumbprint);
  }
  text.remove_prefix(kName.size());
  if (text.size() != thumbprint.size() * 3 - 1) return false;
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 != 2) {
      hex += text[i];
    } else if (text[i] != ':') {
      return false;
    }
  }
  const auto digest = hex_decode(hex);
  return digest && equal(*digest, thumbprint);
}

AuthorityVerdict verify_authority_token(const AuthorityRequest& request,
                                        const AuthorityPolicy& policy, std::int64_t now_ms) {
  const auto parts = jose::parse_compact(request.token);
  if (!parts) return refused(bad_syntax(parts.error().what).value());
  const auto header = read_header(parts->protected_b64);
  if (!header) return refused(header.error());
  AuthorityVerdict out;
  const auto certificates = find_certificates(*header, request, policy, out.fetch_url);
  if (!certificates) return refused(certificates.error());
  if (out.fetch_url) return out;
  const auto key = token_signer(*certificates, policy.roots, now_ms);
  if (!key) return refused(bad_certificate(key.error().what).value());
  constexpr AuthorityRefusal kSignature{kUnauthorized, "tkauth.signature",
                                        "the token's signature does not hold"};
  if (!header->algorithm) return refused(kSignature);
  const auto signature = jose::verify_signature(*header->algorithm, *key, parts->protected_b64,
                                                parts->payload_b64, parts->signature);
  if (!signature) return refused(kSignature);
  const auto claims = read_claims(parts->payload_b64);
  if (!claims) return refused(claims.error());
  if (const auto checked = check_claims(*claims, request, now_ms); !checked)
    return refused(checked.error());
  out.expires_ms = claims->exp_s * 1'000;
  out.token_id = id_of(*key, claims->jti);
  return out;
}

}  // namespace keyward::attest
