// Fuzzes what custodians type and what a recovery reads. First octet: what. Held: no set of lines gives
// a secret that nobody shared, no slot or box opens that was not made for the key.
#include <array>
#include <cstdlib>

#include "firmware/recovery/box.h"
#include "firmware/recovery/recovery_slot.h"
#include "firmware/shares/shares.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::string_view kSecret = "the PIN of the module";

const std::vector<shares::Share>& good_shares() {
  static const auto* const made = [] {
    const std::array<std::string, 3> names{"a", "b", "c"};
    return new std::vector<shares::Share>(*shares::split(view_of(kSecret), 2, names));
  }();
  return *made;
}

// One line as it came beside a good one: whatever it is, it cannot make another secret of it.
void fuzz_lines(std::string_view text) {
  const auto inspected = shares::inspect(text);
  if (!inspected && inspected.error().code.empty()) std::abort();
  const auto good = text_of(good_shares()[0].line.view());
  const std::array<std::string_view, 2> lines{good, text};
  if (const auto secret = shares::combine(lines); secret && text_of(secret->view()) != kSecret)
    std::abort();
  std::vector<std::string_view> many;
  for (std::size_t at = 0; at < text.size() && many.size() < 20;) {
    const auto end = std::min(text.find('\n', at), text.size());
    many.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  (void)shares::combine(many);
}

// Octets changed in a good share: one is never taken for another.
void fuzz_changed_line(ByteView edits) {
  std::string line(text_of(good_shares()[1].line.view()));
  for (std::size_t i = 0; i + 1 < edits.size(); i += 2)
    line[edits[i] % line.size()] = static_cast<char>(edits[i + 1]);
  fuzz_lines(line);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  static const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  switch (data[0] % 4) {
    case 0:
      fuzz_lines(text_of(rest));
      break;
    case 1:
      fuzz_changed_line(rest);
      break;
    case 2:
      if (recovery::open_recovery_slot(text_of(rest), Bytes(32, 7))) std::abort();
      (void)recovery::read_slot_info(text_of(rest));
      break;
    default:
      if (recovery::open_box(key, "purpose", rest)) std::abort();
      break;
  }
  return 0;
}
