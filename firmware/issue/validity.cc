#include "firmware/issue/validity.h"

#include <algorithm>

#include "firmware/issue/timestamp.h"

namespace keyward::issue {
namespace {

tl::unexpected<wire::Failure> not_permitted(std::string_view detail) {
  return refuse("validity-not-permitted", detail);
}

Verdict<std::optional<std::int64_t>> read_time(const json::Value& value) {
  if (!value.exists()) return std::optional<std::int64_t>();
  const auto time_ms = value.is_string() ? parse_rfc3339(value.string()) : std::nullopt;
  if (!time_ms)
    return bad_input("validity-not-permitted",
                     "notBefore and notAfter are times with whole seconds (RFC 3339)");
  return time_ms;
}

// notAfter is the last good second (RFC 5280 §4.1.2.5), so the length is one second more.
bool is_too_long(std::int64_t begin_ms, std::int64_t end_ms, std::int64_t lifetime_ms) {
  return end_ms - begin_ms + 1'000 > lifetime_ms;
}

}  // namespace

Verdict<void> read_validity(const json::Value& new_order, const Profile& profile,
                            const Issuer& issuer, const ValidityRules& rules, std::int64_t now_ms,
                            wire::OrderTerms& terms) {
  ISSUE_TRY(begin, read_time(new_order.get("notBefore")));
  ISSUE_TRY(end, read_time(new_order.get("notAfter")));
  const auto& own = issuer.certificate;
  const auto second_ms = now_ms - now_ms % 1'000;
  if (begin) {
    if (*begin < second_ms - profile.backdate_ms.value_or(rules.backdate_ms))
      return not_permitted("notBefore lies in the past");
    if (*begin > now_ms + rules.ahead_ms_max) return not_permitted("notBefore lies too far ahead");
    if (*begin < own.not_before_ms || *begin >= own.not_after_ms)
      return not_permitted("notBefore lies outside the issuing CA's validity");
  }
  if (end) {
    const auto from_ms = begin.value_or(second_ms);
    if (*end <= from_ms) return not_permitted("notAfter is not after the beginning");
    if (is_too_long(from_ms, *end, profile.lifetime_ms))
      return not_permitted("longer than the profile allows");
    if (*end > own.not_after_ms) return not_permitted("notAfter lies after the issuing CA's end");
  }
  terms.not_before_ms = begin;
  terms.not_after_ms = end;
  return {};
}

Verdict<Validity> certificate_validity(const wire::OrderTerms& terms, const Profile& profile,
                                       const Issuer& issuer, std::int64_t backdate_ms,
                                       std::optional<std::int64_t> not_after_max_ms,
                                       std::int64_t now_ms) {
  auto validity = validity_of(profile, issuer, backdate_ms, now_ms);
  if (!validity)
    return refuse("issuer-expired", "the issuing CA's own validity does not cover the present");
  if (terms.not_before_ms) {
    validity->not_before_ms = *terms.not_before_ms;
    validity->not_after_ms = std::min(*terms.not_before_ms + profile.lifetime_ms - 1'000,
                                      issuer.certificate.not_after_ms);
  }
  if (not_after_max_ms) {
    const auto last_ms = *not_after_max_ms - *not_after_max_ms % 1'000;
    if (terms.not_after_ms && *terms.not_after_ms > last_ms)
      return not_permitted("notAfter lies after the authority's token");
    validity->not_after_ms = std::min(validity->not_after_ms, last_ms);
  }
  if (terms.not_after_ms) validity->not_after_ms = *terms.not_after_ms;
  if (validity->not_after_ms <= now_ms || validity->not_after_ms <= validity->not_before_ms)
    return not_permitted("the certificate would have ended before it began, or by now");
  return *validity;
}

}  // namespace keyward::issue
