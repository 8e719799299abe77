#include "apps/ctl/diagnose_command.h"

#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>

namespace keyward::ctl {
namespace {

constexpr int kExitFinding = 2;

std::string_view word(CheckResult result) {
  switch (result) {
    case CheckResult::kOk:
      return "ok";
    case CheckResult::kFinding:
      return "finding";
    case CheckResult::kNotLooked:
      return "not-looked";
  }
  return "unknown";
}

void print(const Checks& checks) {
  for (const auto& check : checks) {
    std::cout << (check.result == CheckResult::kFinding ? "FINDING  "
                  : check.result == CheckResult::kOk    ? "ok       "
                                                        : "-        ")
              << check.name << ": " << check.found << "\n";
    if (!check.what_to_do.empty()) std::cout << "         what to do: " << check.what_to_do << "\n";
  }
  const auto count = std::ranges::count(checks, CheckResult::kFinding, &Check::result);
  std::cout << (count == 0 ? std::string("nothing was found")
                           : std::to_string(count) + (count == 1 ? " finding" : " findings"))
            << "\n";
}

}  // namespace

std::vector<Check> diagnose(const UnitPlaces& places, const UnitSettings& settings) {
  Checks out;
  check_installation(places, out);
  check_tasks(places, out);
  check_files(places, settings, out);
  check_token(places, settings, out);
  check_tpm(places, out);
  check_clock(places, out);
  check_tls(places, settings, out);
  check_issuing(places, out);
  check_disk(places, out);
  check_network(places, settings, out);
  return out;
}

bool has_finding(const Checks& checks) {
  return std::ranges::any_of(
      checks, [](const Check& check) { return check.result == CheckResult::kFinding; });
}

std::string checks_json(const Checks& checks) {
  json::Writer out;
  out.begin_object().member_bool("finding", has_finding(checks)).key("checks").begin_array();
  for (const auto& check : checks) {
    out.begin_object().member("check", check.name).member("result", word(check.result));
    out.member("found", check.found);
    if (!check.what_to_do.empty()) out.member("what_to_do", check.what_to_do);
    out.end_object();
  }
  return out.end_array().end_object().take();
}

DiagnoseCommand::DiagnoseCommand(CLI::App& app)
    : command_(app.add_subcommand("diagnose",
                                  "What is wrong with the unit, and what to do; changes nothing")) {
  command_->add_option("installation", installation_, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  command_->add_flag("--json", json_, "For programs");
}

bool DiagnoseCommand::parsed() const { return command_->parsed(); }

int DiagnoseCommand::run() const {
  const auto places = read_unit_places(installation_);
  const auto settings =
      places ? read_unit_settings(installation_) : Result<UnitSettings>(fail(places.error()));
  Checks checks;
  if (settings)
    checks = diagnose(*places, *settings);
  else
    finding(checks, "installation-file", installation_ + ": " + settings.error().what,
            "correct the lines named above; then diagnose again");
  if (json_)
    std::cout << checks_json(checks) << "\n";
  else
    print(checks);
  return has_finding(checks) ? kExitFinding : 0;
}

}  // namespace keyward::ctl
