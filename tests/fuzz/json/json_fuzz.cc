// Fuzzes the JSON reader. Held: what is accepted is printed to text that is accepted and printed
// equally.
#include <cstdlib>

#include "firmware/json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using keyward::json::Document;
  const auto document = Document::parse(keyward::text_of({data, size}));
  if (!document) {
    if (document.error().kind == keyward::ErrorKind::kInternal)
      std::abort();  // scanner and cJSON disagree
    return 0;
  }
  const auto printed = document->root().print();
  const auto again = Document::parse(printed, 16 * keyward::limits::kRequestBodyBytesMax);
  if (!again || again->root().print() != printed) std::abort();
  return 0;
}
