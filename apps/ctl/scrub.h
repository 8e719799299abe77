// Owns taking secrets out of what is given to others: of an installation file by its keys, of any text by
// the unit's own secrets and by what secrets look like. Must not know bundles.
//
// Two ways, because each misses something: a secret of this unit is found whatever it looks like and
// wherever it stands (as octets, hexadecimal, base64, base64url); what looks like a secret is removed
// although nobody knows it. Threads: values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/ctl/unit_places.h"

namespace keyward::ctl {

inline constexpr std::string_view kRemoved = "(removed)";

class Scrubber {
 public:
  // Reads the unit's secrets: every key file and credential of its state that this user may read.
  explicit Scrubber(const UnitPlaces& places);
  // Also this, in each of its forms. Shorter than 8 octets: not looked for.
  void add(ByteView secret);
  std::string clean(std::string text) const;
  // True: none of the unit's secrets stands in it, and nothing that looks like a private key.
  bool is_clean(std::string_view text) const;
  std::size_t secrets() const { return forms_.size(); }

 private:
  std::vector<std::string> forms_;
};

// The installation file with the values of suspicious keys, of environment entries, of URLs' user
// parts, and comments gone. kBadInput: it is no TOML.
Result<std::string> clean_installation(std::string_view toml);

}  // namespace keyward::ctl
