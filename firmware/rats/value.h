// Owns one tree for what JSON and CBOR carry, so that a claim is read by one rule whichever way it
// came. Must not know any claim.
//
// CBOR: definite lengths, shortest heads, keys that are integers or text and never twice, exact end.
// Tags and floats exist in EAT (RFC 9711 §4.2.10) and COSE, so the scan of firmware/attest, which
// refuses both, does not do here; why not libcbor behind it: docs/adr/0009-cbor-of-tokens.md. JSON:
// firmware/json. Errors: kBadInput. Threads: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"

namespace keyward::rats {

enum class Encoding : std::uint8_t { kJson = 1, kCbor = 2 };

struct Key {
  bool is_text = true;
  std::int64_t integer = 0;
  std::string text;
  std::string print() const { return is_text ? text : std::to_string(integer); }
};

struct Value {
  enum class Kind : std::uint8_t {
    kOther = 0,  // null, a float, an integer beyond 63 bits: nothing that is read anywhere
    kBoolean,
    kInteger,
    kText,
    kBytes,
    kArray,
    kMap,
    kTagged,
  };
  Kind kind = Kind::kOther;
  bool boolean = false;
  std::int64_t integer = 0;  // of kInteger
  std::uint64_t tag = 0;     // of kTagged; the content is items.front()
  std::string text;
  Bytes bytes;
  std::vector<Key> keys;     // of kMap, beside items
  std::vector<Value> items;  // of kArray, kMap, kTagged

  bool is(Kind wanted) const { return kind == wanted; }
  const Value* find(std::string_view key) const;  // null: absent, or no map
  const Value* find(std::int64_t key) const;
};

Result<Value> parse_cbor(ByteView bytes, int depth_max = limits::kRatsDepthMax,
                         int items_max = limits::kRatsItemsMax);
Result<Value> parse_json(std::string_view text, std::size_t bytes_max = limits::kEvidenceBytesMax);

}  // namespace keyward::rats
