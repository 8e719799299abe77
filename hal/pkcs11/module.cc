// Owns one loaded PKCS#11 module: dlopen, C_Initialize, C_Finalize. Must not know slots or tokens.
#include "hal/pkcs11/module.h"

#include <chrono>
#include <map>

#include <dlfcn.h>

#include "hal/base/limits.h"

namespace keyward::hal::pkcs11 {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Module>> modules;
};

Registry& registry() {
  static auto* one = new Registry;  // never destroyed: tokens may end after static destructors
  return *one;
}

}  // namespace

Result<std::shared_ptr<Module>> Module::load(const std::string& path, std::string& detail) {
  const std::lock_guard lock(registry().mutex);
  if (auto shared = registry().modules[path].lock()) return shared;
  // RTLD_LOCAL: two modules may carry the same symbols (each exports C_Initialize).
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* text = ::dlerror();
    detail = text != nullptr ? text : path;
    return fail(ErrorKind::kUnavailable, "the PKCS#11 module cannot be loaded");
  }
  auto get_list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(handle, "C_GetFunctionList"));
  if (get_list == nullptr) {
    detail = path + " has no C_GetFunctionList";
    ::dlclose(handle);
    return fail(ErrorKind::kUnavailable, "the library is not a PKCS#11 module");
  }
  CK_FUNCTION_LIST* list = nullptr;
  // Asked anew on each load: p11-kit-client.so reads its server's address here.
  if (const CK_RV rv = get_list(&list);
      rv != CKR_OK || list == nullptr || list->version.major != 2) {
    detail = path + ": C_GetFunctionList failed or is not version 2";
    return fail(ErrorKind::kUnavailable, "C_GetFunctionList", static_cast<std::int64_t>(rv));
  }
  std::shared_ptr<Module> module(new Module(list));
  registry().modules[path] = module;
  return module;
}

Module::~Module() { (void)finalize(Deadline::after_ms(limits::kTokenCloseMs)); }

CK_RV Module::initialize() {
  const std::unique_lock lock(gate_);
  if (initialized_) return CKR_OK;
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  const CK_RV rv = api_->C_Initialize(&arguments);
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) return rv;
  initialized_ = true;
  return CKR_OK;
}

bool Module::finalize(Deadline deadline) {
  const std::unique_lock lock(gate_, std::chrono::milliseconds(deadline.remaining_ms()));
  if (!lock.owns_lock()) return false;
  if (initialized_) (void)api_->C_Finalize(nullptr);
  initialized_ = false;
  ++epoch_;
  return true;
}

}  // namespace keyward::hal::pkcs11
