// Owns how a step of the gate answers: its product, or the Failure that the caller gets. Must not
// know any step. Codes are stable words that never change; acme maps them to ACME errors.
#pragma once

#include <string_view>

#include "firmware/wire/messages/failure.h"

namespace keyward::issue {

template <class T>
using Verdict = tl::expected<T, wire::Failure>;

inline tl::unexpected<wire::Failure> refuse(wire::FailureKind kind, std::string_view code,
                                            std::string_view detail) {
  return tl::unexpected<wire::Failure>(wire::Failure::of(kind, code, detail));
}
inline tl::unexpected<wire::Failure> refuse(std::string_view code, std::string_view detail) {
  return refuse(wire::FailureKind::kRefused, code, detail);
}
inline tl::unexpected<wire::Failure> bad_input(std::string_view code, std::string_view detail) {
  return refuse(wire::FailureKind::kBadInput, code, detail);
}
inline tl::unexpected<wire::Failure> refuse(const Error& error, std::string_view code) {
  return tl::unexpected<wire::Failure>(wire::failure_from(error, code));
}
inline tl::unexpected<wire::Failure> refuse_for_now(std::string_view code, std::string_view detail,
                                                    std::int64_t retry_after_ms) {
  auto failure = wire::Failure::of(wire::FailureKind::kUnavailable, code, detail);
  failure.retry_after_ms = static_cast<std::uint64_t>(retry_after_ms);
  return tl::unexpected<wire::Failure>(std::move(failure));
}

// ISSUE_TRY(x, expr): declares x from a Verdict or returns its Failure.
#define ISSUE_CONCAT_INNER(a, b) a##b
#define ISSUE_CONCAT(a, b) ISSUE_CONCAT_INNER(a, b)
#define ISSUE_TRY(name, expression) \
  ISSUE_TRY_IMPL(ISSUE_CONCAT(verdict_, __LINE__), name, expression)
#define ISSUE_TRY_IMPL(temporary, name, expression)                                              \
  auto temporary = (expression);                                                                 \
  if (!temporary) return tl::unexpected<::keyward::wire::Failure>(std::move(temporary.error())); \
  auto& name = *temporary
#define ISSUE_CHECK(expression)                                                   \
  do {                                                                            \
    if (auto check_ = (expression); !check_)                                      \
      return tl::unexpected<::keyward::wire::Failure>(std::move(check_.error())); \
  } while (false)

}  // namespace keyward::issue
