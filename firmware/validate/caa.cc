#include "firmware/validate/caa.h"

#include <algorithm>

#include "firmware/validate/issue_value.h"

namespace keyward::validate {
namespace {

constexpr std::uint8_t kCritical = 0x80;  // RFC 8659 §4.1

struct Property {
  bool critical = false;
  std::string tag;  // lower case
  std::string value;
};

std::optional<Property> parse_property(ByteView rdata) {
  if (rdata.size() < 3) return std::nullopt;
  const std::size_t tag_bytes = rdata[1];
  if (tag_bytes == 0 || rdata.size() < 2 + tag_bytes) return std::nullopt;
  const auto tag = text_of(rdata.subspan(2, tag_bytes));
  const bool alphanumeric = std::all_of(tag.begin(), tag.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!alphanumeric) return std::nullopt;
  return Property{(rdata[0] & kCritical) != 0, ascii_lower(tag),
                  std::string(text_of(rdata.subspan(2 + tag_bytes)))};
}

bool is_known(const std::string& tag) {
  return tag == "issue" || tag == "issuewild" || tag == "iodef";
}

// What one property said, from the least to the most telling reason.
enum class Said : int { kOther, kMalformed, kMethod, kAccount, kYes, kYesToThisAccount };

bool lists(const std::string& value, const std::string& method) {
  std::string_view rest = value;
  while (true) {
    const auto comma = rest.find(',');
    if (rest.substr(0, comma) == method) return true;
    if (comma == std::string_view::npos) return false;
    rest.remove_prefix(comma + 1);
  }
}

Said read_issue(const std::string& text, const CaaQuestion& question) {
  const auto value = parse_issue_value(text);
  if (!value) return Said::kMalformed;
  const auto& ours = question.identities;
  if (std::find(ours.begin(), ours.end(), value->issuer) == ours.end()) return Said::kOther;
  const std::string* account = nullptr;
  const std::string* methods = nullptr;
  for (const auto& [tag, parameter] : value->parameters) {
    const std::string** slot = tag == "accounturi"          ? &account
                               : tag == "validationmethods" ? &methods
                                                            : nullptr;
    if (slot == nullptr) continue;  // another's matter (RFC 8659 §4.2)
    // Twice: nothing can satisfy it (RFC 8657 §3; §4 is read alike).
    if (*slot != nullptr) return tag == "accounturi" ? Said::kAccount : Said::kMethod;
    *slot = &parameter;
  }
  if (account != nullptr && (account->empty() || *account != question.account_url))
    return Said::kAccount;
  if (methods != nullptr && !lists(*methods, question.method)) return Said::kMethod;
  return account != nullptr ? Said::kYesToThisAccount : Said::kYes;
}

CaaOutcome refused(std::string_view code, std::string detail) {
  return {problem("caa", code, std::move(detail)), false};
}

// The properties of one tag; none at all restrict nothing.
CaaOutcome decide_tag(const std::vector<Property>& properties, std::string_view tag,
                      const CaaQuestion& question) {
  bool any = false;
  Said best = Said::kOther;
  for (const auto& property : properties) {
    if (property.tag != tag) continue;
    any = true;
    const Said said = read_issue(property.value, question);
    // An authorisation that names no account is preferred: it depends on less.
    if (said == Said::kYes) return {};
    best = std::max(best, said);
  }
  if (!any) return {};
  switch (best) {
    case Said::kYesToThisAccount:
      return {std::nullopt, true};
    case Said::kAccount:
      return refused("caa.account", "CAA lets this CA issue to another account");
    case Said::kMethod:
      return refused("caa.method", "CAA does not let this CA issue by " + question.method);
    case Said::kMalformed:
      return refused("caa.malformed", "no CAA property can be read that lets this CA issue");
    default:
      return refused("caa.forbidden", "CAA does not let this CA issue");
  }
}

}  // namespace

CaaOutcome caa_decide(std::span<const Bytes> records, const CaaQuestion& question) {
  std::vector<Property> properties;
  for (const auto& rdata : records) {
    auto property = parse_property(rdata);
    // It might be the one that forbids.
    if (!property) return refused("caa.malformed", "a CAA record cannot be read");
    if (property->critical && !is_known(property->tag))
      return refused("caa.critical",
                     "CAA has the critical property " + shown(property->tag) + ", unknown here");
    properties.push_back(std::move(*property));
  }
  // A grant for all names below counts for the name itself too, so both must be permitted.
  CaaOutcome own = decide_tag(properties, "issue", question);
  if (own.problem || !question.wildcard) return own;
  const bool wild = std::any_of(properties.begin(), properties.end(),
                                [](const Property& p) { return p.tag == "issuewild"; });
  if (!wild) return own;  // RFC 8659 §4.3: then "issue" speaks for wildcards
  CaaOutcome below = decide_tag(properties, "issuewild", question);
  below.account_url_counted |= own.account_url_counted;
  return below;
}

CaaOutcome caa_look(const CaaQuestion& question, Resolver& resolver, Deadline deadline) {
  std::string name = question.name;
  while (true) {
    const Records found = resolver.query(name, RecordType::kCaa, deadline);
    if (found.code.empty()) {
      CaaOutcome outcome = caa_decide(found.data, question);
      if (outcome.problem)
        outcome.problem =
            problem("caa", outcome.problem->code, shown(name) + ": " + outcome.problem->detail);
      return outcome;
    }
    if (found.code != "dns.no-data" && found.code != "dns.nxdomain")
      return {problem("dns", found.code, "CAA of " + shown(name) + ": " + found.detail), false};
    const auto dot = name.find('.');
    if (dot == std::string::npos) return {};
    name.erase(0, dot + 1);
  }
}

}  // namespace keyward::validate
