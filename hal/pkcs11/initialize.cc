// Owns the making of a token: C_InitToken, C_InitPIN. Must not know the SigningToken.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "hal/pkcs11/module.h"
#include "hal/pkcs11/pkcs11_token.h"
#include "hal/pkcs11/return_value.h"
#include "hal/pkcs11/session.h"
#include "hal/pkcs11/slots.h"

namespace keyward::hal {
namespace {

using pkcs11::Module;

Error error_of_setting_up(CK_RV rv, const char* what) {
  if (pkcs11::is_pin_refusal(rv))
    return Error{ErrorKind::kRefused, what, static_cast<std::int64_t>(rv)};
  return pkcs11::error_of(rv, what);
}

Status init_token(Module& module, CK_SLOT_ID slot, const std::string& label,
                  const SecretBytes& so_pin) {
  std::array<unsigned char, limits::kTokenLabelBytesMax> padded;
  padded.fill(' ');  // PKCS#11 §5.5: blank padded, not terminated
  std::copy(label.begin(), label.end(), padded.begin());
  SecretBytes pin = so_pin.clone();
  const auto entry = module.enter();
  const CK_RV rv =
      module.api().C_InitToken(slot, pin.data(), static_cast<CK_ULONG>(pin.size()), padded.data());
  if (rv != CKR_OK) return fail(error_of_setting_up(rv, "C_InitToken"));
  return {};
}

Status set_user_pin(const std::shared_ptr<Module>& module, CK_SLOT_ID slot,
                    const SecretBytes& so_pin, const SecretBytes& user_pin) {
  pkcs11::Session session;
  CK_RV rv = pkcs11::Session::open(module, slot, session);
  if (rv != CKR_OK) return fail(error_of_setting_up(rv, "C_OpenSession"));
  rv = session.login(CKU_SO, so_pin.view());
  if (rv != CKR_OK) return fail(error_of_setting_up(rv, "C_Login of the security officer"));
  rv = session.init_pin(user_pin.view());
  (void)session.logout();
  if (rv != CKR_OK) return fail(error_of_setting_up(rv, "C_InitPIN"));
  return {};
}

}  // namespace

Status initialize_token(const Pkcs11Config& config, const SecretBytes& so_pin,
                        const SecretBytes& user_pin) {
  if (config.token_label.empty() || config.token_label.size() > limits::kTokenLabelBytesMax)
    return fail(ErrorKind::kBadInput, "the token label must have 1 to 32 octets");
  if (so_pin.empty() || user_pin.empty() || so_pin.size() > limits::kTokenPinBytesMax ||
      user_pin.size() > limits::kTokenPinBytesMax)
    return fail(ErrorKind::kBadInput, "a PIN is empty or too long");
  for (const auto& [name, value] : config.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::string detail;
  KEYWARD_TRY(module, Module::load(config.module_path, detail));
  if (const CK_RV rv = module->initialize(); rv != CKR_OK)
    return fail(pkcs11::error_of(rv, "C_Initialize"));
  auto token = pkcs11::find_token(*module, config.token_label);
  if (token && token->user_pin_set)
    return fail(ErrorKind::kRefused, "a token carries the label already");
  if (!token && token.error().kind != ErrorKind::kUnavailable) return fail(token.error());
  if (!token) {
    KEYWARD_TRY(slot, pkcs11::find_uninitialized(*module));
    KEYWARD_CHECK(init_token(*module, slot, config.token_label, so_pin));
    token = pkcs11::find_token(*module, config.token_label);
    if (!token) return fail(token.error());
  }
  return set_user_pin(module, token->slot, so_pin, user_pin);
}

}  // namespace keyward::hal
