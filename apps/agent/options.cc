// Owns the command line of keyward-agent. Must not know ACME or a TPM.
#include "options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "firmware/agent/evidence.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr const char* kDefaultAkHandle = "0x81010002";
constexpr const char* kDefaultKeyType = "p256";
constexpr const char* kFooter =
    "Files in DIR: certificate.pem (chain, leaf first), key.pem (TSS2 PRIVATE KEY: the key itself "
    "stays in the\n"
    "TPM), state.json (what a later run needs; keep it private).\n"
    "An interrupted run is taken up again by the same command.\n\n"
    "Exit codes: 0 done, or nothing to do; 1 internal error; 2 wrong options; 3 TPM away or "
    "refusing;\n"
    "4 CA not reachable or not ready, run again later; 5 CA refused; 6 state directory; 7 another "
    "agent works there.";

void add_evidence_options(CLI::App& app, Options& out) {
  app.add_option("--pcrs", out.registers,
                 "registers to quote where the CA asks for evidence, e.g. sha256:0,1,2,3,4,5,6,7");
  app.add_option("--event-log", out.event_log_file,
                 "the firmware's event log, sent beside a quote (Linux: "
                 "/sys/kernel/security/tpm0/binary_bios_measurements)");
  app.add_option("--evidence", out.evidence,
                 "HINT=FILE: what answers this hint: a CMW as JSON, or a JWT (EAT, EAR)");
  app.add_flag("--plain-evidence", out.plain_evidence,
               "do not encrypt evidence, although the CA offers a key for it");
  app.add_option("--vendor-jwt", out.vendor_jwt_file, "the vendor's token for --mac");
  app.add_option("--order-directory", out.order_directory,
                 "another directory of the same CA, whose newOrder is used (a vendor's)");
}

void add_enrol_options(CLI::App& app, Options& out, bool needed) {
  const auto require = [needed](CLI::Option* option) { option->required(needed); };
  require(app.add_option("--tcti", out.tcti,
                         "TPM, e.g. device:/dev/tpmrm0 or swtpm:path=/run/tpm.sock"));
  require(app.add_option("--directory", out.directory_url, "ACME directory, https"));
  app.add_option("--ca-file", out.ca_file,
                 "PEM roots that the CA's HTTPS is verified with (default: the system's)");
  app.add_option("--ak-chain", out.ak_chain_file,
                 "PEM: the attestation key's certificate, then its issuers (default: the CA's own "
                 "attestation CA certifies the key)");
  app.add_option("--ek-certificate", out.ek_chain_file,
                 "PEM: the TPM's endorsement certificate and its issuers, for the attestation CA "
                 "(default: from the TPM's memory)");
  app.add_option("--ak-handle", out.ak_handle,
                 "persistent handle of the attestation key (default 0x81010002)");
  add_evidence_options(app, out);
  app.add_option("--key-type", out.key_type, "p256 (default), p384 or rsa2048")
      ->check(CLI::IsMember({"p256", "p384", "rsa2048"}));
  app.add_option("--profile", out.profile,
                 "certificate profile to ask for (default: the CA chooses)");
  app.add_option("--patience", out.patience_s,
                 "seconds to go on trying when the CA is away or busy (default 120)")
      ->check(CLI::Range(0, 86'400));
  app.add_flag("--agree-to-terms", out.agree_to_terms,
               "you have read the CA's terms of service and agree");
}

void add_quote_options(CLI::App& app, Options& out) {
  app.add_option("--tcti", out.tcti, "TPM (default: as before)");
  app.add_option("--ak-chain", out.ak_chain_file,
                 "PEM: the attestation key's chain (default: as before, or ak-chain.pem in DIR)");
  app.add_option("--ak-handle", out.ak_handle, "persistent handle of the attestation key");
  app.add_option("--pcrs", out.registers, "registers, e.g. sha256:0,1,2,3,4,5,6,7")->required();
  app.add_option("--event-log", out.event_log_file, "the firmware's event log");
  app.add_option("--nonce", out.nonce_hex, "extraData, hexadecimal (default: random)");
  app.add_option("--out", out.out_file, "file to write")->required();
}

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return path.empty() ? path : std::filesystem::absolute(path, ignored).string();
}

}  // namespace

