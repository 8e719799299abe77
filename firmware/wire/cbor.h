// Owns strict canonical CBOR (RFC 8949 §4.2.1) for frames between tasks: a writer that can write
// nothing else, a reader that accepts nothing else. Must not know messages.
//
// Accepted: unsigned and negative integers, byte and text strings, arrays, maps, booleans. Definite
// lengths and shortest heads only; no tags, floats, null or undefined. Text must be valid UTF-8.
// The reader never allocates from a claimed length. Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::wire {

bool is_valid_utf8(ByteView text);

class CborWriter {
 public:
  void unsigned_integer(std::uint64_t value) { head(0, value); }
  void integer(std::int64_t value);
  void bytes(ByteView value);
  void text(std::string_view value);
  void array(std::uint64_t count) { head(4, count); }
  void map(std::uint64_t count) { head(5, count); }
  void boolean(bool value) { out_.push_back(value ? 0xf5 : 0xf4); }
  Bytes take() { return std::move(out_); }
  std::size_t size() const { return out_.size(); }

 private:
  void head(unsigned major, std::uint64_t value);
  Bytes out_;
};

class CborReader {
 public:
  explicit CborReader(ByteView in) : in_(in) {}
  Result<std::uint64_t> unsigned_integer();
  Result<std::int64_t> integer();
  Result<ByteView> bytes(std::size_t bytes_max);
  Result<std::string_view> text(std::size_t bytes_max);
  Result<std::uint64_t> array(std::uint64_t count_max);
  Result<std::uint64_t> map(std::uint64_t count_max);
  Result<bool> boolean();
  bool at_end() const { return at_ == in_.size(); }

 private:
  Result<std::uint64_t> head(unsigned major);
  Result<ByteView> take(std::uint64_t size, std::size_t bytes_max);
  ByteView in_;
  std::size_t at_ = 0;
};

}  // namespace keyward::wire
