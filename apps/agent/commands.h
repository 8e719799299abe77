// Owns the commands of keyward-agent, each with what it needs of the machine. Must not know the
// command line. Threads: one.
#pragma once

#include "options.h"
#include "printer.h"

namespace keyward::agent {

Outcome<void> obtain(Options options, Printer& printer);  // enroll and renew
Outcome<void> revoke(Options options, Printer& printer);
Outcome<void> quote(Options options, Printer& printer);
Outcome<void> show(const Options& options, Printer& printer);

}  // namespace keyward::agent
