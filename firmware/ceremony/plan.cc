// Owns the reading of the ceremony's plan. Must not know tokens or certificates.
#include <algorithm>

#include "firmware/ceremony/ceremony.h"
#include "firmware/config/config.h"

namespace keyward::ceremony {
namespace {

constexpr std::size_t kPermittedMax = 64;
constexpr std::int64_t kLifetimeDaysMax =
    36'525;  // a century: RFC 5280's GeneralizedTime carries it

bool is_country(const std::string& text) {
  return text.size() == 2 && std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

// RFC 5280 §4.2.1.10: a host name, optionally with a leading dot; lower case, so that comparison is
// plain.
bool is_constraint(const std::string& text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

CaPlan read_ca(config::Section section, const std::string& name,
               std::vector<std::string>& problems) {
  CaPlan out;
  const auto complain = [&](const std::string& what) {
    problems.push_back("[" + name + "] " + what);
  };
  out.key_label = section.string("key_label");
  out.common_name = section.string("common_name");
  out.organization = section.string_or("organization", "");
  out.country = section.string_or("country", "");
  out.lifetime_days = section.integer("lifetime_days", 1, kLifetimeDaysMax);
  if (section.has("path_length"))
    out.path_length = static_cast<int>(section.integer("path_length", 0, 10));
  out.permitted_dns = section.strings_or_empty("permitted_dns", kPermittedMax);
  const std::string algorithm = section.string("algorithm");
  if (const auto known = hal::key_algorithm_from(algorithm)) {
    out.algorithm = *known;
  } else {
    complain("algorithm '" + algorithm +
             "' is not known (ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519)");
  }
  if (out.key_label.empty() || out.key_label.size() > 64)
    complain("key_label must have 1 to 64 characters");
  if (out.common_name.empty() || out.common_name.size() > 64)
    complain("common_name must have 1 to 64 characters (RFC 5280 A.1)");
  if (out.organization.size() > 64)
    complain("organization must have at most 64 characters (RFC 5280 A.1)");
  if (!out.country.empty() && !is_country(out.country))
    complain("country must be two capital letters (ISO 3166)");
  for (const auto& text : out.permitted_dns) {
    if (!is_constraint(text))
      complain("permitted_dns: '" + text + "' is not a lower-case DNS name");
  }
  return out;
}

PlanResult read(config::Document document) {
  PlanResult out;
  std::vector<std::string> own;
  auto root = document.root();
  out.plan.root = read_ca(root.table("root"), "root", own);
  out.plan.issuing = read_ca(root.table("issuing"), "issuing", own);
  auto& evidence = out.plan.evidence_key_label;
  evidence = root.table("evidence").string_or("key_label", "");
  auto audit = root.table("audit");
  out.plan.audit.key_label = audit.string_or("key_label", "");
  out.plan.audit.common_name = audit.string_or("common_name", "Keyward Ledger");
  out.plan.audit.lifetime_days =
      audit.integer_or("lifetime_days", 1, kLifetimeDaysMax, out.plan.issuing.lifetime_days);
  out.problems = document.finish();
  if (evidence.size() > 64) own.emplace_back("[evidence] key_label has more than 64 characters");
  if (evidence == out.plan.issuing.key_label && !evidence.empty())
    own.emplace_back("[evidence] key_label is the issuing CA's: a key has one use");
  const auto& label = out.plan.audit.key_label;
  if (label.size() > 64) own.emplace_back("[audit] key_label has more than 64 characters");
  if (!label.empty() && (label == out.plan.issuing.key_label || label == evidence))
    own.emplace_back("[audit] key_label is another key's: a key has one use");
  const auto& audit_name = out.plan.audit.common_name;
  if (audit_name.empty() || audit_name.size() > 64)
    own.emplace_back("[audit] common_name must have 1 to 64 characters (RFC 5280 A.1)");
  const Plan& plan = out.plan;
  if (!plan.root.permitted_dns.empty())
    own.emplace_back(
        "[root] name constraints belong to the issuing CA: a trust anchor's are not honoured (RFC "
        "5280 §6.1)");
  if (plan.root.path_length && *plan.root.path_length < 1)
    own.emplace_back("[root] path_length must leave room for the issuing CA");
  if (plan.issuing.path_length.value_or(1) != 0)
    own.emplace_back("[issuing] path_length must be 0: the appliance makes no CA certificates");
  if (plan.issuing.lifetime_days > plan.root.lifetime_days)
    own.emplace_back("[issuing] must not outlive the root");
  if (plan.issuing.common_name == plan.root.common_name)
    own.emplace_back("root and issuing CA need different names");
  out.problems.insert(out.problems.end(), own.begin(), own.end());
  return out;
}

}  // namespace

PlanResult parse_plan(std::string_view toml, const std::string& name) {
  return read(config::Document::parse(toml, name));
}
PlanResult load_plan(const std::string& path) { return read(config::Document::load(path)); }

}  // namespace keyward::ceremony
