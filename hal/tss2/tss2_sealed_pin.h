// Owns the HSM's PIN sealed to this TPM and its PCRs. Must not know the HSM.
//
// The blob rests in one file (TSS2 key file, type sealed); which PCRs is board data and not in the
// file, so that nobody who can write the file chooses them. PCR 0 is refused: it changes with the
// CPU model and with every firmware update, and the appliance would lock itself out. The Tpm must
// outlive the SealedPin. Threads: that of the Tpm. Errors: as hal/sealed_pin.h; unseal of a file
// that is not there is kBadInput (never sealed).
#pragma once

#include <memory>
#include <string>

#include "hal/sealed_pin.h"
#include "hal/tpm.h"

namespace keyward::hal {

// kBadInput: an empty selection, PCR 0, or an empty path.
Result<std::unique_ptr<SealedPin>> make_tss2_sealed_pin(Tpm& tpm, std::string path,
                                                        PcrSelection selection);

}  // namespace keyward::hal
