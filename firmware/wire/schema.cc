#include "firmware/wire/schema.h"

#include "firmware/wire/messages/all.h"

namespace keyward::wire {
namespace {

// Prints one CDDL type (RFC 8610) per C++ field type; nested structs are printed once, by name.
class CddlPrinter {
 public:
  template <class M>
  void message(const M& sample) {
    begin(std::string(M::kName));
    M::fields(sample, *this);
    out_ += "}\n";
  }
  template <class T, class... Caps>
  void operator()(unsigned key, std::string_view name, const T& field, Caps... caps) {
    if constexpr (detail::is_optional_v<T>) {
      line(key, name, true, type_of(typename T::value_type{}, caps...));
    } else {
      line(key, name, false, type_of(field, caps...));
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void begin(const std::string& name) { out_ += name + " = {\n"; }
  void line(unsigned key, std::string_view name, bool optional, const std::string& type) {
    out_ += std::string("  ") + (optional ? "? " : "") + std::to_string(key) + " => " + type +
            " ; " + std::string(name) + "\n";
  }
  std::string type_of(bool) { return "bool"; }
  std::string type_of(std::uint64_t) { return "uint"; }
  std::string type_of(std::int64_t) { return "int"; }
  std::string type_of(const std::string&, std::size_t bytes_max) {
    return "tstr .size (0.." + std::to_string(bytes_max) + ")";
  }
  std::string type_of(const Bytes&, std::size_t bytes_max) {
    return "bstr .size (0.." + std::to_string(bytes_max) + ")";
  }
  template <std::size_t N>
  std::string type_of(const std::array<std::uint8_t, N>&) {
    return "bstr .size " + std::to_string(N);
  }
  template <class T, class... Caps>
  std::string type_of(const std::vector<T>&, std::size_t count_max, Caps... caps) {
    return "[0*" + std::to_string(count_max) + " " + type_of(T{}, caps...) + "]";
  }
  template <class T>
  std::string type_of(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      std::string choices;
      for (unsigned i = 0; i < 256; ++i) {
        if (is_known(static_cast<T>(i)))
          choices += (choices.empty() ? "" : " / ") + std::to_string(i);
      }
      return "(" + choices + ")";
    } else {
      CddlPrinter nested;
      T::fields(value, nested);
      std::string body = nested.take();
      for (std::size_t at = 0; (at = body.find("\n  ", at)) != std::string::npos; at += 3)
        body.insert(at + 1, "  ");
      return "{\n  " + body + "  }";
    }
  }
  std::string out_;
};

template <class... M>
std::string print_all(MessageList<M...>) {
  std::string out =
      "; Every frame between tasks, printed from firmware/wire/messages by schema_cddl(); a test "
      "keeps the two equal.\n"
      "; Deterministic encoding (RFC 8949 §4.2.1) alone is accepted; limits stand in "
      "hal/base/limits.h.\n"
      "frame = [type: uint .le 0xffff, id: uint, body: message]\nmessage = ";
  bool first = true;
  ((out += std::string(first ? "" : " / ") + std::string(M::kName), first = false), ...);
  out += "\n\n";
  (
      [&] {
        CddlPrinter printer;
        printer.message(M{});
        out += "; type " + std::to_string(static_cast<unsigned>(M::kType)) + "\n" + printer.take() +
               "\n";
      }(),
      ...);
  return out;
}

}  // namespace

std::string schema_cddl() { return print_all(AllMessages{}); }

}  // namespace keyward::wire
