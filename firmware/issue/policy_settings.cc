#include "firmware/issue/policy_settings.h"

#include <algorithm>

#include "firmware/config/tenants.h"
#include "firmware/identifier/identifier.h"
#include "firmware/issue/profile_config.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kNamesMax = 64;

Status make_canonical(std::vector<std::string>& names) {
  for (auto& name : names) {
    KEYWARD_TRY(id, identifier::canonical(wire::IdentifierType::kDns, name, true));
    name = id.value;
  }
  return {};
}

bool is_http_url(std::string_view text) {
  return (text.starts_with("http://") || text.starts_with("https://")) &&
         text.size() <= limits::kUrlBytesMax;
}

}  // namespace

PolicySettings read_policy_settings(config::Section& own, config::Section& shared) {
  PolicySettings out;
  auto& gate = out.gate;
  out.issuer_chain = own.string("issuer_chain");
  gate.external_account_required = own.boolean_or("external_account_required", false);
  gate.possession = own.boolean_or("possession", false);
  gate.key_label = own.string_or("key_label", "issuing");
  gate.names.permitted_dns = own.strings_or_empty("permitted_dns", kNamesMax);
  out.permitted_ip = own.strings_or_empty("permitted_ip", kNamesMax);
  gate.names.denied_dns = own.strings_or_empty("denied_dns", kNamesMax);
  gate.not_before_ahead_ms = own.integer_or("not_before_ahead_days", 0, 365, 30) * 86'400'000;
  gate.account_per_hour =
      own.integer_or("budgets.account_per_hour", 1, limits::kIssuancesPerHourMax, 1'000);
  gate.overall_per_hour =
      own.integer_or("budgets.overall_per_hour", 1, limits::kIssuancesPerHourMax, 20'000);
  gate.backdate_ms = own.integer_or("backdate_s", 0, 86'400, 60) * 1'000;
  gate.device_days = own.integer_or("device_days", 1, 3'650, 365);
  gate.server_days = own.integer_or("server_days", 1, 825, 90);
  gate.crl_validity_ms = own.integer_or("crl_hours", 0, 8'760, 24) * 3'600'000;
  out.crl_url = own.string_or("crl_url", "");
  gate.crl_delta = own.boolean_or("crl_delta", false);
  gate.crl_shards = static_cast<std::uint64_t>(
      own.integer_or("crl_shards", 1, static_cast<std::int64_t>(limits::kCrlShardsMax), 1));
  gate.crl_long_validity_ms = own.integer_or("crl_long_days", 0, 365, 0) * 86'400'000;
  out.ocsp_url = own.string_or("ocsp_url", "");
  out.ca_issuers_url = own.string_or("ca_issuers_url", "");
  out.operators = own.string_or("operators", "");
  out.policy_approval = own.string_or("policy_approval", "none");
  auto profiles = read_profiles(own, gate.device_days, gate.server_days);
  gate.profiles = std::move(profiles.profiles);
  out.problem = std::move(profiles.problem);
  auto tenants = config::read_tenants(shared);
  gate.tenants = std::move(tenants.delegates);
  if (out.problem.empty()) out.problem = std::move(tenants.problem);
  return out;
}

Status complete_policy(PolicySettings& settings) {
  auto& gate = settings.gate;
  KEYWARD_CHECK(make_canonical(gate.names.permitted_dns));
  KEYWARD_CHECK(make_canonical(gate.names.denied_dns));
  for (const auto& text : settings.permitted_ip) {
    KEYWARD_TRY(tree, IpSubtree::parse(text));
    gate.names.permitted_ip.push_back(std::move(tree));
  }
  if (settings.policy_approval != "none" && settings.policy_approval != "required")
    return fail(ErrorKind::kBadInput, "policy_approval is none or required");
  gate.policy_approval_required = settings.policy_approval == "required";
  if (gate.policy_approval_required && settings.operators.empty())
    return fail(ErrorKind::kBadInput, "policy_approval without operators: nobody could approve");
  if (!settings.crl_url.empty() && !is_http_url(settings.crl_url))
    return fail(ErrorKind::kBadInput, "crl_url is no http URL");
  if (!settings.ocsp_url.empty() && !is_http_url(settings.ocsp_url))
    return fail(ErrorKind::kBadInput, "ocsp_url is no http URL");
  if (!settings.ca_issuers_url.empty() && !is_http_url(settings.ca_issuers_url))
    return fail(ErrorKind::kBadInput, "ca_issuers_url is no http URL");
  if (!settings.crl_url.empty() && gate.crl_validity_ms == 0)
    return fail(ErrorKind::kBadInput, "crl_url without lists: crl_hours is 0");
  if ((gate.crl_delta || gate.crl_shards > 1) && settings.crl_url.empty())
    return fail(ErrorKind::kBadInput,
                "crl_delta and crl_shards need crl_url: lists name each other");
  if (gate.crl_long_validity_ms != 0 && gate.crl_long_validity_ms <= gate.crl_validity_ms)
    return fail(ErrorKind::kBadInput, "crl_long_days is not longer than crl_hours");
  for (const auto& profile : gate.profiles) {
    if (!gate.possession &&
        std::ranges::count(profile.methods, wire::ValidationMethod::kPossession01))
      return fail(ErrorKind::kBadInput, "a profile wants possession, which is off");
  }
  return {};
}

}  // namespace keyward::issue
