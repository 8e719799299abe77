// Fuzzes appraisal policies. Held: without any file to trust none loads.
#include <cstdlib>

#include "firmware/appraise/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  std::vector<std::string> problems;
  const auto policy =
      appraise::parse_policy(text_of({data, size}), "policy", "/nonexistent", problems);
  if (policy || problems.empty()) std::abort();
  return 0;
}
