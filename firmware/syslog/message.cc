#include "firmware/syslog/message.h"

#include <array>
#include <cctype>
#include <ctime>
#include <utility>
#include <vector>

#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

constexpr std::size_t kHostBytesMax = 255, kAppBytesMax = 48, kNameBytesMax = 32;  // RFC 5424 §6
constexpr std::size_t kSequenceMax = 2'147'483'647;                                // §7.3.1
constexpr std::string_view kCut = " cut=\"1\"";

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Line {
  std::string level, task, text;
  Fields fields;
  bool raw = false;
};

// §6: PRINTUSASCII of bounded length; NILVALUE if there is nothing.
std::string header_field(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (const char c : text.substr(0, bytes_max)) out += c > 32 && c < 127 ? c : '?';
  return out.empty() ? "-" : out;
}

std::string utf8(std::string_view text) {
  std::string out(text);
  const bool valid = wire::is_valid_utf8(view_of(text));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    if (!valid && static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

// §6.3.3: the three that must be escaped.
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : utf8(value)) {
    if (c == '"' || c == '\\' || c == ']') out += '\\';
    out += c;
  }
  return out;
}

// §6.3.2: SD-NAME.
bool is_name(std::string_view text) {
  for (const char c : text) {
    if (c <= 32 || c >= 127 || c == '=' || c == ']' || c == '"') return false;
  }
  return !text.empty() && text.size() <= kNameBytesMax;
}

// A value of firmware/log: plain, or in quotes with \" and \\. What else is escaped stays as it is.
std::string take_value(std::string_view& text) {
  std::string out;
  if (!text.starts_with('"')) {
    const auto end = std::min(text.find(' '), text.size());
    out = text.substr(0, end);
    text.remove_prefix(end);
    return out;
  }
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    const bool escape =
        text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\');
    out += text[escape ? ++at : at];
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return out;
}

Line read(std::string_view text) {
  Line out;
  if (!text.starts_with("ts=")) {
    out.raw = true;
    out.level = "warning";
    out.text = text;
    return out;
  }
  while (!text.empty()) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !is_name(text.substr(0, equals))) {
      out.fields.emplace_back("rest", text);
      break;
    }
    const std::string key(text.substr(0, equals));
    text.remove_prefix(equals + 1);
    std::string value = take_value(text);
    if (text.starts_with(' ')) text.remove_prefix(1);
    if (key == "level" && out.level.empty()) {
      out.level = std::move(value);
    } else if (key == "task" && out.task.empty()) {
      out.task = std::move(value);
    } else if (key == "msg" && out.text.empty()) {
      out.text = std::move(value);
    } else {
      out.fields.emplace_back(key, std::move(value));
    }
  }
  return out;
}

// §6.2.1
int severity_of(std::string_view level) {
  if (level == "error" || level == "critical") return 3;
  if (level == "warning") return 4;
  if (level == "debug" || level == "trace") return 7;
  return 6;
}

std::string_view message_id(const Line& line, std::string_view task) {
  if (line.raw) return "raw";
  if (task == "signer" && line.text == "ledger row") return "ledger";
  if (task == "signer" && line.text == "ledger head") return "head";
  return "log";
}

// §6.2.3: when the supervisor had the line; the task's own time is in its fields.
std::string timestamp(std::int64_t utc_ms) {
  const std::time_t seconds = static_cast<std::time_t>(utc_ms / 1'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char day[32];
  char out[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(out, sizeof out, "%s.%03dZ", day, static_cast<int>(utc_ms % 1'000));
  return out;
}

std::string header(const Origin& origin, int severity, std::int64_t utc_ms, std::string_view task,
                   std::string_view id) {
  return "<" + std::to_string(origin.facility * 8 + severity) + ">1 " + timestamp(utc_ms) + " " +
         header_field(origin.host, kHostBytesMax) + " " +
         header_field("keyward-" + std::string(task), kAppBytesMax) + " - " + std::string(id) + " ";
}

// §7.3.1: from 1, and after the largest again from 1.
std::string meta(std::uint64_t number) {
  return "[meta sequenceId=\"" + std::to_string((number - 1) % kSequenceMax + 1) + "\"]";
}

std::string param(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + escaped(value) + "\"";
}

std::string spool_element(const Origin& origin, const Place& place, const std::string& more) {
  return "[keywardSpool@" + std::to_string(origin.enterprise) +
         param("start", std::to_string(place.start)) +
         param("number", std::to_string(place.number)) + more;
}

// §6.4: with a byte order mark if it is more than ASCII.
std::string text_part(std::string_view text) {
  std::string clean = utf8(text.substr(0, limits::kLogLineBytesMax + 64));
  for (const char c : clean) {
    if (static_cast<unsigned char>(c) >= 0x80) return " \xEF\xBB\xBF" + clean;
  }
  return clean.empty() ? "" : " " + clean;
}

}  // namespace

std::string message_of(const Record& record, const Origin& origin) {
  const Line line = read(record.text);
  std::string out = header(origin, severity_of(line.level), record.utc_ms, record.task,
                           message_id(line, record.task));
  out += meta(record.place.number);
  std::string more = param("task", record.task);
  // One task's line in another's name is shown as what it is.
  if (!line.raw && line.task != record.task) more += param("claims", line.task.substr(0, 64));
  out += spool_element(origin, record.place, more);
  const std::string text = text_part(line.text);
  std::string fields;
  bool cut = false;
  const std::string opening = "[keyward@" + std::to_string(origin.enterprise);
  for (const auto& [name, value] : line.fields) {
    const std::string next = param(name, value);
    const auto size = out.size() + kCut.size() + 1 + opening.size() + fields.size() + 1;
    cut = cut || size + next.size() + text.size() > limits::kSyslogMessageBytesMax;
    if (!cut) fields += next;
  }
  if (cut) out += kCut;
  out += "]";
  if (!fields.empty()) out += opening + fields + "]";
  return out + text;
}

std::string loss_of(const Missing& missing, const Record& next, const Origin& origin) {
  const auto count = missing.last - missing.first + 1;
  std::string more = param("first", std::to_string(missing.first)) +
                     param("last", std::to_string(missing.last)) +
                     param("count", std::to_string(count)) + "]";
  // The number before the next line's, so that a receiver sees no gap that was not said.
  Place place = next.place;
  place.number = missing.last;
  return header(origin, 4, next.utc_ms, "syslog", "loss") + meta(place.number) +
         spool_element(origin, place, more) + " " + std::to_string(count) +
         " lines were lost before they could be sent";
}

std::string framed(std::string_view message) {
  return std::to_string(message.size()) + " " + std::string(message);
}

}  // namespace keyward::syslog
