// Owns `keywardctl ceremony run`: the review, the consent to each step, what is remembered between two
// runs, and the sealed transcript at the end. Must not know what a step does.
#pragma once

#include <string>

namespace keyward::ctl {

struct CeremonyRunOptions {
  std::string plan_path;
  std::string out;
  bool yes = false;           // no questions
  bool dry_run = false;       // the review and all steps in words; nothing is made
  bool print_shares = false;  // without questions: shares on the standard output, once
  bool json = false;
};

// Exit code: 0 done; 1 a step failed, or somebody said no (the same command goes on there); 64 there
// is nobody to ask; 78 the plan, or a file that it names, is wrong.
int run_whole_ceremony(const CeremonyRunOptions& options);

struct CeremonyReadOptions {
  std::string path;  // of the transcript, or of its folder
  std::string root;  // verify: PEM, from a source of one's own
  bool json = false;
};
// Exit code: 0 all is as it was made; 2 something is not; 78 a file cannot be read.
int verify_ceremony(const CeremonyReadOptions& options);
int show_transcript(const CeremonyReadOptions& options);

}  // namespace keyward::ctl
