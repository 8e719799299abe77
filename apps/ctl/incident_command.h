// Owns `keywardctl incident declare|end|list`: what the operator says about certificates that must
// be renewed before their time (RFC 9773), in words and in JSON. Must not know the service.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct IncidentOptions {
  std::string directory;  // the acme task's own, e.g. .../state/acme
  bool all = false;
  std::vector<std::string> serials;  // hexadecimal
  std::string profile;
  std::string issued_from;   // "2027-01-31T00:00:00Z"
  std::string issued_until;  // likewise
  std::string start;         // of the window; empty: now
  std::string end;           // of the window, or "+12h", "+2d" after its start
  std::string explanation_url;
  std::string id;  // end
  bool json = false;
};

class IncidentCommand {
 public:
  explicit IncidentCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 failed (directory not reachable, no such incident), 64 an option is wrong,
  // 78 the file is wrong.
  int run() const;

 private:
  IncidentOptions options_;
  CLI::App* command_;
  CLI::App* declare_;
  CLI::App* end_;
  CLI::App* list_;
};

}  // namespace keyward::ctl
