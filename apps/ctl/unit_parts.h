// Owns what of a unit's files is in a backup, and the folder into which a backup is unpacked. Must not
// know the backup's format.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/ctl/unit_places.h"
#include "firmware/backup/backup_file.h"

namespace keyward::ctl {

struct Part {
  std::string name;  // in the backup
  std::string path;  // here
};
// In the order in which they are to be read: the ledger comes last, so that it knows every certificate
// that the database knows; of the ledger its heads come first, so that the rows reach as far as they say.
std::vector<Part> parts_of(const UnitPlaces& places, const std::vector<std::string>& include,
                           bool tokens);

// A sink that unpacks below `folder` (mode 0700, files 0600); files that are there are refused.
backup::Sink unpack_into(const std::string& folder);
// A sink that only counts.
backup::Sink look_only(std::vector<std::pair<std::string, std::uint64_t>>& seen);

}  // namespace keyward::ctl
