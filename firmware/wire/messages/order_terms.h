// Owns what a client asked for in newOrder, as the signer read it from the signed payload.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

// Short-term, automatically renewed (RFC 8739 §3.1.1); milliseconds UTC and milliseconds.
struct StarTerms {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t lifetime_ms = 0;
  std::int64_t lifetime_adjust_ms = 0;
  bool certificate_get = false;
  std::int64_t finalize_by_ms = 0;  // the first certificate is asked for before this
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "start_ms", m.start_ms);
    v(2, "end_ms", m.end_ms);
    v(3, "lifetime_ms", m.lifetime_ms);
    v(4, "lifetime_adjust_ms", m.lifetime_adjust_ms);
    v(5, "certificate_get", m.certificate_get);
    v(6, "finalize_by_ms", m.finalize_by_ms);
  }
};

struct OrderTerms {
  std::vector<Identifier>
      identifiers;  // canonical, sorted, no duplicates; a wildcard keeps its "*."
  std::string profile;
  std::optional<std::int64_t> not_before_ms;
  std::optional<std::int64_t> not_after_ms;
  std::optional<StarTerms> star{};
  std::optional<std::string> tenant{};  // whose newOrder the client signed
  // Remote attestations that the profile asks for, canonical hints; the gate wants a grant for each.
  // Absent rather than empty: terms of tickets from before there were any are read as they are.
  std::optional<std::vector<std::string>> attestations{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
    v(2, "profile", m.profile, limits::kProfileNameBytesMax);
    v(3, "not_before_ms", m.not_before_ms);
    v(4, "not_after_ms", m.not_after_ms);
    v(5, "star", m.star);
    v(6, "tenant", m.tenant, limits::kTenantBytesMax);
    v(7, "attestations", m.attestations, limits::kAttestationsPerOrderMax,
      limits::kProfileNameBytesMax);
  }
};

}  // namespace keyward::wire
