// Owns a software TPM for a test: directory, start, power cut, end. Everything is gone with the
// object. A failure here ends the test program: a test without its TPM would pass for the wrong
// reason.
#pragma once

#include <memory>
#include <string>

#include "board/sim/swtpm.h"

namespace keyward::test {

class Swtpm {
 public:
  enum class Kind {
    kPlain,         // random seeds, no EK certificates; ready in a few milliseconds
    kManufactured,  // EK certificates by a make-believe manufacturer; about 1 s
  };
  explicit Swtpm(Kind kind = Kind::kPlain);
  // A second device of the same manufacturer; `manufacturer` must outlive it.
  static std::unique_ptr<Swtpm> of_same_manufacturer(const Swtpm& manufacturer);
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  std::string tcti() const;
  const std::string& directory() const { return directory_; }  // also for the test's own files
  std::string manufacturer_root_file() const;                  // PEM
  std::string manufacturer_issuer_file() const;                // PEM
  pid_t pid() const { return process_->pid(); }

  void power_cut();  // kill -9, no TPM2_Shutdown
  void stop();       // SIGTERM
  void start();      // the same state; returns when it is ready

 private:
  Swtpm(Kind kind, const std::string& ca_dir);
  void begin(Kind kind);
  std::string directory_;
  std::string ca_dir_;
  std::unique_ptr<sim::SwtpmProcess> process_;
};

}  // namespace keyward::test
