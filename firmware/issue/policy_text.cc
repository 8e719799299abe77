#include "firmware/issue/policy_text.h"

#include "firmware/issue/profile_config.h"
#include "firmware/wire/challenge_types.h"

namespace keyward::issue {
namespace {

class Lines {
 public:
  void text(std::string_view name, std::string_view value) {
    out_ += std::string(name) + " = " + std::string(value) + "\n";
  }
  void number(std::string_view name, std::int64_t value) { text(name, std::to_string(value)); }
  void flag(std::string_view name, bool value) { text(name, value ? "true" : "false"); }
  void list(std::string_view name, const std::vector<std::string>& values) {
    std::string joined;
    for (const auto& value : values) joined += (joined.empty() ? "" : " ") + value;
    text(name, "[" + joined + "]");
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string_view kind_text(ProfileKind kind) {
  switch (kind) {
    case ProfileKind::kDevice:
      return "device";
    case ProfileKind::kServer:
      return "server";
    case ProfileKind::kSti:
      return "sti";
    case ProfileKind::kAttestationKey:
      return "attestation-key";
    case ProfileKind::kThirdParty:
      return "third-party";
  }
  return "unknown";
}

std::string_view names_text(DeviceNames names) {
  if (names == DeviceNames::kInclude) return "include";
  return names == DeviceNames::kOmit ? "omit" : "require";
}

// Only what a profile has of these: a policy that was approved before they could be said stays
// approved.
void add_extras(const Profile& profile, const std::string& at, Lines& out) {
  const auto& words = profile.subject;
  if (!words.country.empty()) out.text(at + "subject.country", words.country);
  if (!words.organization.empty()) out.text(at + "subject.organization", words.organization);
  for (const auto& unit : words.units) out.text(at + "subject.unit", unit);
  if (!profile.common_name) out.flag(at + "subject.common_name", false);
  if (!profile.keys.empty()) out.list(at + "keys", key_names(profile.keys));
  if (profile.rsa_bits_min != limits::kRsaBitsMin)
    out.number(at + "rsa_bits_min", profile.rsa_bits_min);
  if (profile.backdate_ms) out.number(at + "backdate_ms", *profile.backdate_ms);
  if (profile.account_per_hour) out.number(at + "account_per_hour", *profile.account_per_hour);
  if (profile.overall_per_hour) out.number(at + "overall_per_hour", *profile.overall_per_hour);
}

void add_profile(const Profile& profile, Lines& out) {
  const std::string at = "profile." + profile.name + ".";
  out.text(at + "kind", kind_text(profile.kind));
  out.number(at + "lifetime_ms", profile.lifetime_ms);
  std::vector<std::string> methods;
  for (const auto method : profile.methods) methods.emplace_back(wire::challenge_type(method));
  out.list(at + "methods", methods);
  out.list(at + "purposes", profile.purposes);
  out.list(at + "attestations", profile.attestations);
  out.flag(at + "wildcard", profile.wildcard);
  out.flag(at + "ip", profile.ip);
  out.text(at + "san_device_id", names_text(profile.device_names));
  out.number(at + "preference", profile.preference);
  add_extras(profile, at, out);
  out.flag(at + "star", profile.star.has_value());
  if (!profile.star) return;
  out.number(at + "star_min_lifetime_s", profile.star->lifetime_s_min);
  out.number(at + "star_max_duration_s", profile.star->duration_s_max);
}

void add_names(const NamePolicy& names, Lines& out) {
  out.list("permitted_dns", names.permitted_dns);
  std::vector<std::string> trees;
  for (const auto& tree : names.permitted_ip) trees.push_back(tree.text());
  out.list("permitted_ip", trees);
  out.list("denied_dns", names.denied_dns);
  std::vector<std::string> own;
  for (const auto& name : names.appliance_names) own.push_back(name.value);
  out.list("appliance_names", own);
}

}  // namespace

std::string policy_text(const GateConfig& config, const Issuer& issuer) {
  Lines out;
  out.text("format", "keyward-policy-1");
  out.text("base_url", config.base_url);
  out.text("issuer.certificate_sha256", hex_encode(crypto::sha256(issuer.certificate.der)));
  out.text("issuer.key_sha256", hex_encode(crypto::sha256(issuer.certificate.spki_der)));
  out.text("issuer.key_label", config.key_label);
  out.text("crl_url", issuer.crl_url);
  // Only where there is one: a policy that was approved before stays approved.
  if (!issuer.ocsp_url.empty()) out.text("ocsp_url", issuer.ocsp_url);
  if (!issuer.ca_issuers_url.empty()) out.text("ca_issuers_url", issuer.ca_issuers_url);
  out.number("crl_validity_ms", config.crl_validity_ms);
  if (config.crl_delta) out.flag("crl_delta", true);
  if (config.crl_shards > 1) out.number("crl_shards", static_cast<std::int64_t>(config.crl_shards));
  if (config.crl_long_validity_ms != 0)
    out.number("crl_long_validity_ms", config.crl_long_validity_ms);
  out.text("operators_sha256", config.operators ? hex_encode(config.operators->digest()) : "none");
  add_names(config.names, out);
  out.number("budgets.account_per_hour", config.account_per_hour);
  out.number("budgets.overall_per_hour", config.overall_per_hour);
  out.number("backdate_ms", config.backdate_ms);
  out.number("not_before_ahead_ms", config.not_before_ahead_ms);
  out.flag("external_account_required", config.external_account_required);
  out.flag("possession", config.possession);
  for (const auto& [tenant, delegates] : config.tenants)
    out.list("tenant." + tenant + ".delegates", delegates);
  if (config.profiles.empty()) {  // the two built-in ones
    out.number("device_days", config.device_days);
    out.number("server_days", config.server_days);
  }
  for (const auto& profile : config.profiles) add_profile(profile, out);
  return out.take();
}

Digest256 policy_digest(const GateConfig& config, const Issuer& issuer) {
  return crypto::sha256(view_of(policy_text(config, issuer)));
}

}  // namespace keyward::issue
