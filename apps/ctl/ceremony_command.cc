// Owns the command line of `keywardctl ceremony`. Must not know what a ceremony is.
#include "apps/ctl/ceremony_command.h"

#include <iostream>

#include <CLI/CLI.hpp>

namespace keyward::ctl {
namespace {
constexpr int kExitUsage = 64;
}

CeremonyCommand::CeremonyCommand(CLI::App& app)
    : command_(
          app.add_subcommand("ceremony", "Found a CA: keys, certificates, operators, shares")) {
  command_->require_subcommand(0, 1);
  command_->add_flag(
      "--simulator", simulator_,
      "A root and one issuing CA in SoftHSMv2 tokens below --dir, without questions");
  command_->add_option("plan", simulated_.plan_path, "With --simulator: its plan (TOML)")
      ->check(CLI::ExistingFile);
  command_->add_option("--dir", simulated_.dir, "With --simulator: where all goes")
      ->default_val(".");
  command_->add_option("--module", simulated_.module_path, "With --simulator: PKCS#11 module")
      ->default_val("/usr/lib/softhsm/libsofthsm2.so");

  run_ = command_->add_subcommand("run", "Hold the ceremony of a plan, step by step");
  run_->add_option("plan", options_.plan_path, "The reviewed plan (TOML), docs/ceremony.md")
      ->required()
      ->check(CLI::ExistingFile);
  run_->add_option("--out", options_.out, "Folder for the products; goes on with one that stopped")
      ->default_val("ceremony");
  run_->add_flag("--yes", options_.yes, "Ask nothing");
  run_->add_flag("--dry-run", options_.dry_run, "Review and steps in words; nothing is made");
  run_->add_flag("--print-shares", options_.print_shares, "Shares on the standard output, once");
  run_->add_flag("--json", options_.json, "The result for programs; words go to standard error");

  verify_ = command_->add_subcommand("verify", "Judge a transcript and its products, offline");
  verify_->add_option("--root", read_.root, "The root's certificate (PEM), from your own source")
      ->required()
      ->check(CLI::ExistingFile);
  transcript_ = command_->add_subcommand("transcript", "Print a transcript for people");
  for (auto* command : {verify_, transcript_}) {
    command->add_option("path", read_.path, "transcript.json, or the folder that holds it")
        ->required()
        ->check(CLI::ExistingPath);
    command->add_flag("--json", read_.json, "For programs");
  }
}

bool CeremonyCommand::parsed() const { return command_->parsed(); }

int CeremonyCommand::run() const {
  if (run_->parsed()) return run_whole_ceremony(options_);
  if (verify_->parsed()) return verify_ceremony(read_);
  if (transcript_->parsed()) return show_transcript(read_);
  if (simulator_ && !simulated_.plan_path.empty()) return run_ceremony(simulated_);
  std::cerr << "keywardctl: ceremony run|verify|transcript, or --simulator PLAN (see --help)\n";
  return kExitUsage;
}

}  // namespace keyward::ctl
