// Owns finding a slot: by the label of its token, or a free one. Must not know sessions.
// Slot numbers change between two C_Initialize (SoftHSM derives them from the serial): never kept.
#pragma once

#include <string_view>
#include <vector>

#include <p11-kit/pkcs11.h>

#include "hal/base/result.h"
#include "hal/pkcs11/module.h"

namespace keyward::hal::pkcs11 {

struct TokenSlot {
  CK_SLOT_ID slot = 0;
  bool user_pin_set = false;
};

// kUnavailable: none (or the module fails); kCorrupt: several tokens carry the label.
Result<TokenSlot> find_token(Module& module, std::string_view label);
Result<CK_SLOT_ID> find_uninitialized(Module& module);

// All mechanisms of the slot, with their flags and key sizes. Failing infos are left out.
struct MechanismFact {
  CK_MECHANISM_TYPE type = 0;
  CK_MECHANISM_INFO info{};
};
Result<std::vector<MechanismFact>> list_mechanisms(Module& module, CK_SLOT_ID slot);

}  // namespace keyward::hal::pkcs11
