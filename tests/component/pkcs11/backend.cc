// Owns the three real modules of the HAL suite.
#include "backend.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/support/command/command.h"
#include "tests/support/p11kit_server/p11kit_server.h"
#include "tests/support/softhsm/softhsm.h"
#include "tests/support/swtpm/swtpm.h"

// The modules' own leaks are not this product's; the sanitizers ask here (nothing else calls it).
// Slow unwinding: libcrypto has no frame pointers, so that a module below it would not be seen.
extern "C" const char* __asan_default_options();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "fast_unwind_on_malloc=0";
}
extern "C" const char* __lsan_default_suppressions();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  return "leak:libtpm2_pkcs11\nleak:libtss2\nleak:libsofthsm2\n";
}

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;

// SoftHSMv2 in this process; away: its token directory is gone.
class SoftHsmBackend : public Backend {
 public:
  hal::Pkcs11Config config() const override { return hsm_.config(); }
  SecretBytes pin() const override { return hsm_.pin(); }
  void take_away() override { hsm_.take_away(); }
  void bring_back() override { hsm_.bring_back(); }
  bool has(KeyAlgorithm) const override { return true; }

 private:
  SoftHsm hsm_;
};

// The same, called by the callers' own threads.
class InProcessBackend : public SoftHsmBackend {
 public:
  hal::Pkcs11Config config() const override {
    auto config = SoftHsmBackend::config();
    config.quirks.in_process = true;
    return config;
  }
};

// SoftHSMv2 behind `p11-kit server`; away: the server is killed.
class P11KitBackend : public Backend {
 public:
  P11KitBackend()
      : server_(SoftHsm::module_path(), hsm_.directory() + "/socket", hsm_.config().environment) {
    server_.start();
  }
  hal::Pkcs11Config config() const override {
    auto config = hsm_.config();
    config.module_path = P11KitServer::client_module_path();
    config.environment = {{"P11_KIT_SERVER_ADDRESS", server_.address()}};
    // A call that waits while another reads the answer is not woken when the server dies.
    config.quirks.max_sessions = 1;
    return config;
  }
  SecretBytes pin() const override { return hsm_.pin(); }
  void take_away() override { server_.kill(); }
  void bring_back() override { server_.start(); }
  bool has(KeyAlgorithm algorithm) const override {
    return algorithm != KeyAlgorithm::kEd25519;  // p11-kit 0.24 does not pass CKM_EDDSA on
  }

 private:
  SoftHsm hsm_;
  P11KitServer server_;
};

// tpm2-pkcs11 over swtpm; away: swtpm is killed.
class Tpm2Backend : public Backend {
 public:
  Tpm2Backend() {
    std::filesystem::create_directory(store());
    const auto made = hal::initialize_token(config(), SecretBytes(view_of("5678-officer")), pin());
    if (made) return;
    std::fprintf(stderr, "tpm2-pkcs11: %s (%lld)\n", made.error().what,
                 static_cast<long long>(made.error().native));
    std::abort();
  }
  hal::Pkcs11Config config() const override {
    hal::Pkcs11Config config;
    config.module_path = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so";
    config.token_label = "keyward-test";
    // Two C_Sign at the same time, even in two sessions, meet in one ESYS context ("wrong order").
    config.quirks.max_sessions = 1;
    // The module derives CKA_VERIFY from the TPM's decrypt bit and CKA_ENCRYPT from its sign bit; a
    // template that says otherwise fails with CKR_GENERAL_ERROR.
    config.quirks.omit.public_usage = true;
    // CKM_RSA_PKCS is done with TPM2_RSA_Decrypt, which a key that may only sign refuses.
    config.quirks.rsa_hash_in_module = true;
    config.environment = {{"TPM2_PKCS11_STORE", store()},
                          {"TPM2_PKCS11_TCTI", tpm_.tcti()},
                          {"TPM2_PKCS11_BACKEND", "esysdb"},
                          {"TPM2_PKCS11_LOG_LEVEL", "0"},
                          {"TSS2_LOG", "all+none"}};
    return config;
  }
  SecretBytes pin() const override { return SecretBytes(view_of("1234-user")); }
  void take_away() override { tpm_.power_cut(); }
  void bring_back() override { tpm_.start(); }
  bool has(KeyAlgorithm algorithm) const override {
    // libtpms has RSA up to 3072; the module knows no Edwards curves.
    return algorithm != KeyAlgorithm::kRsa4096 && algorithm != KeyAlgorithm::kEd25519;
  }
  bool flush_device() override {
    return run_command({"tpm2_flushcontext", "--tcti", tpm_.tcti(), "--transient-object"}).status ==
           0;
  }

 private:
  std::string store() const { return tpm_.directory() + "/pkcs11"; }
  Swtpm tpm_;
};

}  // namespace

std::unique_ptr<Backend> make_softhsm_backend() { return std::make_unique<SoftHsmBackend>(); }
std::unique_ptr<Backend> make_in_process_backend() { return std::make_unique<InProcessBackend>(); }
std::unique_ptr<Backend> make_p11kit_backend() { return std::make_unique<P11KitBackend>(); }
std::unique_ptr<Backend> make_tpm2_backend() { return std::make_unique<Tpm2Backend>(); }

}  // namespace keyward::test
