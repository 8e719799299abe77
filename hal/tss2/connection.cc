// ESYS context, handles and sessions: see connection.h.
#include "hal/tss2/connection.h"

#include <cctype>
#include <mutex>

#include <dlfcn.h>
#include <stdlib.h>
#include <tss2/tss2_tctildr.h>

namespace keyward::hal::tss2 {
namespace {

void silence_library_log() {
  static std::once_flag once;
  std::call_once(once, [] { ::setenv("TSS2_LOG", "all+none", 0); });
}

// Keeps the TCTI's library in memory for the life of the process, so that a reconnection opens no
// file of the file system: the sandbox has closed it by then.
Status pin_library(const std::string& tcti) {
  const std::string name = tcti.substr(0, tcti.find(':'));
  if (name.empty() || name.size() > 32)
    return fail(ErrorKind::kBadInput, "tpm: the TCTI has no name");
  for (const char c : name) {
    const auto octet = static_cast<unsigned char>(c);
    if (std::isalnum(octet) == 0 && c != '-' && c != '_') {
      return fail(ErrorKind::kBadInput, "tpm: the TCTI's name has other than letters and digits");
    }
  }
  const std::string library = "libtss2-tcti-" + name + ".so.0";
  if (::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) == nullptr) {
    return fail(ErrorKind::kBadInput, "tpm: there is no such TCTI");
  }
  return {};
}

}  // namespace

Status prepare_library(const std::string& tcti) {
  silence_library_log();
  return pin_library(tcti);
}

Result<std::shared_ptr<Connection>> Connection::open(const std::string& tcti) {
  KEYWARD_CHECK(prepare_library(tcti));
  std::shared_ptr<Connection> connection(new Connection());
  TSS2_RC rc = ::Tss2_TctiLdr_Initialize(tcti.c_str(), &connection->tcti_);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kUnavailable, "tpm: no connection", rc);
  rc = ::Esys_Initialize(&connection->esys_, connection->tcti_, nullptr);
  KEYWARD_CHECK(connection->check(rc, "tpm: cannot make an ESYS context"));
  KEYWARD_CHECK(connection->start());
  KEYWARD_CHECK(connection->flush_leftovers());
  connection->socket_each_command_ = tcti.starts_with("swtpm");
  KEYWARD_TRY(reset_count, connection->reset_count());
  connection->reset_count_ = reset_count;
  return connection;
}

Result<std::uint32_t> Connection::reset_count() {
  EsysMem<TPMS_TIME_INFO> time;
  KEYWARD_CHECK(check(::Esys_ReadClock(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out(time)),
                      "tpm: ReadClock failed"));
  return time->clockInfo.resetCount;
}

bool Connection::was_reset() {
  if (broken_) return true;
  if (!socket_each_command_) return false;
  const auto now = reset_count();
  if (!now || *now != reset_count_) broken_ = true;
  return broken_;
}

Status Connection::start() {
  const TSS2_RC rc = ::Esys_Startup(esys_, TPM2_SU_CLEAR);
  if (rc == TPM2_RC_INITIALIZE) return {};  // Commands §9.3: not an error of ours, it is running
  return check(rc, "tpm: startup failed");
}

// A program that is killed leaves its objects and sessions in a TPM that no resource manager stands
// before; after three of them nothing can be loaded until the next reset. With a resource manager
// the lists of handles are this connection's own, and empty now. Nothing is flushed while there is
// room: it could be another program's that is alive.
Status Connection::flush_leftovers() {
  constexpr std::uint32_t kNeeded =
      2;  // a parent and a child, or a key and the key that certifies it
  KEYWARD_TRY(objects, property(TPM2_PT_HR_TRANSIENT_AVAIL));
  if (objects < kNeeded) KEYWARD_CHECK(flush_all(TPM2_TRANSIENT_FIRST));
  KEYWARD_TRY(sessions, property(TPM2_PT_HR_LOADED_AVAIL));
  if (sessions < kNeeded) KEYWARD_CHECK(flush_all(TPM2_LOADED_SESSION_FIRST));
  return {};
}

