#include "apps/acme/authz_settings.h"

#include <algorithm>

namespace keyward::acme {
namespace {

constexpr std::int64_t kReuseMinutesMax = 30LL * 24 * 60;
constexpr std::int64_t kTriesMax = 10;
constexpr std::int64_t kRetrySecondsMax = 60;
constexpr std::int64_t kRelayPatienceSecondsMax = 24LL * 3'600;
constexpr std::size_t kNamesMax = 10;  // draft-ietf-acme-dns-persist-02: 1 to 10

}  // namespace

void read_authz_settings(config::Section& section, ServiceConfig& out) {
  out.authz_reuse = section.boolean_or("authz_reuse", out.authz_reuse);
  out.authz_reuse_ms =
      section.integer_or("authz_reuse_left_min", 1, kReuseMinutesMax, out.authz_reuse_ms / 60'000) *
      60'000;
  out.validation_tries =
      static_cast<int>(section.integer_or("validation_tries", 1, kTriesMax, out.validation_tries));
  out.validation_retry_ms = section.integer_or("validation_retry_s", 0, kRetrySecondsMax,
                                               out.validation_retry_ms / 1'000) *
                            1'000;
  out.relay_patience_ms = section.integer_or("relay_patience_s", 0, kRelayPatienceSecondsMax,
                                             out.relay_patience_ms / 1'000) *
                          1'000;
  out.respond_200_invalid = section.boolean_or("respond_200_invalid", out.respond_200_invalid);
  out.subdomain_auth = section.boolean_or("subdomain_auth", out.subdomain_auth);
  out.token_authority = section.string_or("token_authority", "");
  out.jwt_at_authorization =
      section.boolean_or("compat.jwt_at_authorization", out.jwt_at_authorization);
  out.caa_identities = section.strings_or_empty("caa_identities", kNamesMax);
  out.persist_issuers = section.strings_or_empty("persist_issuer_names", kNamesMax);
  out.account_hash_prefix = section.string_or("account_hash_prefix", "");
}

const char* fault_of_authz_settings(const ServiceConfig& config) {
  if (config.persist_issuers.empty() != config.account_hash_prefix.empty())
    return "acme.persist_issuer_names and acme.account_hash_prefix go together";
  for (const auto& name : config.persist_issuers) {
    const auto& caa = config.caa_identities;
    if (!caa.empty() && std::find(caa.begin(), caa.end(), name) == caa.end())
      return "acme.persist_issuer_names: each of them must stand in acme.caa_identities too";
  }
  // Names below may have CAA records of their own, which nobody would look at.
  if (config.subdomain_auth && !config.caa_identities.empty())
    return "acme.subdomain_auth and acme.caa_identities exclude each other";
  if (config.token_authority.size() > limits::kUrlBytesMax)
    return "acme.token_authority is too long";
  return nullptr;
}

}  // namespace keyward::acme
