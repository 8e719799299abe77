// Owns the reading of what an operator says about device attestation: the keys of the attestation
// task's section that concern statements, and the files that they name. Shared by the task and by
// keyward-attest, so that both judge alike. Must not know sockets or statements. Threads: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "firmware/attest/device_attest.h"
#include "firmware/config/config.h"

namespace keyward::attest {

// What stands in the configuration; the files are read by load(), later.
struct DevicePolicyConfig {
  struct Common {
    std::vector<std::string> roots;  // paths of PEM files
    std::string assigner;
  };
  std::vector<std::string> ak_roots, formats, hardware_module_types;
  bool tpm_allow_rs1 = false;
  struct Packed : Common {
    std::string serial;
    std::vector<std::string> aaguids;
    bool allow_backup_eligible = false;
  } packed;
  struct Apple : Common {
    bool allow_missing_freshness = false;
    bool require_external_account = true;
  } apple;
  struct Android : Common {
    std::string security_level, verified_boot, status_list;
    bool allow_without_status_list = false;
    std::vector<std::string> identities;
    std::int64_t os_patch = 0, vendor_patch = 0, boot_patch = 0;
  } android;
  struct Step : Common {
    std::vector<std::string> pin_policies, touch_policies;
    std::string firmware;
  } step;
};

// Asks for: ak_roots, hardware_module_types, tpm_allow_rs1, formats and the tables packed, apple,
// android, step. Wrong types and ranges are the section's complaints.
DevicePolicyConfig read_device_policy(config::Section& section);

// kBadInput, with a static text that names the key: a format without roots, an unknown word, a file
// that does not read. A verifier without an anchor would only ever refuse, which an operator should
// hear at start.
Result<DeviceAttestPolicy> load_device_policy(const DevicePolicyConfig& config);

// Reads every certificate of every file. kBadInput `if_none` with no certificate at all.
Result<std::vector<x509::Certificate>> load_anchors(const std::vector<std::string>& pem_paths,
                                                    const char* if_none);

// "format=OID" (D-D9): which type of hardware module a format's serial stands for. kBadInput: a text
// that is none, a format twice.
Result<std::map<std::string, std::string>> module_types(const std::vector<std::string>& texts);

}  // namespace keyward::attest
