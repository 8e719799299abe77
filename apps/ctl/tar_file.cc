#include "apps/ctl/tar_file.h"

#include <array>
#include <cstdio>
#include <cstring>

namespace keyward::ctl {
namespace {

constexpr std::size_t kBlock = 512, kNameMax = 100;
constexpr std::size_t kContentMax = (std::size_t{1} << 33) - 1;  // eleven octal digits

using Header = std::array<char, kBlock>;

void put_octal(Header& header, std::size_t at, std::size_t digits, unsigned long long value) {
  std::snprintf(header.data() + at, digits + 1, "%0*llo", static_cast<int>(digits), value);
}

}  // namespace

Status TarFile::add(const std::string& name, std::string_view content, std::int64_t utc_ms) {
  if (name.empty() || name.size() > kNameMax || name.front() == '/' || content.size() > kContentMax)
    return fail(ErrorKind::kBadInput, "a name that an archive cannot hold");
  Header header{};
  std::memcpy(header.data(), name.data(), name.size());
  put_octal(header, 100, 7, 0600);
  put_octal(header, 108, 7, 0);
  put_octal(header, 116, 7, 0);
  put_octal(header, 124, 11, content.size());
  put_octal(header, 136, 11, static_cast<unsigned long long>(utc_ms / 1'000));
  std::memset(header.data() + 148, ' ', 8);  // the checksum counts as blanks
  header[156] = '0';
  std::memcpy(header.data() + 257,
              "ustar\0"
              "00",
              8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put_octal(header, 148, 6, sum);  // then a NUL, and the blank that stands there
  text_.append(header.data(), header.size());
  text_.append(content);
  text_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
  return {};
}

std::string TarFile::take() {
  text_.append(2 * kBlock, '\0');
  return std::move(text_);
}

}  // namespace keyward::ctl
