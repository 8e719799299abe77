// Owns address prefixes of the name policy ("10.20.0.0/16"). Must not know the policy. Errors:
// kBadInput. Threads: values.
#pragma once

#include <string_view>

#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::issue {

class IpSubtree {
 public:
  // An address, "/" and a length; no bit may stand behind the length.
  static Result<IpSubtree> parse(std::string_view text);
  // `address`: in canonical form. Another family is outside, and so is what is no address.
  bool contains(const wire::Identifier& address) const;
  bool covers(const IpSubtree& other) const;  // each address of the other lies in this one
  std::string text() const;  // octets in hexadecimal, "/" and the length: one for each subtree

 private:
  IpSubtree(Bytes base, unsigned bits) : base_(std::move(base)), bits_(bits) {}
  Bytes base_;  // 4 or 16 octets
  unsigned bits_;
};

}  // namespace keyward::issue
