// Owns a PKCS#11 module that passes calls on to a real one, counts them, and fails, stalls or
// spoils them on command (shim_state.h). Must not know what the test tests.
#include <cstdlib>
#include <mutex>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <p11-kit/pkcs11.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/pkcs11_shim/shim_state.h"

namespace {

using keyward::test::ShimCall;
using keyward::test::ShimCallState;
using keyward::test::ShimState;

CK_FUNCTION_LIST* real = nullptr;
CK_FUNCTION_LIST list;
ShimState* state = nullptr;

ShimState* map_state() {
  const char* path = std::getenv("KEYWARD_SHIM_STATE");
  if (path == nullptr) return nullptr;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* memory = ::mmap(nullptr, sizeof(ShimState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) return nullptr;
  auto* mapped = static_cast<ShimState*>(memory);
  return mapped->magic == ShimState::kMagic ? mapped : nullptr;
}

// The gate every watched call goes through: counts it, holds it, and says whether it fails.
class Passage {
 public:
  explicit Passage(ShimCall call)
      : at_(state != nullptr ? &state->call[static_cast<std::size_t>(call)] : nullptr) {
    if (at_ == nullptr) return;
    const auto number = at_->calls.fetch_add(1) + 1;
    const auto inside = at_->inside.fetch_add(1) + 1;
    auto most = at_->inside_max.load();
    while (inside > most && !at_->inside_max.compare_exchange_weak(most, inside)) {
    }
    ++at_->waiting;
    while (const auto value = at_->stalled.load())
      ::syscall(SYS_futex, &at_->stalled, FUTEX_WAIT, value, nullptr, nullptr, 0);
    --at_->waiting;
    if (number >= at_->fail_from && number <= at_->fail_until) failure_ = at_->fail_rv;
  }
  ~Passage() {
    if (at_ != nullptr) --at_->inside;
  }
  template <class F>
  CK_RV run(F&& f) {
    if (failure_ != CKR_OK) return failure_;
    const CK_RV rv = f();
    if (rv == CKR_OK && at_ != nullptr) ++at_->succeeded;
    return rv;
  }

 private:
  ShimCallState* at_;
  CK_RV failure_ = CKR_OK;
};

CK_RV initialize(void* arguments) {
  return Passage(ShimCall::kInitialize).run([&] { return real->C_Initialize(arguments); });
}
CK_RV finalize(void* reserved) {
  return Passage(ShimCall::kFinalize).run([&] { return real->C_Finalize(reserved); });
}
CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID* slots, CK_ULONG* count) {
  return Passage(ShimCall::kGetSlotList).run([&] {
    return real->C_GetSlotList(present, slots, count);
  });
}
CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                   CK_SESSION_HANDLE* session) {
  return Passage(ShimCall::kOpenSession).run([&] {
    return real->C_OpenSession(slot, flags, application, notify, session);
  });
}
CK_RV close_session(CK_SESSION_HANDLE session) {
  return Passage(ShimCall::kCloseSession).run([&] { return real->C_CloseSession(session); });
}
CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE* pin, CK_ULONG size) {
  return Passage(ShimCall::kLogin).run([&] { return real->C_Login(session, user, pin, size); });
}
CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE* wanted, CK_ULONG count) {
  return Passage(ShimCall::kFindObjectsInit).run([&] {
    return real->C_FindObjectsInit(session, wanted, count);
  });
}
CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                          CK_ATTRIBUTE* attributes, CK_ULONG count) {
  return Passage(ShimCall::kGetAttributeValue).run([&] {
    return real->C_GetAttributeValue(session, object, attributes, count);
  });
}
CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
  CK_SESSION_INFO info{};
  if (state != nullptr && state->close_all.exchange(0) != 0 &&
      real->C_GetSessionInfo(session, &info) == CKR_OK)
    (void)real->C_CloseAllSessions(info.slotID);
  return Passage(ShimCall::kSignInit).run([&] {
    return real->C_SignInit(session, mechanism, key);
  });
}
CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size, CK_BYTE* signature,
           CK_ULONG* signature_size) {
  return Passage(ShimCall::kSign).run([&] {
    const CK_RV rv = real->C_Sign(session, data, size, signature, signature_size);
    if (rv != CKR_OK || signature == nullptr || state == nullptr || *signature_size == 0) return rv;
    if (size > 0) state->signed_first[state->signed_count++ % ShimState::kSignedKept] = data[0];
    auto& corrupt = state->call[static_cast<std::size_t>(ShimCall::kSign)].corrupt;
    auto left = corrupt.load();
    while (left > 0 && !corrupt.compare_exchange_weak(left, left - 1)) {
    }
    if (left > 0) signature[*signature_size / 2] ^= 0x01;
    return rv;
  });
}
CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
                        CK_ATTRIBUTE* public_template, CK_ULONG public_count,
                        CK_ATTRIBUTE* private_template, CK_ULONG private_count,
                        CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
  return Passage(ShimCall::kGenerateKeyPair).run([&] {
    return real->C_GenerateKeyPair(session, mechanism, public_template, public_count,
                                   private_template, private_count, public_key, private_key);
  });
}
CK_RV generate_random(CK_SESSION_HANDLE session, CK_BYTE* out, CK_ULONG size) {
  return Passage(ShimCall::kGenerateRandom).run([&] {
    return real->C_GenerateRandom(session, out, size);
  });
}

CK_RV load() {
  const char* path = std::getenv("KEYWARD_SHIM_MODULE");
  if (path == nullptr) return CKR_GENERAL_ERROR;
  void* handle = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return CKR_GENERAL_ERROR;
  auto get_list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(handle, "C_GetFunctionList"));
  if (get_list == nullptr) return CKR_GENERAL_ERROR;
  return get_list(&real);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** out) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (out == nullptr) return CKR_ARGUMENTS_BAD;
  if (const CK_RV rv = load(); rv != CKR_OK) return rv;
  if (state != nullptr) ::munmap(state, sizeof(ShimState));
  state = map_state();  // anew each time: a test process may use one shim after the other
  list = *real;
  list.C_GetFunctionList = C_GetFunctionList;
  list.C_Initialize = initialize;
  list.C_Finalize = finalize;
  list.C_GetSlotList = get_slot_list;
  list.C_OpenSession = open_session;
  list.C_CloseSession = close_session;
  list.C_Login = login;
  list.C_FindObjectsInit = find_objects_init;
  list.C_GetAttributeValue = get_attribute_value;
  list.C_SignInit = sign_init;
  list.C_Sign = sign;
  list.C_GenerateKeyPair = generate_key_pair;
  list.C_GenerateRandom = generate_random;
  *out = &list;
  return CKR_OK;
}
