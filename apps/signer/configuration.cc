#include "apps/signer/configuration.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
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
  for (auto& table : pkcs11.tables("tokens"))
    out.token.replicas.push_back(
        {table.string_or("module", out.token.module_path), table.string("token_label")});
  out.stuck_exit_ms =
      pkcs11.integer_or("stuck_exit_s", 0, 86'400, limits::kTokenStuckExitMs / 1'000) * 1'000;
  out.environment = pkcs11.strings_or_empty("environment", kEnvironmentMax);
}

std::optional<hal::TimeLevel> level_from(std::string_view text) {
  if (text == "any") return hal::TimeLevel::kNone;
  if (text == "rtc") return hal::TimeLevel::kRtc;
  if (text == "operator") return hal::TimeLevel::kOperator;
  if (text == "synchronised") return hal::TimeLevel::kSynchronised;
  return std::nullopt;
}

}  // namespace

Configuration read_configuration(task::Task& task) {
  Configuration out;
  auto own = task.config();
  out.state_dir = task.state_dir();
  auto policy = issue::read_policy_settings(own, own);
  out.gate = policy.gate;
  out.gate.ledger_note = [](const issue::RowNews& row) {
    log::info("ledger row", {{"row", row.number},
                             {"kind", issue::to_string(row.kind)},
                             {"sha256", hex_encode(row.sha256)}});
  };
  out.issuer_chain = policy.issuer_chain;
  out.crl_url = policy.crl_url;
  out.ocsp_url = policy.ocsp_url;
  out.ca_issuers_url = policy.ca_issuers_url;
  out.operators = policy.operators;
  out.problem = policy.problem;
  out.policy = std::move(policy);
  out.alternate_chains = own.strings_or_empty("alternate_chains", limits::kAlternateChainsMax);
  out.test_keys = own.boolean_or("test_keys", false);
  out.evidence_key_label = own.string_or("evidence_key_label", "");
  out.audit_key_label = own.string_or("audit_key_label", "");
  out.audit_certificate = own.string_or("audit_certificate", "");
  out.audit_anchor = own.string_or("audit_anchor", "none");
  out.audit_every_rows =
      own.integer_or("audit_every_rows", 1, limits::kAuditHeadRows, limits::kAuditHeadRows);
  out.audit_every_ms = own.integer_or("audit_every_s", 1, limits::kAuditHeadMs / 1'000,
                                      limits::kAuditHeadMs / 1'000) *
                       1'000;
  out.ocsp_key_label = own.string_or("ocsp_key_label", "");
  out.ocsp_certificate = own.string_or("ocsp_certificate", "");
  out.ocsp_validity_ms = own.integer_or("ocsp_hours", 1, 168, 12) * 3'600'000;
  out.time_level = own.string_or("time_level", "any");
  out.gate.time.jump_ms =
      own.integer_or("time_jump_hours", 0, 8'760, limits::kTimeJumpMs / 3'600'000) * 3'600'000;
  auto appliance = own.table("appliance");
  out.gate.base_url = appliance.string("base_url");
  out.appliance_names = appliance.strings_or_empty("names", kNamesMax);
  out.simulator = appliance.boolean_or("simulator", false);
  read_token(own.table("pkcs11"), out);
  task.finish_config_or_die();
  return out;
}

Status complete(Configuration& config) {
  const auto level = level_from(config.time_level);
  if (!level) return fail(ErrorKind::kBadInput, "time_level is any, rtc, operator or synchronised");
  config.gate.time.level_min = *level;
  if (config.token.replicas.size() >= limits::kTokenReplicasMax)
    return fail(ErrorKind::kBadInput, "too many [[pkcs11.tokens]]");
  for (const auto& replica : config.token.replicas) {
    if (replica.token_label == config.token.token_label &&
        replica.module_path == config.token.module_path)
      return fail(ErrorKind::kBadInput, "a token stands twice under [pkcs11]");
  }
  if (config.test_keys && !config.simulator)
    return fail(ErrorKind::kRefused, "test_keys is for simulators alone");
  if (!config.problem.empty()) {
    log::error(config.problem);
    return fail(ErrorKind::kBadInput, "a profile or a tenant cannot be used");
  }
  KEYWARD_CHECK(issue::complete_policy(config.policy));
  config.gate.names = config.policy.gate.names;
  config.gate.policy_approval_required = config.policy.gate.policy_approval_required;
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
  // It decrypts what strangers send: never the key that signs certificates.
  if (config.evidence_key_label == config.gate.key_label)
    return fail(ErrorKind::kBadInput, "evidence_key_label names the CA key");
  // A key has one use.
  if (!config.audit_key_label.empty() && (config.audit_key_label == config.gate.key_label ||
                                          config.audit_key_label == config.evidence_key_label))
    return fail(ErrorKind::kBadInput, "audit_key_label names a key of another use");
  if (config.ocsp_key_label.empty() != config.ocsp_certificate.empty())
    return fail(ErrorKind::kBadInput, "ocsp_key_label and ocsp_certificate go together");
  if (!config.ocsp_key_label.empty() && (config.ocsp_key_label == config.gate.key_label ||
                                         config.ocsp_key_label == config.evidence_key_label ||
                                         config.ocsp_key_label == config.audit_key_label))
    return fail(ErrorKind::kBadInput, "ocsp_key_label names a key of another use");
  if (config.audit_anchor != "none" && config.audit_anchor != "tpm")
    return fail(ErrorKind::kBadInput, "audit_anchor is none or tpm");
  config.audit_anchored = config.audit_anchor == "tpm";
  if (config.audit_anchored && config.audit_key_label.empty())
    return fail(ErrorKind::kBadInput, "audit_anchor without audit_key_label");
  if (!config.gate.base_url.starts_with("https://") || config.gate.base_url.ends_with('/')) {
    return fail(ErrorKind::kBadInput,
                "appliance.base_url must begin with https:// and end without a slash");
  }
  return {};
}

}  // namespace keyward::signer
