// Owns the signer's metrics beside those of its requests: token, ledger, revocation lists, free
// room. Must not know who reads them. Threads: one.
#pragma once

#include <string>

#include "firmware/issue/gate.h"
#include "hal/signing_token.h"

namespace keyward::signer {

class Figures {
 public:
  Figures(issue::Gate& gate, std::string state_dir)
      : gate_(&gate), state_dir_(std::move(state_dir)) {}
  // The token's at once; what asks the disk when a report of metrics is due.
  void take(const hal::TokenStatus& status);

 private:
  void take_files() const;
  void take_lists() const;
  issue::Gate* gate_;
  std::string state_dir_;
  Deadline next_ = Deadline::after_ms(0);
};

}  // namespace keyward::signer
