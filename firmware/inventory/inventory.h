// Owns what the attestation task knows of devices: the operator's list, watched, and the record of
// enrolments, appended to. Must not know statements, tokens or the signer.
//
// Privacy (device-attest-10 §8): the record holds digests and decisions, never a payload, and of
// devices that are in the list alone, but for attestation keys, which name their EK by digest.
// Errors: kUnavailable (disk), kExhausted (the record is full), kCorrupt. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "firmware/inventory/devices.h"
#include "firmware/inventory/enrolments.h"
#include "firmware/operate/operator_file.h"

namespace keyward::inventory {

// What is known of a device when it is looked for; what is not known stays empty.
struct Traces {
  std::vector<Digest256> ek_sha256{};  // EK certificate's and EK SPKI's
  std::optional<Digest256> ak_spki_sha256{};
  std::vector<wire::Identifier> identifiers{};
  std::optional<Root> root{};
};

class Inventory {
 public:
  // Makes the folder `devices` below `state_dir` if it is missing; compacts the record.
  static Result<std::unique_ptr<Inventory>> open(const std::string& state_dir);

  // False: there is a list that never read. Then nobody's state is known, and nothing may be granted
  // (unless the inventory is off).
  bool is_usable();
  // Every listed device that any trace leads to, the list first looked at anew. An AK leads to the
  // device that vouches for it, or to the one whose EK it was activated with.
  std::vector<Device> find(const Traces& traces);
  // The device to which these digests alone lead: for identity by enrolment record (D-D7). None: no
  // device, or several.
  std::optional<Device> find_by_keys(const Traces& traces);
  // On disk when it returns.
  Status note_enrolment(const Enrolment& enrolment);

 private:
  Inventory(std::string devices_path, Enrolments enrolments);
  std::vector<Device> found(const DeviceBook& book, const Traces& traces) const;

  std::mutex mutex_;
  std::string devices_path_;
  operate::WatchedFile<DeviceBook> file_;
  Enrolments enrolments_;
};

}  // namespace keyward::inventory
