// Owns one PKCS#11 session and the calls made in it. Must not know algorithms, labels or recovery.
#include "hal/pkcs11/session.h"

#include <algorithm>

#include "hal/base/limits.h"

namespace keyward::hal::pkcs11 {
namespace {

constexpr std::size_t kSignatureBytesMax = 1'024;  // RSA-8192

// PKCS#11 takes non-const pointers for inputs it only reads.
CK_BYTE_PTR unconst(ByteView bytes) { return const_cast<CK_BYTE_PTR>(bytes.data()); }

}  // namespace

template <class F>
CK_RV Session::call(F&& f) {
  if (module_ == nullptr) return CKR_SESSION_HANDLE_INVALID;
  const auto entry = module_->enter();
  if (!module_->is_initialized() || module_->epoch() != epoch_) return CKR_SESSION_HANDLE_INVALID;
  return f(module_->api());
}

CK_RV Session::open(std::shared_ptr<Module> module, CK_SLOT_ID slot, Session& out) {
  out.close();
  const auto entry = module->enter();
  if (!module->is_initialized()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  CK_SESSION_HANDLE handle = 0;
  const CK_RV rv = module->api().C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                               nullptr, &handle);
  if (rv != CKR_OK) return rv;
  out.handle_ = handle;
  out.epoch_ = module->epoch();
  out.module_ = std::move(module);
  return CKR_OK;
}

void Session::close() {
  if (module_ == nullptr) return;
  (void)call([&](CK_FUNCTION_LIST& api) { return api.C_CloseSession(handle_); });
  module_.reset();
}

CK_RV Session::login(CK_USER_TYPE user, ByteView pin) {
  return call([&](CK_FUNCTION_LIST& api) {
    return api.C_Login(handle_, user, unconst(pin), static_cast<CK_ULONG>(pin.size()));
  });
}

CK_RV Session::is_user(bool& logged_in) {
  return call([&](CK_FUNCTION_LIST& api) {
    CK_SESSION_INFO info{};
    const CK_RV rv = api.C_GetSessionInfo(handle_, &info);
    logged_in = rv == CKR_OK &&
                (info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS);
    return rv;
  });
}

CK_RV Session::init_pin(ByteView pin) {
  return call([&](CK_FUNCTION_LIST& api) {
    return api.C_InitPIN(handle_, unconst(pin), static_cast<CK_ULONG>(pin.size()));
  });
}

CK_RV Session::logout() {
  return call([&](CK_FUNCTION_LIST& api) { return api.C_Logout(handle_); });
}

CK_RV Session::find(std::span<CK_ATTRIBUTE> wanted, std::size_t handles_max,
                    std::vector<CK_OBJECT_HANDLE>& out) {
  out.clear();
  return call([&](CK_FUNCTION_LIST& api) {
    CK_RV rv = api.C_FindObjectsInit(handle_, wanted.data(), static_cast<CK_ULONG>(wanted.size()));
    if (rv != CKR_OK) return rv;
    // One handle a time: some modules stop at the first short answer, others never fill the buffer.
    while (out.size() < handles_max) {
      CK_OBJECT_HANDLE handle = 0;
      CK_ULONG count = 0;
      rv = api.C_FindObjects(handle_, &handle, 1, &count);
      if (rv != CKR_OK || count == 0) break;
      out.push_back(handle);
    }
    const CK_RV end = api.C_FindObjectsFinal(handle_);
    return rv != CKR_OK ? rv : end;
  });
}

CK_RV Session::destroy(CK_OBJECT_HANDLE object) {
  return call([&](CK_FUNCTION_LIST& api) { return api.C_DestroyObject(handle_, object); });
}

CK_RV Session::attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, Bytes& out) {
  out.clear();
  return call([&](CK_FUNCTION_LIST& api) -> CK_RV {
    CK_ATTRIBUTE asked{type, nullptr, 0};
    CK_RV rv = api.C_GetAttributeValue(handle_, object, &asked, 1);
    if (rv != CKR_OK) return rv;
    if (asked.ulValueLen == CK_UNAVAILABLE_INFORMATION) return CKR_ATTRIBUTE_TYPE_INVALID;
    if (asked.ulValueLen > limits::kTokenAttributeBytesMax) return CKR_ATTRIBUTE_VALUE_INVALID;
    out.resize(asked.ulValueLen);
    asked.pValue = out.data();
    rv = api.C_GetAttributeValue(handle_, object, &asked, 1);
    if (rv != CKR_OK) return rv;
    if (asked.ulValueLen > out.size()) return CKR_ATTRIBUTE_VALUE_INVALID;
    out.resize(asked.ulValueLen);
    return CKR_OK;
  });
}

