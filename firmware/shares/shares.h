// Owns secrets that several custodians hold together: M-of-N shares (Shamir's scheme over GF(256),
// by libgfshare) and their text of one line. Must not know what the secret opens or where shares
// are kept.
//
// Fewer shares than the threshold say nothing about the secret but its length. libgfshare knows
// neither sets nor errors; what is added here: the share says its set, threshold and number; groups
// and lines have check sums, so that a typing error is named; and the secret is split together with
// a keyed digest of itself, so that shares which do not belong together, or of which one was forged,
// give an error and never a wrong secret. Why: docs/adr/0019-shares.md.
// Threads: any. Secrets and lines are kept in memory that is wiped.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::shares {

inline constexpr std::size_t kSharesMax = 16;        // custodians of one secret
inline constexpr std::size_t kThresholdMin = 2;      // one custodian alone shares nothing
inline constexpr std::size_t kSecretBytesMax = 256;  // a PIN or a key
inline constexpr std::size_t kLineBytesMax = 1'024;  // the longest line, with room for white space

using SetId = std::array<std::uint8_t, 4>;

struct Share {
  std::string name;  // of the custodian, as given to split(); not part of the line
  int index = 0;     // 1..16
  SecretBytes line;  // text, no line feed: "keyward-share-1 XXXXX-XXXXX-..."
};

// What a line says beside its part of the secret.
struct ShareHeader {
  SetId set{};
  int threshold = 0;
  int count = 0;
  int index = 0;
};
std::string set_text(const SetId& set);  // hexadecimal, as shown to custodians

// One share for each name, in their order. kBadInput: threshold not within 2..names, more than 16
// names, secret empty or over 256 octets.
Result<std::vector<Share>> split(ByteView secret, std::size_t threshold,
                                 std::span<const std::string> names);

// Why shares were not taken. `share` counts the lines as given, from 1; 0: no single one.
// Codes: share-malformed, share-mistyped (`group`, from 1; 0: the line as a whole), share-twice,
// share-of-another-set, shares-too-few, shares-do-not-match.
struct Fault {
  std::string_view code;
  int share = 0;
  int group = 0;
  int missing = 0;   // shares-too-few: so many more
  std::string text;  // for a person: says what to do, never a part of a share
};
template <class T>
using ShareResult = tl::expected<T, Fault>;

ShareResult<ShareHeader> inspect(std::string_view line);  // Fault::share is 1
ShareResult<SecretBytes> combine(std::span<const std::string_view> lines);

}  // namespace keyward::shares
