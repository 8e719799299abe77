#include "firmware/config/rewrite.h"

#include <sstream>

#include <toml++/toml.h>

namespace keyward::config {
namespace {

using Change = std::function<std::string(std::string_view key, const std::string& value)>;

void rewrite(std::string_view key, toml::node& node, const Change& change) {
  if (auto* table = node.as_table()) {
    for (auto&& [name, value] : *table) rewrite(name.str(), value, change);
  } else if (auto* array = node.as_array()) {
    for (auto& value : *array) rewrite(key, value, change);
  } else if (auto* text = node.as_string()) {
    *text = change(key, text->get());
  }
}

}  // namespace

Result<std::string> rewrite_strings(std::string_view toml, const Change& change) {
  toml::table table;
  try {
    table = toml::parse(toml);
  } catch (const toml::parse_error&) {  // the library's way to say it; it goes no further
    return fail(ErrorKind::kBadInput, "this is no TOML");
  }
  rewrite("", table, change);
  std::ostringstream out;
  out << table << "\n";
  return out.str();
}

}  // namespace keyward::config
