#include "firmware/syslog/position.h"

#include <charconv>

#include "hal/base/file.h"

namespace keyward::syslog {
namespace {

constexpr std::size_t kBytesMax = 64;

}  // namespace

// "<start> <number>\n"
Place load_position(const std::string& path) {
  const auto text = read_text_file(path, kBytesMax);
  if (!text || text->empty() || text->back() != '\n') return {};
  Place out;
  const char* end = text->data() + text->size() - 1;
  const auto [blank, error] = std::from_chars(text->data(), end, out.start);
  if (error != std::errc{} || blank == end || *blank != ' ') return {};
  const auto [rest, wrong] = std::from_chars(blank + 1, end, out.number);
  return wrong == std::errc{} && rest == end ? out : Place{};
}

Status save_position(const std::string& path, const Place& place) {
  const std::string text = std::to_string(place.start) + " " + std::to_string(place.number) + "\n";
  return replace_file(path, view_of(text), 0600);
}

}  // namespace keyward::syslog
