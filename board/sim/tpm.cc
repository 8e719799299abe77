// Owns the simulator's choice of a TPM: tpm2-tss on a swtpm. Must not know tasks.
#include "board/compose.h"
#include "hal/tss2/tss2_sealed_pin.h"
#include "hal/tss2/tss2_tpm.h"

namespace keyward::board {

Result<std::unique_ptr<hal::Tpm>> make_tpm(const std::string& tcti) { return hal::make_tpm(tcti); }

Result<std::unique_ptr<hal::SealedPin>> make_sealed_pin(hal::Tpm& tpm, const SealedPinSpec& spec) {
  return hal::make_tss2_sealed_pin(tpm, spec.blob_path, spec.pcrs);
}

}  // namespace keyward::board
