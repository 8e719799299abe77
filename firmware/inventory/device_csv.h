// Owns the reading of devices from CSV (RFC 4180, with a header line). Must not know files or the
// list they go into.
//
// Columns: id (needed), ek_sha256, ak_sha256, root, permanent_identifier, hardware_module (each of
// these may stand several times), owner, state, note. An empty field says nothing; state is then
// "expected". Line breaks are CRLF or LF; a byte order mark is passed over. Threads: pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/inventory/devices.h"

namespace keyward::inventory {

struct CsvProblem {
  std::int64_t line = 0;  // of the file, from 1: where the row begins
  std::string text;
};
struct CsvDevice {
  std::int64_t line = 0;
  Device device;
};
struct CsvDevices {
  std::vector<CsvDevice> devices;
  std::vector<CsvProblem> problems;  // at most kCsvProblemsMax; any: nothing may be imported
};
inline constexpr std::size_t kCsvProblemsMax = 50;

CsvDevices read_devices_csv(std::string_view text, std::int64_t now_ms);

}  // namespace keyward::inventory
