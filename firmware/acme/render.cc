#include "firmware/acme/render.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "firmware/acme/problem.h"
#include "firmware/acme/routes.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/wire/challenge_types.h"
#include "firmware/x509/certificate.h"

namespace keyward::acme {
namespace {

void write_identifier(json::Writer& out, const wire::Identifier& identifier) {
  out.begin_object();
  out.member("type", identifier::to_string(identifier.type)).member("value", identifier.value);
  out.end_object();
}

void write_strings(json::Writer& out, std::string_view name,
                   const std::vector<std::string>& values) {
  out.key(name).begin_array();
  for (const auto& value : values) out.string(value);
  out.end_array();
}

// The members that the method shows beside those of every challenge.
void write_data(json::Writer& out, const std::string& data_json) {
  const auto document = json::Document::parse(data_json);
  if (!document) return;  // written by this task: cannot be
  for (const auto name : document->root().keys())
    out.key(name).raw(document->root().get(name).print());
}

// What the client asked for, as the signer read it (RFC 8555 §7.1.3, RFC 8739 §3.1.1).
void write_terms(json::Writer& out, const wire::OrderTerms& terms) {
  if (!terms.profile.empty()) out.member("profile", terms.profile);
  if (terms.not_before_ms) out.member("notBefore", rfc3339(*terms.not_before_ms));
  if (terms.not_after_ms) out.member("notAfter", rfc3339(*terms.not_after_ms));
  if (!terms.star) return;
  out.key("auto-renewal").begin_object();
  if (terms.star->start_ms != 0) out.member("start-date", rfc3339(terms.star->start_ms));
  out.member("end-date", rfc3339(terms.star->end_ms));
  out.member_int("lifetime", terms.star->lifetime_ms / 1'000);
  out.member_int("lifetime-adjust", terms.star->lifetime_adjust_ms / 1'000);
  if (terms.star->certificate_get) out.member_bool("allow-certificate-get", true);
  out.end_object();
}

// RFC 8739 §3.2: what the profiles that renew by themselves allow; absent if none does.
void write_auto_renewal(json::Writer& out, const std::vector<wire::ProfileInfo>& profiles) {
  std::optional<std::uint64_t> lifetime_s_min;
  std::uint64_t duration_s_max = 0;
  for (const auto& profile : profiles) {
    if (!profile.star_lifetime_s_min || !profile.star_duration_s_max) continue;
    lifetime_s_min = std::min(lifetime_s_min.value_or(*profile.star_lifetime_s_min),
                              *profile.star_lifetime_s_min);
    duration_s_max = std::max(duration_s_max, *profile.star_duration_s_max);
  }
  if (!lifetime_s_min) return;
  out.key("auto-renewal").begin_object();
  out.member_int("min-lifetime", static_cast<std::int64_t>(*lifetime_s_min));
  out.member_int("max-duration", static_cast<std::int64_t>(duration_s_max));
  out.member_bool("allow-certificate-get", true).end_object();
}

void write_challenge(json::Writer& out, const Urls& urls, const wire::ChallengeRecord& challenge) {
  out.begin_object();
  out.member("type", wire::challenge_type(challenge.method));
  out.member("url", urls.challenge(challenge.authz_id, challenge.id));
  out.member("status", to_string(challenge.status));
  // draft-ietf-acme-dns-persist-02: "no token"; what proves it stays in the zone.
  if (challenge.method != wire::ValidationMethod::kDnsPersist01)
    out.member("token", challenge.token);
  if (challenge.data_json) write_data(out, *challenge.data_json);
  if (challenge.status == wire::ChallengeStatus::kValid && challenge.validated_at_ms) {
    out.member("validated", rfc3339(*challenge.validated_at_ms));
  }
  // Only with "invalid": an object with an error must be invalid (RFC 8555 §8, D-A5).
  if (challenge.status == wire::ChallengeStatus::kInvalid && challenge.error_json) {
    out.key("error").raw(*challenge.error_json);
  }
  out.end_object();
}

}  // namespace

AccountName Urls::account_of(std::string_view url) const {
  if (!url.starts_with(base_)) return {};
  const auto match = match_route(url.substr(base_.size()));
  if (!match || match->route->resource != Resource::kAccount) return {};
  return {match->tenant, match->segments[0]};
}

std::string rfc3339(std::int64_t utc_ms) {
  const std::time_t seconds = utc_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string http_date(std::int64_t utc_ms) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = utc_ms / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                   kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
                                   parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return std::string(text, static_cast<std::size_t>(length));
}

// The text for people also says by what the profile lets itself be proved.
std::string description_of(const wire::ProfileInfo& profile) {
  std::string out = profile.description;
  for (const auto& method : profile.methods)
    out += (&method == &profile.methods.front() ? " (proved by " : ", ") + method;
  return profile.methods.empty() ? out : out + ")";
}

std::string directory_json(const Urls& urls, const DirectoryMeta& meta) {
  json::Writer out;
  out.begin_object();
  out.member("newNonce", urls.new_nonce());
  out.member("newAccount", urls.new_account());
  out.member("newOrder", urls.new_order());
  if (meta.new_authz)
    out.member("newAuthz", urls.new_authz());  // §7.1.1: absent if it is not taken
  out.member("keyChange", urls.key_change());
  if (meta.recovery) out.member("recoverAccount", urls.recover_account());
  out.member("revokeCert", urls.revoke_cert());
  out.member("renewalInfo", urls.renewal_info());
  out.key("meta").begin_object();
  if (!meta.terms_of_service.empty()) out.member("termsOfService", meta.terms_of_service);
  if (!meta.website.empty()) out.member("website", meta.website);
  if (!meta.profiles.empty()) {
    out.key("profiles").begin_object();
    for (const auto& profile : meta.profiles) out.member(profile.name, description_of(profile));
    out.end_object();
  }
  write_auto_renewal(out, meta.profiles);
  if (!meta.caa_identities.empty()) write_strings(out, "caaIdentities", meta.caa_identities);
  if (meta.subdomain_auth) out.member_bool("subdomainAuthAllowed", true);
  if (!meta.persist_issuers.empty()) {
    write_strings(out, "issuerDomainNames", meta.persist_issuers);
    out.member("accountHashPrefix", meta.account_hash_prefix);
  }
  if (meta.attestation_ca) {
    out.key("attestationCa").begin_object().member("begin", urls.ak_begin());
    out.member("activate", urls.ak_activate()).end_object();
  }
  out.member_bool("externalAccountRequired", meta.external_account_required);
  out.end_object().end_object();
  return out.take();
}

std::string account_json(const Urls& urls, const wire::AccountRecord& account) {
  json::Writer out;
  out.begin_object().member("status", to_string(account.status));
  if (!account.contacts.empty()) {
    out.key("contact").begin_array();
    for (const auto& contact : account.contacts) out.string(contact);
    out.end_array();
  }
  if (account.terms_agreed) out.member_bool("termsOfServiceAgreed", true);
  // Only ever one that was verified (§7.3.4).
  if (account.binding_json) out.key("externalAccountBinding").raw(*account.binding_json);
  out.member("orders", urls.orders(account.id));
  out.end_object();
  return out.take();
}

std::string orders_json(const Urls& urls, const std::vector<std::string>& tickets) {
  json::Writer out;
  out.begin_object().key("orders").begin_array();
  for (const auto& ticket : tickets) out.string(urls.order(ticket));
  out.end_array().end_object();
  return out.take();
}

std::string order_json(const Urls& urls, const wire::OrderRecord& order,
                       const std::vector<std::string>& authz_ids, const wire::OrderTerms* terms,
                       std::int64_t now_ms) {
  const auto status = at_time(order.status, order.expires_at_ms, now_ms);
  json::Writer out;
  out.begin_object();
  out.member("status", to_string(status));
  out.member("expires", rfc3339(order.expires_at_ms));
  out.key("identifiers").begin_array();
  for (const auto& identifier : order.identifiers) write_identifier(out, identifier);
  out.end_array();
  if (terms != nullptr) write_terms(out, *terms);
  if (order.replaces) out.member("replaces", *order.replaces);  // RFC 9773 §5
  out.key("authorizations").begin_array();
  const Urls proving = urls.of(order.tenant);
  for (const auto& id : authz_ids) out.string(proving.authz(id));
  out.end_array();
  out.member("finalize", urls.finalize(order.ticket));
  const bool has_certificate = order.certificate_id && (status == wire::OrderStatus::kValid ||
                                                        status == wire::OrderStatus::kCanceled);
  if (has_certificate && terms != nullptr && terms->star) {
    out.member("star-certificate", urls.star_certificate(order.ticket));  // RFC 8739 §3.1.1
  } else if (has_certificate) {
    out.member("certificate", urls.certificate(*order.certificate_id));
  }
  if (status == wire::OrderStatus::kInvalid) {
    if (order.error_json) {
      out.key("error").raw(*order.error_json);
    } else if (order.status != wire::OrderStatus::kInvalid) {
      out.key("error").raw(
          Problem::of(ProblemType::kMalformed, "order.expired", "the order expired").json());
    }
  }
  out.end_object();
  return out.take();
}

std::string authz_json(const Urls& urls, const wire::AuthzRecord& authz, std::int64_t now_ms) {
  json::Writer out;
  out.begin_object();
  out.key("identifier");
  write_identifier(out, authz.identifier);
  const auto status = at_time(authz.status, authz.expires_at_ms, now_ms);
  out.member("status", to_string(status));
  out.member("expires", rfc3339(authz.expires_at_ms));
  out.key("challenges").begin_array();
  for (const auto& challenge : authz.challenges) {
    // §7.1.4: of a valid one those that were attempted; nobody needs the others any more.
    const bool untouched = challenge.status == wire::ChallengeStatus::kPending;
    if (status != wire::AuthzStatus::kValid || !untouched) write_challenge(out, urls, challenge);
  }
  out.end_array();
  if (authz.subtree) out.member_bool("subdomainAuthAllowed", true);  // RFC 9444 §4.1
  if (authz.wildcard) out.member_bool("wildcard", true);  // absent otherwise (RFC 8555 §7.1.4)
  out.end_object();
  return out.take();
}

std::string challenge_json(const Urls& urls, const wire::ChallengeRecord& challenge) {
  json::Writer out;
  write_challenge(out, urls, challenge);
  return out.take();
}

std::string chain_pem(const std::vector<Bytes>& chain) {
  std::string out;
  for (const auto& certificate : chain) out += x509::to_pem("CERTIFICATE", certificate);
  return out;
}

std::string_view to_string(wire::AccountStatus status) {
  switch (status) {
    case wire::AccountStatus::kValid:
      return "valid";
    case wire::AccountStatus::kDeactivated:
      return "deactivated";
    case wire::AccountStatus::kRevoked:
      return "revoked";
  }
  return "";
}

std::string_view to_string(wire::OrderStatus status) {
  switch (status) {
    case wire::OrderStatus::kPending:
      return "pending";
    case wire::OrderStatus::kReady:
      return "ready";
    case wire::OrderStatus::kProcessing:
      return "processing";
    case wire::OrderStatus::kValid:
      return "valid";
    case wire::OrderStatus::kInvalid:
      return "invalid";
    case wire::OrderStatus::kCanceled:
      return "canceled";
  }
  return "";
}

std::string_view to_string(wire::AuthzStatus status) {
  switch (status) {
    case wire::AuthzStatus::kPending:
      return "pending";
    case wire::AuthzStatus::kValid:
      return "valid";
    case wire::AuthzStatus::kInvalid:
      return "invalid";
    case wire::AuthzStatus::kDeactivated:
      return "deactivated";
    case wire::AuthzStatus::kExpired:
      return "expired";
    case wire::AuthzStatus::kRevoked:
      return "revoked";
  }
  return "";
}

std::string_view to_string(wire::ChallengeStatus status) {
  switch (status) {
    case wire::ChallengeStatus::kPending:
      return "pending";
    case wire::ChallengeStatus::kProcessing:
      return "processing";
    case wire::ChallengeStatus::kValid:
      return "valid";
    case wire::ChallengeStatus::kInvalid:
      return "invalid";
  }
  return "";
}

std::string_view to_string(wire::RecoveryStatus status) {
  switch (status) {
    case wire::RecoveryStatus::kPending:
      return "pending";
    case wire::RecoveryStatus::kProcessing:
      return "processing";
    case wire::RecoveryStatus::kValid:
      return "valid";
    case wire::RecoveryStatus::kInvalid:
      return "invalid";
  }
  return "";
}

}  // namespace keyward::acme
