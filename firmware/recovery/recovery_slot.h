// Owns the recovery slot: the HSM's PIN under a recovery key of which only shares exist
// (firmware/shares). Must not know TPMs or HSMs.
//
// The slot is a JSON file, no secret by itself: `{"version":1,"kind":"keyward-recovery-slot","unit",
// "pin_version","set","nonce","sealed"}`; all members are bound to the ciphertext (AES-256-GCM).
// Errors: kBadInput (not this form), kRefused (not the key of this slot, or the file was changed).
// Threads: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/shares/shares.h"

namespace keyward::recovery {

inline constexpr std::size_t kPinBytesMax = 255;  // PKCS#11 modules take less
inline constexpr std::size_t kSlotBytesMax = 8'192;
inline constexpr std::int64_t kPinVersionMax = 1'000'000;

struct SlotInfo {
  std::string unit;              // the installation's name, 1..64 octets
  std::int64_t pin_version = 1;  // grows with each change of the PIN
  std::string set;               // of the shares (shares::set_text)
};

struct NewSlot {
  std::string text;                   // the file
  std::vector<shares::Share> shares;  // of the recovery key, in the order of `names`
};
// For ceremonies: a fresh recovery key, split; nothing else keeps it.
Result<NewSlot> make_recovery_slot(ByteView pin, std::string_view unit, std::size_t threshold,
                                   std::span<const std::string> names);

// What stands in a slot beside the PIN.
Result<SlotInfo> read_slot_info(std::string_view slot_text);
Result<SecretBytes> open_recovery_slot(std::string_view slot_text, ByteView recovery_key);
// After a change of the PIN: the same shares, the next pin_version.
Result<std::string> renew_recovery_slot(std::string_view slot_text, ByteView recovery_key,
                                        ByteView new_pin);

}  // namespace keyward::recovery
