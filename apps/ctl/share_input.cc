#include "apps/ctl/share_input.h"

#include <algorithm>
#include <iostream>
#include <optional>

#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace keyward::ctl {
namespace {

constexpr int kTypedLinesMax = 64;  // typing errors have an end

// A terminal without echo, as long as it lives.
class Quiet {
 public:
  Quiet() : terminal_(::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!terminal_) return;
    auto silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~Quiet() {
    if (terminal_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  ::termios before_{};
  bool terminal_;
};

// Octet by octet: a buffer of a library would keep the secret. Absent: the input has ended.
std::optional<SecretBytes> typed_line(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) != 0) std::cerr << prompt << std::flush;
  const Quiet quiet;
  SecretBytes line(shares::kLineBytesMax);
  std::size_t size = 0;
  while (true) {
    char c = 0;
    const auto got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && size == 0) return std::nullopt;
    if (got <= 0 || c == '\n') break;
    if (size < line.size()) line.data()[size++] = static_cast<std::uint8_t>(c);
  }
  if (::isatty(STDIN_FILENO) != 0) std::cerr << "\n";
  return SecretBytes(line.view().first(size));
}

class Gathered {
 public:
  explicit Gathered(std::string set) : set_(std::move(set)) {}
  int needed() const { return threshold_ == 0 ? 1 : threshold_ - static_cast<int>(lines_.size()); }
  const std::string& set() const { return set_; }

  // Empty: taken; else why not.
  std::string take(SecretBytes line) {
    const auto header = shares::inspect(text_of(line.view()));
    if (!header) return header.error().text;
    if (!set_.empty() && shares::set_text(header->set) != set_)
      return "this share is of set " + shares::set_text(header->set) + ", needed is set " + set_;
    if (std::ranges::find(indices_, header->index) != indices_.end())
      return "share number " + std::to_string(header->index) + " was given already";
    set_ = shares::set_text(header->set);
    threshold_ = header->threshold;
    indices_.push_back(header->index);
    lines_.push_back(std::move(line));
    return {};
  }
  Result<SecretBytes> combine() const {
    std::vector<std::string_view> views;
    for (const auto& line : lines_) views.push_back(text_of(line.view()));
    auto secret = shares::combine(views);
    if (secret) return std::move(*secret);
    std::cerr << "keywardctl: " << secret.error().text << "\n";
    return fail(ErrorKind::kRefused, "the shares give no secret");
  }

 private:
  std::string set_;
  int threshold_ = 0;
  std::vector<int> indices_;
  std::vector<SecretBytes> lines_;
};

}  // namespace

Result<SecretBytes> gather_secret(const std::vector<std::string>& files, const std::string& set,
                                  const std::string& what_for) {
  Gathered all(set);
  for (const auto& file : files) {
    KEYWARD_TRY(octets, read_file(file, shares::kLineBytesMax));
    const auto why_not = all.take(SecretBytes(ByteView(octets)));
    std::ranges::fill(octets, std::uint8_t{0});
    if (why_not.empty()) continue;
    std::cerr << "keywardctl: " << file << ": " << why_not << "\n";
    return fail(ErrorKind::kBadInput, "a share is wrong");
  }
  for (int typed = 0; all.needed() > 0 && typed < kTypedLinesMax; ++typed) {
    auto line =
        typed_line("Share for " + what_for + (all.set().empty() ? "" : ", set " + all.set()) +
                   " (" + std::to_string(all.needed()) + " more): ");
    if (!line) break;
    if (const auto why_not = all.take(std::move(*line)); !why_not.empty())
      std::cerr << "keywardctl: typed line " << typed + 1 << ": " << why_not << "\n";
  }
  if (all.needed() > 0) {
    std::cerr << "keywardctl: " << all.needed() << " more share(s)"
              << (all.set().empty() ? "" : " of set " + all.set()) << " are needed\n";
    return fail(ErrorKind::kRefused, "too few shares");
  }
  return all.combine();
}

Result<SecretBytes> read_secret_line(const std::string& file, const std::string& prompt) {
  if (file.empty()) {
    auto line = typed_line(prompt);
    if (!line || line->empty()) return fail(ErrorKind::kBadInput, "nothing was typed");
    return std::move(*line);
  }
  KEYWARD_TRY(octets, read_file(file, shares::kLineBytesMax));
  auto size = octets.size();
  while (size > 0 && (octets[size - 1] == '\n' || octets[size - 1] == '\r')) --size;
  SecretBytes out(ByteView(octets).first(size));
  std::ranges::fill(octets, std::uint8_t{0});
  if (out.empty()) return fail(ErrorKind::kBadInput, "the file is empty");
  return out;
}

Status write_shares(const std::string& folder, const std::vector<shares::Share>& all) {
  KEYWARD_CHECK(make_directories(folder, 0700));
  for (const auto& share : all) {
    std::string name = share.name;
    for (auto& c : name) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!plain) c = '-';
    }
    const std::string number = (share.index < 10 ? "0" : "") + std::to_string(share.index);
    const std::string path = folder + "/" + number + "-" + name + ".share";
    const UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail(ErrorKind::kUnavailable, "cannot write a share", errno);
    const auto line = share.line.view();
    if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::write(fd.get(), "\n", 1) != 1 || ::fsync(fd.get()) != 0)
      return fail(ErrorKind::kUnavailable, "cannot write a share", errno);
  }
  return sync_directory(folder);
}

}  // namespace keyward::ctl
