// Owns a whole simulated appliance for system tests: keyward-sim in a folder of its own, taken down
// and removed at the end. Before that its run folder (logs, status, metrics) is searched for secrets:
// those that lie in its state, and those that the test names; and after each `down` its log for what
// a sanitizer found in a task. Must not know tasks or protocols.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "tests/support/command/command.h"
#include "tests/support/secret_scan/secret_scan.h"

namespace keyward::test {

struct SimDevice {
  std::string identifier;
  std::string tcti;
  std::uint32_t ak_handle = 0;
  std::string ak_chain;  // path of a PEM file
};

// kShared: as root each task has a user id of its own. kPrivate: others cannot pass the folder, so
// all tasks run as the caller, and modules of a test can share files with the signer.
enum class SimFolder { kShared, kPrivate };

class Simulator {
 public:
  // Starts it; an unstarted one has started() false and says why in output().
  explicit Simulator(std::vector<std::string> up_options = {},
                     SimFolder folder = SimFolder::kShared);
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  // One more that must not be shown.
  void keep_secret(const std::string& name, ByteView secret) { kept_.add(name, secret); }

  bool started() const { return started_; }
  const std::string& output() const { return output_; }
  const std::string& dir() const { return dir_; }
  std::string env(const std::string& name) const;  // of `keyward-sim env`
  CommandResult run(std::vector<std::string> words) const;
  Result<SimDevice> device(const std::string& name) const;
  // Of `keyward-sim status`: 0 when the task is not running ("supervisor" is one too).
  int pid_of(const std::string& task) const;
  std::string state() const;  // "operational", "degraded", ...; "" when it cannot be asked

 private:
  void expect_no_secret_shown();
  void expect_no_sanitizer_report() const;
  SecretScan kept_;
  std::string parent_;
  std::string dir_;
  std::string output_;
  std::map<std::string, std::string> env_;
  bool started_ = false;
};

// An executable of the build under test.
std::string keyward_binary(const std::string& name);

}  // namespace keyward::test
