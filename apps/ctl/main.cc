// keywardctl: what an operator does at the unit itself. Wiring of the command line alone.
#include <CLI/CLI.hpp>

#include "apps/ctl/ceremony_command.h"

int main(int argc, char** argv) {
  using namespace keyward;
  CLI::App app{"Keyward at the unit: key ceremony, ledger.", "keywardctl"};
  app.require_subcommand(1);

  ctl::CeremonyOptions ceremony;
  bool simulator = false;
  auto* ceremony_command = app.add_subcommand("ceremony", "Make a root and an issuing CA from one plan");
  ceremony_command->add_flag("--simulator", simulator, "In SoftHSMv2 tokens below --dir (the only kind yet)")->required();
  ceremony_command->add_option("plan", ceremony.plan_path, "Plan (TOML): [root] and [issuing]")->required()->check(CLI::ExistingFile);
  ceremony_command->add_option("--dir", ceremony.dir, "Where tokens and certificates go")->default_val(".");
  ceremony_command->add_option("--module", ceremony.module_path, "PKCS#11 module")->default_val("/usr/lib/softhsm/libsofthsm2.so");

  app.footer("Exit status: 0 done, 1 failed, 78 a file is wrong, others: usage.");
  CLI11_PARSE(app, argc, argv);
  if (ceremony_command->parsed()) return ctl::run_ceremony(ceremony);
  return 1;
}
