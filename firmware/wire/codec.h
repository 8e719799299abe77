// Owns how a message struct becomes a frame and back. Must not know any message.
//
// A message is a struct that lists its fields once:
//   struct Ping {
//     static constexpr MessageType kType = ...;  static constexpr std::string_view kName = "ping";
//     std::string text;  std::optional<std::uint64_t> count;
//     template <class Self, class V> static void fields(Self& m, V& v) {
//       v(1, "text", m.text, 64);  v(2, "count", m.count);
//     }
//   };
// Keys ascend; the same list drives the writer, the strict reader and the CDDL printer. Types:
// bool, uint64, int64, enum (with an `is_known(E)` found by ADL), text, bytes, fixed byte arrays,
// optionals of these, a nested struct, vectors of structs or of text (cap = count, second cap =
// bytes of a text). A frame is [type, id, body]. Unknown keys, missing keys, wrong order and
// trailing bytes are refused.
#pragma once

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "firmware/wire/cbor.h"
#include "firmware/wire/types.h"
#include "hal/base/limits.h"

namespace keyward::wire {

struct FrameHead {
  MessageType type{};
  std::uint64_t id = 0;
};

namespace detail {

template <class T>
inline constexpr bool is_optional_v = false;
template <class T>
inline constexpr bool is_optional_v<std::optional<T>> = true;

class FieldCounter {
 public:
  template <class T, class... Caps>
  void operator()(unsigned, std::string_view, const T& field, Caps...) {
    if constexpr (is_optional_v<T>) {
      count_ += field.has_value() ? 1 : 0;
    } else {
      ++count_;
    }
  }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t count_ = 0;
};

template <class M>
void write_struct(CborWriter& out, const M& message);

class FieldWriter {
 public:
  explicit FieldWriter(CborWriter& out) : out_(out) {}
  template <class T, class... Caps>
  void operator()(unsigned key, std::string_view, const T& field, Caps...) {
    if constexpr (is_optional_v<T>) {
      if (!field) return;
      out_.unsigned_integer(key);
      write(*field);
    } else {
      out_.unsigned_integer(key);
      write(field);
    }
  }

 private:
  void write(bool value) { out_.boolean(value); }
  void write(std::uint64_t value) { out_.unsigned_integer(value); }
  void write(std::int64_t value) { out_.integer(value); }
  void write(const std::string& value) { out_.text(value); }
  void write(const Bytes& value) { out_.bytes(value); }
  template <std::size_t N>
  void write(const std::array<std::uint8_t, N>& value) {
    out_.bytes(value);
  }
  template <class T>
  void write(const std::vector<T>& values) {
    out_.array(values.size());
    for (const auto& value : values) write(value);
  }
  template <class T>
  void write(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      out_.unsigned_integer(static_cast<std::uint64_t>(value));
    } else {
      write_struct(out_, value);
    }
  }
  CborWriter& out_;
};

template <class M>
void write_struct(CborWriter& out, const M& message) {
  FieldCounter counter;
  M::fields(message, counter);
  out.map(counter.count());
  FieldWriter writer(out);
  M::fields(message, writer);
}

template <class M>
Status read_struct(CborReader& in, M& message);

class FieldReader {
 public:
  FieldReader(CborReader& in, std::uint64_t pairs) : in_(in), left_(pairs) { next_key(); }
  template <class T, class... Caps>
  void operator()(unsigned key, std::string_view, T& field, Caps... caps) {
    if (!status_) return;
    if (!has_key_ || key_ != key) {
      if constexpr (!is_optional_v<T>) {
        status_ =
            fail(ErrorKind::kBadInput, "cbor: a field is missing, unknown or out of order", key);
      }
      return;
    }
    if constexpr (is_optional_v<T>) {
      status_ = read(field.emplace(), caps...);
    } else {
      status_ = read(field, caps...);
    }
    if (status_) next_key();
  }
  Status finish() {
    if (status_ && has_key_)
      return fail(ErrorKind::kBadInput, "cbor: unknown field", static_cast<std::int64_t>(key_));
    return status_;
  }

