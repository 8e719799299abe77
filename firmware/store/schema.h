// Owns the tables and how an older database becomes today's. Must not know messages.
// Errors: kCorrupt (not our database), kRefused (made by a newer version), and those of sqlite.h.
// Threads: one, at start.
#pragma once

#include "firmware/store/sqlite.h"

namespace keyward::store {

inline constexpr std::int64_t kSchemaVersion = 1;

// Climbs the ladder from the version found to kSchemaVersion, one transaction a step.
Status migrate(Connection& connection, std::int64_t now_ms);

// Rows of one order stand together: the number of an authorization is its order's number times 64
// plus its position, that of a challenge its authorization's times 8 plus its position. So
// ownership needs no index of its own, and an order's rows share pages
// (limits::kIdentifiersPerOrderMax, 8 challenges).
inline constexpr int kAuthzBits = 6;
inline constexpr int kChallengeBits = 3;

}  // namespace keyward::store
