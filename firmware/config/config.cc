#include "firmware/config/config.h"

#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::config {

struct Section::State {
  toml::table root;
  std::string name;
  std::vector<std::string> problems;
  std::set<std::string> asked;  // full dotted paths, with [i] for array elements
};

namespace {

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

const toml::table empty_table;

// Marks the path and all its parents.
void mark(std::set<std::string>& asked, const std::string& path) {
  for (std::size_t at = 0; at != std::string::npos;) {
    at = path.find('.', at + 1);
    asked.insert(path.substr(0, at));
  }
}

void mark_tree(std::set<std::string>& asked, const toml::table& table, const std::string& path);
void mark_node(std::set<std::string>& asked, const toml::node& node, const std::string& path) {
  asked.insert(path);
  if (const auto* table = node.as_table()) mark_tree(asked, *table, path);
  if (const auto* array = node.as_array()) {
    std::size_t i = 0;
    for (const auto& item : *array) mark_node(asked, item, path + "[" + std::to_string(i++) + "]");
  }
}
void mark_tree(std::set<std::string>& asked, const toml::table& table, const std::string& path) {
  for (const auto& [key, node] : table) mark_node(asked, node, join(path, key.str()));
}

void find_unknown(const Section::State& state, const toml::table& table, const std::string& path,
                  std::vector<std::string>& problems) {
  for (const auto& [key, node] : table) {
    const std::string full = join(path, key.str());
    if (!state.asked.contains(full)) {
      problems.push_back(state.name + ":" + std::to_string(node.source().begin.line) +
                         ": unknown key '" + full + "'");
      continue;
    }
    if (const auto* nested = node.as_table()) find_unknown(state, *nested, full, problems);
    if (const auto* array = node.as_array()) {
      std::size_t i = 0;
      for (const auto& item : *array) {
        if (const auto* nested = item.as_table())
          find_unknown(state, *nested, full + "[" + std::to_string(i) + "]", problems);
        ++i;
      }
    }
  }
}

}  // namespace

Section::Section(std::shared_ptr<State> state, const void* node, std::string path)
    : state_(std::move(state)), node_(node), path_(std::move(path)) {}

const void* Section::find(std::string_view key) {
  mark(state_->asked, join(path_, key));
  const auto* table = static_cast<const toml::table*>(node_);
  const auto view = table->at_path(key);
  return view.node();
}

void Section::complain(std::string_view key, std::string_view what) {
  // The key's line; of a key that is missing its table's, which is 0 for what stands nowhere.
  const auto* table = static_cast<const toml::table*>(node_);
  const auto node = table->at_path(key);
  const auto line =
      node.node() != nullptr ? node.node()->source().begin.line : table->source().begin.line;
  const bool shown = line != 0 && (table != &state_->root || node.node() != nullptr);
  state_->problems.push_back(state_->name + ":" + (shown ? std::to_string(line) + ":" : "") + " '" +
                             join(path_, key) + "' " + std::string(what));
}

bool Section::has(std::string_view key) const {
  return static_cast<const toml::table*>(node_)->at_path(key).node() != nullptr;
}

std::string Section::string(std::string_view key) {
  if (!has(key)) {
    find(key);
    complain(key, "is missing: a string is needed");
    return {};
  }
  return string_or(key, "");
}

std::string Section::string_or(std::string_view key, std::string_view fallback) {
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node == nullptr) return std::string(fallback);
  if (const auto value = node->value_exact<std::string>()) return *value;
  complain(key, "must be a string");
  return std::string(fallback);
}

std::int64_t Section::integer(std::string_view key, std::int64_t min, std::int64_t max) {
  if (!has(key)) {
    find(key);
    complain(key, "is missing: an integer from " + std::to_string(min) + " to " +
                      std::to_string(max) + " is needed");
    return min;
  }
  return integer_or(key, min, max, min);
}

std::int64_t Section::integer_or(std::string_view key, std::int64_t min, std::int64_t max,
                                 std::int64_t fallback) {
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<std::int64_t>();
  if (value && *value >= min && *value <= max) return *value;
  complain(key, "must be an integer from " + std::to_string(min) + " to " + std::to_string(max));
  return fallback;
}

