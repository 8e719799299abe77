// Owns the strict reading of CBOR and JSON into one tree. Must not know any claim.
#include "firmware/rats/value.h"

#include <memory>
#include <set>

#include <cbor.h>

#include "firmware/json/json.h"
#include "firmware/wire/cbor.h"

namespace keyward::rats {
namespace {

struct ItemDeleter {
  void operator()(cbor_item_t* item) const { ::cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, ItemDeleter>;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// RFC 8949 §4.2.1, without the order of keys: what two readers could read differently is refused.
class Scanner {
 public:
  Scanner(ByteView bytes, int depth_max, int items_max)
      : bytes_(bytes), depth_max_(depth_max), items_left_(items_max) {}
  bool whole() { return item(0) && at_ == bytes_.size(); }

 private:
  struct Head {
    unsigned major = 0;
    unsigned info = 0;
    std::uint64_t value = 0;
  };
  bool head(Head& out) {
    if (at_ >= bytes_.size()) return false;
    const unsigned first = bytes_[at_++];
    out = {first >> 5, first & 31, first & 31};
    if (out.info < 24) return true;
    if (out.info > 27) return false;  // reserved and indefinite
    const std::size_t length = std::size_t{1} << (out.info - 24);
    if (bytes_.size() - at_ < length) return false;
    out.value = 0;
    for (std::size_t i = 0; i < length; ++i) out.value = out.value << 8 | bytes_[at_++];
    if (out.major == 7) return out.info != 24;  // floats; no two-octet simple values
    return length == 1 ? out.value >= 24 : out.value >> (length * 4) != 0;
  }
  bool item(int depth) {
    Head h;
    if (depth > depth_max_ || --items_left_ < 0 || !head(h)) return false;
    const std::uint64_t left = bytes_.size() - at_;
    switch (h.major) {
      case 0:
      case 1:
        return true;
      case 2:
      case 3:
        if (h.value > left) return false;
        at_ += h.value;
        return true;
      case 4:
        return h.value <= left && items(depth, h.value);
      case 5:
        return h.value <= left / 2 && items(depth, h.value * 2);
      case 6:
        return item(depth + 1);
      default:
        return (h.value >= 20 && h.value <= 22) || h.info > 24;  // false, true, null, floats
    }
  }
  bool items(int depth, std::uint64_t count) {
    for (; count > 0; --count) {
      if (!item(depth + 1)) return false;
    }
    return true;
  }

  ByteView bytes_;
  int depth_max_;
  int items_left_;
  std::size_t at_ = 0;
};

Result<std::string> text_string(const cbor_item_t* item) {
  const std::string_view text{reinterpret_cast<const char*>(::cbor_string_handle(item)),
                              ::cbor_string_length(item)};
  if (!wire::is_valid_utf8(view_of(text))) return bad("cbor: text is not UTF-8");
  return std::string(text);
}

std::optional<std::int64_t> integer_of(const cbor_item_t* item) {
  const std::uint64_t magnitude = ::cbor_get_int(item);
  if (magnitude > 0x7fff'ffff'ffff'ffffULL) return std::nullopt;
  const auto value = static_cast<std::int64_t>(magnitude);
  return cbor_isa_negint(item) ? -1 - value : value;
}

Result<Key> read_key(const cbor_item_t* item) {
  if (cbor_isa_string(item)) {
    KEYWARD_TRY(text, text_string(item));
    return Key{true, 0, std::move(text)};
  }
  const bool number = cbor_isa_uint(item) || cbor_isa_negint(item);
  const auto value = number ? integer_of(item) : std::nullopt;
  if (!value) return bad("cbor: a key is neither text nor a small integer");
  return Key{false, *value, {}};
}

Result<Value> convert(const cbor_item_t* item);

Status convert_map(const cbor_item_t* item, Value& out) {
  out.kind = Value::Kind::kMap;
  std::set<std::pair<std::int64_t, std::string>> seen;
  const auto* pairs = ::cbor_map_handle(item);
  for (std::size_t i = 0; i < ::cbor_map_size(item); ++i) {
    KEYWARD_TRY(key, read_key(pairs[i].key));
    // Text and integers cannot meet: a text key is marked in front.
    if (!seen.insert({key.integer, key.is_text ? "t" + key.text : std::string()}).second)
      return bad("cbor: a key comes twice");
    KEYWARD_TRY(value, convert(pairs[i].value));
    out.keys.push_back(std::move(key));
    out.items.push_back(std::move(value));
  }
  return {};
}

// Depth was bounded by the scan.
Result<Value> convert(const cbor_item_t* item) {
  Value out;
  switch (::cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
    case CBOR_TYPE_NEGINT:
      if (const auto value = integer_of(item)) {
        out.kind = Value::Kind::kInteger;
        out.integer = *value;
      }
      return out;
    case CBOR_TYPE_BYTESTRING: {
      out.kind = Value::Kind::kBytes;
      const auto* data = ::cbor_bytestring_handle(item);
      out.bytes.assign(data, data + ::cbor_bytestring_length(item));
      return out;
    }
    case CBOR_TYPE_STRING: {
      out.kind = Value::Kind::kText;
      KEYWARD_TRY(text, text_string(item));
      out.text = std::move(text);
      return out;
    }
    case CBOR_TYPE_ARRAY:
      out.kind = Value::Kind::kArray;
      for (std::size_t i = 0; i < ::cbor_array_size(item); ++i) {
        KEYWARD_TRY(value, convert(::cbor_array_handle(item)[i]));
        out.items.push_back(std::move(value));
      }
      return out;
    case CBOR_TYPE_MAP:
      KEYWARD_CHECK(convert_map(item, out));
      return out;
    case CBOR_TYPE_TAG: {
      out.kind = Value::Kind::kTagged;
      out.tag = ::cbor_tag_value(item);
      const Item content(::cbor_tag_item(item));
      KEYWARD_TRY(value, convert(content.get()));
      out.items.push_back(std::move(value));
      return out;
    }
    case CBOR_TYPE_FLOAT_CTRL:
      if (::cbor_float_ctrl_is_ctrl(item) && cbor_is_bool(item)) {
        out.kind = Value::Kind::kBoolean;
        out.boolean = ::cbor_get_bool(item);
      }
      return out;
  }
  return out;
}

// Depth was bounded by the scan of firmware/json.
Value convert(const json::Value& in) {
  Value out;
  if (in.is_object()) {
    out.kind = Value::Kind::kMap;
    for (const auto& [name, value] : in.members()) {
      out.keys.push_back({true, 0, std::string(name)});
      out.items.push_back(convert(value));
    }
  } else if (in.is_array()) {
    out.kind = Value::Kind::kArray;
    for (const auto& value : in.items()) out.items.push_back(convert(value));
  } else if (in.is_string()) {
    out.kind = Value::Kind::kText;
    out.text = in.string();
  } else if (in.is_bool()) {
    out.kind = Value::Kind::kBoolean;
    out.boolean = in.boolean();
  } else if (in.is_integer()) {
    out.kind = Value::Kind::kInteger;
    out.integer = in.integer();
  }
  return out;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].is_text && keys[i].text == key) return &items[i];
  }
  return nullptr;
}

const Value* Value::find(std::int64_t key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].is_text && keys[i].integer == key) return &items[i];
  }
  return nullptr;
}

Result<Value> parse_cbor(ByteView bytes, int depth_max, int items_max) {
  if (bytes.empty() || bytes.size() > limits::kEvidenceBytesMax)
    return bad("cbor: empty or over its limit");
  if (!Scanner(bytes, depth_max, items_max).whole()) return bad("not one strict CBOR item");
  cbor_load_result loaded{};
  const Item root(::cbor_load(bytes.data(), bytes.size(), &loaded));
  if (!root || loaded.read != bytes.size()) return bad("not one CBOR item");
  return convert(root.get());
}

Result<Value> parse_json(std::string_view text, std::size_t bytes_max) {
  KEYWARD_TRY(document, json::Document::parse(text, bytes_max));
  return convert(document.root());
}

}  // namespace keyward::rats
