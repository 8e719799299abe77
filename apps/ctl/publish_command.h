// Owns `keywardctl publish`: a unit's revocation lists and issuer certificates as a folder that is pushed
// elsewhere. Must not know how it is pushed, nor how lists are made.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

class PublishCommand {
 public:
  explicit PublishCommand(CLI::App& app);
  bool parsed() const;
  // 0 published, or nothing was new; 1 failed; 2 a finding: a list lapsed or soon will, or an older one
  // would take a newer one's place; 78 a file is wrong: configuration, list, certificate, manifest.
  int run() const;

 private:
  int publish() const;
  int check() const;
  std::string installation_, folder_;
  std::vector<std::string> lists_, issuers_;
  int soon_h_ = 0;
  bool check_ = false, json_ = false;
  CLI::App* command_;
};

}  // namespace keyward::ctl