CK_RV Session::sign(CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE key, ByteView input, Bytes& out,
                    bool& signing) {
  signing = false;
  return call([&](CK_FUNCTION_LIST& api) {
    CK_MECHANISM chosen{mechanism, nullptr, 0};
    CK_RV rv = api.C_SignInit(handle_, &chosen, key);
    if (rv != CKR_OK) return rv;
    signing = true;
    out.resize(kSignatureBytesMax);
    CK_ULONG size = static_cast<CK_ULONG>(out.size());
    rv =
        api.C_Sign(handle_, unconst(input), static_cast<CK_ULONG>(input.size()), out.data(), &size);
    out.resize(rv == CKR_OK ? std::min<std::size_t>(size, kSignatureBytesMax) : 0);
    return rv;
  });
}

CK_RV Session::ecdh(CK_OBJECT_HANDLE key, ByteView peer_point, std::size_t secret_bytes,
                    SecretBytes& out, bool& deriving) {
  deriving = false;
  return call([&](CK_FUNCTION_LIST& api) {
    CK_ECDH1_DERIVE_PARAMS params{};
    params.kdf = CKD_NULL;
    params.ulPublicDataLen = static_cast<CK_ULONG>(peer_point.size());
    params.pPublicData = unconst(peer_point);
    CK_MECHANISM chosen{CKM_ECDH1_DERIVE, &params, sizeof params};
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    CK_KEY_TYPE key_type = CKK_GENERIC_SECRET;
    CK_ULONG length = static_cast<CK_ULONG>(secret_bytes);
    CK_BBOOL no = CK_FALSE;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &object_class, sizeof object_class},
                             {CKA_KEY_TYPE, &key_type, sizeof key_type},
                             {CKA_TOKEN, &no, sizeof no},
                             {CKA_SENSITIVE, &no, sizeof no},
                             {CKA_EXTRACTABLE, &yes, sizeof yes},
                             {CKA_VALUE_LEN, &length, sizeof length}};
    CK_OBJECT_HANDLE derived = 0;
    CK_RV rv = api.C_DeriveKey(handle_, &chosen, key, wanted,
                               static_cast<CK_ULONG>(std::size(wanted)), &derived);
    if (rv != CKR_OK) return rv;
    deriving = true;
    Bytes value(secret_bytes);
    CK_ATTRIBUTE asked{CKA_VALUE, value.data(), length};
    rv = api.C_GetAttributeValue(handle_, derived, &asked, 1);
    const CK_RV gone = api.C_DestroyObject(handle_, derived);
    if (rv == CKR_OK && asked.ulValueLen != length) rv = CKR_ATTRIBUTE_VALUE_INVALID;
    if (rv == CKR_OK) out = SecretBytes(ByteView(value));
    std::fill(value.begin(), value.end(), std::uint8_t{0});
    return rv != CKR_OK ? rv : gone;
  });
}

CK_RV Session::generate_pair(CK_MECHANISM_TYPE mechanism, std::span<CK_ATTRIBUTE> public_template,
                             std::span<CK_ATTRIBUTE> private_template, CK_OBJECT_HANDLE& public_key,
                             CK_OBJECT_HANDLE& private_key) {
  return call([&](CK_FUNCTION_LIST& api) {
    CK_MECHANISM chosen{mechanism, nullptr, 0};
    return api.C_GenerateKeyPair(
        handle_, &chosen, public_template.data(), static_cast<CK_ULONG>(public_template.size()),
        private_template.data(), static_cast<CK_ULONG>(private_template.size()), &public_key,
        &private_key);
  });
}

CK_RV Session::random(std::span<std::uint8_t> out) {
  return call([&](CK_FUNCTION_LIST& api) {
    return api.C_GenerateRandom(handle_, out.data(), static_cast<CK_ULONG>(out.size()));
  });
}

}  // namespace keyward::hal::pkcs11
