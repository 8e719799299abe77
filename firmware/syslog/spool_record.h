// Owns the form of one line in the spool and the names of its files. Must not know tasks or the
// network.
//
//   <checksum, 8 hex digits> <number> <UTC, ms> <task> <text>\n
//
// A file is named by the start of the supervisor that wrote it and the number of its first line, both
// in decimal digits of fixed width, so that the order of names is the order of lines. The checksum is
// against a torn or zeroed tail after a power cut, not against an intruder. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace keyward::syslog {

// Where a line stands. Numbers go on from one start to the next; after a power cut some may be given
// twice, and `start` tells such lines apart.
struct Place {
  std::uint64_t start = 0;  // UTC ms at which the supervisor began, or one more than the last one
  std::uint64_t number = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Record {
  Place place;
  std::int64_t utc_ms = 0;  // when the supervisor had it
  std::string task;         // who wrote it, as the supervisor knows
  std::string text;         // as the task wrote it
};

// With the line's end. Control characters in the text become blanks.
std::string encode(const Record& record);
// Without the line's end. Absent: damaged.
std::optional<Record> decode(std::string_view line, std::uint64_t start);

std::string file_name(const Place& first);
// The spool's files in the folder, oldest first; other names are passed over. kUnavailable.
Result<std::vector<Place>> list_files(const std::string& directory);

}  // namespace keyward::syslog
