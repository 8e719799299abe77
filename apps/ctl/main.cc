// keywardctl: what an operator does at the unit itself. Wiring of the command line alone.
#include <CLI/CLI.hpp>

#include "apps/ctl/account_command.h"
#include "apps/ctl/audit_command.h"
#include "apps/ctl/backup_command.h"
#include "apps/ctl/ceremony_command.h"
#include "apps/ctl/certificates_command.h"
#include "apps/ctl/command_tree.h"
#include "apps/ctl/command_words.h"
#include "apps/ctl/devices_command.h"
#include "apps/ctl/diagnose_command.h"
#include "apps/ctl/eab_command.h"
#include "apps/ctl/incident_command.h"
#include "apps/ctl/ledger_command.h"
#include "apps/ctl/operator_key.h"
#include "apps/ctl/order_command.h"
#include "apps/ctl/policy_command.h"
#include "apps/ctl/publish_command.h"
#include "apps/ctl/records_command.h"
#include "apps/ctl/roots_command.h"
#include "apps/ctl/status_command.h"
#include "apps/ctl/support_bundle_command.h"
#include "apps/ctl/time_command.h"
#include "apps/ctl/unlock_command.h"
#include "apps/ctl/zeroise_command.h"

int main(int argc, char** argv) {
  using namespace keyward;
  CLI::App app{"What an operator of a Keyward unit does at the unit itself.", "keywardctl"};
  app.require_subcommand(1);

  ctl::LedgerOptions ledger;
  auto* ledger_command = app.add_subcommand("ledger", "What was issued, to whom, on which grounds");
  ledger_command->require_subcommand(1);
  auto* show = ledger_command->add_subcommand("show", "Print the newest entries");
  auto* verify = ledger_command->add_subcommand(
      "verify", "Check the chain of hashes and every issued certificate");
  for (auto* command : {show, verify}) {
    command
        ->add_option("directory", ledger.directory,
                     "The signer's ledger, e.g. .../state/signer/ledger")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_flag("--json", ledger.json, "For programs");
  }
  show->add_option("--last", ledger.last, "So many entries; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  show->add_option("--serial", ledger.serial, "The entry of this certificate, hexadecimal");
  verify
      ->add_option("--issuer", ledger.issuer_path,
                   "PEM file whose first certificate is the issuing CA")
      ->required()
      ->check(CLI::ExistingFile);

  const ctl::StatusCommand status(app);
  const ctl::DiagnoseCommand diagnose(app);
  const ctl::SupportBundleCommand support_bundle(app);
  const ctl::CompletionCommand completion(app);
  const ctl::ManCommand man(app);
  const ctl::RecordsCommand records(app);
  const ctl::CertificatesCommand certificates(app);
  const ctl::AccountCommand account(app);
  const ctl::AuditCommand audit(app);
  const ctl::CeremonyCommand ceremony(app);
  const ctl::BackupCommand backup(app);
  const ctl::DevicesCommand devices(app);
  const ctl::EabCommand eab(app);
  const ctl::IncidentCommand incident(app);
  const ctl::OperatorKeyCommand operator_key(app);
  const ctl::OrderCommand order(app);
  const ctl::PolicyCommand policy(app);
  const ctl::PublishCommand publish(app);
  const ctl::RootsCommand roots(app);
  const ctl::UnlockCommand unlock(app);
  const ctl::TimeCommand time(app);
  const ctl::ZeroiseCommand zeroise(app);

  app.footer(
      "Exit status: 0 done, 1 failed, 2 a finding (the ledger is broken), 78 a file is wrong, "
      "others: usage.");
  auto words = ctl::command_words(app, {argv + 1, argv + argc});
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  if (status.parsed()) return status.run();
  if (diagnose.parsed()) return diagnose.run();
  if (support_bundle.parsed()) return support_bundle.run();
  if (completion.parsed()) return completion.run();
  if (man.parsed()) return man.run();
  if (records.parsed()) return records.run();
  if (certificates.parsed()) return certificates.run();
  if (account.parsed()) return account.run();
  if (audit.parsed()) return audit.run();
  if (ceremony.parsed()) return ceremony.run();
  if (backup.parsed()) return backup.run();
  if (devices.parsed()) return devices.run();
  if (eab.parsed()) return eab.run();
  if (incident.parsed()) return incident.run();
  if (operator_key.parsed()) return operator_key.run();
  if (order.parsed()) return order.run();
  if (policy.parsed()) return policy.run();
  if (publish.parsed()) return publish.run();
  if (roots.parsed()) return roots.run();
  if (unlock.parsed()) return unlock.run();
  if (time.parsed()) return time.run();
  if (zeroise.parsed()) return zeroise.run();
  if (show->parsed()) return ctl::show_ledger(ledger);
  if (verify->parsed()) return ctl::verify_ledger(ledger);
  return 1;
}
