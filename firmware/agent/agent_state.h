// Owns what the agent remembers between runs, and its directory: state.json (mode 0600, replaced
// whole), the lock, and the names of the files it leaves for others. Must not know ACME or a TPM.
//
// Order of writing: what a later step needs is on disk before that step talks to anyone. So an
// agent that dies anywhere goes on with the same account, key and order. Errors: kUnavailable (no
// access), kCorrupt (state.json is not ours), kRefused (locked by another).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"
#include "hal/tpm.h"

namespace keyward::agent {

// An enrolment that is under way.
struct PendingEnrolment {
  hal::TpmKeyBlob key;
  std::string order_url;        // empty: no order yet
  std::string certificate_pem;  // not empty: issued, checked, not yet installed
};

struct AgentState {
  std::string directory_url;
  std::string identifier;       // permanent-identifier; empty: none
  std::string hardware_module;  // "serial/OID"; empty: none
  std::string mac;              // empty: none
  std::string service_uri;      // empty: none
  std::string profile;          // empty: the CA's choice
  std::string account_key_pem;
  std::string account_url;             // empty: not opened yet
  std::optional<hal::TpmKeyBlob> key;  // of the installed certificate
  std::optional<PendingEnrolment> pending;
  std::map<std::string, std::string>
      settings;  // how the TPM and the CA are reached: the application's
};

// What the device asks to be called, for people.
std::string device_text(const AgentState& state);

std::string to_json(const AgentState& state);
Result<AgentState> state_from_json(std::string_view text);  // kCorrupt

class StateDirectory {
 public:
  // Makes the directory (mode 0700) if it is not there, and locks it until this object ends.
  static Result<StateDirectory> open(const std::string& path);
  // Neither makes nor locks it: for reading alone, also beside an agent that works.
  static StateDirectory open_for_reading(const std::string& path) { return {path, UniqueFd()}; }

  Result<std::optional<AgentState>> load() const;  // empty: first run
  Status save(const AgentState& state) const;
  std::string certificate_path() const { return path_ + "/certificate.pem"; }
  std::string key_path() const { return path_ + "/key.pem"; }
  std::string ak_chain_path() const { return path_ + "/ak-chain.pem"; }
  std::string state_path() const { return path_ + "/state.json"; }

 private:
  StateDirectory(std::string path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

}  // namespace keyward::agent
