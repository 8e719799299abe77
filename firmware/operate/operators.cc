// Owns the reading of the operators file. Must not know orders.
#include "firmware/operate/operators.h"

#include <algorithm>

namespace keyward::operate {
namespace {

constexpr std::size_t kUnitBytesMax = 64, kRolesMax = 16, kDualMax = 32;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// Shown to people and written into ledgers: printable ASCII without quotes.
bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && std::ranges::all_of(text, [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

// Lower-case words with hyphens, as roles and orders have.
bool is_word(std::string_view text) {
  return is_name(text, 32) &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

Status known_members(const json::Value& object, std::initializer_list<std::string_view> names) {
  for (const auto key : object.keys()) {
    if (std::ranges::find(names, key) == names.end())
      return bad("operators: a member that is not known");
  }
  return {};
}

Result<std::vector<std::string>> words(const json::Value& list, std::size_t count_max) {
  if (!list.is_array()) return bad("operators: roles and dual_control are lists of words");
  std::vector<std::string> out;
  for (const auto& item : list.items()) {
    if (!item.is_string() || !is_word(item.string()))
      return bad("operators: roles and dual_control are lists of words");
    out.emplace_back(item.string());
  }
  if (out.size() > count_max) return fail(ErrorKind::kExhausted, "operators: too many words");
  return out;
}

Result<Operator> read_operator(const json::Value& value) {
  if (!value.is_object()) return bad("operators: an operator is an object");
  KEYWARD_CHECK(known_members(value, {"name", "jwk", "roles"}));
  const auto name = value.get("name");
  if (!name.is_string() || !is_name(name.string(), limits::kOperatorNameBytesMax))
    return bad("operators: a name is missing, too long or not printable");
  KEYWARD_TRY(jwk, jose::Jwk::from_json(value.get("jwk")));
  const auto kind = jwk.key().kind();
  if (kind != crypto::KeyKind::kEcP256 && kind != crypto::KeyKind::kEd25519)
    return fail(ErrorKind::kRefused, "operators: a key must be P-256 or Ed25519");
  KEYWARD_TRY(roles, words(value.get("roles"), kRolesMax));
  for (const auto& role : roles) {
    if (std::ranges::find(kRoles, role) == std::end(kRoles))
      return bad("operators: a role that is not known");
  }
  return Operator{std::string(name.string()), std::move(jwk), std::move(roles)};
}

}  // namespace

bool Operator::has(std::string_view role) const {
  return std::ranges::find(roles, role) != roles.end();
}

Result<Operators> Operators::parse(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kOperatorsBytesMax));
  const auto root = document.root();
  if (!root.is_object()) return bad("operators: not an object");
  KEYWARD_CHECK(known_members(root, {"version", "unit", "operators", "dual_control"}));
  if (!root.get("version").is_integer() || root.get("version").integer() != 1)
    return bad("operators: version must be 1");
  Operators out;
  out.text_ = text;
  out.digest_ = crypto::sha256(view_of(text));
  const auto unit = root.get("unit");
  if (!unit.is_string() || !is_name(unit.string(), kUnitBytesMax))
    return bad("operators: unit is missing, too long or not printable");
  out.unit_ = unit.string();
  const auto list = root.get("operators");
  if (!list.is_array()) return bad("operators: there is no list of operators");
  if (list.items().size() > limits::kOperatorsMax)
    return fail(ErrorKind::kExhausted, "operators: too many operators");
  for (const auto& item : list.items()) {
    KEYWARD_TRY(one, read_operator(item));
    // One person with two keys, or two with one, would be two where two are asked for.
    for (const auto& other : out.operators_) {
      if (other.name == one.name) return bad("operators: a name stands twice");
      if (other.jwk.thumbprint() == one.jwk.thumbprint())
        return bad("operators: a key stands twice");
    }
    out.operators_.push_back(std::move(one));
  }
  if (out.operators_.empty()) return bad("operators: the list is empty");
  if (root.get("dual_control").exists()) {
    KEYWARD_TRY(dual, words(root.get("dual_control"), kDualMax));
    out.dual_control_ = std::move(dual);
  }
  return out;
}

const Operator* Operators::find(std::string_view kid) const {
  for (const auto& one : operators_) {
    if (one.jwk.thumbprint_text() == kid) return &one;
  }
  return nullptr;
}

bool Operators::needs_two(std::string_view role, std::string_view order) const {
  return std::ranges::any_of(
      dual_control_, [&](const std::string& word) { return word == role || word == order; });
}

}  // namespace keyward::operate
