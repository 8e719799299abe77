// Owns parsed JSON documents over cJSON, after the strict pass. Must not know ACME.
#include <charconv>
#include <cstring>
#include <string>

#include <cjson/cJSON.h>

#include "firmware/json/json.h"
#include "firmware/json/scanner.h"

namespace keyward::json {
namespace {

// Gives every number node its own text (in valuestring, which cJSON leaves null in numbers and
// frees with the node): cJSON keeps doubles and saturated ints alone. False: the two readers
// disagree.
bool keep_number_texts(cJSON* node, std::vector<std::string_view>::const_iterator& next,
                       std::vector<std::string_view>::const_iterator end) {
  if (::cJSON_IsNumber(node)) {
    if (next == end) return false;
    auto* copy = static_cast<char*>(::cJSON_malloc(next->size() + 1));
    if (copy == nullptr) return false;
    std::memcpy(copy, next->data(), next->size());
    copy[next->size()] = '\0';
    node->valuestring = copy;
    ++next;
  }
  for (cJSON* child = node->child; child != nullptr; child = child->next) {
    if (!keep_number_texts(child, next, end)) return false;
  }
  return true;
}

std::string_view number_text(const cJSON* node) {
  return ::cJSON_IsNumber(node) && node->valuestring != nullptr ? node->valuestring
                                                                : std::string_view{};
}

// Not cJSON's printer: that one writes 15 digits of a double. The depth is the scanner's.
void print_node(const cJSON* node, Writer& out) {
  if (::cJSON_IsObject(node)) {
    out.begin_object();
    for (const cJSON* child = node->child; child != nullptr; child = child->next)
      print_node(child, out.key(child->string));
    out.end_object();
  } else if (::cJSON_IsArray(node)) {
    out.begin_array();
    for (const cJSON* child = node->child; child != nullptr; child = child->next)
      print_node(child, out);
    out.end_array();
  } else if (::cJSON_IsString(node)) {
    out.string(node->valuestring);
  } else if (::cJSON_IsNumber(node)) {
    out.raw(number_text(node));
  } else if (::cJSON_IsBool(node)) {
    out.boolean(::cJSON_IsTrue(node) != 0);
  } else {
    out.null();
  }
}

}  // namespace

Result<Document> Document::parse(std::string_view text, std::size_t bytes_max, int items_max) {
  if (text.size() > bytes_max) return fail(ErrorKind::kExhausted, "json: text over its limit");
  KEYWARD_TRY(numbers, scan(text, items_max));
  const char* end = nullptr;
  cJSON* root = ::cJSON_ParseWithLengthOpts(text.data(), text.size(), &end, 0);
  if (root == nullptr) return fail(ErrorKind::kBadInput, "json: not readable");
  Document document(root);
  auto next = numbers.cbegin();
  if (!keep_number_texts(root, next, numbers.cend()) || next != numbers.cend()) {
    return fail(ErrorKind::kInternal, "json: the scanner and cJSON disagree");
  }
  return document;
}

Document::Document(Document&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}

Document& Document::operator=(Document&& other) noexcept {
  if (this != &other) {
    ::cJSON_Delete(root_);
    root_ = std::exchange(other.root_, nullptr);
  }
  return *this;
}

Document::~Document() { ::cJSON_Delete(root_); }
Value Document::root() const { return Value(root_); }

bool Value::is_object() const { return ::cJSON_IsObject(node_) != 0; }
bool Value::is_array() const { return ::cJSON_IsArray(node_) != 0; }
bool Value::is_string() const { return ::cJSON_IsString(node_) != 0; }
bool Value::is_bool() const { return ::cJSON_IsBool(node_) != 0; }

bool Value::is_integer() const {
  const auto text = number_text(node_);
  return !text.empty() && text.find_first_of(".eE") == std::string_view::npos;
}

Value Value::get(std::string_view key) const {
  if (!is_object()) return Value();
  return Value(::cJSON_GetObjectItemCaseSensitive(node_, std::string(key).c_str()));
}

std::vector<Value> Value::items() const {
  std::vector<Value> out;
  if (!is_array()) return out;
  for (const cJSON* child = node_->child; child != nullptr; child = child->next)
    out.emplace_back(child);
  return out;
}

std::vector<std::string_view> Value::keys() const {
  std::vector<std::string_view> out;
  if (!is_object()) return out;
  for (const cJSON* child = node_->child; child != nullptr; child = child->next)
    out.emplace_back(child->string);
  return out;
}

std::vector<std::pair<std::string_view, Value>> Value::members() const {
  std::vector<std::pair<std::string_view, Value>> out;
  if (!is_object()) return out;
  for (const cJSON* child = node_->child; child != nullptr; child = child->next)
    out.emplace_back(child->string, Value(child));
  return out;
}

std::string_view Value::string() const {
  return is_string() ? node_->valuestring : std::string_view{};
}
bool Value::boolean() const { return ::cJSON_IsTrue(node_) != 0; }

std::int64_t Value::integer() const {
  std::int64_t number = 0;
  if (!is_integer()) return number;
  const auto text = number_text(node_);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<std::string_view> Value::require_string(std::string_view key) const {
  const auto value = get(key);
  if (!value.is_string()) return fail(ErrorKind::kBadInput, "json: a required string is missing");
  return value.string();
}

std::string Value::print() const {
  if (node_ == nullptr) return {};
  Writer out;
  print_node(node_, out);
  return out.take();
}

}  // namespace keyward::json
