// Owns "keyward-attest verify": what is asked, and the answer in words and in JSON. Must not know how
// a statement is judged: that is firmware/attest, the same code as the attestation task's.
#pragma once

#include <iosfwd>
#include <string>

#include "firmware/attest/checks.h"
#include "firmware/attest/device_attest.h"

namespace keyward::attest_tool {

struct VerifyOptions {
  std::string file;          // an attestation object: CBOR, or its base64url or hexadecimal text
  std::string policy;        // TOML: the keys of the attestation task, or an installation's file
  std::string at;            // "2026-11-22T20:00:00Z"; empty: now
  std::string to_be_signed;  // hexadecimal
  std::string key_authorization;
  std::string nonce;       // of evidence alone
  std::string identifier;  // "value[/OID]", or "hardware-module:serial/OID"
  bool account_admitted = false;
  bool json = false;
};

struct Explanation {
  std::string format;  // as the statement names it
  std::int64_t at_ms = 0;
  attest::Checks passed;
  attest::Appraised<attest::AttestedKey> verdict = attest::refuse("", "");
};
std::string in_words(const Explanation& explanation);
std::string in_json(const Explanation& explanation);

inline constexpr int kAccepted = 0, kRefused = 1, kUsage = 64, kNoInput = 66, kBadPolicy = 78;
// Prints the explanation to `out`, or what was wrong with the question to `errors`; the exit code.
int verify(const VerifyOptions& options, std::ostream& out, std::ostream& errors);

}  // namespace keyward::attest_tool
