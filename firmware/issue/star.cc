#include "firmware/issue/star.h"

#include <algorithm>

#include "firmware/issue/timestamp.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kSecondsMax = 10LL * 365 * 86'400;  // far below any overflow

tl::unexpected<wire::Failure> wrong(std::string_view detail) {
  return bad_input("star-terms", detail);
}

// f * T with f = 1/2, to whole seconds, never below the half.
std::int64_t half_ms(const wire::StarTerms& star) {
  return (star.lifetime_ms / 1'000 + 1) / 2 * 1'000;
}

std::int64_t lead_ms(const wire::StarTerms& star) {
  return std::max(std::min(star.lifetime_ms, star.lifetime_adjust_ms), half_ms(star));
}

Verdict<std::int64_t> read_seconds(const json::Value& value, std::string_view detail) {
  if (!value.is_integer() || value.integer() < 0 || value.integer() > kSecondsMax)
    return wrong(detail);
  return value.integer() * 1'000;
}

Verdict<std::int64_t> read_time(const json::Value& value, std::string_view detail) {
  const auto time_ms = value.is_string() ? parse_rfc3339(value.string()) : std::nullopt;
  if (!time_ms) return wrong(detail);
  return *time_ms;
}

Verdict<wire::StarTerms> read_members(const json::Value& object, std::int64_t now_ms) {
  if (!object.is_object()) return wrong("auto-renewal is not an object");
  wire::StarTerms star;
  star.start_ms = now_ms - now_ms % 1'000;
  if (const auto start = object.get("start-date"); start.exists()) {
    ISSUE_TRY(start_ms, read_time(start, "start-date is not a time (RFC 3339)"));
    star.start_ms = start_ms;
  }
  ISSUE_TRY(end_ms, read_time(object.get("end-date"), "end-date is not a time (RFC 3339)"));
  ISSUE_TRY(lifetime_ms,
            read_seconds(object.get("lifetime"), "lifetime is not a count of seconds"));
  star.end_ms = end_ms;
  star.lifetime_ms = lifetime_ms;
  if (const auto adjust = object.get("lifetime-adjust"); adjust.exists()) {
    ISSUE_TRY(adjust_ms, read_seconds(adjust, "lifetime-adjust is not a count of seconds"));
    star.lifetime_adjust_ms = adjust_ms;
  }
  if (const auto get = object.get("allow-certificate-get"); get.exists()) {
    if (!get.is_bool()) return wrong("allow-certificate-get is not a boolean");
    star.certificate_get = get.boolean();
  }
  return star;
}

}  // namespace

Verdict<wire::StarTerms> read_star(const json::Value& object, const Profile& profile,
                                   const Issuer& issuer, const ValidityRules& rules,
                                   std::int64_t now_ms) {
  if (!profile.star)
    return refuse("star-not-offered", "the profile has no automatic renewal (RFC 8739)");
  ISSUE_TRY(star, read_members(object, now_ms));
  if (star.lifetime_ms < profile.star->lifetime_s_min * 1'000)
    return wrong("the lifetime is shorter than meta's min-lifetime");
  if (star.lifetime_adjust_ms > star.lifetime_ms)
    return wrong("lifetime-adjust is longer than the lifetime");
  if (star.lifetime_ms + lead_ms(star) > profile.lifetime_ms)
    return wrong("the lifetime is longer than the profile's");
  if (star.start_ms < now_ms - now_ms % 1'000 - profile.backdate_ms.value_or(rules.backdate_ms))
    return wrong("start-date lies in the past");
  if (star.start_ms > now_ms + rules.ahead_ms_max) return wrong("start-date lies too far ahead");
  if (star.end_ms <= star.start_ms) return wrong("end-date is not after the start");
  if (star.end_ms <= now_ms) return wrong("end-date lies in the past");
  if (star.end_ms - star.start_ms > profile.star->duration_s_max * 1'000)
    return wrong("the renewals last longer than meta's max-duration");
  const auto& own = issuer.certificate;
  if (star.start_ms < own.not_before_ms || star.end_ms > own.not_after_ms)
    return wrong("the renewals last longer than the issuing CA");
  return star;
}

Verdict<void> read_cancellation(const jose::VerifiedJws& jws) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  const bool canceled = document && document->root().is_object() &&
                        document->root().keys().size() == 1 &&
                        document->root().get("status").string() == "canceled";
  if (canceled) return {};
  return bad_input("payload-malformed", "not a cancellation of an order");
}

Verdict<void> check_series(const wire::OrderTerms& terms, const Profile& profile, bool renews,
                           std::int64_t now_ms) {
  if (!terms.star) return {};
  if (!profile.star)
    return refuse("star-not-offered", "the profile has no automatic renewal (RFC 8739)");
  if (!renews && now_ms >= terms.star->finalize_by_ms)
    return refuse("ticket-expired", "the order was not finalized in time");
  return {};
}

Verdict<std::uint64_t> star_period(const wire::StarTerms& star, std::int64_t now_ms) {
  if (now_ms >= star.end_ms) return refuse("star-expired", "the order's end-date has passed");
  if (star.lifetime_ms <= 0)
    return refuse(wire::FailureKind::kCorrupt, "star-terms", "a series without a lifetime");
  // Counted from the start: how many whole periods, with the lead of half a lifetime.
  const auto passed_ms = now_ms - star.start_ms + half_ms(star);
  auto period = passed_ms < 0 ? 0 : static_cast<std::uint64_t>(passed_ms / star.lifetime_ms);
  // The last period is the one in which the end lies.
  const auto last =
      static_cast<std::uint64_t>((star.end_ms - star.start_ms - 1) / star.lifetime_ms);
  return std::min(period, last);
}

std::optional<std::int64_t> star_due_ms(const wire::StarTerms& star, std::uint64_t period) {
  if (period == 0) return star.start_ms;
  const auto last =
      static_cast<std::uint64_t>((star.end_ms - star.start_ms - 1) / star.lifetime_ms);
  if (period > last) return std::nullopt;
  return star.start_ms + static_cast<std::int64_t>(period) * star.lifetime_ms - half_ms(star);
}

Validity star_validity(const wire::StarTerms& star, std::uint64_t period) {
  const auto nominal_ms = star.start_ms + static_cast<std::int64_t>(period) * star.lifetime_ms;
  Validity out;
  out.not_after_ms = std::min(nominal_ms + star.lifetime_ms, star.end_ms);
  out.not_before_ms = std::max(nominal_ms - lead_ms(star), star.start_ms);
  return out;
}

}  // namespace keyward::issue