bool Section::boolean_or(std::string_view key, bool fallback) {
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node == nullptr) return fallback;
  if (const auto value = node->value_exact<bool>()) return *value;
  complain(key, "must be true or false");
  return fallback;
}

std::vector<std::string> Section::strings_or_empty(std::string_view key, std::size_t count_max) {
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node == nullptr) return {};
  const auto* array = node->as_array();
  if (array == nullptr || array->size() > count_max) {
    complain(key, "must be an array of at most " + std::to_string(count_max) + " strings");
    return {};
  }
  std::vector<std::string> out;
  for (const auto& item : *array) {
    const auto value = item.value_exact<std::string>();
    if (!value) {
      complain(key, "must hold strings alone");
      return {};
    }
    out.push_back(*value);
  }
  return out;
}

std::vector<std::int64_t> Section::integers(std::string_view key, std::int64_t min,
                                            std::int64_t max, std::size_t count_max) {
  const auto* node = static_cast<const toml::node*>(find(key));
  const auto* array = node == nullptr ? nullptr : node->as_array();
  if (array == nullptr || array->empty() || array->size() > count_max) {
    complain(key, "must be an array of 1 to " + std::to_string(count_max) + " integers");
    return {};
  }
  std::vector<std::int64_t> out;
  for (const auto& item : *array) {
    const auto value = item.value_exact<std::int64_t>();
    if (!value || *value < min || *value > max) {
      complain(key, "must hold integers within " + std::to_string(min) + " and " +
                        std::to_string(max) + " alone");
      return {};
    }
    out.push_back(*value);
  }
  return out;
}

Section Section::table(std::string_view key) {
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node != nullptr && !node->is_table()) complain(key, "must be a table");
  const auto* table = node != nullptr ? node->as_table() : nullptr;
  return {state_, table != nullptr ? table : &empty_table, join(path_, key)};
}

std::vector<Section> Section::tables(std::string_view key) {
  std::vector<Section> out;
  const auto* node = static_cast<const toml::node*>(find(key));
  if (node == nullptr) return out;
  const auto* array = node->as_array();
  if (array == nullptr) {
    complain(key, "must be an array of tables ([[" + join(path_, key) + "]])");
    return out;
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string path = join(path_, key) + "[" + std::to_string(i) + "]";
    const auto* table = array->get(i)->as_table();
    if (table == nullptr) {
      complain(key, "must hold tables alone");
      return out;
    }
    out.emplace_back(state_, table, path);
  }
  return out;
}

std::vector<std::string> Section::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, node] : *static_cast<const toml::table*>(node_))
    out.emplace_back(key.str());
  return out;
}

std::string Section::text() {
  const auto* table = static_cast<const toml::table*>(node_);
  mark_tree(state_->asked, *table, path_);
  std::ostringstream out;
  out << *table << "\n";
  return out.str();
}

std::string Section::text_as(std::string_view name) {
  const auto* table = static_cast<const toml::table*>(node_);
  mark_tree(state_->asked, *table, path_);
  if (table->empty()) return {};
  toml::table wrapped;
  wrapped.insert(name, *table);
  std::ostringstream out;
  out << "\n" << wrapped << "\n";
  return out.str();
}

Document Document::parse(std::string_view toml_text, std::string name) {
  auto state = std::make_shared<Section::State>();
  state->name = std::move(name);
  try {  // toml++ reports by exception; it ends here
    state->root = toml::parse(toml_text);
  } catch (const toml::parse_error& error) {
    state->problems.push_back(state->name + ":" + std::to_string(error.source().begin.line) + ": " +
                              std::string(error.description()));
  }
  return Document(std::move(state));
}

Document Document::load(const std::string& path) {
  auto text = read_text_file(path, limits::kConfigBytesMax);
  if (text) return parse(*text, path);
  auto document = parse("", path);
  document.state_->problems.push_back(path + ": " + text.error().what);
  return document;
}

Section Document::root() { return {state_, &state_->root, ""}; }

std::vector<std::string> Document::finish() {
  auto problems = state_->problems;
  if (problems.empty()) find_unknown(*state_, state_->root, "", problems);
  return problems;
}

}  // namespace keyward::config
