// Fuzzes the files that people write. First octet: which. Held: whoever reads one ends, and a file
// with profiles gives good ones or says what is wrong.
#include <cstdlib>

#include "firmware/ceremony/ceremony.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/ceremony/whole_plan.h"
#include "firmware/config/config.h"
#include "firmware/config/tenants.h"
#include "firmware/issue/ip_subtree.h"
#include "firmware/issue/profile_config.h"
#include "firmware/supervise/board_sandbox.h"
#include "firmware/supervise/graph.h"
#include "firmware/supervise/installation.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void fuzz_profiles(std::string_view text) {
  auto document = config::Document::parse(text, "fuzz.toml");
  auto root = document.root();
  const auto read = issue::read_profiles(root, 30, 90);
  if (!read.problem.empty()) return;
  if (!document.finish().empty()) return;
  for (const auto& profile : read.profiles) {
    if (issue::fault_of(profile) != nullptr) std::abort();
  }
}

void fuzz_section(std::string_view text) {
  auto document = config::Document::parse(text, "fuzz.toml");
  auto root = document.root();
  (void)root.string_or("a", "");
  (void)root.integer_or("b", 0, 9, 1);
  (void)root.strings_or_empty("c", 4);
  (void)root.boolean_or("d", false);
  for (auto& one : root.tables("e")) (void)one.text();
  for (const auto& key : root.keys()) (void)root.has(key);
  (void)root.text();
  (void)document.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = text_of(ByteView(data + 1, size - 1));
  switch (data[0] % 8) {
    case 0:
      fuzz_section(text);
      break;
    case 1:
      (void)supervise::parse_installation(text, "fuzz.toml", {});
      break;
    case 2:
      (void)supervise::parse_board_sandbox(text, "fuzz.toml");
      break;
    case 3:
      (void)ceremony::parse_plan(text, "fuzz.toml");
      break;
    case 4:
      (void)ceremony::parse_whole_plan(text, "fuzz.toml");
      break;
    case 5:
      if (const auto transcript = ceremony::Transcript::parse(text))
        (void)ceremony::check_transcript(*transcript, Bytes{0x30, 0});
      break;
    case 6:
      fuzz_profiles(text);
      break;
    default: {
      (void)supervise::parse_graph(text, "fuzz.toml");
      (void)issue::IpSubtree::parse(text);
      auto document = config::Document::parse(text, "fuzz.toml");
      auto root = document.root();
      (void)config::read_tenants(root);
      break;
    }
  }
  return 0;
}
