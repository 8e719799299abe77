// Owns what both forms of the plan read alike: a CA, and what is wrong with it. Must not know tokens.
#include "firmware/ceremony/plan_reader.h"

#include <algorithm>

#include "firmware/ceremony/name_constraints.h"

namespace keyward::ceremony {
namespace {

constexpr std::size_t kPermittedMax = 64;

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

}  // namespace

void check_subject(const CaPlan& ca, const std::string& name, std::vector<std::string>& problems) {
  if (ca.organization.size() > 64)
    problems.push_back(name + " organization must have at most 64 characters (RFC 5280 A.1)");
  if (!ca.country.empty() && !is_country(ca.country))
    problems.push_back(name + " country must be two capital letters (ISO 3166)");
}

namespace {

void check_names(const CaPlan& out, const std::string& name, std::vector<std::string>& problems) {
  const auto complain = [&](const std::string& what) { problems.push_back(name + " " + what); };
  if (out.key_label.empty() || out.key_label.size() > 64)
    complain("key_label must have 1 to 64 characters");
  if (out.common_name.empty() || out.common_name.size() > 64)
    complain("common_name must have 1 to 64 characters (RFC 5280 A.1)");
  check_subject(out, name, problems);
  for (const auto& text : out.permitted_dns) {
    if (!is_constraint(text))
      complain("permitted_dns: '" + text + "' is not a lower-case DNS name");
  }
  for (const auto& text : out.permitted_ip) {
    if (!ip_subtree_octets(text))
      complain("permitted_ip: '" + text + "' is no network such as 10.20.0.0/16 or 2001:db8::/32");
  }
}

}  // namespace

hal::KeyAlgorithm read_algorithm(const std::string& text, const std::string& name,
                                 std::vector<std::string>& problems) {
  if (const auto known = hal::key_algorithm_from(text)) return *known;
  problems.push_back(name + " algorithm '" + text +
                     "' is not known (ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, "
                     "ed25519)");
  return hal::KeyAlgorithm::kEcdsaP256;
}

CaPlan read_ca(config::Section& section, const std::string& name,
               std::vector<std::string>& problems) {
  CaPlan out;
  out.key_label = section.string("key_label");
  out.common_name = section.string("common_name");
  out.organization = section.string_or("organization", "");
  out.country = section.string_or("country", "");
  out.lifetime_days = section.integer("lifetime_days", 1, kLifetimeDaysMax);
  if (section.has("path_length"))
    out.path_length = static_cast<int>(section.integer("path_length", 0, 10));
  out.permitted_dns = section.strings_or_empty("permitted_dns", kPermittedMax);
  out.permitted_ip = section.strings_or_empty("permitted_ip", kPermittedMax);
  out.algorithm = read_algorithm(section.string("algorithm"), name, problems);
  check_names(out, name, problems);
  return out;
}

void check_root(const CaPlan& root, const std::string& name, std::vector<std::string>& problems) {
  if (!root.permitted_dns.empty() || !root.permitted_ip.empty())
    problems.push_back(name +
                       " name constraints belong to the issuing CA: a trust anchor's are not "
                       "honoured (RFC 5280 §6.1)");
  if (root.path_length && *root.path_length < 1)
    problems.push_back(name + " path_length must leave room for the issuing CA");
}

void check_issuing(const CaPlan& issuing, const CaPlan& root, const std::string& name,
                   std::vector<std::string>& problems) {
  if (issuing.path_length.value_or(1) != 0)
    problems.push_back(name + " path_length must be 0: the appliance makes no CA certificates");
  if (issuing.lifetime_days > root.lifetime_days)
    problems.push_back(name + " must not outlive the root");
  if (issuing.common_name == root.common_name)
    problems.push_back(name + " root and issuing CA need different names");
}

}  // namespace keyward::ceremony
