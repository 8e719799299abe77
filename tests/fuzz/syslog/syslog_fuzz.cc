// Fuzzes what any task may have written into the log on its way to a remote receiver. Held: a line
// becomes one message, within its bound, whose structured data reads back by RFC 5424's grammar; a
// record of the spool reads back as it was written.
#include <cstdlib>

#include "firmware/syslog/message.h"
#include "firmware/syslog/spool_record.h"
#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void must(bool held) {
  if (!held) std::abort();
}

// RFC 5424 §6: six fields of the header, then SD-ELEMENTs; what follows is text.
std::string_view after_header(std::string_view message) {
  for (int field = 0; field < 6; ++field) {
    const auto blank = message.find(' ');
    must(blank != std::string_view::npos && blank > 0);
    message.remove_prefix(blank + 1);
  }
  return message;
}

// §6.3.3: returns what stands behind the closing quote.
std::string_view after_value(std::string_view text) {
  must(text.starts_with('"'));
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    must(text[at] != ']');
    if (text[at] == '\\') {
      ++at;
      must(at < text.size() && (text[at] == '"' || text[at] == '\\' || text[at] == ']'));
    }
  }
  must(at < text.size());
  return text.substr(at + 1);
}

std::string_view after_element(std::string_view text) {
  must(text.starts_with('['));
  text.remove_prefix(text.find_first_of(" ]"));
  while (text.starts_with(' ')) {
    const auto equals = text.find('=');
    must(equals > 1 && equals <= 33);
    text = after_value(text.substr(equals + 1));
  }
  must(text.starts_with(']'));
  return text.substr(1);
}

void check_message(std::string_view message) {
  must(message.size() <= limits::kSyslogMessageBytesMax);
  must(wire::is_valid_utf8(view_of(message)));
  for (const char c : message) must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  auto rest = after_header(message);
  int elements = 0;
  for (; rest.starts_with('['); ++elements) rest = after_element(rest);
  must(elements == 2 || elements == 3);
  must(rest.empty() || rest.starts_with(' '));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)syslog::decode(text, 7);
  syslog::Record record{{7, 11}, 1'777'886'000'123, "acme", std::string(text)};
  const auto line = syslog::encode(record);
  must(line.ends_with('\n') && line.find('\n') == line.size() - 1);
  const auto back = syslog::decode(std::string_view(line).substr(0, line.size() - 1), 7);
  must(back && back->place == record.place && back->task == record.task);
  must(syslog::encode(*back) == line);
  check_message(syslog::message_of(*back, {"ca.example", 16, 32'473}));
  check_message(syslog::loss_of({3, 10}, *back, {}));
  return 0;
}
