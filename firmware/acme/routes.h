// Owns the one table of every route: method, path, states in which it answers, authentication, body
// cap. Must not know handlers. The negative tests are generated from it. Threads: constant data,
// pure functions. Source: RFC 8555 §6.3 (methods), §7.1 (resources); DESIGN §3 (states).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hal/base/limits.h"

namespace keyward::acme {

enum class Resource : std::uint8_t {
  kDirectory,
  kNewNonce,
  kNewAccount,
  kNewOrder,
  kNewAuthz,
  kAccount,
  kOrders,
  kOrder,
  kFinalize,
  kAuthz,
  kChallenge,
  kCertificate,
  kAlternate,
  kStarCertificate,
  kIssuer,
  kRevokeCert,
  kRenewalInfo,
  kKeyChange,
  kTerms,
  kRecoverAccount,
  kRecovery,
  kVeto,
  kEvidenceKey,
  kAkBegin,
  kAkActivate,
  kCrl,
  kCrlOfName,
  kOcsp,
  kOcspInPath,
};

// Of a POST. `kJwk`: the key itself (newAccount, recoverAccount); `kKid`: the account URL;
// `kEither`: for revocation and for a recovery. `kNone`: no signature; where something is changed
// the credential stands in the path.
enum class Authentication : std::uint8_t { kNone, kJwk, kKid, kEither };

enum class ApplianceState : std::uint8_t {
  kUnprovisioned = 1,  // no CA yet
  kLocked = 2,         // the signer has not answered since the start
  kOperational = 4,
  kDegraded = 8,  // issues, but alarms
  kFailed = 16,
};

inline constexpr std::uint8_t kGet = 1, kHead = 2, kPost = 4;
inline constexpr std::uint8_t kServing = static_cast<std::uint8_t>(ApplianceState::kOperational) |
                                         static_cast<std::uint8_t>(ApplianceState::kDegraded);
inline constexpr std::uint8_t kReadable =
    kServing | static_cast<std::uint8_t>(ApplianceState::kLocked);

// A nonce of the process's previous life cannot be told used from unused; it is accepted where
// doing the same request twice changes nothing that the first time did not (docs/adr: nonces).
enum class Repeat : std::uint8_t { kHarmless, kChanges };

struct Route {
  Resource resource;
  // "{}" stands for one segment of 1..128 base64url characters, "{*}" at the end for a request in
  // base64 with its percent signs (RFC 6960 A.1).
  std::string_view pattern;
  std::uint8_t methods;  // kGet | kHead | kPost
  std::uint8_t states;   // ApplianceState bits; in the others: 503
  Authentication authentication;
  std::size_t body_bytes_max;
  bool takes_cursor;  // "?cursor=" may follow; no other query ever does
  Repeat repeat;
};

inline constexpr std::array kRoutes = std::to_array<Route>({
    {Resource::kDirectory, "/acme/directory", kGet | kHead | kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kNewNonce, "/acme/new-nonce", kGet | kHead | kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kNewAccount, "/acme/new-account", kPost, kServing, Authentication::kJwk,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kNewOrder, "/acme/new-order", kPost, kServing, Authentication::kKid,
     limits::kNewOrderBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kNewAuthz, "/acme/new-authz", kPost, kServing, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kAccount, "/acme/account/{}", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kChanges},
    {Resource::kOrders, "/acme/account/{}/orders", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, true, Repeat::kHarmless},
    {Resource::kOrder, "/acme/order/{}", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kFinalize, "/acme/order/{}/finalize", kPost, kServing, Authentication::kKid,
     limits::kFinalizeBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kAuthz, "/acme/authz/{}", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kChallenge, "/acme/challenge/{}/{}", kPost, kServing, Authentication::kKid,
     limits::kRequestBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kCertificate, "/acme/certificate/{}", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kAlternate, "/acme/certificate/{}/{}", kPost, kReadable, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kStarCertificate, "/acme/star-certificate/{}", kGet | kHead | kPost, kReadable,
     Authentication::kKid, limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kIssuer, "/acme/issuer/{}", kGet | kHead, kReadable, Authentication::kNone, 0, false,
     Repeat::kHarmless},
    {Resource::kRevokeCert, "/acme/revoke-cert", kPost, kServing, Authentication::kEither,
     limits::kFinalizeBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kRenewalInfo, "/acme/renewal-info/{}.{}", kGet | kHead, kReadable,
     Authentication::kNone, 0, false, Repeat::kHarmless},
    {Resource::kKeyChange, "/acme/key-change", kPost, kServing, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kChanges},
    {Resource::kTerms, "/acme/terms/{}", kGet | kHead | kPost, kReadable, Authentication::kNone,
     limits::kFormBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kRecoverAccount, "/acme/recover-account", kPost, kReadable, Authentication::kJwk,
     limits::kRequestBodyBytesMax, false, Repeat::kChanges},
    {Resource::kRecovery, "/acme/recovery/{}", kPost, kReadable, Authentication::kEither,
     limits::kSmallBodyBytesMax, false, Repeat::kChanges},
    {Resource::kVeto, "/acme/recovery/{}/veto/{}", kGet | kHead | kPost, kReadable,
     Authentication::kNone, limits::kFormBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kEvidenceKey, "/acme/evidence-key/{}", kGet | kHead, kReadable,
     Authentication::kNone, 0, false, Repeat::kHarmless},
    {Resource::kAkBegin, "/acme/attestation-ca/begin", kPost, kServing, Authentication::kKid,
     limits::kRequestBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kAkActivate, "/acme/attestation-ca/activate", kPost, kServing, Authentication::kKid,
     limits::kSmallBodyBytesMax, false, Repeat::kHarmless},
    {Resource::kCrl, "/acme/crl", kGet | kHead, kReadable, Authentication::kNone, 0, false,
     Repeat::kHarmless},
    {Resource::kCrlOfName, "/acme/crl/{}", kGet | kHead, kReadable, Authentication::kNone, 0, false,
     Repeat::kHarmless},
    {Resource::kOcsp, "/acme/ocsp", kPost, kReadable, Authentication::kNone,
     limits::kOcspRequestBytesMax, false, Repeat::kHarmless},
    {Resource::kOcspInPath, "/acme/ocsp/{*}", kGet | kHead, kReadable, Authentication::kNone, 0,
     false, Repeat::kHarmless},
});

// Answers that are signed in themselves and the same for everybody, and the way to ask for them: what a
// listener without TLS may serve. By the path, so that what is added below these is found by whoever checks
// a certificate.
constexpr bool is_public(const Route& route) {
  if (route.authentication != Authentication::kNone || route.takes_cursor) return false;
  for (const std::string_view root : {"/acme/crl", "/acme/ocsp", "/acme/issuer"}) {
    if (route.pattern == root) return true;
    if (route.pattern.starts_with(root) && route.pattern[root.size()] == '/') return true;
  }
  return false;
}

constexpr const Route& route_of(Resource resource) {
  for (const auto& route : kRoutes) {
    if (route.resource == resource) return route;
  }
  return kRoutes[0];
}

constexpr std::string_view kCursorPrefix = "?cursor=";
// Every pattern begins so; a tenant's has its name after it: "/acme/t/<tenant>/order/{}" (D-T4).
constexpr std::string_view kRoot = "/acme";
constexpr std::string_view kTenantsRoot = "/acme/t/";

struct RouteMatch {
  const Route* route = nullptr;
  std::array<std::string_view, 2> segments{};  // what stood for "{}"; views into the path
  std::string_view cursor;                     // empty: none
  std::string_view tenant{};  // whose part of the server; empty: the appliance's own
};

namespace detail {

constexpr bool is_id_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// Takes the id that `rest` starts with; empty if there is none or it is too long.
constexpr std::string_view take_id(std::string_view rest) {
  std::size_t length = 0;
  while (length < rest.size() && is_id_character(rest[length])) ++length;
  return length <= limits::kIdBytesMax ? rest.substr(0, length) : std::string_view{};
}

constexpr bool is_base64_in_path(std::string_view path) {
  if (path.empty() || path.size() > limits::kOcspPathBytesMax) return false;
  for (const char c : path) {
    if (!is_id_character(c) && c != '+' && c != '/' && c != '=' && c != '%') return false;
  }
  return true;
}

constexpr bool match_pattern(std::string_view pattern, std::string_view path, RouteMatch& out) {
  std::size_t used = 0;
  while (!pattern.empty()) {
    if (pattern == "{*}") {
      out.segments[used] = path;
      return is_base64_in_path(path);
    }
    if (!pattern.starts_with("{}")) {
      if (path.empty() || path[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      continue;
    }
    const auto id = take_id(path);
    if (id.empty() || used == out.segments.size()) return false;
    out.segments[used++] = id;
    pattern.remove_prefix(2);
    path.remove_prefix(id.size());
  }
  return path.empty();
}

// A path as it is below "/acme" or below a tenant's root; empty: it is below neither.
struct Place {
  std::string_view tenant;
  std::string_view rest;
};
constexpr Place place_of(std::string_view path) {
  if (path.starts_with(kTenantsRoot)) {
    const auto tenant = take_id(path.substr(kTenantsRoot.size()));
    if (tenant.empty()) return {};
    return {tenant, path.substr(kTenantsRoot.size() + tenant.size())};
  }
  return path.starts_with(kRoot) ? Place{{}, path.substr(kRoot.size())} : Place{};
}

}  // namespace detail

// Exact match on the raw path: nothing is decoded, so that the path equals what the JWS signs
// (§6.4).
constexpr std::optional<RouteMatch> match_route(std::string_view raw_path) {
  const auto question = raw_path.find('?');
  const auto place = detail::place_of(raw_path.substr(0, question));
  for (const auto& route : kRoutes) {
    RouteMatch match{&route, {}, {}, place.tenant};
    if (!detail::match_pattern(route.pattern.substr(kRoot.size()), place.rest, match)) continue;
    if (question == std::string_view::npos) return match;
    auto query = raw_path.substr(question);
    if (!route.takes_cursor || !query.starts_with(kCursorPrefix)) return std::nullopt;
    query.remove_prefix(kCursorPrefix.size());
    match.cursor = detail::take_id(query);
    if (match.cursor.empty() || match.cursor.size() != query.size()) return std::nullopt;
    return match;
  }
  return std::nullopt;
}

constexpr std::uint8_t method_bit(std::string_view method) {
  if (method == "GET") return kGet;
  if (method == "HEAD") return kHead;
  if (method == "POST") return kPost;
  return 0;
}

static_assert(match_route("/acme/directory")->route->resource == Resource::kDirectory);
static_assert(!match_route("/acme/directory/"));
static_assert(!match_route("/acme/directory?x=1"));
static_assert(match_route("/acme/challenge/a/b")->segments[1] == "b");
static_assert(match_route("/acme/t/vendor/new-order")->tenant == "vendor");
static_assert(!match_route("/acme/t//new-order"));
static_assert(!match_route("/acme/t/vendor"));
static_assert(match_route("/acme/ocsp/MEI%2B/A==")->segments[0] == "MEI%2B/A==");
static_assert(!match_route("/acme/ocsp/"));
static_assert(is_public(route_of(Resource::kCrl)) && is_public(route_of(Resource::kOcsp)) &&
              is_public(route_of(Resource::kOcspInPath)) && is_public(route_of(Resource::kIssuer)));
static_assert(!is_public(route_of(Resource::kDirectory)) &&
              !is_public(route_of(Resource::kRenewalInfo)));

}  // namespace keyward::acme
