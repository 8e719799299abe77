// Owns the reading of TOML configuration with strict keys. Must not know what any key means.
//
// A Section hands out typed values and remembers which keys were asked for; finish() refuses keys
// that nobody asked for, so that a typing error never silently means a default. Errors are
// collected: all of them are shown at once, each with file, key, and what would be right. Threads:
// one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace keyward::config {

class Section {
 public:
  // Dotted keys reach into tables ("listen.port").
  std::string string(std::string_view key);  // required
  std::string string_or(std::string_view key, std::string_view fallback);
  std::int64_t integer(std::string_view key, std::int64_t min,
                       std::int64_t max);  // required, within
  std::int64_t integer_or(std::string_view key, std::int64_t min, std::int64_t max,
                          std::int64_t fallback);
  bool boolean_or(std::string_view key, bool fallback);
  std::vector<std::string> strings_or_empty(std::string_view key, std::size_t count_max);
  // Required, not empty, each within.
  std::vector<std::int64_t> integers(std::string_view key, std::int64_t min, std::int64_t max,
                                     std::size_t count_max);
  bool has(std::string_view key) const;
  Section table(std::string_view key);                // absent: an empty one
  std::vector<Section> tables(std::string_view key);  // array of tables; absent: empty
  std::vector<std::string> keys() const;              // of this table; marks nothing as asked for
  std::string text();  // this table as TOML again; marks all of it as asked for
  std::string text_as(std::string_view name);  // the same under a header [name]; "" if it is empty

  struct State;
  Section(std::shared_ptr<State> state, const void* node, std::string path);

 private:
  const void* find(std::string_view key);
  void complain(std::string_view key, std::string_view what);
  std::shared_ptr<State> state_;
  const void* node_;
  std::string path_;
};

class Document {
 public:
  // `name` stands in messages. kBadInput with a syntax error: problems() says where.
  static Document parse(std::string_view toml, std::string name);
  static Document load(const std::string& path);
  Section root();
  // Everything that was wrong: syntax, missing, out of range, unknown keys (call when all was
  // read).
  std::vector<std::string> finish();

 private:
  explicit Document(std::shared_ptr<Section::State> state) : state_(std::move(state)) {}
  std::shared_ptr<Section::State> state_;
};

}  // namespace keyward::config
