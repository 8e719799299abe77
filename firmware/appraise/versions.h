// Owns the comparison of numbers, versions and dates in claims. Must not know claims beyond their
// names. Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward::appraise {

std::optional<std::uint64_t> read_number(
    std::string_view digits);  // nothing but digits, at most 15
// Numbers between dots (or a hyphen, where a date is meant); "6.1" is before "6.1.2". nullopt: a text
// that is no such version. Negative: `a` is before `b`.
std::optional<int> compare_versions(std::string_view a, std::string_view b);
// "2026-11", "2026-11-05", "202611", "20261105": the first moment of it, in UTC milliseconds.
std::optional<std::int64_t> read_date_ms(std::string_view text);
// A claim of RFC 9711 or RFC 7519 that a rule may compare.
bool is_claim_compared(std::string_view claim);

}  // namespace keyward::appraise
