// Owns the list of revoked attestation certificates that Google publishes, as an imported JSON file:
// {"entries": {"<serial, hex>": {"status": "REVOKED" | "SUSPENDED", …}, …}}. Must not know where the
// file comes from, nor certificates beyond their serial. Threads: values.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::attest {

class AndroidStatusList {
 public:
  // kBadInput: not such a list; an entry that does not read makes the whole list bad.
  static Result<AndroidStatusList> parse(std::string_view json);
  bool holds(ByteView serial) const;  // INTEGER content octets
  std::size_t size() const { return serials_.size(); }

 private:
  std::set<std::string, std::less<>> serials_;  // hex, lower case, no leading zeros
};

}  // namespace keyward::attest
