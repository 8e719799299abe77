// Owns the tables and how an older database becomes today's. Must not know messages.
// Errors: kCorrupt (not our database), kRefused (made by a newer version), and those of sqlite.h.
// Threads: one, at start.
#pragma once

#include "firmware/store/sqlite.h"

namespace keyward::store {

inline constexpr std::int64_t kSchemaVersion = 3;

// Climbs the ladder from the version found to kSchemaVersion, one transaction a step.
Status migrate(Connection& connection, std::int64_t now_ms);

// Rows of one order stand together: the number of an authorization is its first order's number times
// 64 plus its position, that of a challenge its authorization's times 8 plus its position. So
// ownership needs no index of its own, and an order's rows share pages
// (limits::kIdentifiersPerOrderMax, 8 challenges). An authorization begun without an order takes a
// number of that sequence that no order gets. What further orders rely on stands in `relied`; an
// order that relies on its own alone has no row there.
inline constexpr int kAuthzBits = 6;
inline constexpr int kChallengeBits = 3;

// authorizations.kind; numbers in the file, which never change meaning.
enum class AuthzKind : std::int64_t {
  kOfOneOrder = 1,  // for the order it was begun with, and no other (D-A9)
  kShared = 2,      // begun with an order, good for further ones
  kAlone = 3        // begun without an order (RFC 8555 §7.4.1), good for any
};

}  // namespace keyward::store