 private:
  void next_key() {
    has_key_ = false;
    if (left_ == 0) return;
    auto key = in_.unsigned_integer();
    if (!key) {
      status_ = fail(key.error());
      return;
    }
    if (seen_any_ && *key <= key_) {  // ascending order also excludes duplicates
      status_ = fail(ErrorKind::kBadInput, "cbor: map keys not ascending");
      return;
    }
    key_ = *key;
    has_key_ = seen_any_ = true;
    --left_;
  }
  Status read(bool& out) { return assign(out, in_.boolean()); }
  Status read(std::uint64_t& out) { return assign(out, in_.unsigned_integer()); }
  Status read(std::int64_t& out) { return assign(out, in_.integer()); }
  Status read(std::string& out, std::size_t bytes_max) {
    KEYWARD_TRY(view, in_.text(bytes_max));
    out = view;
    return {};
  }
  Status read(Bytes& out, std::size_t bytes_max) {
    KEYWARD_TRY(view, in_.bytes(bytes_max));
    out.assign(view.begin(), view.end());
    return {};
  }
  template <std::size_t N>
  Status read(std::array<std::uint8_t, N>& out) {
    KEYWARD_TRY(view, in_.bytes(N));
    if (view.size() != N)
      return fail(ErrorKind::kBadInput, "cbor: a fixed byte string has another length");
    std::copy(view.begin(), view.end(), out.begin());
    return {};
  }
  template <class T, class... Caps>
  Status read(std::vector<T>& out, std::size_t count_max, Caps... caps) {
    KEYWARD_TRY(count, in_.array(count_max));
    out.clear();
    for (std::uint64_t i = 0; i < count; ++i) KEYWARD_CHECK(read(out.emplace_back(), caps...));
    return {};
  }
  template <class T>
  Status read(T& out) {
    if constexpr (std::is_enum_v<T>) {
      KEYWARD_TRY(value, in_.unsigned_integer());
      // Beyond its width another value would be cut down to one that is known.
      if (value > std::numeric_limits<std::underlying_type_t<T>>::max() ||
          !is_known(static_cast<T>(value))) {
        return fail(ErrorKind::kBadInput, "cbor: unknown enumeration value",
                    static_cast<std::int64_t>(value));
      }
      out = static_cast<T>(value);
      return {};
    } else {
      return read_struct(in_, out);
    }
  }
  template <class T, class R>
  Status assign(T& out, R&& result) {
    if (!result) return fail(result.error());
    out = *result;
    return {};
  }
  CborReader& in_;
  std::uint64_t left_;
  std::uint64_t key_ = 0;
  bool has_key_ = false;
  bool seen_any_ = false;
  Status status_;
};

template <class M>
Status read_struct(CborReader& in, M& message) {
  KEYWARD_TRY(pairs, in.map(64));
  FieldReader reader(in, pairs);
  M::fields(message, reader);
  return reader.finish();
}

}  // namespace detail

// Kept for data at rest too (order terms, ledger rows): the same strict form.
template <class M>
Bytes encode_body(const M& message) {
  CborWriter out;
  detail::write_struct(out, message);
  return out.take();
}

template <class M>
Result<M> decode_body(ByteView bytes) {
  CborReader in(bytes);
  M message;
  KEYWARD_CHECK(detail::read_struct(in, message));
  if (!in.at_end()) return fail(ErrorKind::kBadInput, "cbor: trailing bytes");
  return message;
}

template <class M>
Bytes encode_frame(std::uint64_t id, const M& message) {
  CborWriter out;
  out.array(3);
  out.unsigned_integer(static_cast<std::uint64_t>(M::kType));
  out.unsigned_integer(id);
  detail::write_struct(out, message);
  return out.take();
}

// Reads type and id; `body` is what follows, to be decoded once the type is known to be allowed
// here.
struct OpenFrame {
  FrameHead head;
  ByteView body;
};
Result<OpenFrame> open_frame(ByteView frame);

}  // namespace keyward::wire
