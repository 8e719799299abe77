// Writing and reading of a share's line: see share_text.h.
#include "firmware/shares/share_text.h"

#include <algorithm>

#include "firmware/crypto/crypto.h"

namespace keyward::shares {
namespace {

constexpr std::string_view kPrefix = "keyward-share-1";
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kDataPerGroup = 4;
constexpr std::size_t kGroup = kDataPerGroup + 1;
constexpr std::size_t kHeaderBytes = 6;  // set, threshold and count, index
constexpr std::size_t kChecksumBytes = 4;

// GF(32), x^5 + x^2 + 1.
constexpr unsigned times_x(unsigned value) {
  value <<= 1;
  return (value & 32U) != 0 ? value ^ 0b100101U : value;
}

// A linear code: the coefficients x, x², x³, x⁴ differ, so that one wrong character and two exchanged
// ones show. The group's place goes in as well.
constexpr unsigned check_of(std::span<const std::uint8_t> data, std::size_t place) {
  unsigned sum = static_cast<unsigned>(place % 31 + 1);
  for (const auto value : data) sum = times_x(sum ^ value);
  return sum;
}

int value_of(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'I' || c == 'L') c = '1';
  if (c == 'O') c = '0';
  const auto at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::array<std::uint8_t, kChecksumBytes> checksum_of(ByteView octets) {
  const auto digest = crypto::sha256(view_of(kPrefix), octets);
  std::array<std::uint8_t, kChecksumBytes> out{};
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

tl::unexpected<Fault> fault(std::string_view code, int share, int group, std::string text) {
  return tl::unexpected<Fault>(Fault{code, share, group, 0, std::move(text)});
}

std::string share_words(int number) { return "share " + std::to_string(number); }

// The characters after the prefix, as values; white space and hyphens between them count for nothing.
ShareResult<SecretBytes> values_of(std::string_view line, int number) {
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20) || a == b; };
  if (line.size() > kLineBytesMax || line.size() < kPrefix.size() ||
      !std::equal(kPrefix.begin(), kPrefix.end(), line.begin(), same))
    return fault(
        "share-malformed", number, 0,
        share_words(number) + " is no share: a share begins with \"" + std::string(kPrefix) + "\"");
  line.remove_prefix(kPrefix.size());
  SecretBytes all(line.size());
  std::size_t size = 0;
  for (const char c : line) {
    if (is_space(c) || c == '-') continue;
    const int value = value_of(c);
    if (value < 0)
      return fault("share-mistyped", number, static_cast<int>(size / kGroup + 1),
                   share_words(number) + ", group " + std::to_string(size / kGroup + 1) +
                       ": a character that no share has");
    all.data()[size++] = static_cast<std::uint8_t>(value);
  }
  return SecretBytes(all.view().first(size));
}

// The octets that the groups hold, their check characters compared.
ShareResult<SecretBytes> octets_of(ByteView values, int number) {
  SecretBytes out(values.size() / kGroup * kDataPerGroup * 5 / 8);
  unsigned pending = 0, bits = 0;
  std::size_t size = 0;
  for (std::size_t place = 0; place < values.size() / kGroup; ++place) {
    const auto group = values.subspan(place * kGroup, kGroup);
    if (check_of(group.first(kDataPerGroup), place) != group[kDataPerGroup])
      return fault("share-mistyped", number, static_cast<int>(place + 1),
                   share_words(number) + " is mistyped in group " + std::to_string(place + 1));
    for (const auto value : group.first(kDataPerGroup)) {
      pending = (pending << 5 | value) & 0xFFFU;
      bits += 5;
      if (bits < 8) continue;
      bits -= 8;
      out.data()[size++] = static_cast<std::uint8_t>(pending >> bits);
    }
  }
  if (values.size() % kGroup != 0)
    return fault("share-mistyped", number, static_cast<int>(values.size() / kGroup + 1),
                 share_words(number) + " ends inside group " +
                     std::to_string(values.size() / kGroup + 1) + ": is a part missing?");
  return out;
}

// Four characters carry 20 bits: what fills the last group is octets of zero after the checksum.
// Their number follows from the length octet.
ShareResult<ShareOctets> split_octets(ByteView octets, int number) {
  const auto broken = [&] {
    return fault("share-mistyped", number, 0,
                 share_words(number) + ": the check sum of the line is wrong; is a group missing?");
  };
  const std::size_t fixed = 2 + kHeaderBytes + kChecksumBytes;
  if (octets.size() <= fixed) return broken();
  const std::size_t value_size = static_cast<std::size_t>(octets[0]) << 8 | octets[1];
  const std::size_t used = fixed + value_size;
  if (value_size == 0 || used > octets.size() || octets.size() - used > 2) return broken();
  const auto checksum = checksum_of(octets.first(used - kChecksumBytes));
  const bool good =
      equal(checksum, octets.subspan(used - kChecksumBytes, kChecksumBytes)) &&
      std::ranges::all_of(octets.subspan(used), [](auto octet) { return octet == 0; });
  if (!good) return broken();
  ShareOctets out;
  std::copy_n(octets.begin() + 2, out.header.set.size(), out.header.set.begin());
  out.header.threshold = (octets[6] >> 4) + 1;
  out.header.count = (octets[6] & 15) + 1;
  out.header.index = octets[7];
  const bool sane = out.header.index >= 1 && out.header.index <= out.header.count &&
                    out.header.threshold >= static_cast<int>(kThresholdMin) &&
                    out.header.threshold <= out.header.count;
  if (!sane)
    return fault("share-malformed", number, 0, share_words(number) + " contradicts itself");
  out.value = SecretBytes(octets.subspan(2 + kHeaderBytes, value_size));
  return out;
}

}  // namespace

