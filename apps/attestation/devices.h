// Owns what the attestation task does with the inventory of devices: who is refused, whose identity
// an enrolment record says, what is noted, and how long evidence is kept. Must not know statements.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware/attest/attestation_ca.h"
#include "firmware/attest/evidence_store.h"
#include "firmware/config/config.h"
#include "firmware/inventory/inventory.h"
#include "firmware/task/task.h"

namespace keyward::attestation {

struct DevicesConfig {
  std::string inventory;               // "off", "known", "required"
  bool identity_by_enrolment = false;  // D-D7
  attest::EvidenceStore::DaysOfProfile evidence_days;
};
DevicesConfig read_devices_config(config::Section& config);

// Threads: any; turn() by one at a time.
class Devices {
 public:
  // kBadInput (a key of the configuration), kUnavailable, kCorrupt.
  static Result<std::unique_ptr<Devices>> open(const DevicesConfig& config,
                                               const std::string& state_dir);

  // Codes "device.unknown", "device.quarantined", "device.retired"; none: it may go on. A failure:
  // the list does not read, thus nobody's state is known.
  task::Answer<std::optional<attest::Refusal>> judge(const inventory::Traces& traces);
  // For the attestation CA: a device is quarantined also while the list does not read.
  attest::FindDevice find_device();
  // Identifiers of the one device that this AK leads to and that is expected; else none.
  std::vector<wire::Identifier> identifiers_of_key(const Digest256& ak_spki_sha256);
  bool identity_by_enrolment() const { return config_.identity_by_enrolment; }

  // Of the devices in the list; what cannot be written is logged.
  void note(inventory::Decision decision, const inventory::Traces& traces,
            const Digest256& thumbprint, const Digest256& evidence_sha256);
  // Before the signer is told: a key that is not on record could not be quarantined with its EK.
  tl::expected<void, wire::Failure> note_attestation_key(const attest::DeviceQuestion& about,
                                                         const Digest256& thumbprint);
  // Accepted evidence, where the profile keeps it.
  void keep(std::string_view profile, ByteView evidence);
  void turn();

 private:
  Devices(const DevicesConfig& config, std::unique_ptr<inventory::Inventory> inventory,
          std::unique_ptr<attest::EvidenceStore> evidence)
      : config_(config), inventory_(std::move(inventory)), evidence_(std::move(evidence)) {}
  bool is_off() const { return config_.inventory == "off"; }

  DevicesConfig config_;
  std::unique_ptr<inventory::Inventory> inventory_;
  std::unique_ptr<attest::EvidenceStore> evidence_;
  std::int64_t swept_ms_ = 0;
};

}  // namespace keyward::attestation
