// Owns the reading of the simulator's plan: a root and one issuing CA. Must not know tokens or
// certificates.
#include "firmware/ceremony/ceremony.h"
#include "firmware/ceremony/plan_reader.h"

namespace keyward::ceremony {
namespace {

PlanResult read(config::Document document) {
  PlanResult out;
  std::vector<std::string> own;
  auto root = document.root();
  auto root_section = root.table("root"), issuing_section = root.table("issuing");
  out.plan.root = read_ca(root_section, "[root]", own);
  out.plan.issuing = read_ca(issuing_section, "[issuing]", own);
  auto& evidence = out.plan.evidence_key_label;
  evidence = root.table("evidence").string_or("key_label", "");
  auto audit = root.table("audit");
  out.plan.audit.key_label = audit.string_or("key_label", "");
  out.plan.audit.common_name = audit.string_or("common_name", "Keyward Ledger");
  out.plan.audit.lifetime_days =
      audit.integer_or("lifetime_days", 1, kLifetimeDaysMax, out.plan.issuing.lifetime_days);
  auto ocsp = root.table("ocsp");
  out.plan.ocsp.key_label = ocsp.string_or("key_label", "");
  out.plan.ocsp.common_name = ocsp.string_or("common_name", "Keyward OCSP");
  out.plan.ocsp.lifetime_days =
      ocsp.integer_or("lifetime_days", 1, kLifetimeDaysMax, out.plan.issuing.lifetime_days);
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
  const auto& responder = out.plan.ocsp.key_label;
  if (responder.size() > 64) own.emplace_back("[ocsp] key_label has more than 64 characters");
  if (!responder.empty() &&
      (responder == out.plan.issuing.key_label || responder == evidence || responder == label))
    own.emplace_back("[ocsp] key_label is another key's: a key has one use");
  check_root(out.plan.root, "[root]", own);
  check_issuing(out.plan.issuing, out.plan.root, "[issuing]", own);
  out.problems.insert(out.problems.end(), own.begin(), own.end());
  return out;
}

}  // namespace

PlanResult parse_plan(std::string_view toml, const std::string& name) {
  return read(config::Document::parse(toml, name));
}
PlanResult load_plan(const std::string& path) { return read(config::Document::load(path)); }

}  // namespace keyward::ceremony
