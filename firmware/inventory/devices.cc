// Owns the lines of the operator's list and its indices. Must not know who writes it.
#include "firmware/inventory/devices.h"

#include <algorithm>
#include <array>

#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace keyward::inventory {
namespace {

using wire::Identifier;
using wire::IdentifierType;

constexpr std::size_t kNameBytesMax = 64;
constexpr std::array<std::string_view, 10> kMembers = {
    "id",    "ek_sha256", "ak_sha256", "roots",      "identifiers",
    "owner", "state",     "note",      "created_ms", "changed_ms"};
constexpr std::array<std::string_view, 4> kFormats = {"apple", "android-key", "packed", "step"};

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// UTF-8 (else a line would not read as it was written), no control characters: what an operator's terminal shows must be what stands there.
bool is_plain(std::string_view text) {
  if (!wire::is_valid_utf8(view_of(text))) return false;
  return std::ranges::all_of(text, [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet >= 0x20 && octet != 0x7f;
  });
}

bool is_id(std::string_view text) {
  const auto one = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kNameBytesMax && text.front() != '-' &&
         std::ranges::all_of(text, one);
}

bool is_device_type(IdentifierType type) {
  return type == IdentifierType::kPermanentIdentifier || type == IdentifierType::kHardwareModule;
}

std::pair<IdentifierType, std::string> name_of(const Identifier& identifier) {
  return {identifier.type, identifier.value.substr(0, identifier.value.find('/'))};
}

// D-D8: an assigner that one of both does not name does not part them.
bool is_same(const Identifier& a, const Identifier& b) {
  if (name_of(a) != name_of(b)) return false;
  const auto in_a = a.value.find('/'), in_b = b.value.find('/');
  if (in_a == std::string::npos || in_b == std::string::npos) return true;
  return a.value == b.value;
}

template <class T, class Read>
Status read_list(const json::Value& root, std::string_view name, Read read, std::vector<T>& out) {
  const auto list = root.get(name);
  if (!list.exists()) return {};
  if (!list.is_array()) return bad("a list is not an array");
  for (const auto& item : list.items()) {
    if (!item.is_string()) return bad("an entry of a list is not a string");
    auto value = read(item.string());
    if (!value) return bad("an entry of a list does not read");
    out.push_back(std::move(*value));
  }
  return {};
}

std::optional<Digest256> digest_from(std::string_view hex) {
  const auto bytes = hex_decode(hex);
  Digest256 out{};
  if (!bytes || bytes->size() != out.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::optional<Identifier> identifier_from(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto type = identifier::type_from(text.substr(0, colon));
  if (!type || !is_device_type(*type)) return std::nullopt;
  const auto canonical = identifier::canonical(*type, text.substr(colon + 1));
  return canonical ? std::optional(*canonical) : std::nullopt;
}

Result<std::string> text_member(const json::Value& root, std::string_view name) {
  const auto value = root.get(name);
  if (!value.exists()) return std::string();
  if (!value.is_string()) return bad("a member is not a string");
  return std::string(value.string());
}

Result<std::int64_t> time_member(const json::Value& root, std::string_view name) {
  const auto value = root.get(name);
  if (!value.is_integer() || value.integer() < 0) return bad("a time is missing or no time");
  return value.integer();
}

Result<Device> read_line(std::string_view line) {
  KEYWARD_TRY(document, json::Document::parse(line, limits::kInventoryDeviceBytesMax));
  const auto root = document.root();
  if (!root.is_object()) return bad("a line is not a JSON object");
  // An unknown member may be a misspelt restriction: it must not be passed over.
  for (const auto key : root.keys()) {
    if (std::ranges::find(kMembers, key) == kMembers.end()) return bad("an unknown member");
  }
  Device out;
  KEYWARD_TRY(id, root.require_string("id"));
  KEYWARD_TRY(state_text, root.require_string("state"));
  const auto state = state_from(state_text);
  if (!state) return bad("a state is not expected, quarantined or retired");
  out.id = id;
  out.state = *state;
  KEYWARD_CHECK(read_list(root, "ek_sha256", digest_from, out.ek_sha256));
  KEYWARD_CHECK(read_list(root, "ak_sha256", digest_from, out.ak_sha256));
  KEYWARD_CHECK(read_list(root, "roots", root_from, out.roots));
  KEYWARD_CHECK(read_list(root, "identifiers", identifier_from, out.identifiers));
  KEYWARD_TRY(owner, text_member(root, "owner"));
  KEYWARD_TRY(note, text_member(root, "note"));
  KEYWARD_TRY(created_ms, time_member(root, "created_ms"));
  KEYWARD_TRY(changed_ms, time_member(root, "changed_ms"));
  out.owner = std::move(owner);
  out.note = std::move(note);
  out.created_ms = created_ms;
  out.changed_ms = changed_ms;
  return out;
}

template <class List, class Write>
void write_list(json::Writer& line, std::string_view name, const List& list, Write write) {
  if (list.empty()) return;
  line.key(name).begin_array();
  for (const auto& entry : list) line.string(write(entry));
  line.end_array();
}

std::string hex_of(const Digest256& digest) { return hex_encode(digest); }
std::string text_of_identifier(const Identifier& identifier) {
  return std::string(identifier::to_string(identifier.type)) + ":" + identifier.value;
}

std::string to_line(const Device& device) {
  json::Writer line;
  line.begin_object().member("id", device.id).member("state", to_string(device.state));
  write_list(line, "ek_sha256", device.ek_sha256, hex_of);
  write_list(line, "ak_sha256", device.ak_sha256, hex_of);
  write_list(line, "roots", device.roots, [](const Root& root) { return to_string(root); });
  write_list(line, "identifiers", device.identifiers, text_of_identifier);
  if (!device.owner.empty()) line.member("owner", device.owner);
  if (!device.note.empty()) line.member("note", device.note);
  line.member_int("created_ms", device.created_ms).member_int("changed_ms", device.changed_ms);
  line.end_object();
  return line.take() + "\n";
}

template <class List>
bool has_twice(const List& list) {
  for (auto at = list.begin(); at != list.end(); ++at) {
    if (std::find(std::next(at), list.end(), *at) != list.end()) return true;
  }
  return false;
}

template <class Map, class Key>
std::optional<std::size_t> at_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::string_view to_string(State state) {
  if (state == State::kQuarantined) return "quarantined";
  return state == State::kRetired ? "retired" : "expected";
}

std::optional<State> state_from(std::string_view text) {
  for (const auto state : {State::kExpected, State::kQuarantined, State::kRetired}) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

std::string to_string(const Root& root) { return root.format + ":" + root.value; }

std::optional<Root> root_from(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto format = text.substr(0, colon), value = text.substr(colon + 1);
  if (std::ranges::find(kFormats, format) == kFormats.end()) return std::nullopt;
  if (value.empty() || value.size() > limits::kDeviceIdentifierBytesMax || !is_plain(value))
    return std::nullopt;
  return Root{std::string(format), std::string(value)};
}

Status check(const Device& device) {
  if (!is_id(device.id)) return bad("an id has 1 to 64 characters of A-Z a-z 0-9 . _ -");
  for (const auto count : {device.ek_sha256.size(), device.ak_sha256.size(), device.roots.size(),
                           device.identifiers.size()}) {
    if (count > limits::kInventoryTracesMax)
      return bad("at most 16 each of EK digests, AK digests, roots and identifiers");
  }
  if (device.ek_sha256.empty() && device.ak_sha256.empty() && device.roots.empty() &&
      device.identifiers.empty())
    return bad("nothing to find the device by: an EK, an AK, a root or an identifier is needed");
  if (has_twice(device.ek_sha256) || has_twice(device.ak_sha256) || has_twice(device.roots) ||
      has_twice(device.identifiers))
    return bad("the same thing twice in one device");
  for (const auto& identifier : device.identifiers) {
    if (!is_device_type(identifier.type))
      return bad("identifiers are permanent-identifier and hardware-module");
  }
  if (device.owner.size() > limits::kInventoryNoteBytesMax ||
      device.note.size() > limits::kInventoryNoteBytesMax)
    return bad("owner and note have at most 256 octets each");
  if (!is_plain(device.owner) || !is_plain(device.note))
    return bad("owner and note are UTF-8 without control characters");
  return {};
}

Result<DeviceBook> DeviceBook::parse(ByteView lines) {
  DeviceBook book;
  std::string_view rest = text_of(lines);
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty()) continue;
    auto device = read_line(line);
    if (!device) return fail(device.error().kind, device.error().what, number);
    const auto added = book.add(std::move(*device));
    if (!added) return fail(added.error().kind, added.error().what, number);
  }
  return book;
}

Bytes DeviceBook::to_lines() const {
  Bytes out;
  for (const auto& device : devices_) append(out, view_of(to_line(device)));
  return out;
}

Status DeviceBook::check_free(const Device& device) const {
  if (find(device.id) != nullptr) return fail(ErrorKind::kRefused, "the id is taken");
  for (const auto& digest : device.ek_sha256) {
    if (by_ek_.contains(digest))
      return fail(ErrorKind::kRefused, "an EK digest is another device's");
  }
  for (const auto& digest : device.ak_sha256) {
    if (by_ak_.contains(digest))
      return fail(ErrorKind::kRefused, "an AK digest is another device's");
  }
  for (const auto& root : device.roots) {
    if (by_root_.contains(root)) return fail(ErrorKind::kRefused, "a root is another device's");
  }
  for (const auto& identifier : device.identifiers) {
    if (!find_by_identifier(identifier).empty())
      return fail(ErrorKind::kRefused, "an identifier is another device's");
  }
  return {};
}

void DeviceBook::index(std::size_t at) {
  const auto& device = devices_[at];
  by_id_[device.id] = at;
  for (const auto& digest : device.ek_sha256) by_ek_[digest] = at;
  for (const auto& digest : device.ak_sha256) by_ak_[digest] = at;
  for (const auto& root : device.roots) by_root_[root] = at;
  for (const auto& identifier : device.identifiers) by_name_.emplace(name_of(identifier), at);
}

void DeviceBook::index_all() {
  by_id_.clear();
  by_ek_.clear();
  by_ak_.clear();
  by_root_.clear();
  by_name_.clear();
  for (std::size_t at = 0; at < devices_.size(); ++at) index(at);
}

Status DeviceBook::add(Device device) {
  KEYWARD_CHECK(check(device));
  if (devices_.size() >= limits::kInventoryDevicesMax)
    return fail(ErrorKind::kExhausted, "too many devices");
  KEYWARD_CHECK(check_free(device));
  devices_.push_back(std::move(device));
  index(devices_.size() - 1);
  return {};
}

bool DeviceBook::remove(std::string_view id) {
  const auto at = at_of(by_id_, id);
  if (!at) return false;
  devices_.erase(devices_.begin() + static_cast<std::ptrdiff_t>(*at));
  index_all();
  return true;
}

bool DeviceBook::set_state(std::string_view id, State state, std::int64_t now_ms) {
  const auto at = at_of(by_id_, id);
  if (!at) return false;
  auto& device = devices_[*at];
  if (device.state != state) device.changed_ms = now_ms;
  device.state = state;
  return true;
}

const Device* DeviceBook::find(std::string_view id) const {
  const auto at = at_of(by_id_, id);
  return at ? &devices_[*at] : nullptr;
}
const Device* DeviceBook::find_by_ek(const Digest256& sha256) const {
  const auto at = at_of(by_ek_, sha256);
  return at ? &devices_[*at] : nullptr;
}
const Device* DeviceBook::find_by_ak(const Digest256& spki_sha256) const {
  const auto at = at_of(by_ak_, spki_sha256);
  return at ? &devices_[*at] : nullptr;
}
const Device* DeviceBook::find_by_root(const Root& root) const {
  const auto at = at_of(by_root_, root);
  return at ? &devices_[*at] : nullptr;
}

std::vector<const Device*> DeviceBook::find_by_identifier(const Identifier& identifier) const {
  std::vector<const Device*> out;
  const auto [first, last] = by_name_.equal_range(name_of(identifier));
  for (auto at = first; at != last; ++at) {
    const auto& device = devices_[at->second];
    const bool named = std::ranges::any_of(
        device.identifiers, [&](const auto& own) { return is_same(own, identifier); });
    if (named) out.push_back(&device);
  }
  return out;
}

}  // namespace keyward::inventory
