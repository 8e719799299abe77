// Owns the tokens of a ceremony: board token files, PINs, and one step at a time with an open token in
// a process of its own (a PKCS#11 module is initialised once per process). Must not know what the
// step does, nor certificates.
//
// Errors: kBadInput (board file, PIN file), kRefused (the token is there already), and what the token
// gives. Threads: one; nothing else may run (fork).
#pragma once

#include <functional>
#include <map>
#include <string>

#include "board/compose.h"
#include "firmware/ceremony/whole_plan.h"

namespace keyward::ctl {

// The board's token file (docs/ceremony.md), read for one token.
struct TokenBoard {
  board::TokenSpec spec;
  bool softhsm_folder = false;  // SoftHSMv2 alone: {folder} and its softhsm2.conf are made
  std::string folder;           // {folder}, absolute
};

class CeremonyTokens {
 public:
  // `plan_folder`: relative board and PIN files are there; `out`: relative token folders are there.
  CeremonyTokens(const ceremony::WholePlan& plan, std::string plan_folder, std::string out)
      : plan_(plan), plan_folder_(std::move(plan_folder)), out_(std::move(out)) {}

  // Reads all board files; what is wrong with them.
  std::vector<std::string> load();
  // PINs from files, and from the person at the terminal; made-up ones of an earlier run.
  Status gather_pins();
  const TokenBoard& board_of(const std::string& token) const { return boards_.at(token); }
  const SecretBytes* pin(const std::string& token) const;

  // Sets up a token in a free slot. Made-up PINs are written into handover/ first: a token whose PIN
  // nobody knows is lost. Returns the files written, relative to the output folder.
  Result<std::vector<std::string>> initialize(const ceremony::TokenPlan& token);
  using Step = std::function<Result<Bytes>(hal::SigningToken&)>;
  Result<Bytes> with(const std::string& token, const Step& step) const;

 private:
  std::string beside_plan(const std::string& path) const;
  std::string load_board(const ceremony::TokenPlan& token);
  const ceremony::WholePlan& plan_;
  std::string plan_folder_;
  std::string out_;
  std::map<std::string, TokenBoard> boards_;
  std::map<std::string, SecretBytes> pins_;
};

// A PIN typed without echo. kUnavailable: there is no terminal.
Result<SecretBytes> read_pin_from_terminal(const std::string& question);

}  // namespace keyward::ctl
