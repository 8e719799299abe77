// Owns the strict reading of Android's KeyDescription (extension 1.3.6.1.4.1.11129.2.1.17 of key
// attestation certificates). Must not know policy. Authorization tags must ascend, none twice;
// those that are not read here must still be well-formed, and nothing follows from them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::attest {

struct AndroidRootOfTrust {
  bool device_locked = false;
  std::uint64_t verified_boot_state = 3;  // 0 verified, 1 self-signed, 2 unverified, 3 failed
};

// What one side (software, or the secure hardware) vouches for.
struct AndroidAuthorizations {
  std::set<std::uint64_t> purposes;
  bool all_applications = false;
  std::optional<std::uint64_t> origin;
  std::optional<AndroidRootOfTrust> root_of_trust;
  std::optional<std::uint64_t> os_patch, vendor_patch, boot_patch;
  std::optional<Bytes> id_serial, id_imei, id_meid, id_second_imei;
};

struct AndroidKeyDescription {
  std::uint64_t attestation_version = 0;
  std::uint64_t attestation_security = 0;  // 0 software, 1 TEE, 2 StrongBox
  std::uint64_t keymint_security = 0;
  Bytes challenge;
  AndroidAuthorizations software, hardware;
};
Result<AndroidKeyDescription> parse_key_description(ByteView der);  // kBadInput

}  // namespace keyward::attest
