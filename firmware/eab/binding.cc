// Owns the order of the checks of RFC 8555 §7.3.4. Must not know files.
#include "firmware/eab/binding.h"

#include <algorithm>
#include <array>
#include <utility>

#include "firmware/crypto/crypto.h"
#include "firmware/jose/jwk.h"

namespace keyward::eab {
namespace {

using crypto::HashAlgorithm;

constexpr Refusal kForm{"malformed", "eab.form",
                        "externalAccountBinding is not a flattened JWS as RFC 8555 §7.3.4 has it"};
constexpr Refusal kAlgorithm{"malformed", "eab.alg",
                             "externalAccountBinding: alg must be HS256, HS384 or HS512"};
constexpr Refusal kNonce{"malformed", "eab.nonce", "externalAccountBinding must not have a nonce"};
constexpr Refusal kUrl{"malformed", "eab.url",
                       "externalAccountBinding: url is not that of the outer JWS"};
constexpr Refusal kKid{"unauthorized", "eab.kid",
                       "externalAccountBinding: no credential of that kid has made this MAC"};
constexpr Refusal kMac{"unauthorized", "eab.mac", kKid.detail};
constexpr Refusal kRevoked{"unauthorized", "eab.revoked", "the external account was revoked"};
constexpr Refusal kExpired{"unauthorized", "eab.expired",
                           "the external account's credential has expired"};
constexpr Refusal kKey{"malformed", "eab.key",
                       "externalAccountBinding: the payload is not the account's key"};

constexpr std::array<std::pair<std::string_view, HashAlgorithm>, 3> kAlgorithms{{
    {"HS256", HashAlgorithm::kSha256},
    {"HS384", HashAlgorithm::kSha384},
    {"HS512", HashAlgorithm::kSha512},
}};

struct Header {
  HashAlgorithm algorithm{};
  std::string kid;
};

// alg, kid and url are needed; a nonce is forbidden; jwk and what must be understood are refused.
tl::expected<Header, Refusal> read_header(const wire::EabVerify& request) {
  const auto octets = base64url_decode(request.binding.protected_b64);
  if (!octets || octets->size() > limits::kEabBytesMax) return tl::unexpected(kForm);
  const auto document = json::Document::parse(text_of(*octets), limits::kEabBytesMax);
  if (!document || !document->root().is_object()) return tl::unexpected(kForm);
  const auto root = document->root();
  for (const auto name : {"crit", "b64", "jwk"}) {
    if (root.get(name).exists()) return tl::unexpected(kForm);
  }
  for (const auto name : {"alg", "kid", "url"}) {
    if (!root.get(name).is_string()) return tl::unexpected(kForm);
  }
  const auto alg = root.get("alg").string();
  const auto row = std::ranges::find(kAlgorithms, alg, &decltype(kAlgorithms)::value_type::first);
  if (row == kAlgorithms.end()) return tl::unexpected(kAlgorithm);
  if (root.get("nonce").exists()) return tl::unexpected(kNonce);
  if (root.get("url").string() != request.url) return tl::unexpected(kUrl);
  return Header{row->second, std::string(root.get("kid").string())};
}

bool mac_is_right(const Header& header, ByteView key, const wire::ClientJws& jws) {
  Bytes input = to_bytes(jws.protected_b64);
  input.push_back('.');
  append(input, view_of(jws.payload_b64));
  return equal_constant_time(crypto::hmac(header.algorithm, key, input), jws.signature);
}

// An unknown kid costs one MAC too.
tl::expected<const Credential*, Refusal> authenticate(const Header& header,
                                                      const CredentialBook* book,
                                                      const wire::ClientJws& jws) {
  const auto* credential = book != nullptr ? book->find(header.kid) : nullptr;
  static constexpr std::array<std::uint8_t, limits::kEabKeyBytesMin> kNoKey{};
  const bool right =
      mac_is_right(header, credential != nullptr ? credential->key.view() : ByteView(kNoKey), jws);
  if (credential == nullptr) return tl::unexpected(kKid);
  if (!right) return tl::unexpected(kMac);
  return credential;
}

}  // namespace

wire::ChallengeProblem to_problem(const Refusal& refusal) {
  const auto code = refusal.code == kKid.code ? kMac.code : refusal.code;
  return {std::string(refusal.type), std::string(code), std::string(refusal.detail)};
}

tl::expected<CheckedBinding, Refusal> check_binding(const wire::EabVerify& request,
                                                    const CredentialBook* book,
                                                    std::int64_t now_ms) {
  const auto& jws = request.binding;
  if (jws.protected_b64.size() + jws.payload_b64.size() > limits::kEabBytesMax ||
      jws.signature.empty())
    return tl::unexpected(kForm);
  const auto account = jose::Jwk::from_canonical(request.account_jwk);
  if (!account || request.url.empty()) return tl::unexpected(kForm);
  const auto header = read_header(request);
  if (!header) return tl::unexpected(header.error());
  const auto credential = authenticate(*header, book, jws);
  if (!credential) return tl::unexpected(credential.error());
  if ((*credential)->revoked_ms) return tl::unexpected(kRevoked);
  if ((*credential)->expires_ms && now_ms >= *(*credential)->expires_ms)
    return tl::unexpected(kExpired);
  const auto payload = base64url_decode(jws.payload_b64);
  if (!payload) return tl::unexpected(kForm);
  const auto document = json::Document::parse(text_of(*payload), limits::kEabBytesMax);
  if (!document) return tl::unexpected(kKey);
  const auto bound = jose::Jwk::from_json(document->root());
  if (!bound || bound->thumbprint() != account->thumbprint()) return tl::unexpected(kKey);
  return CheckedBinding{*credential, account->thumbprint()};
}

}  // namespace keyward::eab
