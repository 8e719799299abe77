// Owns the handlers of the attestation CA: its configuration, the imported vendor roots as they are
// now, and the grant that goes to the signer. Must not know the rules (firmware/attest).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/attestation/devices.h"
#include "firmware/attest/attestation_ca.h"
#include "firmware/attest/vendor_roots.h"
#include "firmware/config/config.h"
#include "firmware/operate/operator_file.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/ak_activate.h"
#include "firmware/wire/messages/ak_begin.h"

namespace keyward::attestation {

struct AttestationCaConfig {
  bool enabled = false;
  std::vector<std::string> ek_roots;  // PEM files
  std::string ek_time;                // "now", "issuance", RFC 3339
  std::string inventory;              // "off", "known", "required"
  std::vector<std::string> tpm_manufacturers;
};
AttestationCaConfig read_attestation_ca_config(config::Section& config);

// Threads: any; turn() by one at a time.
class AttestationCa {
 public:
  // Null: not enabled. `devices` are asked unless the inventory is "off". kBadInput (a key of the
  // configuration), kUnavailable, kCorrupt.
  static Result<std::unique_ptr<AttestationCa>> open(const AttestationCaConfig& config,
                                                     const std::string& state_dir, Devices& devices,
                                                     task::Peer& signer);

  task::Answer<wire::AkBeginReply> begin(const wire::AkBegin& request);
  task::Answer<wire::AkActivateReply> activate(const wire::AkActivate& request);
  // Takes in vendor roots that were imported since.
  void turn();

 private:
  AttestationCa(attest::AttestationCa ca, attest::AttestationCaPolicy policy,
                const std::string& roots_path, Devices& devices, task::Peer& signer);
  std::shared_ptr<const attest::AttestationCaPolicy> policy() const;

  attest::AttestationCa ca_;
  attest::AttestationCaPolicy configured_;
  operate::WatchedFile<attest::ImportedRoots> imported_;
  mutable std::mutex mutex_;
  std::shared_ptr<const attest::AttestationCaPolicy> policy_;
  Devices& devices_;
  task::Peer& signer_;
};

// Answers of either kind, also where there is no such CA.
void serve_attestation_ca(task::Server& server, AttestationCa* ca);

}  // namespace keyward::attestation
