// Owns `keyward-sim up` and `down`. Must not know the command line.
#pragma once

#include <string>
#include <vector>

#include "apps/sim/places.h"

namespace keyward::simulator {

struct UpOptions {
  bool foreground = false;
  bool quiet = false;
  int port = 0;         // 0: the remembered one, else 14000 if free, else the kernel's choice
  int http_port = 0;    // 0: the remembered one, else 5002 if free, else the kernel's choice
  int public_port = 0;  // 0: the remembered one; at the first start one is chosen
  std::vector<std::string> hosts;      // replaces the remembered ones if not empty
  std::vector<std::string> permitted;  // before the first start only
  std::string module;                  // "softhsm": back to the built-in one
  std::vector<std::string> module_environment;
  std::string test_ca;  // before the first start only
  std::vector<std::string>
      additions;  // SECTION.KEY=VALUE; replaces the remembered ones if not empty
  int patience_s = 60;
};

// Exit codes: 0 up (also: it was), 1 it did not come up.
int up(const Places& places, const UpOptions& options);
// 0 down (also: it was), 1 it does not end. Devices' TPMs are stopped too.
int down(const Places& places);

}  // namespace keyward::simulator
