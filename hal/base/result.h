// Owns the error model: Error, ErrorKind, Result<T>. Must not know any library or task.
//
// Kinds say what the caller can do, never what happened inside (DESIGN §5). `native` is for the log
// alone: no code branches on it. Threads: values, freely copied.
#pragma once

#include <cstdint>
#include <string_view>

#include <tl/expected.hpp>

namespace keyward {

enum class ErrorKind : std::uint8_t {
  kBadInput = 1,     // the caller's bytes are wrong: do not retry as they are
  kRefused = 2,      // understood and not allowed
  kUnavailable = 3,  // something that comes back: retry later
  kExhausted = 4,    // a limit is reached: retry later, or less
  kCorrupt = 5,      // stored or returned data contradicts itself: an operator must look
  kInternal = 6,     // our own fault
};

std::string_view to_string(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  const char* what = "";    // static text, never freed, never holding foreign bytes
  std::int64_t native = 0;  // errno, CK_RV, TSS2_RC, OpenSSL code: logged, never branched on

  friend bool operator==(const Error& a, const Error& b) {
    return a.kind == b.kind && std::string_view(a.what) == b.what && a.native == b.native;
  }
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(tl::expected<T, Error>&& other) : tl::expected<T, Error>(std::move(other)) {}
};

using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, const char* what, std::int64_t native = 0) {
  return tl::unexpected<Error>(Error{kind, what, native});
}
inline tl::unexpected<Error> fail(const Error& error) { return tl::unexpected<Error>(error); }

// KEYWARD_TRY(x, expr): declares x from a Result or returns its error.
#define KEYWARD_CONCAT_INNER(a, b) a##b
#define KEYWARD_CONCAT(a, b) KEYWARD_CONCAT_INNER(a, b)
#define KEYWARD_TRY(name, expression) \
  KEYWARD_TRY_IMPL(KEYWARD_CONCAT(try_, __LINE__), name, expression)
#define KEYWARD_TRY_IMPL(temporary, name, expression)        \
  auto temporary = (expression);                             \
  if (!temporary) return ::keyward::fail(temporary.error()); \
  auto& name = *temporary
#define KEYWARD_CHECK(expression)                                                    \
  do {                                                                               \
    if (auto check_ = (expression); !check_) return ::keyward::fail(check_.error()); \
  } while (false)

}  // namespace keyward
