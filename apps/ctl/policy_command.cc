#include "apps/ctl/policy_command.h"

#include <algorithm>
#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/policy_compare.h"
#include "firmware/issue/policy_text.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr int kExitWider = 2, kExitFile = 78;
constexpr std::size_t kPemBytesMax = 131'072, kNamesMax = 64;

// Keys of [signer] that decide nothing about certificates; any other unknown key is a mistake.
bool is_other_key(std::string_view key) {
  return key.starts_with("audit_") || key.starts_with("ocsp") || key.starts_with("crl_") ||
         key == "evidence_key_label" || key == "alternate_chains" || key == "test_keys" ||
         key == "state_dir" || key.starts_with("time");
}
// "…'signer.KEY'…": a complaint that nobody asked for KEY.
bool concerns_policy(const std::string& problem) {
  const auto at = problem.find("signer.");
  if (at == std::string::npos) return false;
  const std::string key = problem.substr(at + 7, problem.find_first_of("' :", at) - at - 7);
  return key.find('.') != std::string::npos || !is_other_key(key);
}

struct Loaded {
  issue::PolicySettings settings;
  std::string base_url;
  std::vector<std::string> problems;
};

Loaded load(const std::string& path) {
  Loaded out;
  auto document = config::Document::load(path);
  auto root = document.root();
  auto own = root.table("signer");
  out.settings = issue::read_policy_settings(own, root);
  auto appliance = root.table("appliance");
  out.settings.gate.base_url = appliance.string("base_url");
  const auto names = appliance.strings_or_empty("names", kNamesMax);
  for (const auto& name : names) {
    auto id = identifier::canonical(wire::IdentifierType::kDns, name);
    if (!id) id = identifier::canonical(wire::IdentifierType::kIp, name);
    if (id)
      out.settings.gate.names.appliance_names.push_back(std::move(*id));
    else
      out.problems.push_back("appliance.names: " + name + " is no name");
  }
  for (const auto& problem : document.finish()) {
    // Unknown keys elsewhere are the supervisor's and the other tasks' to say.
    if (problem.find("unknown") == std::string::npos || concerns_policy(problem))
      out.problems.push_back(problem);
  }
  if (!out.settings.problem.empty()) out.problems.push_back("signer: " + out.settings.problem);
  if (const auto complete = issue::complete_policy(out.settings); !complete)
    out.problems.push_back(std::string("signer: ") + complete.error().what);
  if (out.settings.operators.empty()) return out;
  const auto text = read_text_file(out.settings.operators, limits::kOperatorsBytesMax);
  auto operators =
      text ? operate::Operators::parse(*text) : Result<operate::Operators>(fail(text.error()));
  if (operators)
    out.settings.gate.operators = std::move(*operators);
  else
    out.problems.push_back("signer.operators: " + out.settings.operators + ": " +
                           operators.error().what);
  return out;
}

bool complain(const std::string& path, const Loaded& loaded) {
  for (const auto& problem : loaded.problems)
    std::cerr << "keywardctl: " << path << ": " << problem << "\n";
  return !loaded.problems.empty();
}

}  // namespace

PolicyCommand::PolicyCommand(CLI::App& app)
    : command_(app.add_subcommand("policy", "Under which policy the signer issues")),
      check_(command_->add_subcommand("check", "Is the file good, and what does it allow anew")),
      show_(
          command_->add_subcommand("show", "The policy as operators approve it, and its digest")) {
  command_->require_subcommand(1);
  for (auto* command : {check_, show_}) {
    command->add_option("file", file_, "An installation file")
        ->required()
        ->check(CLI::ExistingFile);
    command->add_flag("--json", json_, "For programs");
  }
  check_->add_option("--against", against_, "The installation file until now")
      ->check(CLI::ExistingFile);
}

bool PolicyCommand::parsed() const { return command_->parsed(); }
int PolicyCommand::run() const { return check_->parsed() ? run_check() : run_show(); }

int PolicyCommand::run_check() const {
  const auto fresh = load(file_);
  if (complain(file_, fresh)) return kExitFile;
  std::vector<issue::PolicyChange> changes;
  if (!against_.empty()) {
    const auto old = load(against_);
    if (complain(against_, old)) return kExitFile;
    changes = issue::compare_policies(old.settings, fresh.settings);
  }
  const bool wider = std::ranges::any_of(changes, &issue::PolicyChange::wider);
  if (json_) {
    json::Writer out;
    out.begin_object().member_bool("good", true).member_bool("wider", wider);
    for (const bool which : {true, false}) {
      out.key(which ? "possible_now" : "possible_no_more").begin_array();
      for (const auto& change : changes) {
        if (change.wider == which) out.string(change.words);
      }
      out.end_array();
    }
    std::cout << out.end_object().take() << "\n";
    return wider ? kExitWider : 0;
  }
  for (const bool which : {true, false}) {
    for (const auto& change : changes) {
      if (change.wider == which) std::cout << (which ? "+ " : "- ") << change.words << "\n";
    }
  }
  if (against_.empty())
    std::cout << file_ << ": good\n";
  else
    std::cout << (wider             ? "WIDER: something is possible that was not (+)\n"
                  : changes.empty() ? "the same policy\n"
                                    : "narrower: nothing is possible that was not\n");
  return wider ? kExitWider : 0;
}

int PolicyCommand::run_show() const {
  const auto loaded = load(file_);
  if (complain(file_, loaded)) return kExitFile;
  const auto& settings = loaded.settings;
  const auto pem = read_text_file(settings.issuer_chain, kPemBytesMax);
  auto issuer = pem ? issue::load_issuer(*pem, system_clock().utc_ms())
                    : Result<issue::Issuer>(fail(pem.error()));
  if (!issuer) {
    std::cerr << "keywardctl: " << settings.issuer_chain << ": " << issuer.error().what << "\n";
    return kExitFile;
  }
  issuer->crl_url = settings.crl_url;
  issuer->ocsp_url = settings.ocsp_url;
  issuer->ca_issuers_url = settings.ca_issuers_url;
  const auto digest = hex_encode(issue::policy_digest(settings.gate, *issuer));
  const auto text = issue::policy_text(settings.gate, *issuer);
  if (json_) {
    json::Writer out;
    out.begin_object().member("digest", digest).member("policy", text);
    std::cout << out.end_object().take() << "\n";
    return 0;
  }
  std::cout << text << "digest: " << digest << "\n";
  return 0;
}

}  // namespace keyward::ctl
