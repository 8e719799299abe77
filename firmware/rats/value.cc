// Owns the strict reading of CBOR and JSON into one tree. Must not know any claim.
#include "firmware/rats/value.h"

#include <set>

#include "firmware/json/json.h"
#include "firmware/wire/cbor.h"

namespace keyward::rats {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// RFC 8949 §4.2.1, without the order of keys: what two readers could read differently is refused.
// libcbor would need this scan in front, and refuses tags 6 to 20 after it, COSE's among them
// (docs/adr/0009-cbor-of-tokens.md); so the scan makes the tree itself, and nothing is allocated for
// a length that was not seen to be there.
class Scanner {
 public:
  Scanner(ByteView bytes, int depth_max, int items_max)
      : bytes_(bytes), depth_max_(depth_max), items_left_(items_max) {}
  bool whole(Value& out) { return item(0, out) && at_ == bytes_.size(); }

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
  bool item(int depth, Value& out) {
    Head h;
    if (depth > depth_max_ || --items_left_ < 0 || !head(h)) return false;
    const std::uint64_t left = bytes_.size() - at_;
    switch (h.major) {
      case 0:
      case 1:
        number(h, out);
        return true;
      case 2:
      case 3:
        return h.value <= left && string(h, out);
      case 4:
        out.kind = Value::Kind::kArray;
        return h.value <= left && items(depth, h.value, out);
      case 5:
        out.kind = Value::Kind::kMap;
        return h.value <= left / 2 && members(depth, h.value, out);
      case 6:
        out.kind = Value::Kind::kTagged;
        out.tag = h.value;
        return items(depth, 1, out);
      default:
        return simple(h, out);
    }
  }
  static void number(const Head& h, Value& out) {
    if (h.value > 0x7fff'ffff'ffff'ffffULL) return;  // kOther
    out.kind = Value::Kind::kInteger;
    out.integer = static_cast<std::int64_t>(h.value);
    if (h.major == 1) out.integer = -1 - out.integer;
  }
  bool string(const Head& h, Value& out) {
    const auto content = bytes_.subspan(at_, h.value);
    at_ += h.value;
    if (h.major == 2) {
      out.kind = Value::Kind::kBytes;
      out.bytes = to_bytes(content);
      return true;
    }
    out.kind = Value::Kind::kText;
    out.text = text_of(content);
    return wire::is_valid_utf8(content);
  }
  static bool simple(const Head& h, Value& out) {
    if (h.info > 24) return true;  // floats: kOther
    if (h.value == 20 || h.value == 21) {
      out.kind = Value::Kind::kBoolean;
      out.boolean = h.value == 21;
    }
    return h.value >= 20 && h.value <= 22;  // false, true, null
  }
  bool items(int depth, std::uint64_t count, Value& out) {
    for (; count > 0; --count) {
      if (!item(depth + 1, out.items.emplace_back())) return false;
    }
    return true;
  }
  bool members(int depth, std::uint64_t count, Value& out) {
    std::set<std::pair<std::int64_t, std::string>> seen;
    for (; count > 0; --count) {
      Value key;
      if (!item(depth + 1, key)) return false;
      const bool is_text = key.is(Value::Kind::kText);
      if (!is_text && !key.is(Value::Kind::kInteger)) return false;
      // Text and integers cannot meet: a text key is marked in front.
      if (!seen.insert({key.integer, is_text ? "t" + key.text : std::string()}).second)
        return false;
      out.keys.push_back({is_text, key.integer, std::move(key.text)});
      if (!item(depth + 1, out.items.emplace_back())) return false;
    }
    return true;
  }

  ByteView bytes_;
  int depth_max_;
  int items_left_;
  std::size_t at_ = 0;
};

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
  Value out;
  if (!Scanner(bytes, depth_max, items_max).whole(out)) return bad("not one strict CBOR item");
  return out;
}

Result<Value> parse_json(std::string_view text, std::size_t bytes_max) {
  KEYWARD_TRY(document, json::Document::parse(text, bytes_max));
  return convert(document.root());
}

}  // namespace keyward::rats
