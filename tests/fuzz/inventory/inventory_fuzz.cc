// Fuzzes what operators import and what the task reads back. First octet: which reader. Held: what
// was read can be written, and reads the same again.
#include <cstdlib>

#include "firmware/inventory/device_csv.h"
#include "firmware/inventory/enrolments.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void must_read_again(const inventory::DeviceBook& book) {
  const auto again = inventory::DeviceBook::parse(book.to_lines());
  if (!again || again->all() != book.all()) std::abort();
}

void fuzz_csv(ByteView bytes) {
  const auto read = inventory::read_devices_csv(text_of(bytes), 1);
  if (read.problems.size() > inventory::kCsvProblemsMax) std::abort();
  inventory::DeviceBook book;
  for (const auto& [line, device] : read.devices) {
    if (line < 2 || !book.add(device)) std::abort();
  }
  must_read_again(book);
}

void fuzz_lines(ByteView bytes) {
  if (const auto book = inventory::DeviceBook::parse(bytes)) must_read_again(*book);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] % 3 == 0) fuzz_csv(rest);
  if (data[0] % 3 == 1) fuzz_lines(rest);
  if (data[0] % 3 == 2) (void)inventory::Enrolments::parse(rest);
  return 0;
}
