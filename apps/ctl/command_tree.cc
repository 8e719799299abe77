#include "apps/ctl/command_tree.h"

#include <iostream>

#include <CLI/CLI.hpp>

#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

using Path = std::vector<const CLI::App*>;

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) {
    return positional ? !option->nonpositional() : option->nonpositional();
  });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::vector<std::string> spellings(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const auto& name : option.get_snames()) out.push_back("-" + name);
  for (const auto& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// "audit export"; "" for the program itself.
std::string path_text(const Path& path) {
  std::vector<std::string> words;
  for (std::size_t i = 1; i < path.size(); ++i) words.push_back(path[i]->get_name());
  return joined(words, " ");
}

template <class F>
void walk(Path& path, const F& visit) {
  visit(path);
  for (const auto* sub : commands_of(*path.back())) {
    path.push_back(sub);
    walk(path, visit);
    path.pop_back();
  }
}

// One line of a description, quoted for a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text.substr(0, text.find('\n')))
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// ---- bash

struct Words {
  std::string commands, options, valued;  // separated by blanks
};

Words words_of(const CLI::App& app) {
  std::vector<std::string> commands, options, valued;
  for (const auto* sub : commands_of(app)) commands.push_back(sub->get_name());
  for (const auto* option : options_of(app, false)) {
    for (const auto& name : spellings(*option)) {
      options.push_back(name);
      if (takes_value(*option)) valued.push_back(name);
    }
  }
  return {joined(commands, " "), joined(options, " "), joined(valued, " ")};
}

constexpr const char* kBashEnd = R"(  local previous="${COMP_WORDS[COMP_CWORD-1]}"
  if [[ " $valued " == *" $previous "* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ -n $commands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _keywardctl keywardctl
)";

std::string bash_script(const CLI::App& app) {
  std::string steps, cases;
  Path path{&app};
  walk(path, [&](const Path& at) {
    const auto words = words_of(*at.back());
    const auto text = path_text(at);
    if (!text.empty()) steps += std::string(steps.empty() ? "" : "|") + "\"" + text + "\"";
    cases += "    \"" + text + "\")\n      commands=\"" + words.commands + "\"\n      options=\"" +
             words.options + "\"\n      valued=\"" + words.valued + "\" ;;\n";
  });
  return "# Completion of keywardctl for bash; made by `keywardctl completion bash`.\n"
         "_keywardctl() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" word commands=\"\" options=\"\" "
         "valued=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=\"${path:+$path }${COMP_WORDS[i]}\"\n"
         "    case \"$word\" in\n      " +
         steps + ") path=\"$word\" ;;\n    esac\n  done\n  case \"$path\" in\n" + cases +
         "  esac\n" + kBashEnd;
}

// ---- zsh

std::string zsh_script(const CLI::App& app) {
  auto text = bash_script(app);
  // zsh runs a completion of bash by itself (zshcompsys(1), bashcompinit); mapfile is bash's own.
  for (const std::string bash = "mapfile -t COMPREPLY < <(";
       text.find(bash) != std::string::npos;) {
    const auto at = text.find(bash);
    const auto end = text.find(")\n", at);
    text.replace(end, 1, "))");
    text.replace(at, bash.size(), "COMPREPLY=($(");
  }
  return "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" +
         text.replace(0, text.find('\n') + 1,
                      "# Completion of keywardctl for zsh; made by `keywardctl completion zsh`.\n");
}

// ---- fish

std::string fish_script(const CLI::App& app) {
  std::string steps, lines;
  Path path{&app};
  walk(path, [&](const Path& at) {
    const auto text = path_text(at);
    if (!text.empty()) steps += " " + quoted(text);
    const auto condition = "complete -c keywardctl -n '__keywardctl_at \"" + text + "\"'";
    for (const auto* sub : commands_of(*at.back()))
      lines += condition + " -f -a " + quoted(sub->get_name()) + " -d " +
               quoted(sub->get_description()) + "\n";
    for (const auto* option : options_of(*at.back(), false)) {
      lines += condition;
      for (const auto& name : option->get_snames()) lines += " -s " + name;
      for (const auto& name : option->get_lnames()) lines += " -l " + name;
      if (takes_value(*option)) lines += " -r";
      lines += " -d " + quoted(option->get_description()) + "\n";
    }
  });
  return "# Completion of keywardctl for fish; made by `keywardctl completion fish`.\n"
         "function __keywardctl_at\n"
         "  set -l path ''\n"
         "  for word in (commandline -opc)[2..-1]\n"
         "    set -l next (string trim \"$path $word\")\n"
         "    if contains -- $next" +
         steps + "\n      set path $next\n    end\n  end\n  test \"$path\" = \"$argv[1]\"\nend\n" +
         lines;
}

// ---- roff

// A line that begins with '.' or '\'' is a request; a hyphen alone may be broken at (man(7)).
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

void add_options(const CLI::App& app, std::string& out) {
  for (const auto* option : options_of(app, true))
    out += ".TP\n.I " + roff(option->get_name()) + "\n" + roff(option->get_description()) + "\n";
  for (const auto* option : options_of(app, false)) {
    out += ".TP\n.B " + roff(joined(spellings(*option), ", "));
    if (takes_value(*option)) out += " " + roff("VALUE");
    out += "\n" + roff(option->get_description());
    if (option->get_required()) out += " (needed)";
    const auto standard = option->get_default_str();
    if (!standard.empty() && takes_value(*option)) out += " (else " + roff(standard) + ")";
    out += "\n";
  }
}

std::string synopsis(const Path& path) {
  std::string line = ".B keywardctl";
  const auto text = path_text(path);
  if (!text.empty()) line += " " + roff(text);
  line += "\n";
  const auto& app = *path.back();
  std::string rest;
  for (const auto* option : options_of(app, true))
    rest += " " + option->get_name() + (option->get_items_expected_max() > 1 ? "..." : "");
  for (const auto* option : options_of(app, false)) {
    if (option->get_required()) rest += " " + spellings(*option).back() + " VALUE";
  }
  if (!commands_of(app).empty()) rest += " COMMAND";
  line += roff("[OPTIONS]" + rest) + "\n";
  return line;
}

std::string header(const std::string& name, const std::string& what) {
  std::string upper(name);
  for (auto& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return ".TH " + roff(upper) + " 1 \"\" Keyward \"Keyward at the unit\"\n.SH NAME\n" + roff(name) +
         " \\- " + roff(what) + "\n";
}

constexpr const char* kExitText =
    ".SH \"EXIT STATUS\"\n0 done; 1 failed; 2 a finding (something is broken, wider, degraded, or "
    "gone); 78 a file is wrong; others: usage.\n";

std::string program_page(const CLI::App& app) {
  std::string out = header("keywardctl", app.get_description());
  out += ".SH SYNOPSIS\n" + synopsis({&app}) + ".SH COMMANDS\n";
  for (const auto* sub : commands_of(app))
    out += ".TP\n.BR keywardctl\\-" + roff(sub->get_name()) + " (1)\n" +
           roff(sub->get_description()) + "\n";
  out += ".SH OPTIONS\n";
  add_options(app, out);
  return out + kExitText;
}

std::string command_page(const CLI::App& app, const CLI::App& command) {
  std::string out =
      header("keywardctl-" + command.get_name(), command.get_description()) + ".SH SYNOPSIS\n";
  Path path{&app, &command};
  const bool simple = commands_of(command).empty();
  bool first = true;
  walk(path, [&](const Path& at) {
    if (!commands_of(*at.back()).empty()) return;
    out += (first ? "" : ".br\n") + synopsis(at);
    first = false;
  });
  if (simple) {
    out += ".SH OPTIONS\n";
    add_options(command, out);
  } else {
    out += ".SH COMMANDS\n";
    walk(path, [&](const Path& at) {
      if (at.size() == 2) return;
      out += ".SS " + roff(path_text(at)) + "\n" + roff(at.back()->get_description()) + "\n";
      add_options(*at.back(), out);
    });
  }
  return out + kExitText + ".SH \"SEE ALSO\"\n.BR keywardctl (1)\n";
}

}  // namespace

std::string completion_script(const CLI::App& app, Shell shell) {
  switch (shell) {
    case Shell::kBash:
      return bash_script(app);
    case Shell::kZsh:
      return zsh_script(app);
    case Shell::kFish:
      return fish_script(app);
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> manual_pages(const CLI::App& app) {
  std::vector<std::pair<std::string, std::string>> out = {{"keywardctl.1", program_page(app)}};
  for (const auto* sub : commands_of(app))
    out.emplace_back("keywardctl-" + sub->get_name() + ".1", command_page(app, *sub));
  return out;
}

CompletionCommand::CompletionCommand(CLI::App& app)
    : root_(app), command_(app.add_subcommand("completion", "A script that completes commands")) {
  command_->add_option("shell", shell_, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

bool CompletionCommand::parsed() const { return command_->parsed(); }

int CompletionCommand::run() const {
  std::cout << completion_script(root_, shell_ == "bash"  ? Shell::kBash
                                        : shell_ == "zsh" ? Shell::kZsh
                                                          : Shell::kFish);
  return 0;
}

ManCommand::ManCommand(CLI::App& app)
    : root_(app), command_(app.add_subcommand("man", "Manual pages")) {
  command_->add_option("page", page_, "One command's page, printed; none: the program's");
  command_->add_option("--dir", folder_, "Write all pages into this folder")
      ->check(CLI::ExistingDirectory);
}

bool ManCommand::parsed() const { return command_->parsed(); }

int ManCommand::run() const {
  const auto wanted = "keywardctl" + (page_.empty() ? "" : "-" + page_) + ".1";
  bool found = false;
  for (const auto& [name, text] : manual_pages(root_)) {
    if (folder_.empty() && name == wanted) std::cout << text;
    found = found || name == wanted;
    if (folder_.empty()) continue;
    if (const auto kept = replace_file(folder_ + "/" + name, view_of(text), 0644); !kept) {
      std::cerr << "keywardctl: " << folder_ << "/" << name << ": " << kept.error().what << "\n";
      return 1;
    }
  }
  if (!found) std::cerr << "keywardctl: there is no command " << page_ << "\n";
  return found ? 0 : 1;
}

}  // namespace keyward::ctl
