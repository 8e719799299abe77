// Owns a SoftHSMv2 token for a test: directory, configuration, token, PINs. Everything is gone with
// the object. A failure here ends the test program. Must not know what is tested.
//
// SoftHSM's state is one per process: one SoftHsm in use at a time in one process.
#pragma once

#include <string>

#include "hal/base/bytes.h"
#include "hal/pkcs11/pkcs11_token.h"

namespace keyward::test {

class SoftHsm {
 public:
  enum class Kind { kInitialized, kBlank };
  // The token is made by softhsm2-util in a child process, so that nothing is left in this one.
  explicit SoftHsm(Kind kind = Kind::kInitialized, std::string label = "keyward-test");
  ~SoftHsm();
  SoftHsm(const SoftHsm&) = delete;
  SoftHsm& operator=(const SoftHsm&) = delete;

  static std::string module_path();
  hal::Pkcs11Config config() const;  // module, label, SOFTHSM2_CONF
  SecretBytes pin() const { return SecretBytes(view_of(kPin)); }
  SecretBytes so_pin() const { return SecretBytes(view_of(kSoPin)); }
  const std::string& directory() const { return directory_; }
  std::string conf_path() const { return directory_ + "/softhsm2.conf"; }
  std::string token_directory() const { return directory_ + "/tokens"; }
  const std::string& label() const { return label_; }

  // softhsm2-util --init-token: one more token of that label (labels need not be unique).
  void add_token(const std::string& label) const;
  // The token directory goes away, and comes back as it was.
  void take_away() const;
  void bring_back() const;

  static constexpr std::string_view kPin = "1234-user";
  static constexpr std::string_view kSoPin = "5678-officer";

 private:
  std::string directory_;
  std::string label_;
};

}  // namespace keyward::test
