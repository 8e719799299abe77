// Owns the software TPM of the simulator: its manufacture, its process, its end. Must not know what
// the TPM is used for. Needs Debian's swtpm and swtpm-tools.
//
// Errors: kBadInput (a path that is relative or too long for a unix socket), kUnavailable (a
// program is missing, failed, or was not ready by the deadline; its log says why). Threads: one at
// a time.
#pragma once

#include <string>

#include <sys/types.h>

#include "hal/base/clock.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::sim {

// The make-believe TPM manufacturer. Its root and issuer are made in `ca_dir` on first use
// (issuercert.pem, swtpm-localca-rootca-cert.pem, signkey.pem).
struct TpmManufacturer {
  std::string ca_dir;
  std::string ek_certificates_dir;  // EK certificates as DER files; may be empty
};

// Makes the state of a new TPM in `state_dir` (absolute): SHA-256 PCR bank, EK RSA-2048 and ECC
// P-384, EK certificates in NV 0x1c00002 and 0x1c00016. Does nothing if a TPM is there; after a
// power cut the state is there whole or not at all. Takes about 0.6 s, the manufacturer's first one
// 1 s.
Status manufacture_swtpm(const std::string& state_dir, const TpmManufacturer& manufacturer,
                         Deadline deadline);

struct SwtpmSpec {
  std::string state_dir;    // absolute; made (mode 0700) if absent: then an unmanufactured TPM,
                            // without EK certificates, whose seeds are made at first start
  std::string socket_path;  // absolute; the control channel is this + ".ctrl"
  std::string log_path;     // swtpm's messages are appended here; empty: dropped
  unsigned socket_mode = 0700;
  int socket_uid = -1;          // owner of the sockets (needs root); -1: ours
  bool die_with_parent = true;  // PR_SET_PDEATHSIG: ends with the thread that started it
};

// A running swtpm; powered on and started up (TPM2_Startup(CLEAR)). It ends when this object ends.
class SwtpmProcess {
 public:
  // Returns when the TPM accepts connections.
  static Result<SwtpmProcess> start(const SwtpmSpec& spec, Deadline deadline);
  SwtpmProcess(SwtpmProcess&& other) noexcept;
  SwtpmProcess& operator=(SwtpmProcess&& other) noexcept;
  SwtpmProcess(const SwtpmProcess&) = delete;
  SwtpmProcess& operator=(const SwtpmProcess&) = delete;
  ~SwtpmProcess() { kill(); }

  std::string tcti() const { return "swtpm:path=" + socket_path_; }
  pid_t pid() const { return pid_; }
  bool running() const;  // false once it has ended, however
  // SIGTERM, and SIGKILL at the deadline. The TPM itself is shut down by its user (TPM2_Shutdown)
  // before.
  void stop(Deadline deadline);
  void kill();  // SIGKILL: the power fails
  // Gives the process up: it stays, and whoever is its parent reaps it.
  pid_t release();

 private:
  SwtpmProcess() = default;
  Status wait_ready(Deadline deadline) const;
  void end(int signal, Deadline deadline);
  std::string socket_path_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace keyward::sim
