// keyward-attest: explains an attestation statement, offline. Wiring alone.
#include <iostream>

#include <CLI/CLI.hpp>

#include "apps/attest/evidence.h"
#include "apps/attest/verify.h"

int main(int argc, char** argv) {
  using namespace keyward::attest_tool;  // NOLINT(google-build-using-namespace): main.cc alone
  CLI::App app{"Keyward: explains attestation statements, offline.", "keyward-attest"};
  app.require_subcommand(1);
  VerifyOptions options;
  auto* command = app.add_subcommand("verify", "judge a statement as the attestation task would");
  command
      ->add_option("file", options.file,
                   "attestation object, TPM quote, EAT, EAR, CMW or EK certificate; binary, "
                   "base64url or hexadecimal")
      ->required()
      ->check(CLI::ExistingFile);
  command
      ->add_option(
          "--policy", options.policy,
          "TOML: an appraisal policy; of an attestation object the keys of the attestation "
          "task or an installation's file; of an EK certificate its roots")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--identifier", options.identifier,
                      "of an attestation object, the order's: value, value/OID or "
                      "hardware-module:serial/OID");
  command->add_option("--key-authorization", options.key_authorization,
                      "what the statement must answer: token.thumbprint");
  command->add_option("--nonce", options.nonce, "the freshness nonce that evidence must answer");
  command->add_option("--to-be-signed", options.to_be_signed,
                      "instead: the octets that it must have signed, in hexadecimal");
  command->add_option("--at", options.at, "judge at this time (2026-11-22T20:00:00Z), not now");
  command->add_flag("--account-admitted", options.account_admitted,
                    "the account was admitted by an external account binding");
  command->add_flag("--json", options.json, "answer in JSON");
  RecordOptions reference;
  auto* record_command =
      app.add_subcommand("record", "write a policy with the values of a device known to be good");
  record_command->add_option("file", reference.file, "quote record; without it this machine")
      ->check(CLI::ExistingFile);
  record_command->add_option("--name", reference.name, "of the policy")->required();
  record_command->add_option("--policy-version", reference.version, "of the policy");
  record_command->add_option("--bank", reference.bank, "sha256, sha384 or sha512");
  record_command->add_option("--pcrs", reference.pcrs, "registers, with commas between")
      ->delimiter(',');
  record_command
      ->add_option("--ak-root", reference.ak_roots, "PEM: roots of attestation keys' certificates")
      ->required()
      ->check(CLI::ExistingFile);
  record_command->add_option("--sysfs", reference.sysfs, "where this machine's TPM is seen");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (record_command->parsed()) return record(reference, std::cout, std::cerr);
  return verify(options, std::cout, std::cerr);
}
