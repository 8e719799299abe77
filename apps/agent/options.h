// Owns the command line of keyward-agent and what a later run may leave out. Must not know ACME or
// a TPM.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "firmware/agent/failure.h"
#include "hal/tpm.h"

namespace keyward::agent {

enum class Command { kEnroll, kRenew, kRevoke, kQuote, kShow };

struct Options {
  Command command = Command::kShow;
  std::string dir;
  bool json = false;
  // enroll needs these; renew takes what is left out from the state directory
  std::string tcti;
  std::string directory_url;
  std::string ca_file;
  std::string identifier;
  std::string hardware_module;  // "serial/OID"
  std::string mac;
  std::string service_uri;
  std::string vendor_jwt_file;
  std::string order_directory;
  std::string ek_chain_file;
  std::string registers;  // "sha256:0,1,7"
  std::string event_log_file;
  std::vector<std::string> evidence;  // "HINT=FILE"
  bool plain_evidence = false;
  std::string nonce_hex, out_file;  // of a quote
  std::string ak_handle;  // hexadecimal
  std::string ak_chain_file;
  std::string key_type;  // p256, p384, rsa2048
  std::string profile;
  bool agree_to_terms = false;
  bool reuse_key = false;
  bool if_due = false;
  int patience_s = 120;
  std::string reason;  // of a revocation
};

// Prints help or the mistake and answers the exit code when the program should end at once (-1: go
// on).
int parse_options(int argc, char** argv, Options& out);

// What the state keeps of the options, and back: a value given on the command line wins.
std::map<std::string, std::string> settings_of(const Options& options);
void complete(Options& options, const std::map<std::string, std::string>& settings);

Outcome<std::uint32_t> handle_of(const std::string& text);
Outcome<hal::TpmKeyType> key_type_of(const std::string& text);
// The certificates of a PEM file, DER, in order.
Outcome<std::vector<Bytes>> chain_of(const std::string& path);
// One file each: hint -> CMW record as JSON. A file that holds a compact JWT becomes a record of it.
Outcome<std::map<std::string, std::string>> evidence_of(const std::vector<std::string>& words);

}  // namespace keyward::agent
