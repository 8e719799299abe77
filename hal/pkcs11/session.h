// Owns one PKCS#11 session and the calls made in it. Must not know algorithms, labels or recovery.
//
// Every call stands under the module's gate and checks the epoch: a session from before a
// C_Finalize answers CKR_SESSION_HANDLE_INVALID by itself, and is never closed. Threads: one at a
// time (one session in two threads crashes SoftHSM).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include <p11-kit/pkcs11.h>

#include "hal/base/bytes.h"
#include "hal/pkcs11/module.h"

namespace keyward::hal::pkcs11 {

class Session {
 public:
  Session() = default;
  Session(Session&& other) noexcept { swap(other); }
  Session& operator=(Session&& other) noexcept {
    if (this != &other) {
      close();
      swap(other);
    }
    return *this;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { close(); }

  static CK_RV open(std::shared_ptr<Module> module, CK_SLOT_ID slot, Session& out);  // read-write
  explicit operator bool() const { return module_ != nullptr; }
  void close();

  CK_RV login(CK_USER_TYPE user, ByteView pin);
  CK_RV is_user(bool& logged_in);  // C_GetSessionInfo: the user is logged in
  CK_RV init_pin(ByteView pin);
  CK_RV logout();
  // At most `handles_max` hits; more are cut off (ask for one more than allowed).
  CK_RV find(std::span<CK_ATTRIBUTE> wanted, std::size_t handles_max,
             std::vector<CK_OBJECT_HANDLE>& out);
  CK_RV destroy(CK_OBJECT_HANDLE object);
  CK_RV attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, Bytes& out);
  // `signing` turns true once C_SignInit has succeeded: from there on a signature may exist.
  CK_RV sign(CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE key, ByteView input, Bytes& out,
             bool& signing);
  // ECDH1 with KDF NULL into a session object that is read and destroyed at once. `deriving` as
  // `signing` above.
  CK_RV ecdh(CK_OBJECT_HANDLE key, ByteView peer_point, std::size_t secret_bytes, SecretBytes& out,
             bool& deriving);
  CK_RV generate_pair(CK_MECHANISM_TYPE mechanism, std::span<CK_ATTRIBUTE> public_template,
                      std::span<CK_ATTRIBUTE> private_template, CK_OBJECT_HANDLE& public_key,
                      CK_OBJECT_HANDLE& private_key);
  CK_RV random(std::span<std::uint8_t> out);

 private:
  void swap(Session& other) noexcept {
    std::swap(module_, other.module_);
    std::swap(handle_, other.handle_);
    std::swap(epoch_, other.epoch_);
  }
  template <class F>
  CK_RV call(F&& f);

  std::shared_ptr<Module> module_;
  CK_SESSION_HANDLE handle_ = 0;
  std::uint64_t epoch_ = 0;
};

}  // namespace keyward::hal::pkcs11