SecretBytes write_line(const ShareHeader& header, ByteView value) {
  SecretBytes all(2 + kHeaderBytes + value.size() + kChecksumBytes);
  auto* to = all.data();
  *to++ = static_cast<std::uint8_t>(value.size() >> 8);
  *to++ = static_cast<std::uint8_t>(value.size());
  to = std::copy(header.set.begin(), header.set.end(), to);
  *to++ = static_cast<std::uint8_t>((header.threshold - 1) << 4 | (header.count - 1));
  *to++ = static_cast<std::uint8_t>(header.index);
  to = std::copy(value.begin(), value.end(), to);
  const auto checksum = checksum_of(all.view().first(all.size() - kChecksumBytes));
  std::copy(checksum.begin(), checksum.end(), to);
  const ByteView octets = all.view();
  const std::size_t groups = (octets.size() * 8 + 19) / 20;
  SecretBytes out(kPrefix.size() + groups * (kGroup + 1));
  std::copy(kPrefix.begin(), kPrefix.end(), out.data());
  std::size_t at = kPrefix.size(), bit = 0;
  for (std::size_t place = 0; place < groups; ++place) {
    std::array<std::uint8_t, kDataPerGroup> data{};
    for (auto& value_out : data) {
      for (int i = 0; i < 5; ++i, ++bit) {
        const unsigned octet = bit / 8 < octets.size() ? octets[bit / 8] : 0U;
        value_out = static_cast<std::uint8_t>(value_out << 1 | (octet >> (7 - bit % 8) & 1U));
      }
    }
    out.data()[at++] = place == 0 ? ' ' : '-';
    for (const auto character : data)
      out.data()[at++] = static_cast<std::uint8_t>(kAlphabet[character]);
    out.data()[at++] = static_cast<std::uint8_t>(kAlphabet[check_of(data, place)]);
  }
  return out;
}

ShareResult<ShareOctets> read_line(std::string_view line, int number) {
  auto values = values_of(line, number);
  if (!values) return tl::unexpected<Fault>(values.error());
  auto octets = octets_of(values->view(), number);
  if (!octets) return tl::unexpected<Fault>(octets.error());
  return split_octets(octets->view(), number);
}

}  // namespace keyward::shares