Result<std::uint32_t> Connection::property(std::uint32_t name) {
  EsysMem<TPMS_CAPABILITY_DATA> data;
  KEYWARD_CHECK(check(::Esys_GetCapability(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           TPM2_CAP_TPM_PROPERTIES, name, 1, nullptr, out(data)),
                      "tpm: GetCapability failed"));
  const auto& list = data->data.tpmProperties;
  if (list.count != 1 || list.tpmProperty[0].property != name)
    return fail(ErrorKind::kCorrupt, "tpm: a property every TPM has is not there");
  return list.tpmProperty[0].value;
}

Status Connection::flush_all(std::uint32_t first_handle) {
  EsysMem<TPMS_CAPABILITY_DATA> data;
  KEYWARD_CHECK(
      check(::Esys_GetCapability(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                                 first_handle, TPM2_MAX_CAP_HANDLES, nullptr, out(data)),
            "tpm: GetCapability failed"));
  const auto& list = data->data.handles;
  for (std::uint32_t i = 0; i < list.count && i < TPM2_MAX_CAP_HANDLES; ++i) {
    ESYS_TR tr = ESYS_TR_NONE;
    KEYWARD_CHECK(check(::Esys_TR_FromTPMPublic(esys_, list.handle[i], ESYS_TR_NONE, ESYS_TR_NONE,
                                                ESYS_TR_NONE, &tr),
                        "tpm: a leftover object cannot be opened"));
    KEYWARD_CHECK(
        check(::Esys_FlushContext(esys_, tr), "tpm: a leftover object cannot be flushed"));
  }
  return {};
}

Connection::~Connection() {
  if (esys_ != nullptr) ::Esys_Finalize(&esys_);
  if (tcti_ != nullptr) ::Tss2_TctiLdr_Finalize(&tcti_);
}

Status Connection::check(TSS2_RC rc, const char* what) {
  if (rc == TSS2_RC_SUCCESS) return {};
  if (connection_lost(rc)) broken_ = true;
  return fail(kind_of(rc), what, rc);
}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this == &other) return *this;
  reset();
  connection_ = std::move(other.connection_);
  tr_ = std::exchange(other.tr_, ESYS_TR_NONE);
  kind_ = other.kind_;
  return *this;
}

void Handle::reset() {
  ESYS_TR tr = std::exchange(tr_, ESYS_TR_NONE);
  const ConnectionPtr connection = std::move(connection_);
  // A broken connection's TPM is gone or was reset, and its objects with it.
  if (tr == ESYS_TR_NONE || !connection || connection->broken()) return;
  const TSS2_RC rc = kind_ == Kind::kTransient ? ::Esys_FlushContext(connection->esys(), tr)
                                               : ::Esys_TR_Close(connection->esys(), &tr);
  // Nothing can be done here about a flush that fails; if the TPM is gone the connection now knows.
  if (!connection->check(rc, "tpm: flush")) return;
}

Result<Handle> start_session(const ConnectionPtr& connection, SessionUse use, ESYS_TR salt_key) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_NULL;
  if (salt_key != ESYS_TR_NONE) {
    symmetric.algorithm = TPM2_ALG_AES;
    symmetric.keyBits.aes = 128;
    symmetric.mode.aes = TPM2_ALG_CFB;
  }
  const TPM2_SE type = use == SessionUse::kTrial            ? TPM2_SE_TRIAL
                       : use == SessionUse::kEncryptCommand ? TPM2_SE_HMAC
                                                            : TPM2_SE_POLICY;
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(
      connection->check(::Esys_StartAuthSession(connection->esys(), salt_key, ESYS_TR_NONE,
                                                ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                                type, &symmetric, TPM2_ALG_SHA256, &tr),
                        "tpm: cannot start a session"));
  Handle session(connection, tr, Handle::Kind::kTransient);
  TPMA_SESSION attributes =
      TPMA_SESSION_CONTINUESESSION;  // so that the end is ours, also after a failure
  if (use == SessionUse::kEncryptResponse) attributes |= TPMA_SESSION_ENCRYPT;
  if (use == SessionUse::kEncryptCommand) attributes |= TPMA_SESSION_DECRYPT;
  KEYWARD_CHECK(
      connection->check(::Esys_TRSess_SetAttributes(connection->esys(), tr, attributes, 0xff),
                        "tpm: cannot set session attributes"));
  return session;
}

}  // namespace keyward::hal::tss2
