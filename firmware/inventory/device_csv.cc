// Owns rows, fields and columns. Must not know what devices are for.
#include "firmware/inventory/device_csv.h"

#include <algorithm>
#include <array>

#include "firmware/identifier/identifier.h"
#include "hal/base/limits.h"

namespace keyward::inventory {
namespace {

constexpr std::array<std::string_view, 9> kColumns = {
    "id",    "ek_sha256", "ak_sha256", "root", "permanent_identifier", "hardware_module",
    "owner", "state",     "note"};
constexpr std::array<std::string_view, 4> kOnce = {"id", "owner", "state", "note"};
constexpr std::size_t kFieldsMax = 96;

struct Row {
  std::int64_t line = 0;
  std::vector<std::string> fields;
};

// One row after the other; the first that does not read ends it, since where the next begins is then
// not known.
class Rows {
 public:
  explicit Rows(std::string_view text) : rest_(text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  }
  bool at_end() const { return rest_.empty(); }
  std::int64_t line() const { return line_; }
  // Null text: read.
  const char* next(Row& out) {
    out = {line_, {}};
    do {
      std::string field;
      if (const char* problem = read_field(field)) return problem;
      out.fields.push_back(std::move(field));
      if (out.fields.size() > kFieldsMax) return "more fields than any row has";
    } while (take(","));
    if (rest_.empty()) return nullptr;
    if (!take("\r\n") && !take("\n")) return "a field ends where neither a comma nor a line end is";
    ++line_;
    return nullptr;
  }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  const char* read_field(std::string& out) {
    if (take("\"")) return read_quoted(out);
    const auto end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
    out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out.find('"') == std::string::npos ? nullptr : "a quote inside a field without quotes";
  }
  const char* read_quoted(std::string& out) {
    while (true) {
      const auto end = rest_.find('"');
      if (end == std::string_view::npos) return "a quoted field does not end";
      line_ += std::ranges::count(rest_.substr(0, end), '\n');
      out += rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      if (!take("\"")) return nullptr;
      out += '"';
    }
  }
  std::string_view rest_;
  std::int64_t line_ = 1;
};

std::string read_header(const Row& row) {
  for (std::size_t i = 0; i < row.fields.size(); ++i) {
    const auto& name = row.fields[i];
    if (std::ranges::find(kColumns, name) == kColumns.end())
      return "no column of that name: " + name.substr(0, 64);
    const bool once = std::ranges::find(kOnce, name) != kOnce.end();
    const auto before = row.fields.begin() + static_cast<std::ptrdiff_t>(i);
    if (once && std::find(row.fields.begin(), before, name) != before)
      return "the column stands twice: " + name;
  }
  if (std::ranges::find(row.fields, "id") == row.fields.end()) return "the column id is missing";
  return {};
}

std::optional<Digest256> digest_from(std::string_view hex) {
  const auto bytes = hex_decode(hex);
  Digest256 out{};
  if (!bytes || bytes->size() != out.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::string put_digest(std::string_view text, std::vector<Digest256>& into) {
  const auto digest = digest_from(text);
  if (!digest) return "not a SHA-256 in 64 hexadecimal digits";
  into.push_back(*digest);
  return {};
}

std::string put_identifier(wire::IdentifierType type, std::string_view text, Device& device) {
  const auto identifier = identifier::canonical(type, text);
  if (!identifier) return identifier.error().what;
  device.identifiers.push_back(*identifier);
  return {};
}

// What is wrong with it; empty: nothing.
std::string put(std::string_view column, const std::string& field, Device& device) {
  if (column == "id") device.id = field;
  if (column == "owner") device.owner = field;
  if (column == "note") device.note = field;
  if (column == "ek_sha256") return put_digest(field, device.ek_sha256);
  if (column == "ak_sha256") return put_digest(field, device.ak_sha256);
  if (column == "permanent_identifier")
    return put_identifier(wire::IdentifierType::kPermanentIdentifier, field, device);
  if (column == "hardware_module")
    return put_identifier(wire::IdentifierType::kHardwareModule, field, device);
  if (column == "root") {
    const auto root = root_from(field);
    if (!root) return "not \"apple:\", \"android-key:\", \"packed:\" or \"step:\" and a serial";
    device.roots.push_back(*root);
  }
  if (column == "state") {
    const auto state = state_from(field);
    if (!state) return "not expected, quarantined or retired";
    device.state = *state;
  }
  return {};
}

std::string read_device(const Row& header, const Row& row, std::int64_t now_ms, Device& out) {
  if (row.fields.size() != header.fields.size())
    return "has " + std::to_string(row.fields.size()) + " fields, the header has " +
           std::to_string(header.fields.size());
  out.created_ms = now_ms;
  out.changed_ms = now_ms;
  for (std::size_t i = 0; i < row.fields.size(); ++i) {
    if (row.fields[i].empty()) continue;
    const auto problem = put(header.fields[i], row.fields[i], out);
    if (!problem.empty()) return header.fields[i] + ": " + problem;
  }
  const auto checked = check(out);
  return checked ? std::string() : checked.error().what;
}

}  // namespace

CsvDevices read_devices_csv(std::string_view text, std::int64_t now_ms) {
  CsvDevices out;
  Rows rows(text);
  Row header;
  const auto complain = [&](std::int64_t line, std::string what) {
    out.problems.push_back({line, std::move(what)});
  };
  if (const char* problem = rows.next(header)) {
    complain(1, problem);
    return out;
  }
  if (auto problem = read_header(header); !problem.empty()) {
    complain(1, std::move(problem));
    return out;
  }
  DeviceBook seen;  // two rows that contradict each other
  while (!rows.at_end() && out.problems.size() < kCsvProblemsMax) {
    Row row;
    if (const char* problem = rows.next(row)) {
      complain(row.line, problem);
      break;
    }
    Device device;
    if (auto problem = read_device(header, row, now_ms, device); !problem.empty()) {
      complain(row.line, std::move(problem));
      continue;
    }
    if (const auto added = seen.add(device); !added) {
      complain(row.line, std::string("as in a line above: ") + added.error().what);
      continue;
    }
    out.devices.push_back({row.line, std::move(device)});
  }
  return out;
}

}  // namespace keyward::inventory
