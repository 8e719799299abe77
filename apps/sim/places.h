// Owns where the simulator keeps what, below one folder. Must not know what is in the files.
#pragma once

#include <string>

#include "hal/base/result.h"

namespace keyward::simulator {

struct Places {
  std::string root;  // absolute

  std::string settings() const { return root + "/sim.toml"; }
  std::string lock() const { return root + "/lock"; }
  std::string provisioned() const {
    return root + "/provisioned";
  }  // there when the first `up` got to its end
  std::string plan() const { return root + "/ceremony.toml"; }
  std::string installation() const { return root + "/keyward.toml"; }
  std::string root_certificate() const { return root + "/ca/root.pem"; }
  std::string issuer_chain() const { return root + "/ca/chain.pem"; }
  std::string audit_certificate() const { return root + "/ca/audit.pem"; }
  std::string ocsp_certificate() const { return root + "/ca/ocsp.pem"; }
  std::string pins() const { return root + "/offline/pins.toml"; }
  std::string run() const { return root + "/run"; }
  std::string status() const { return run() + "/status.json"; }
  std::string log() const { return run() + "/log"; }
  std::string keeper() const { return run() + "/keeper.toml"; }
  std::string keeper_log() const { return run() + "/keeper.log"; }
  std::string tpm_socket() const { return run() + "/tpm"; }
  std::string tpm_state() const { return root + "/tpm"; }
  std::string tpm_ca() const { return root + "/tpm-ca"; }
  std::string state() const { return root + "/state"; }
  std::string signer_state() const { return state() + "/signer"; }
  std::string sealed_pin() const { return state() + "/platform/hsm-pin.tss2"; }
  std::string tokens() const { return signer_state() + "/tokens"; }
  std::string token_backup() const { return root + "/backup/tokens"; }
  std::string manufacturer() const { return root + "/manufacturer"; }
  // Who certified the endorsement keys of this folder's TPMs; readable by the attestation task.
  std::string ek_roots() const { return manufacturer() + "/ek-roots.pem"; }
  std::string devices() const { return root + "/devices"; }
  std::string device(const std::string& name) const { return devices() + "/" + name; }
};

// `dir` or the default: $XDG_STATE_HOME/keyward-sim, ~/.local/state/keyward-sim; for root
// /var/lib/keyward-sim, since tasks with user ids of their own cannot reach into root's home.
// kBadInput: the path is too long for the unix sockets below it, or has characters that TOML or
// shells mind.
Result<Places> places_for(const std::string& dir);

// True: every folder above and including `path` can be passed by any user.
bool reachable_by_others(const std::string& path);

// Where the executables are: the folder of this one.
std::string own_directory();

}  // namespace keyward::simulator
