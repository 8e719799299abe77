// Owns the reply to a request that was not carried out.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

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

// Which identifier of a request is at fault, and why (RFC 8555 §6.7.1).
struct IdentifierFault {
  Identifier identifier{};
  std::string code;
  std::string detail;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "identifier", m.identifier);
    v(2, "code", m.code, limits::kCodeBytesMax);
    v(3, "detail", m.detail, limits::kDetailBytesMax);
  }
};

struct Failure {
  static constexpr MessageType kType = MessageType::kFailure;
  static constexpr std::string_view kName = "failure";
  FailureKind kind = FailureKind::kInternal;
  std::string code;    // stable reason, e.g. "grant-missing"
  std::string detail;  // words for a person; holds no secret
  std::optional<std::uint64_t> retry_after_ms;
  std::vector<IdentifierFault> faults{};  // none: not about identifiers, or about one alone
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "kind", m.kind);
    v(2, "code", m.code, limits::kCodeBytesMax);
    v(3, "detail", m.detail, limits::kDetailBytesMax);
    v(4, "retry_after_ms", m.retry_after_ms);
    v(5, "faults", m.faults, limits::kIdentifierFaultsMax);
  }
  static Failure of(FailureKind kind, std::string_view code, std::string_view detail) {
    return Failure{kind, std::string(code), std::string(detail), std::nullopt, {}};
  }
};

inline Failure failure_from(const Error& error, std::string_view code) {
  return Failure::of(static_cast<FailureKind>(error.kind), code, error.what);
}

}  // namespace keyward::wire
