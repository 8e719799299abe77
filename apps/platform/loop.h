// Owns the platform task's handlers and its watch over the appliance's TPM. Must not know PKCS#11,
// a network, or what the PIN opens. Threads: any; the TPM is used under one lock.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "firmware/task/peer.h"
#include "firmware/wire/messages/anchor_advance.h"
#include "firmware/wire/messages/key_seal.h"
#include "firmware/wire/messages/key_unseal.h"
#include "firmware/wire/messages/pin_unseal.h"
#include "hal/sealed_pin.h"
#include "hal/tpm.h"

namespace keyward::platform {

class Loop {
 public:
  using Report = std::function<void(std::string_view state, std::string_view detail)>;
  // `tpm` and `pin` outlive the Loop; `report` is called when the state changes, from any thread.
  // `anchor_index`: NV index of the counter; 0: none.
  Loop(hal::Tpm& tpm, hal::SealedPin& pin, std::uint32_t anchor_index, Report report)
      : tpm_(tpm), pin_(pin), anchor_index_(anchor_index), report_(std::move(report)) {}
  ~Loop() { stop_watching(); }

  // Codes: "tpm-away" (unavailable), "pin-refused" (the PCRs are not those of sealing),
  // "pin-unusable" (never sealed, or by another TPM), "tpm-failed", "tampered".
  task::Answer<wire::PinUnsealReply> unseal();

  // An operator's PIN, sealed under the PCRs of now; ends a lock by tampering. Codes as above.
  Result<void> take_pin(const SecretBytes& pin);
  // From now on no PIN is given until take_pin(). `state`: "tampered", or "zeroise" for ever.
  void trip(std::string_view state, std::string_view detail);
  // Something that an operator must see and that stops nothing; empty: over.
  void alarm(std::string_view detail);

  // A secret of attestation's, for this TPM alone: under the storage root, no matter what was booted,
  // so that an update of the firmware does not lose it. "key-empty", "tpm-away", "tpm-failed".
  task::Answer<wire::KeySealReply> seal_key(const wire::KeySeal& request);
  // "key-unusable" (of another TPM, or damaged), "tpm-away", "tpm-failed".
  task::Answer<wire::KeyUnsealReply> unseal_key(const wire::KeyUnseal& request);

  // The counter that the ledger's head is anchored in. "anchor-not-configured", "tpm-away",
  // "tpm-failed".
  task::Answer<wire::AnchorAdvanceReply> advance_anchor(const wire::AnchorAdvance& request);

  // The TPM's own clock, for TimeKeeper.
  Result<hal::TpmClock> read_clock();

  // Asks the TPM every `interval_ms` whether it is there, in a thread of its own.
  void watch(std::int64_t interval_ms);
  // Ends the watch and sends TPM2_Shutdown(CLEAR): without it the TPM takes the end for a power
  // cut.
  void stop();

 private:
  void stop_watching();
  void probe();    // locks
  void publish();  // tpm_lock_ held
  Result<SecretBytes> unseal_locked();
  Result<std::optional<std::uint64_t>> move_anchor(const wire::AnchorAdvance& request);  // likewise
  void note_away(const Error& error);  // tpm_lock_ held

  hal::Tpm& tpm_;
  hal::SealedPin& pin_;
  std::uint32_t anchor_index_;
  Report report_;
  std::mutex tpm_lock_;
  std::string away_;     // why the TPM is away; empty: it is there
  std::string locked_;   // why the PIN was not given; empty: it was, or nobody asked
  std::string tripped_;  // the state that tampering led to; empty: none
  std::string tripped_detail_;
  std::string alarm_;
  std::string published_;
  bool published_once_ = false;

  std::mutex watch_lock_;
  std::condition_variable watch_wake_;
  bool watch_ends_ = false;
  std::thread watch_thread_;
};

}  // namespace keyward::platform
