// keyward-attest: explains an attestation statement, offline. Wiring alone.
#include <iostream>

#include <CLI/CLI.hpp>

#include "apps/attest/verify.h"

int main(int argc, char** argv) {
  using namespace keyward::attest_tool;  // NOLINT(google-build-using-namespace): main.cc alone
  CLI::App app{"Keyward: explains attestation statements, offline.", "keyward-attest"};
  app.require_subcommand(1);
  VerifyOptions options;
  auto* command = app.add_subcommand("verify", "judge a statement as the attestation task would");
  command->add_option("file", options.file, "attestation object: CBOR, base64url or hexadecimal")
      ->required()
      ->check(CLI::ExistingFile);
  command
      ->add_option("--policy", options.policy,
                   "TOML: the keys of the attestation task, or an installation's file")
      ->required()
      ->check(CLI::ExistingFile);
  command
      ->add_option("--identifier", options.identifier,
                   "the order's: value, value/OID or hardware-module:serial/OID")
      ->required();
  command->add_option("--key-authorization", options.key_authorization,
                      "what the statement must answer: token.thumbprint");
  command->add_option("--to-be-signed", options.to_be_signed,
                      "instead: the octets that it must have signed, in hexadecimal");
  command->add_option("--at", options.at, "judge at this time (2026-11-22T20:00:00Z), not now");
  command->add_flag("--account-admitted", options.account_admitted,
                    "the account was admitted by an external account binding");
  command->add_flag("--json", options.json, "answer in JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return verify(options, std::cout, std::cerr);
}
