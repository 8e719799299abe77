#include "apps/ctl/command_words.h"

#include <algorithm>
#include <string_view>

#include <CLI/CLI.hpp>

namespace keyward::ctl {
namespace {

constexpr std::size_t kIdLength = 22, kThumbprintLength = 43;  // of 16 and of 32 octets

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// No option has a capital letter or an underscore.
bool is_no_option_sign(char c) { return (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_id_like_an_option(std::string_view word) {
  return word.starts_with('-') && (word.size() == kIdLength || word.size() == kThumbprintLength) &&
         std::all_of(word.begin(), word.end(), is_base64url) &&
         std::any_of(word.begin(), word.end(), is_no_option_sign);
}

// Whether some command has an option of this name that takes a value.
bool takes_value(const CLI::App& app, const std::string& name) {
  const auto* option = app.get_option_no_throw(name);
  if (option != nullptr) return option->get_expected_max() > 0 && option->get_type_size() > 0;
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(),
                     [&](const CLI::App* command) { return takes_value(*command, name); });
}

}  // namespace

std::vector<std::string> command_words(const CLI::App& app, std::vector<std::string> words) {
  std::vector<std::string> out, operands;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--") {  // whoever writes it has thought of all this
      operands.insert(operands.end(), word + 1, words.end());
      break;
    }
    if (!is_id_like_an_option(*word)) {
      out.push_back(std::move(*word));
    } else if (!out.empty() && out.back().starts_with("--") && takes_value(app, out.back())) {
      out.back() += "=" + *word;
    } else {
      operands.push_back(std::move(*word));
    }
  }
  if (!operands.empty()) out.emplace_back("--");
  out.insert(out.end(), operands.begin(), operands.end());
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace keyward::ctl
