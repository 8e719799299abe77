// Owns the record of enrolments: an append-only file of digests and decisions, one JSON object a
// line, each on disk before anything is promised. Must not know the list of devices.
//
// One record is kept for each key (decision, device, EK, AK), the newest; rewritten without the
// older ones at each opening and when the file has grown to twice its limit. A torn last line (power
// cut) is cut off: nothing was promised for it. Errors: kCorrupt (another line does not read; its
// number is in `native`), kUnavailable, kExhausted. Threads: one at a time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::inventory {

enum class Decision : std::uint8_t {
  kAttestationKey = 1,  // a TPM opened the credential made for this EK and this AK
  kDevice = 2,          // a device-attest-01 statement held
  kRemote = 3           // evidence for remote-attest-01 held
};
std::string_view to_string(Decision decision);  // "attestation-key", "device", "remote"
std::optional<Decision> decision_from(std::string_view text);

struct Enrolment {
  Decision decision = Decision::kDevice;
  std::string device_id;                             // empty: not in the list
  std::optional<Digest256> ek_certificate_sha256{};  // one of the two for kAttestationKey
  std::optional<Digest256> ek_spki_sha256{};
  std::optional<Digest256> ak_spki_sha256{};
  Digest256 account_sha256{};  // of the account's thumbprint
  Digest256 evidence_sha256{};
  std::int64_t at_ms = 0;
  friend bool operator==(const Enrolment&, const Enrolment&) = default;
};

class Enrolments {
 public:
  static Result<Enrolments> open(const std::string& path);
  // Content of such a file, for reading alone: beside a running task.
  static Result<Enrolments> parse(ByteView content);

  Status add(const Enrolment& enrolment);
  // The EK with which this AK was activated last, by either digest. Null: it never was here.
  const Enrolment* activation_of(const Digest256& ak_spki_sha256) const;
  std::vector<Enrolment> of_device(std::string_view device_id) const;
  std::size_t count() const { return newest_.size(); }
  std::vector<Enrolment> all() const;

 private:
  using Key = std::tuple<Decision, std::string, std::optional<Digest256>, std::optional<Digest256>>;
  static Key key_of(const Enrolment& enrolment);
  explicit Enrolments(std::string path) : path_(std::move(path)) {}
  Status read(ByteView content);
  Status rewrite();
  Status append_line(std::string_view line);
  void put(const Enrolment& enrolment);

  std::string path_;
  UniqueFd fd_;
  std::size_t bytes_ = 0;  // of the file: whole lines
  std::size_t lines_ = 0;
  std::map<Key, Enrolment> newest_;
  std::map<Digest256, Key> by_ak_;  // of activations
};

}  // namespace keyward::inventory
