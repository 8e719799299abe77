// Owns what an operator may say about each attestation statement format. Must not know statements.
// A format without a policy here is off. Defaults are the strict ones.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "firmware/attest/android_status_list.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

// Of every format beside tpm.
struct CommonFormatPolicy {
  std::vector<x509::Certificate> roots;  // one at least
  // D-D8: an order "value/assigner" is met by a statement whose format names no assigner if this
  // one (dotted) is the order's; empty: by none.
  std::string assigner{};
};

struct PackedPolicy : CommonFormatPolicy {
  bool serial_is_text = false;         // id-fido-gen-ce-sernum as UTF-8; else as lower-case hex
  std::set<std::string> aaguids{};     // hex, lower case; empty: any
  bool allow_backup_eligible = false;  // credentials that may be copied to other devices
};

struct ApplePolicy : CommonFormatPolicy {
  bool allow_missing_freshness = false;  // D-D5
  bool require_external_account = true;  // D-D5: nothing in the statement names the account
};

enum class AndroidSecurity : std::uint8_t { kSoftware = 0, kTee = 1, kStrongBox = 2 };
enum class AndroidIdentity : std::uint8_t { kSerial = 1, kImei = 2, kMeid = 3 };

struct AndroidPolicy : CommonFormatPolicy {
  AndroidSecurity security_min = AndroidSecurity::kTee;  // never below
  bool allow_self_signed_boot = false;                   // verifiedBootState SelfSigned
  std::uint64_t os_patch_min = 0;                        // YYYYMM; 0: not asked
  std::uint64_t vendor_patch_min = 0;                    // YYYYMMDD
  std::uint64_t boot_patch_min = 0;                      // YYYYMMDD
  std::set<AndroidIdentity> identities{AndroidIdentity::kSerial};
  std::shared_ptr<const AndroidStatusList> status_list{};  // null: nothing is looked up
};

enum class PinPolicy : std::uint8_t { kNever = 1, kOnce = 2, kAlways = 3 };
enum class TouchPolicy : std::uint8_t { kNever = 1, kAlways = 2, kCached = 3 };

struct StepPolicy : CommonFormatPolicy {
  std::set<PinPolicy> pin{PinPolicy::kOnce, PinPolicy::kAlways};
  std::set<TouchPolicy> touch{TouchPolicy::kNever, TouchPolicy::kAlways, TouchPolicy::kCached};
  // major << 16 | minor << 8 | patch. Below 4.3.5 RSA keys may be guessed (CVE-2017-15361).
  std::uint32_t firmware_min = 0x040305;
};

}  // namespace keyward::attest
