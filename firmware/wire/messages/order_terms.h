// Owns what a client asked for in newOrder, as the signer read it from the signed payload.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct OrderTerms {
  std::vector<Identifier>
      identifiers;  // canonical, sorted, no duplicates; a wildcard keeps its "*."
  std::string profile;
  std::optional<std::int64_t> not_before_ms;
  std::optional<std::int64_t> not_after_ms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
    v(2, "profile", m.profile, limits::kProfileNameBytesMax);
    v(3, "not_before_ms", m.not_before_ms);
    v(4, "not_after_ms", m.not_after_ms);
  }
};

}  // namespace keyward::wire
