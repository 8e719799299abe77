// Owns the making of test hierarchies whose keys lie in files: one issuing key, one chain for each
// root, all of the same length. Must not know who uses them. Nothing here may serve a real plant.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::pebble {

struct Hierarchy {
  std::string root_pem;
  std::string root_key_pem;
  std::string issuing_pem;  // certifies the one issuing key
  std::string chain_pem;    // issuing certificate first, root last
  std::string chain_file;
};

struct TestCa {
  std::vector<Hierarchy> hierarchies;  // the first is the default chain
  std::string issuing_key_pem;
  std::string issuing_spki_sha256;
};

// In `folder` (made if absent): root.pem, chain.pem, issuing.key of the first, and N.root.pem,
// N.root.key, N.issuing.pem, N.chain.pem of each. What is there already is read, not made anew.
// chain_length: certificates between leaf and root. kUnavailable (files), kInternal.
Result<TestCa> load_or_make(const std::string& folder, int roots, int chain_length);

}  // namespace keyward::pebble
