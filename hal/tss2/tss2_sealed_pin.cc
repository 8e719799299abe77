// SealedPin over the Tpm contract and one file: see tss2_sealed_pin.h.
#include "hal/tss2/tss2_sealed_pin.h"

#include <algorithm>

#include "hal/base/file.h"
#include "hal/tss2/tss2_key_file.h"

namespace keyward::hal {
namespace {

class Tss2SealedPin final : public SealedPin {
 public:
  Tss2SealedPin(Tpm& tpm, std::string path, PcrSelection selection)
      : tpm_(tpm), path_(std::move(path)), selection_(std::move(selection)) {}

  Status seal(const SecretBytes& pin) override {
    KEYWARD_TRY(blob, tpm_.seal(pin.view(), selection_));
    return write_tss2_key_file(path_, blob, TpmKeyFileKind::kSealed);
  }

  Result<SecretBytes> unseal() override {
    if (!file_exists(path_)) return fail(ErrorKind::kBadInput, "sealed pin: never sealed");
    KEYWARD_TRY(blob, read_tss2_key_file(path_, TpmKeyFileKind::kSealed));
    return tpm_.unseal(blob, selection_);
  }

 private:
  Tpm& tpm_;
  std::string path_;
  PcrSelection selection_;
};

}  // namespace

Result<std::unique_ptr<SealedPin>> make_tss2_sealed_pin(Tpm& tpm, std::string path,
                                                        PcrSelection selection) {
  if (path.empty()) return fail(ErrorKind::kBadInput, "sealed pin: no path");
  const auto& registers = selection.registers;
  if (registers.empty()) return fail(ErrorKind::kBadInput, "sealed pin: no PCR is chosen");
  if (std::find(registers.begin(), registers.end(), 0) != registers.end()) {
    return fail(ErrorKind::kBadInput, "sealed pin: PCR 0 changes with the CPU model");
  }
  return std::unique_ptr<SealedPin>(
      std::make_unique<Tss2SealedPin>(tpm, std::move(path), std::move(selection)));
}

}  // namespace keyward::hal
