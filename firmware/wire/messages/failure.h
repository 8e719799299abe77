// Owns the reply to a request that was not carried out.
#pragma once

#include "firmware/wire/codec.h"

namespace keyward::wire {

// The wire's own copy of ErrorKind: same values, so that a cast is exact.
enum class FailureKind : std::uint8_t {
  kBadInput = 1,
  kRefused = 2,
  kUnavailable = 3,
  kExhausted = 4,
  kCorrupt = 5,
  kInternal = 6
};
inline bool is_known(FailureKind k) {
  return k >= FailureKind::kBadInput && k <= FailureKind::kInternal;
}

struct Failure {
  static constexpr MessageType kType = MessageType::kFailure;
  static constexpr std::string_view kName = "failure";
  FailureKind kind = FailureKind::kInternal;
  std::string code;    // stable reason, e.g. "grant-missing"
  std::string detail;  // words for a person; holds no secret
  std::optional<std::uint64_t> retry_after_ms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "kind", m.kind);
    v(2, "code", m.code, limits::kCodeBytesMax);
    v(3, "detail", m.detail, limits::kDetailBytesMax);
    v(4, "retry_after_ms", m.retry_after_ms);
  }
  static Failure of(FailureKind kind, std::string_view code, std::string_view detail) {
    return Failure{kind, std::string(code), std::string(detail), std::nullopt};
  }
};

inline Failure failure_from(const Error& error, std::string_view code) {
  return Failure::of(static_cast<FailureKind>(error.kind), code, error.what);
}

}  // namespace keyward::wire
