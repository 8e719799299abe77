// Owns `keywardctl diagnose`: goes through what an operator would look at, and says for each what was
// found and what to do. It changes nothing, logs in nowhere, and asks no name server. Must not know how
// tasks work inside.
#pragma once

#include <string>
#include <vector>

#include "apps/ctl/unit_facts.h"

namespace CLI {
class App;
}

namespace keyward::ctl {

enum class CheckResult : std::uint8_t { kOk = 1, kFinding = 2, kNotLooked = 3 };

struct Check {
  std::string name;  // stable, "tls-chain"
  CheckResult result = CheckResult::kOk;
  std::string found;       // in words
  std::string what_to_do;  // with a finding
};

// All checks, in the order in which they are worth reading.
std::vector<Check> diagnose(const UnitPlaces& places, const UnitSettings& settings);
bool has_finding(const std::vector<Check>& checks);
std::string checks_json(const std::vector<Check>& checks);

class DiagnoseCommand {
 public:
  explicit DiagnoseCommand(CLI::App& app);
  bool parsed() const;
  // 0 nothing found; 2 a finding, among them an installation file that cannot be used.
  int run() const;

 private:
  std::string installation_;
  bool json_ = false;
  CLI::App* command_;
};

// The checks' parts; each appends what it saw.
using Checks = std::vector<Check>;
void check_installation(const UnitPlaces& places, Checks& out);
void check_files(const UnitPlaces& places, const UnitSettings& settings, Checks& out);
void check_tasks(const UnitPlaces& places, Checks& out);
void check_token(const UnitPlaces& places, const UnitSettings& settings, Checks& out);
void check_tpm(const UnitPlaces& places, Checks& out);
void check_clock(const UnitPlaces& places, Checks& out);
void check_tls(const UnitPlaces& places, const UnitSettings& settings, Checks& out);
void check_issuing(const UnitPlaces& places, Checks& out);
void check_disk(const UnitPlaces& places, Checks& out);
void check_network(const UnitPlaces& places, const UnitSettings& settings, Checks& out);

inline void ok(Checks& out, std::string name, std::string found) {
  out.push_back({std::move(name), CheckResult::kOk, std::move(found), ""});
}
inline void finding(Checks& out, std::string name, std::string found, std::string what_to_do) {
  out.push_back({std::move(name), CheckResult::kFinding, std::move(found), std::move(what_to_do)});
}
inline void not_looked(Checks& out, std::string name, std::string why) {
  out.push_back({std::move(name), CheckResult::kNotLooked, std::move(why), ""});
}

}  // namespace keyward::ctl
