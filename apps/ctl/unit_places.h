// Owns what commands read of an installation file: where the unit's state and certificates are. Must
// not know what tasks make of their own keys; unknown ones are theirs.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/tpm.h"

namespace keyward::ctl {

struct UnitPlaces {
  std::string installation;  // the file itself
  std::string state_root;
  std::string run_dir;
  std::string tcti;
  hal::PcrSelection pcrs;
  std::string sealed_pin;
  std::string issuer_chain;       // empty: not configured
  std::string audit_certificate;  // likewise
  std::string ocsp_certificate;   // likewise
  std::string operators;          // likewise
  std::vector<std::string> zeroise_also;
  std::string unit;  // the name that a person types to confirm
  std::string state_of(const std::string& task) const { return state_root + "/" + task; }
};

// Problems go to standard error; kBadInput then.
Result<UnitPlaces> read_unit_places(const std::string& installation);

// True: a supervisor of this unit runs (its status file names a living process).
bool unit_runs(const UnitPlaces& places);
// "operational", ...; empty: unknown.
std::string unit_state(const UnitPlaces& places);
// Gives `path` to the owner of the folder it stands in (as root; else nothing).
Status give_to_folders_owner(const std::string& path);

// From here on this process is the owner of `folder` (as root; else nothing changes): what libraries leave
// beside a file that they read (SQLite's index, SoftHSM's locks) must stay the task's. Not undone.
Status take_user_of(const std::string& folder);

}  // namespace keyward::ctl
