// Owns finding a slot: by the label of its token, or a free one. Must not know sessions.
#include "hal/pkcs11/slots.h"

#include <algorithm>
#include <optional>

#include "hal/base/limits.h"
#include "hal/pkcs11/return_value.h"

namespace keyward::hal::pkcs11 {
namespace {

std::string_view padded_text(const unsigned char* text, std::size_t size) {
  std::string_view view(reinterpret_cast<const char*>(text), size);
  if (const auto end = view.find('\0'); end != std::string_view::npos) view = view.substr(0, end);
  while (!view.empty() && view.back() == ' ') view.remove_suffix(1);
  return view;
}

Result<std::vector<CK_SLOT_ID>> list_slots(CK_FUNCTION_LIST& api) {
  // The list may grow between asking its size and asking for it: ask again, a few times.
  for (int attempt = 0; attempt < 4; ++attempt) {
    CK_ULONG count = 0;
    CK_RV rv = api.C_GetSlotList(CK_TRUE, nullptr, &count);
    if (rv != CKR_OK) return fail(error_of(rv, "C_GetSlotList"));
    if (count > limits::kTokenSlotsMax)
      return fail(ErrorKind::kExhausted, "the module lists too many slots");
    std::vector<CK_SLOT_ID> slots(count);
    if (count == 0) return slots;
    rv = api.C_GetSlotList(CK_TRUE, slots.data(), &count);
    if (rv == CKR_BUFFER_TOO_SMALL) continue;
    if (rv != CKR_OK) return fail(error_of(rv, "C_GetSlotList"));
    slots.resize(std::min<std::size_t>(count, slots.size()));
    return slots;
  }
  return fail(ErrorKind::kUnavailable, "the list of slots keeps changing");
}

}  // namespace

Result<TokenSlot> find_token(Module& module, std::string_view label) {
  const auto entry = module.enter();
  if (!module.is_initialized())
    return fail(ErrorKind::kUnavailable, "the module is not initialized");
  KEYWARD_TRY(slots, list_slots(module.api()));
  std::optional<TokenSlot> found;
  CK_RV last_failure = CKR_OK;
  for (const auto slot : slots) {
    CK_TOKEN_INFO info{};
    if (const CK_RV rv = module.api().C_GetTokenInfo(slot, &info); rv != CKR_OK) {
      last_failure = rv;  // another token of the same module may be broken; ours may still be there
      continue;
    }
    if ((info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
    if (padded_text(info.label, sizeof info.label) != label) continue;
    if (found) return fail(ErrorKind::kCorrupt, "several tokens carry the label");
    found = TokenSlot{slot, (info.flags & CKF_USER_PIN_INITIALIZED) != 0};
  }
  if (!found)
    return fail(ErrorKind::kUnavailable, "no token carries the label",
                static_cast<std::int64_t>(last_failure));
  return *found;
}

Result<CK_SLOT_ID> find_uninitialized(Module& module) {
  const auto entry = module.enter();
  if (!module.is_initialized())
    return fail(ErrorKind::kUnavailable, "the module is not initialized");
  KEYWARD_TRY(slots, list_slots(module.api()));
  for (const auto slot : slots) {
    CK_TOKEN_INFO info{};
    if (module.api().C_GetTokenInfo(slot, &info) != CKR_OK) continue;
    if ((info.flags & CKF_TOKEN_INITIALIZED) == 0) return slot;
  }
  return fail(ErrorKind::kUnavailable, "no uninitialized slot");
}

Result<std::vector<MechanismFact>> list_mechanisms(Module& module, CK_SLOT_ID slot) {
  const auto entry = module.enter();
  if (!module.is_initialized())
    return fail(ErrorKind::kUnavailable, "the module is not initialized");
  auto& api = module.api();
  CK_ULONG count = 0;
  CK_RV rv = api.C_GetMechanismList(slot, nullptr, &count);
  if (rv != CKR_OK) return fail(error_of(rv, "C_GetMechanismList"));
  if (count > limits::kTokenMechanismsMax)
    return fail(ErrorKind::kExhausted, "the module lists too many mechanisms");
  // One to spare: p11-kit-client 0.24 reads one entry past the end while it drops those it cannot
  // pass on.
  std::vector<CK_MECHANISM_TYPE> types(count + 1);
  rv = api.C_GetMechanismList(slot, types.data(), &count);
  if (rv != CKR_OK) return fail(error_of(rv, "C_GetMechanismList"));
  types.resize(std::min<std::size_t>(count, types.size() - 1));
  std::vector<MechanismFact> facts;
  for (const auto type : types) {
    MechanismFact fact{type, {}};
    if (api.C_GetMechanismInfo(slot, type, &fact.info) == CKR_OK) facts.push_back(fact);
  }
  return facts;
}

}  // namespace keyward::hal::pkcs11
