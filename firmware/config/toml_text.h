// Owns values written as TOML, for those who write configuration files. Must not know any key.
#pragma once

#include <string>
#include <vector>

namespace keyward::config {

// A basic string: quotes and backslashes escaped. Control characters are the caller's to refuse.
inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

inline std::string quoted_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? ", " : "") + quoted(item);
  return out + "]";
}

}  // namespace keyward::config
