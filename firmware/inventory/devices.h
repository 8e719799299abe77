// Owns the operator's list of devices: one JSON object a line, written by `keywardctl devices` alone.
// Must not know enrolments, nor who asks.
//
// No digest, root or identifier stands with two devices, so that a device is never found for
// another. Errors: kBadInput and kCorrupt (a line does not read; its number is in `native`),
// kRefused (twice), kExhausted. Threads: a book may be shared while nobody changes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::inventory {

inline constexpr std::string_view kFolder = "devices";
inline constexpr std::string_view kDevicesFile = "devices.jsonl";
inline constexpr std::string_view kEnrolmentsFile = "enrolments.jsonl";

// Enrolled is no state: it is an expected device with an enrolment record.
enum class State : std::uint8_t { kExpected = 1, kQuarantined = 2, kRetired = 3 };
std::string_view to_string(State state);  // "expected", "quarantined", "retired"
std::optional<State> state_from(std::string_view text);

// A root of trust that is no TPM: the serial that an attestation format asserts.
struct Root {
  std::string format;  // of a statement: "apple", "android-key", "step", "packed"
  std::string value;
  friend auto operator<=>(const Root&, const Root&) = default;
};
std::string to_string(const Root& root);  // "step:12345678"
std::optional<Root> root_from(std::string_view text);

struct Device {
  std::string id;                    // the operator's: 1 to 64 of [A-Za-z0-9._-]
  std::vector<Digest256> ek_sha256;  // of an EK certificate's DER, or of the EK's SPKI
  std::vector<Digest256> ak_sha256;  // of SPKIs of attestation keys that the operator vouches for
  std::vector<Root> roots;
  std::vector<wire::Identifier> identifiers;  // canonical: permanent-identifier, hardware-module
  std::string owner;
  State state = State::kExpected;
  std::string note;
  std::int64_t created_ms = 0;
  std::int64_t changed_ms = 0;
  friend bool operator==(const Device&, const Device&) = default;
};
// kBadInput: a member is over its limit or not of its form; also a device with nothing to find it
// by.
Status check(const Device& device);

class DeviceBook {
 public:
  static Result<DeviceBook> parse(ByteView lines);
  Bytes to_lines() const;

  // kRefused: the id, or something it is found by, is another's; kExhausted; and check()'s.
  Status add(Device device);
  bool remove(std::string_view id);
  bool set_state(std::string_view id, State state, std::int64_t now_ms);
  const std::vector<Device>& all() const { return devices_; }

  // Null: none. By identifier: octets match; an assigner that one of both does not name does not
  // part them (D-D8), thus
  // several may be meant.
  const Device* find(std::string_view id) const;
  const Device* find_by_ek(const Digest256& sha256) const;
  const Device* find_by_ak(const Digest256& spki_sha256) const;
  const Device* find_by_root(const Root& root) const;
  std::vector<const Device*> find_by_identifier(const wire::Identifier& identifier) const;

 private:
  Status check_free(const Device& device) const;
  void index(std::size_t at);
  void index_all();

  std::vector<Device> devices_;
  std::map<std::string, std::size_t, std::less<>> by_id_;
  std::map<Digest256, std::size_t> by_ek_, by_ak_;
  std::map<Root, std::size_t> by_root_;
  // Type and value without the assigner.
  std::multimap<std::pair<wire::IdentifierType, std::string>, std::size_t> by_name_;
};

}  // namespace keyward::inventory
