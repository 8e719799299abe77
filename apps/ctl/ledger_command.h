// Owns `keywardctl ledger show|verify`: what a ledger says, in words and in JSON. Must not write to
// it.
#pragma once

#include <string>

namespace keyward::ctl {

struct LedgerOptions {
  std::string directory;    // the signer's ledger
  std::string issuer_path;  // PEM, issuing CA first; verify alone
  std::string serial;       // hexadecimal; show alone: this certificate's rows and PEM
  int last = 20;            // show alone: so many of the newest intents; 0: all
  bool json = false;
};

// Exit code: 0 done, 1 the ledger cannot be read or holds no such serial, 2 it is broken.
int show_ledger(const LedgerOptions& options);
int verify_ledger(const LedgerOptions& options);

}  // namespace keyward::ctl
