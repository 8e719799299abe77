// Owns the way to a TPM 2.0 through tpm2-tss. Must not know what keys, quotes or sealed data are
// for.
//
// `tcti` is a configuration string of Tss2_TctiLdr_Initialize: "device:/dev/tpmrm0",
// "swtpm:path=/run/x/tpm.sock", "swtpm:host=127.0.0.1,port=2321". A swtpm has no resource manager:
// other programs of the same device (tpm2-openssl, tpm2-tools) may run beside a Tpm, but share its
// three slots for objects, so hold no TpmObject while they run.
//
// Errors of open_tpm: kBadInput (the string names no TCTI), kUnavailable (nobody answers there).
// Errors of the Tpm (TCG "Structures" §6.6 response codes, sorted by what the caller can do):
//   kUnavailable  the TPM is gone, busy, in lockout, or was reset under a loaded object. The next
//                 call connects again; objects loaded before are dead and must be loaded again. (A
//                 reset in between that cost no command costs no error either, except to such
//                 objects.)
//   kRefused      authorisation or policy failed, PCRs changed, an index or handle is already taken.
//   kBadInput     octets that this TPM cannot use: malformed, trailing, oversize, another TPM's
//                 blob, an index or handle that is not there.
//   kExhausted    no free slot for an object or session, NV full or rate-limited.
//   kCorrupt      the TPM is in failure mode or answers what it must not.
// Threads: one thread at a time for a Tpm and all its objects. A TpmObject may outlive its Tpm.
// The first open_tpm of a process sets TSS2_LOG=all+none unless the environment names another value
// (tpm2-tss otherwise writes a line to standard error for every refused input): call it before
// other threads read the environment.
#pragma once

#include <memory>
#include <string>

#include "hal/tpm.h"

namespace keyward::hal {

Result<std::unique_ptr<Tpm>> open_tpm(const std::string& tcti);

// The same without a first connection, for a task that starts with the TPM away: the first command
// connects. Errors: kBadInput alone.
Result<std::unique_ptr<Tpm>> make_tpm(const std::string& tcti);

}  // namespace keyward::hal
