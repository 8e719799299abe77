#include "apps/signer/configuration.h"

#include <algorithm>

#include "firmware/config/tenants.h"
#include "firmware/identifier/identifier.h"
#include "firmware/issue/profile_config.h"
#include "firmware/log/log.h"

namespace keyward::signer {
namespace {

constexpr std::size_t kNamesMax = 64;
constexpr std::size_t kEnvironmentMax = 16;

void read_token(config::Section pkcs11, Configuration& out) {
  out.token.module_path = pkcs11.string("module");
  out.token.token_label = pkcs11.string("token_label");
  out.token.sessions_max =
      static_cast<int>(pkcs11.integer_or("sessions_max", 1, limits::kTokenSessionsMax, 8));
  out.token.session_open_stagger_ms =
      static_cast<int>(pkcs11.integer_or("session_open_stagger_ms", 0, 60'000, 0));
  out.token.recover_by_finalize = pkcs11.boolean_or("recover_by_finalize", true);
  out.token.in_process = pkcs11.boolean_or("in_process", false);
  out.token.health_interval_ms = pkcs11.integer_or("health_interval_ms", 0, 3'600'000, 0);
  out.token.refused_pins_path = out.state_dir + "/refused-pins";
  out.environment = pkcs11.strings_or_empty("environment", kEnvironmentMax);
}

}  // namespace

Configuration read_configuration(task::Task& task) {
  Configuration out;
  auto own = task.config();
  out.state_dir = task.state_dir();
  out.issuer_chain = own.string("issuer_chain");
  out.alternate_chains = own.strings_or_empty("alternate_chains", limits::kAlternateChainsMax);
  out.gate.external_account_required = own.boolean_or("external_account_required", false);
  out.gate.possession = own.boolean_or("possession", false);
  out.gate.key_label = own.string_or("key_label", "issuing");
  out.test_keys = own.boolean_or("test_keys", false);
  out.gate.names.permitted_dns = own.strings_or_empty("permitted_dns", kNamesMax);
  out.permitted_ip = own.strings_or_empty("permitted_ip", kNamesMax);
  out.gate.names.denied_dns = own.strings_or_empty("denied_dns", kNamesMax);
  out.gate.not_before_ahead_ms = own.integer_or("not_before_ahead_days", 0, 365, 30) * 86'400'000;
  out.gate.account_per_hour =
      own.integer_or("budgets.account_per_hour", 1, limits::kIssuancesPerHourMax, 1'000);
  out.gate.overall_per_hour =
      own.integer_or("budgets.overall_per_hour", 1, limits::kIssuancesPerHourMax, 20'000);
  out.gate.backdate_ms = own.integer_or("backdate_s", 0, 86'400, 60) * 1'000;
  out.gate.device_days = own.integer_or("device_days", 1, 3'650, 365);
  out.gate.server_days = own.integer_or("server_days", 1, 825, 90);
  out.gate.crl_validity_ms = own.integer_or("crl_hours", 0, 8'760, 24) * 3'600'000;
  out.evidence_key_label = own.string_or("evidence_key_label", "");
  out.audit_key_label = own.string_or("audit_key_label", "");
  out.audit_certificate = own.string_or("audit_certificate", "");
  out.audit_anchor = own.string_or("audit_anchor", "none");
  out.audit_every_rows =
      own.integer_or("audit_every_rows", 1, limits::kAuditHeadRows, limits::kAuditHeadRows);
  out.audit_every_ms = own.integer_or("audit_every_s", 1, limits::kAuditHeadMs / 1'000,
                                      limits::kAuditHeadMs / 1'000) *
                       1'000;
  out.operators = own.string_or("operators", "");
  out.policy_approval = own.string_or("policy_approval", "none");
  out.crl_url = own.string_or("crl_url", "");
  auto profiles = issue::read_profiles(own, out.gate.device_days, out.gate.server_days);
  out.gate.profiles = std::move(profiles.profiles);
  out.problem = std::move(profiles.problem);
  auto tenants = config::read_tenants(own);
  out.gate.tenants = std::move(tenants.delegates);
  if (out.problem.empty()) out.problem = std::move(tenants.problem);
  auto appliance = own.table("appliance");
  out.gate.base_url = appliance.string("base_url");
  out.appliance_names = appliance.strings_or_empty("names", kNamesMax);
  out.simulator = appliance.boolean_or("simulator", false);
  read_token(own.table("pkcs11"), out);
  task.finish_config_or_die();
  return out;
}

Status complete(Configuration& config) {
  if (config.test_keys && !config.simulator)
    return fail(ErrorKind::kRefused, "test_keys is for simulators alone");
  if (!config.problem.empty()) {
    log::error(config.problem);
    return fail(ErrorKind::kBadInput, "a profile or a tenant cannot be used");
  }
  for (const auto& name : config.appliance_names) {
    auto id = identifier::canonical(wire::IdentifierType::kDns, name);
    if (!id) id = identifier::canonical(wire::IdentifierType::kIp, name);
    if (!id) return fail(id.error());
    config.gate.names.appliance_names.push_back(std::move(*id));
  }
  for (const auto& line : config.environment) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorKind::kBadInput, "pkcs11.environment holds no NAME=VALUE");
    config.token.environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  for (auto& name : config.gate.names.permitted_dns) {
    KEYWARD_TRY(id, identifier::canonical(wire::IdentifierType::kDns, name, true));
    name = id.value;
  }
  for (auto& name : config.gate.names.denied_dns) {
    KEYWARD_TRY(id, identifier::canonical(wire::IdentifierType::kDns, name, true));
    name = id.value;
  }
  for (const auto& text : config.permitted_ip) {
    KEYWARD_TRY(tree, issue::IpSubtree::parse(text));
    config.gate.names.permitted_ip.push_back(std::move(tree));
  }
  // It decrypts what strangers send: never the key that signs certificates.
  if (config.evidence_key_label == config.gate.key_label)
    return fail(ErrorKind::kBadInput, "evidence_key_label names the CA key");
  // A key has one use.
  if (!config.audit_key_label.empty() && (config.audit_key_label == config.gate.key_label ||
                                          config.audit_key_label == config.evidence_key_label))
    return fail(ErrorKind::kBadInput, "audit_key_label names a key of another use");
  if (config.audit_anchor != "none" && config.audit_anchor != "tpm")
    return fail(ErrorKind::kBadInput, "audit_anchor is none or tpm");
  config.audit_anchored = config.audit_anchor == "tpm";
  if (config.audit_anchored && config.audit_key_label.empty())
    return fail(ErrorKind::kBadInput, "audit_anchor without audit_key_label");
  if (config.policy_approval != "none" && config.policy_approval != "required")
    return fail(ErrorKind::kBadInput, "policy_approval is none or required");
  config.gate.policy_approval_required = config.policy_approval == "required";
  if (config.gate.policy_approval_required && config.operators.empty())
    return fail(ErrorKind::kBadInput, "policy_approval without operators: nobody could approve");
  const bool is_url =
      config.crl_url.starts_with("http://") || config.crl_url.starts_with("https://");
  if (!config.crl_url.empty() && (!is_url || config.crl_url.size() > limits::kUrlBytesMax))
    return fail(ErrorKind::kBadInput, "crl_url is no http URL");
  if (!config.crl_url.empty() && config.gate.crl_validity_ms == 0)
    return fail(ErrorKind::kBadInput, "crl_url without lists: crl_hours is 0");
  for (const auto& profile : config.gate.profiles) {
    const auto& methods = profile.methods;
    if (!config.gate.possession &&
        std::find(methods.begin(), methods.end(), wire::ValidationMethod::kPossession01) !=
            methods.end())
      return fail(ErrorKind::kBadInput, "a profile wants possession, which is off");
  }
  if (!config.gate.base_url.starts_with("https://") || config.gate.base_url.ends_with('/')) {
    return fail(ErrorKind::kBadInput,
                "appliance.base_url must begin with https:// and end without a slash");
  }
  return {};
}

}  // namespace keyward::signer
