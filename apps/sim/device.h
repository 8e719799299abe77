// Owns make-believe devices: a TPM of their own with an attestation key that the make-believe
// manufacturer certified. Must not know the appliance.
#pragma once

#include "apps/sim/places.h"
#include "apps/sim/progress.h"

namespace keyward::simulator {

struct Device {
  std::string name;  // its permanent-identifier
  std::string tcti;
  std::string ak_handle;  // persistent, hexadecimal
  std::string ak_chain;   // PEM: AK certificate, then the manufacturer's
  bool running = false;
};

// Letters, digits, '.', '_', '-'; at most 32: it becomes a folder and an identifier.
bool is_device_name(const std::string& name);

// Makes the device on first use and starts its TPM unless that runs. kBadInput: the name.
Result<Device> start_device(const Places& places, const std::string& name,
                            const Progress& progress);
// Orderly: TPM2_Shutdown, then its process ends. Does nothing for one that does not run.
Status stop_device(const Places& places, const std::string& name);
void stop_all_devices(const Places& places);

}  // namespace keyward::simulator
