#include "hal/pkcs11/destroy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "hal/pkcs11/module.h"
#include "hal/pkcs11/return_value.h"
#include "hal/pkcs11/session.h"
#include "hal/pkcs11/slots.h"

namespace keyward::hal {
namespace {

using pkcs11::Module;
using pkcs11::Session;

constexpr std::size_t kObjectsMax = 64;  // with one label, or left in an erased token

Result<std::shared_ptr<Module>> load(const Pkcs11Config& config) {
  for (const auto& [name, value] : config.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::string detail;
  KEYWARD_TRY(module, Module::load(config.module_path, detail));
  if (const CK_RV rv = module->initialize(); rv != CKR_OK)
    return fail(pkcs11::error_of(rv, "C_Initialize"));
  return module;
}

Error error_of_pin(CK_RV rv, const char* what) {
  if (pkcs11::is_pin_refusal(rv))
    return Error{ErrorKind::kRefused, what, static_cast<std::int64_t>(rv)};
  return pkcs11::error_of(rv, what);
}

Result<std::vector<CK_OBJECT_HANDLE>> labelled(Session& session, const std::string& label,
                                               std::optional<CK_OBJECT_CLASS> only) {
  std::string text = label;
  CK_OBJECT_CLASS object_class = only.value_or(0);
  CK_ATTRIBUTE wanted[] = {{CKA_LABEL, text.data(), static_cast<CK_ULONG>(text.size())},
                           {CKA_CLASS, &object_class, sizeof object_class}};
  std::vector<CK_OBJECT_HANDLE> handles;
  const CK_RV rv = session.find({wanted, only ? 2U : 1U}, kObjectsMax, handles);
  if (rv != CKR_OK) return fail(pkcs11::error_of(rv, "C_FindObjects"));
  return handles;
}

// Private halves first, and the rest only when they are gone: a key whose destruction is refused stays a
// key that works.
Result<DestroyedKey> destroy_one(Session& session, const std::string& label) {
  DestroyedKey out;
  out.label = label;
  KEYWARD_TRY(all, labelled(session, label, std::nullopt));
  out.found = static_cast<int>(all.size());
  for (const auto& only :
       {std::optional<CK_OBJECT_CLASS>(CKO_PRIVATE_KEY), std::optional<CK_OBJECT_CLASS>()}) {
    KEYWARD_TRY(handles, labelled(session, label, only));
    for (const auto handle : handles) {
      const CK_RV rv = session.destroy(handle);
      if (rv == CKR_OK) ++out.destroyed;
      if (rv == CKR_ACTION_PROHIBITED)
        out.why = "the key forbids it (CKA_DESTROYABLE): erase the token as its security officer";
      else if (rv != CKR_OK)
        out.why = std::string("C_DestroyObject: ") + pkcs11::error_of(rv, "refused").what;
    }
    if (!out.why.empty()) break;
  }
  KEYWARD_TRY(left, labelled(session, label, std::nullopt));
  out.gone = left.empty();
  if (!out.gone && out.why.empty()) out.why = "the module said done, and it is still there";
  return out;
}

}  // namespace

Result<std::vector<DestroyedKey>> destroy_keys(const Pkcs11Config& config, const SecretBytes& pin,
                                               const std::vector<std::string>& labels) {
  KEYWARD_TRY(module, load(config));
  KEYWARD_TRY(token, pkcs11::find_token(*module, config.token_label));
  Session session;
  CK_RV rv = Session::open(module, token.slot, session);
  if (rv != CKR_OK) return fail(pkcs11::error_of(rv, "C_OpenSession"));
  rv = session.login(CKU_USER, pin.view());
  if (rv != CKR_OK) return fail(error_of_pin(rv, "C_Login"));
  std::vector<DestroyedKey> out;
  for (const auto& label : labels) {
    KEYWARD_TRY(one, destroy_one(session, label));
    out.push_back(std::move(one));
  }
  (void)session.logout();
  return out;
}

Status erase_token(const Pkcs11Config& config, const SecretBytes& so_pin) {
  KEYWARD_TRY(module, load(config));
  KEYWARD_TRY(token, pkcs11::find_token(*module, config.token_label));
  std::array<unsigned char, limits::kTokenLabelBytesMax> padded;
  padded.fill(' ');  // PKCS#11 §5.5: blank padded, not terminated
  std::copy(config.token_label.begin(), config.token_label.end(), padded.begin());
  SecretBytes pin = so_pin.clone();
  {
    const auto entry = module->enter();
    const CK_RV rv = module->api().C_InitToken(token.slot, pin.data(),
                                               static_cast<CK_ULONG>(pin.size()), padded.data());
    if (rv != CKR_OK) return fail(error_of_pin(rv, "C_InitToken"));
  }
  KEYWARD_TRY(after, pkcs11::find_token(*module, config.token_label));
  if (after.user_pin_set)
    return fail(ErrorKind::kCorrupt, "the erased token still has a user's PIN");
  Session session;
  const CK_RV opened = Session::open(module, after.slot, session);
  if (opened != CKR_OK) return fail(pkcs11::error_of(opened, "C_OpenSession"));
  // Private objects show to no one without a PIN; the public halves stood beside them.
  std::vector<CK_OBJECT_HANDLE> left;
  const CK_RV rv = session.find({}, kObjectsMax, left);
  if (rv != CKR_OK) return fail(pkcs11::error_of(rv, "C_FindObjects"));
  if (!left.empty()) return fail(ErrorKind::kCorrupt, "objects are left in the erased token");
  return {};
}

}  // namespace keyward::hal
