#include "firmware/acme/render.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "firmware/acme/problem.h"
#include "firmware/acme/routes.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"

namespace keyward::acme {
namespace {

void write_identifier(json::Writer& out, const wire::Identifier& identifier) {
  out.begin_object();
  out.member("type", identifier::to_string(identifier.type)).member("value", identifier.value);
  out.end_object();
}

void write_challenge(json::Writer& out, const Urls& urls, const wire::ChallengeRecord& challenge) {
  out.begin_object();
  out.member("type", to_string(challenge.method));
  out.member("url", urls.challenge(challenge.authz_id, challenge.id));
  out.member("status", to_string(challenge.status));
  out.member("token", challenge.token);
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

std::string_view Urls::account_id_of(std::string_view url) const {
  constexpr std::string_view kPath = "/acme/account/";
  if (!url.starts_with(base_)) return {};
  url.remove_prefix(base_.size());
  if (!url.starts_with(kPath)) return {};
  url.remove_prefix(kPath.size());
  return detail::take_id(url).size() == url.size() ? url : std::string_view{};
}

std::string rfc3339(std::int64_t utc_ms) {
  const std::time_t seconds = utc_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string directory_json(const Urls& urls, const DirectoryMeta& meta) {
  json::Writer out;
  out.begin_object();
  out.member("newNonce", urls.new_nonce());
  out.member("newAccount", urls.new_account());
  out.member("newOrder", urls.new_order());
  out.key("meta").begin_object();
  if (!meta.terms_of_service.empty()) out.member("termsOfService", meta.terms_of_service);
  if (!meta.website.empty()) out.member("website", meta.website);
  if (!meta.profiles.empty()) {
    out.key("profiles").begin_object();
    for (const auto& profile : meta.profiles) out.member(profile.name, profile.description);
    out.end_object();
  }
  out.member_bool("externalAccountRequired", false);
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
                       const std::vector<std::string>& authz_ids, std::string_view profile,
                       std::int64_t now_ms) {
  const auto status = at_time(order.status, order.expires_at_ms, now_ms);
  json::Writer out;
  out.begin_object();
  out.member("status", to_string(status));
  out.member("expires", rfc3339(order.expires_at_ms));
  out.key("identifiers").begin_array();
  for (const auto& identifier : order.identifiers) write_identifier(out, identifier);
  out.end_array();
  if (!profile.empty()) out.member("profile", profile);
  out.key("authorizations").begin_array();
  for (const auto& id : authz_ids) out.string(urls.authz(id));
  out.end_array();
  out.member("finalize", urls.finalize(order.ticket));
  if (order.certificate_id && status == wire::OrderStatus::kValid) {
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
  out.member("status", to_string(at_time(authz.status, authz.expires_at_ms, now_ms)));
  out.member("expires", rfc3339(authz.expires_at_ms));
  out.key("challenges").begin_array();
  for (const auto& challenge : authz.challenges) write_challenge(out, urls, challenge);
  out.end_array();
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

std::string_view to_string(wire::ValidationMethod method) {
  switch (method) {
    case wire::ValidationMethod::kHttp01:
      return "http-01";
    case wire::ValidationMethod::kDns01:
      return "dns-01";
    case wire::ValidationMethod::kTlsAlpn01:
      return "tls-alpn-01";
    case wire::ValidationMethod::kDeviceAttest01:
      return "device-attest-01";
    case wire::ValidationMethod::kDnsAccount01:
      return "dns-account-01";
    case wire::ValidationMethod::kDnsPersist01:
      return "dns-persist-01";
    case wire::ValidationMethod::kTkauth01:
      return "tkauth-01";
    case wire::ValidationMethod::kPossession01:
      return "proof-of-possession-01";
    case wire::ValidationMethod::kAppliance:
      return "";
  }
  return "";
}

}  // namespace keyward::acme
