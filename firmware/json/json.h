// Owns JSON for the whole product: one strict scan, then cJSON; and a writer. Must not know ACME.
//
// Scan before cJSON: RFC 8259 grammar, valid UTF-8, no NUL, depth and item caps, no duplicate keys,
// no trailing octets, integers within ±2^53. Reason: cJSON accepts all of these (field notes).
// Errors: kBadInput with what is wrong; kExhausted over a cap. Threads: values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"

struct cJSON;

namespace keyward::json {

// A view of one value inside a Document; valid while the Document lives. Getters are
// case-sensitive.
class Value {
 public:
  explicit Value(const cJSON* node = nullptr) : node_(node) {}
  bool exists() const { return node_ != nullptr; }
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_bool() const;
  bool is_integer() const;
  Value get(std::string_view key) const;       // absent: exists() is false
  std::vector<Value> items() const;            // of an array
  std::vector<std::string_view> keys() const;  // of an object
  std::vector<std::pair<std::string_view, Value>> members() const;  // of an object, in one walk
  std::string_view string() const;             // "" unless is_string()
  bool boolean() const;
  std::int64_t integer() const;
  // The member must be there and a string: else kBadInput.
  Result<std::string_view> require_string(std::string_view key) const;
  std::string print() const;  // compact

 private:
  const cJSON* node_;
};

class Document {
 public:
  static Result<Document> parse(std::string_view text,
                                std::size_t bytes_max = limits::kRequestBodyBytesMax,
                                int items_max = limits::kJsonItemsMax);
  Value root() const;
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

 private:
  explicit Document(cJSON* root) : root_(root) {}
  cJSON* root_;
};

// Writes compact JSON in the order of the calls; escapes what RFC 8259 §7 demands. Invalid UTF-8 is
// replaced by U+FFFD, so that output is always valid.
class Writer {
 public:
  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);
  Writer& string(std::string_view value);
  Writer& integer(std::int64_t value);
  Writer& boolean(bool value);
  Writer& null();
  Writer& raw(std::string_view json);  // already JSON
  Writer& member(std::string_view name, std::string_view value) { return key(name).string(value); }
  Writer& member_int(std::string_view name, std::int64_t value) { return key(name).integer(value); }
  Writer& member_bool(std::string_view name, bool value) { return key(name).boolean(value); }
  std::string take() { return std::move(out_); }

 private:
  void separate();
  std::string out_;
  bool need_comma_ = false;
};

}  // namespace keyward::json
