// Owns the lines "token-id use expiry" of the file. Must not know tokens.
#include "firmware/attest/spent_tokens.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::size_t kDigestTextBytes = 64;
constexpr std::size_t kLineBytesMax = 2 * kDigestTextBytes + 2 + 20 + 1;
constexpr std::size_t kLinesMax = 2 * limits::kAuthorityTokensMax;  // then rewritten

std::string line_of(const Digest256& id, const Digest256& use, std::int64_t expires_ms) {
  return hex_encode(id) + " " + hex_encode(use) + " " + std::to_string(expires_ms) + "\n";
}

std::optional<Digest256> digest_from(std::string_view hex) {
  const auto bytes = hex_decode(hex);
  Digest256 out{};
  if (!bytes || bytes->size() != out.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

}  // namespace

Result<std::unique_ptr<SpentTokens>> SpentTokens::open(const std::string& path,
                                                       std::int64_t now_ms) {
  std::unique_ptr<SpentTokens> out(new SpentTokens(path));
  if (file_exists(path)) {
    KEYWARD_TRY(content, read_file(path, (kLinesMax + 1) * kLineBytesMax));
    out->read(content, now_ms);
  }
  KEYWARD_CHECK(out->rewrite(now_ms));
  return out;
}

void SpentTokens::read(ByteView content, std::int64_t now_ms) {
  std::string_view rest = text_of(content);
  while (true) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return;
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.size() <= 2 * kDigestTextBytes + 2) continue;
    const auto id = digest_from(line.substr(0, kDigestTextBytes));
    const auto use = digest_from(line.substr(kDigestTextBytes + 1, kDigestTextBytes));
    const auto number = line.substr(2 * kDigestTextBytes + 2);
    Entry entry;
    const auto parsed =
        std::from_chars(number.data(), number.data() + number.size(), entry.expires_ms);
    if (!id || !use || parsed.ec != std::errc()) continue;
    entry.use = *use;
    if (now_ms < entry.expires_ms) entries_[*id] = entry;
  }
}

Status SpentTokens::rewrite(std::int64_t now_ms) {
  std::erase_if(entries_, [&](const auto& item) { return now_ms >= item.second.expires_ms; });
  std::string text;
  for (const auto& [id, entry] : entries_) text += line_of(id, entry.use, entry.expires_ms);
  KEYWARD_CHECK(replace_file(path_, view_of(text), 0600));
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd_) return fail(ErrorKind::kUnavailable, "cannot open the record of spent tokens", errno);
  bytes_ = text.size();
  lines_ = entries_.size();
  return {};
}

// A line that did not get whole is overwritten by the next.
Status SpentTokens::append_entry(const Digest256& token_id, const Entry& entry) {
  const auto line = line_of(token_id, entry.use, entry.expires_ms);
  const ssize_t wrote = ::pwrite(fd_.get(), line.data(), line.size(), static_cast<off_t>(bytes_));
  if (wrote != static_cast<ssize_t>(line.size()) || ::fdatasync(fd_.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot write the record of spent tokens", errno);
  bytes_ += line.size();
  ++lines_;
  return {};
}

Status SpentTokens::spend(const Digest256& token_id, const Digest256& use, std::int64_t expires_ms,
                          std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(token_id);
  if (found != entries_.end()) {
    if (equal(found->second.use, use)) return {};
    return fail(ErrorKind::kRefused, "tkauth.replayed");
  }
  if (entries_.size() >= limits::kAuthorityTokensMax || lines_ >= kLinesMax)
    KEYWARD_CHECK(rewrite(now_ms));
  if (entries_.size() >= limits::kAuthorityTokensMax)
    return fail(ErrorKind::kExhausted, "too many authority tokens are remembered");
  const Entry entry{use, expires_ms};
  KEYWARD_CHECK(append_entry(token_id, entry));
  entries_[token_id] = entry;
  return {};
}

}  // namespace keyward::attest