int parse_options(int argc, char** argv, Options& out) {
  CLI::App app("Enrols this device: a key in its TPM, a certificate by ACME with device-attest-01.",
               "keyward-agent");
  app.require_subcommand(1);
  app.footer(kFooter);
  CLI::App* enroll =
      app.add_subcommand("enroll", "get the first certificate (nothing to do if there is one)");
  CLI::App* renew = app.add_subcommand("renew", "get another; what is left out is as before");
  CLI::App* revoke = app.add_subcommand(
      "revoke", "have the installed certificate revoked; its files are kept as *.revoked");
  CLI::App* quote = app.add_subcommand(
      "quote", "write a quote record of this device's state, for keyward-attest");
  CLI::App* show = app.add_subcommand("show", "say what is installed");
  for (CLI::App* command : {enroll, renew, revoke, quote, show}) {
    command->add_option("--dir", out.dir, "state directory of this device (made if absent)")
        ->required();
    command->add_flag("--json", out.json, "one JSON object a line");
    command->footer(kFooter);
  }
  add_enrol_options(*enroll, out, true);
  enroll->add_option("--identifier", out.identifier,
                     "permanent-identifier, e.g. a serial number (default: the one that the "
                     "attestation CA certifies)");
  enroll->add_option("--hardware-module", out.hardware_module,
                     "SERIAL/OID of the module that the key lives in, instead of --identifier or "
                     "beside it");
  enroll->add_option("--mac", out.mac, "instead: the address by which the device's vendor vouches");
  enroll->add_option("--service-uri", out.service_uri,
                     "beside --mac: the service the device is for");
  add_enrol_options(*renew, out, false);
  renew->add_flag("--reuse-key", out.reuse_key, "the same key again (default: a new one)");
  renew->add_flag("--if-due", out.if_due, "only if two thirds of the lifetime are over");
  revoke->add_option("--reason", out.reason, "why (default: none is given)")
      ->check(CLI::IsMember({"affiliationChanged", "superseded", "cessationOfOperation"}));
  add_quote_options(*quote, out);
  revoke->add_option("--ca-file", out.ca_file, "PEM roots of the CA's HTTPS (default: as before)");
  try {
    app.parse(argc, argv);
    const bool device = !out.identifier.empty() || !out.hardware_module.empty();
    if (enroll->parsed() && device && !out.mac.empty())
      throw CLI::ValidationError("--mac", "stands instead of --identifier and --hardware-module");
    if (enroll->parsed() && !device && out.mac.empty() && !out.ak_chain_file.empty())
      throw CLI::RequiredError("--identifier or --hardware-module");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(FailureKind::kUsage);
  }
  out.command = enroll->parsed()   ? Command::kEnroll
                : renew->parsed()  ? Command::kRenew
                : revoke->parsed() ? Command::kRevoke
                : quote->parsed()  ? Command::kQuote
                                   : Command::kShow;
  out.ca_file = absolute(out.ca_file);
  for (auto* path :
       {&out.ak_chain_file, &out.ek_chain_file, &out.event_log_file, &out.vendor_jwt_file})
    *path = absolute(*path);
  return -1;
}

std::map<std::string, std::string> settings_of(const Options& options) {
  return {{"tcti", options.tcti},
          {"ca_file", options.ca_file},
          {"ak_chain", options.ak_chain_file},
          {"ak_handle", options.ak_handle},
          {"ek_chain", options.ek_chain_file},
          {"pcrs", options.registers},
          {"event_log", options.event_log_file},
          {"vendor_jwt", options.vendor_jwt_file},
          {"order_directory", options.order_directory},
          {"key_type", options.key_type},
          {"terms", options.agree_to_terms ? "agreed" : ""}};
}

void complete(Options& options, const std::map<std::string, std::string>& settings) {
  const auto fill = [&](std::string& value, const char* name, const char* otherwise) {
    if (!value.empty()) return;
    const auto found = settings.find(name);
    value = found == settings.end() || found->second.empty() ? otherwise : found->second;
  };
  fill(options.tcti, "tcti", "");
  fill(options.ca_file, "ca_file", "");
  fill(options.ak_chain_file, "ak_chain", "");
  fill(options.ek_chain_file, "ek_chain", "");
  fill(options.registers, "pcrs", "");
  fill(options.event_log_file, "event_log", "");
  fill(options.vendor_jwt_file, "vendor_jwt", "");
  fill(options.order_directory, "order_directory", "");
  fill(options.ak_handle, "ak_handle", kDefaultAkHandle);
  fill(options.key_type, "key_type", kDefaultKeyType);
  const auto terms = settings.find("terms");
  if (terms != settings.end() && terms->second == "agreed") options.agree_to_terms = true;
}

Outcome<std::uint32_t> handle_of(const std::string& text) {
  std::uint32_t value = 0;
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + (hex ? 2 : 0), end, value, 16);
  // TCG registry: persistent objects are 0x81xxxxxx.
  if (parsed.ec != std::errc() || parsed.ptr != end || value >> 24 != 0x81)
    return failed(FailureKind::kUsage, "\"" + text + "\" is no persistent handle (0x81......)");
  return value;
}

Outcome<hal::TpmKeyType> key_type_of(const std::string& text) {
  if (text == "p256") return hal::TpmKeyType::kEccP256;
  if (text == "p384") return hal::TpmKeyType::kEccP384;
  if (text == "rsa2048") return hal::TpmKeyType::kRsa2048;
  return failed(FailureKind::kUsage, "\"" + text + "\" is no key type");
}

Outcome<std::vector<Bytes>> chain_of(const std::string& path) {
  const auto pem = read_text_file(path, limits::kAgentReplyBytesMax);
  if (!pem) return failed(FailureKind::kUsage, "reading " + path, pem.error());
  auto chain = x509::certificates_from_pem(*pem, limits::kChainCertificatesMax);
  if (!chain) return failed(FailureKind::kUsage, "reading " + path, chain.error());
  if (chain->empty()) return failed(FailureKind::kUsage, path + " holds no certificate");
  return std::move(*chain);
}

Outcome<std::map<std::string, std::string>> evidence_of(const std::vector<std::string>& words) {
  std::map<std::string, std::string> out;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos)
      return failed(FailureKind::kUsage, "--evidence is HINT=FILE, not \"" + word + "\"");
    const auto path = word.substr(equals + 1);
    auto text = read_text_file(path, limits::kEvidenceBytesMax);
    if (!text) return failed(FailureKind::kUsage, "reading " + path, text.error());
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    std::string hint = word.substr(0, equals);
    std::ranges::replace(hint, '-', '_');
    const bool json = text->starts_with('[') || text->starts_with('{');
    out[hint] = json ? *text : cmw_record("application/eat+jwt", view_of(*text), 0);
  }
  return out;
}

}  // namespace keyward::agent
