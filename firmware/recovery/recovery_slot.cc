// The recovery slot's file: see recovery_slot.h.
#include "firmware/recovery/recovery_slot.h"

#include <algorithm>

#include "firmware/crypto/envelope.h"
#include "firmware/json/json.h"
#include "hal/base/rng.h"

namespace keyward::recovery {
namespace {

constexpr std::string_view kKind = "keyward-recovery-slot";
constexpr std::size_t kUnitBytesMax = 64;

struct Slot {
  SlotInfo info;
  Bytes nonce, sealed;  // ciphertext, then tag
};

Bytes bound_text(const SlotInfo& info) {
  return to_bytes(std::string(kKind) + "\n1\n" + info.unit + "\n" +
                  std::to_string(info.pin_version) + "\n" + info.set);
}

Result<Slot> parse(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, kSlotBytesMax));
  const auto root = document.root();
  if (!root.is_object() || root.get("kind").string() != kKind ||
      !root.get("version").is_integer() || root.get("version").integer() != 1)
    return fail(ErrorKind::kBadInput, "not a recovery slot of version 1");
  Slot out;
  out.info.unit = std::string(root.get("unit").string());
  out.info.pin_version = root.get("pin_version").integer();
  out.info.set = std::string(root.get("set").string());
  KEYWARD_TRY(nonce, base64url_decode(root.get("nonce").string()));
  KEYWARD_TRY(sealed, base64url_decode(root.get("sealed").string()));
  if (out.info.unit.empty() || out.info.unit.size() > kUnitBytesMax || out.info.pin_version < 1 ||
      out.info.pin_version > kPinVersionMax || nonce.size() != crypto::kGcmNonceBytes ||
      sealed.size() <= crypto::kGcmTagBytes ||
      sealed.size() > crypto::kGcmTagBytes + kPinBytesMax || root.keys().size() != 7)
    return fail(ErrorKind::kBadInput, "the recovery slot is damaged");
  out.nonce = std::move(nonce);
  out.sealed = std::move(sealed);
  return out;
}

Result<std::string> write(const SlotInfo& info, ByteView recovery_key, ByteView pin) {
  if (pin.empty() || pin.size() > kPinBytesMax)
    return fail(ErrorKind::kBadInput, "a PIN has 1 to 255 octets");
  if (info.unit.empty() || info.unit.size() > kUnitBytesMax)
    return fail(ErrorKind::kBadInput, "a unit's name has 1 to 64 octets");
  const Bytes nonce = random_bytes(crypto::kGcmNonceBytes);
  KEYWARD_TRY(sealed, crypto::aes256_gcm_seal(recovery_key, nonce, bound_text(info), pin));
  append(sealed.ciphertext, sealed.tag);
  json::Writer out;
  out.begin_object().member_int("version", 1).member("kind", kKind).member("unit", info.unit);
  out.member_int("pin_version", info.pin_version).member("set", info.set);
  out.member("nonce", base64url_encode(nonce));
  out.member("sealed", base64url_encode(sealed.ciphertext)).end_object();
  return out.take() + "\n";
}

}  // namespace

Result<NewSlot> make_recovery_slot(ByteView pin, std::string_view unit, std::size_t threshold,
                                   std::span<const std::string> names) {
  SecretBytes key(crypto::kAesKeyBytes);
  random_fill({key.data(), key.size()});
  KEYWARD_TRY(made, shares::split(key.view(), threshold, names));
  const auto header = shares::inspect(text_of(made.front().line.view()));
  if (!header) return fail(ErrorKind::kInternal, "a fresh share cannot be read");
  KEYWARD_TRY(text, write({std::string(unit), 1, shares::set_text(header->set)}, key.view(), pin));
  NewSlot out;
  out.text = std::move(text);
  out.shares = std::move(made);
  return out;
}

Result<SlotInfo> read_slot_info(std::string_view slot_text) {
  KEYWARD_TRY(slot, parse(slot_text));
  return std::move(slot.info);
}

Result<SecretBytes> open_recovery_slot(std::string_view slot_text, ByteView recovery_key) {
  KEYWARD_TRY(slot, parse(slot_text));
  const ByteView sealed = slot.sealed;
  KEYWARD_TRY(opened, crypto::aes256_gcm_open(recovery_key, slot.nonce, bound_text(slot.info),
                                              sealed.first(sealed.size() - crypto::kGcmTagBytes),
                                              sealed.last(crypto::kGcmTagBytes)));
  SecretBytes out{ByteView(opened)};
  std::ranges::fill(opened, std::uint8_t{0});
  return out;
}

Result<std::string> renew_recovery_slot(std::string_view slot_text, ByteView recovery_key,
                                        ByteView new_pin) {
  // The key must be this slot's: else the custodians could not open the new one.
  KEYWARD_CHECK(open_recovery_slot(slot_text, recovery_key));
  KEYWARD_TRY(info, read_slot_info(slot_text));
  ++info.pin_version;
  return write(info, recovery_key, new_pin);
}

}  // namespace keyward::recovery
