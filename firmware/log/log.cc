#include "firmware/log/log.h"

#include <cstdlib>
#include <memory>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "hal/base/limits.h"

namespace keyward::log {
namespace {

std::string& task_name() {
  static auto* const name = new std::string("keyward");
  return *name;
}

// One logger on standard error; the pattern leaves the line to us and adds the time (UTC).
spdlog::logger& logger() {
  static auto* const instance = [] {
    auto* made = new spdlog::logger("keyward", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "ts=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc));
    const char* wanted =
        std::getenv("KEYWARD_LOG");  // NOLINT(concurrency-mt-unsafe): read once, at first use
    made->set_level(wanted != nullptr && std::string_view(wanted) == "debug" ? spdlog::level::debug
                                                                             : spdlog::level::info);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

bool is_plain(std::string_view text) {
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= ' ' || u >= 0x7f || c == '"' || c == '=' || c == '\\') return false;
  }
  return !text.empty();
}

void append_value(std::string& line, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  value = value.substr(0, limits::kDetailBytesMax);
  if (is_plain(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += {'\\', c};
    } else if (u < 0x20 || u == 0x7f) {
      line += {'\\', 'x', kHex[u >> 4], kHex[u & 15]};
    } else {
      line += c;
    }
  }
  line += '"';
}

spdlog::level::level_enum native(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_task(std::string_view name) { task_name() = name; }

void set_level(Level level) { logger().set_level(native(level)); }

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (!logger().should_log(native(level))) return;
  std::string line = "task=" + task_name() + " msg=";
  append_value(line, message);
  for (const auto& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  if (line.size() > limits::kLogLineBytesMax) line.resize(limits::kLogLineBytesMax);
  logger().log(native(level), "{}", line);
}

void error(std::string_view m, const Error& e, std::initializer_list<Field> f) {
  std::string line;
  for (const auto& field : f)
    line += std::string(line.empty() ? "" : " ") + std::string(field.key) + "=" + field.value;
  write(Level::kError, m,
        {{"kind", to_string(e.kind)}, {"why", e.what}, {"native", e.native}, {"context", line}});
}

}  // namespace keyward::log
