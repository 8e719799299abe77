// Owns texts in columns, for terminals. Must not know what they say.
#pragma once

#include <string>
#include <string_view>

namespace keyward::ctl {

inline std::string left(std::string_view text, std::size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}
inline std::string right(std::string_view text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ').append(text);
}

}  // namespace keyward::ctl
