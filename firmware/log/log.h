// Owns how a task says something: one logfmt line on standard error, which the supervisor collects.
// Must not know files. Secrets never go in; foreign text is escaped and cut. Threads: any.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace keyward::log {

struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class T>
  requires std::is_integral_v<T> Field(std::string_view k, T v)
      : key(k), value(std::to_string(v)) {}
  std::string_view key;
  std::string value;
};

enum class Level : std::uint8_t { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };
void set_task(std::string_view name);  // once, at start
void set_level(Level level);           // default: info, or KEYWARD_LOG=debug
void write(Level level, std::string_view message, std::initializer_list<Field> fields);

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kDebug, m, f);
}
inline void info(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kInfo, m, f);
}
inline void warning(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kWarning, m, f);
}
inline void error(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kError, m, f);
}
void error(std::string_view m, const Error& e, std::initializer_list<Field> f = {});

}  // namespace keyward::log
