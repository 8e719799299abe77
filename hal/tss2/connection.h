// Owns one ESYS context on one TCTI, and the handles that live in it. Must not know key templates.
//
// A Connection breaks once and for good; Tss2Tpm then makes another. Objects hold their Connection,
// so a handle is only ever given to the context that made it. Threads: one at a time.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <tss2/tss2_esys.h>

#include "hal/base/result.h"
#include "hal/tss2/return_code.h"

namespace keyward::hal::tss2 {

struct EsysFree {
  void operator()(void* p) const { ::Esys_Free(p); }
};
template <class T>
using EsysMem = std::unique_ptr<T, EsysFree>;

// Takes the output pointer of an ESYS call: `Esys_X(..., out(mem))` fills `mem` when the call
// returns.
template <class T>
class Out {
 public:
  explicit Out(EsysMem<T>& to) : to_(to) {}
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  ~Out() { to_.reset(raw_); }
  operator T**() { return &raw_; }

 private:
  EsysMem<T>& to_;
  T* raw_ = nullptr;
};
template <class T>
Out<T> out(EsysMem<T>& to) {
  return Out<T>(to);
}

// Silences the library's log and keeps the TCTI's library in memory. kBadInput: there is no such
// TCTI.
Status prepare_library(const std::string& tcti);

class Connection {
 public:
  // Connects and sends TPM2_Startup(CLEAR), which a running TPM answers with "already done".
  static Result<std::shared_ptr<Connection>> open(const std::string& tcti);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ESYS_CONTEXT* esys() const { return esys_; }
  bool broken() const { return broken_; }
  // True if the TPM was reset since this connection was made: its handles are then other objects'
  // or nobody's. Marks the connection as broken.
  bool was_reset();
  // The one check of a tpm2-tss return code.
  Status check(TSS2_RC rc, const char* what);

 private:
  Connection() = default;
  Status start();
  Status flush_leftovers();
  Status flush_all(std::uint32_t first_handle);
  Result<std::uint32_t> property(std::uint32_t name);
  Result<std::uint32_t> reset_count();
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  bool broken_ = false;
  // The swtpm TCTI opens a socket for each command, so a reset in between shows in no error.
  bool socket_each_command_ = false;
  std::uint32_t reset_count_ = 0;
};
using ConnectionPtr = std::shared_ptr<Connection>;

// One ESYS_TR. Transient objects and sessions are flushed in the TPM; resources (persistent keys,
// NV indices) only forgotten here.
class Handle {
 public:
  enum class Kind { kTransient, kResource };
  Handle() = default;
  Handle(ConnectionPtr connection, ESYS_TR tr, Kind kind)
      : connection_(std::move(connection)), tr_(tr), kind_(kind) {}
  Handle(Handle&& other) noexcept
      : connection_(std::move(other.connection_)),
        tr_(std::exchange(other.tr_, ESYS_TR_NONE)),
        kind_(other.kind_) {}
  Handle& operator=(Handle&& other) noexcept;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  ESYS_TR tr() const { return tr_; }
  const ConnectionPtr& connection() const { return connection_; }
  void reset();

 private:
  ConnectionPtr connection_;
  ESYS_TR tr_ = ESYS_TR_NONE;
  Kind kind_ = Kind::kTransient;
};

// A session lives for one command only. So there is nothing to restore when a TSS call fails and
// leaves the session's attributes changed: the next command starts a new one.
enum class SessionUse { kTrial, kPolicy, kEncryptResponse, kEncryptCommand };
// `salt_key`: a loaded storage key that keeps the session's key from an observer of the bus, or
// ESYS_TR_NONE where no secret is transported.
Result<Handle> start_session(const ConnectionPtr& connection, SessionUse use, ESYS_TR salt_key);

}  // namespace keyward::hal::tss2
