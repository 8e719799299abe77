#include "firmware/issue/key_links.h"

#include "firmware/wire/codec.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kRowBytesMax = 128;

struct LinkRow {
  Digest256 from{};
  Digest256 to{};
  std::int64_t at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "from", m.from);
    v(2, "to", m.to);
    v(3, "at_ms", m.at_ms);
  }
};

}  // namespace

Result<std::unique_ptr<KeyLinks>> KeyLinks::open(const std::string& path, const Caps& caps) {
  std::unique_ptr<KeyLinks> links(new KeyLinks(caps));
  KEYWARD_TRY(file, StateFile::open(path, kRowBytesMax,
                                    [&](ByteView row) -> Status { return links->take(row); }));
  links->file_ = std::move(file);
  return links;
}

// What was written was checked then; a file that says something else was made by somebody else.
Status KeyLinks::take(ByteView row) {
  const auto link = wire::decode_body<LinkRow>(row);
  if (!link) return fail(ErrorKind::kCorrupt, "a change of keys is not readable");
  const auto done = check(link->from, link->to);
  if (!done || *done) return fail(ErrorKind::kCorrupt, "a change of keys cannot have happened");
  next_.emplace(link->from, link->to);
  previous_.emplace(link->to, link->from);
  return {};
}

std::vector<Digest256> KeyLinks::walk(const Digest256& thumbprint) const {
  std::vector<Digest256> out{thumbprint};
  for (std::size_t i = 0; i < caps_.earlier_max; ++i) {
    const auto earlier = previous_.find(out.back());
    if (earlier == previous_.end()) break;
    out.push_back(earlier->second);
  }
  return out;
}

Verdict<bool> KeyLinks::check(const Digest256& from, const Digest256& to) const {
  const std::lock_guard lock(mutex_);
  if (from == to) return refuse("key-change-same", "the new key is the old one");
  const auto next = next_.find(from);
  if (next != next_.end()) {
    // The same change, and the new key is still the account's: nothing to do.
    if (next->second == to && !next_.contains(to)) return true;
    return refuse("key-replaced", "the account has another key by now");
  }
  if (next_.contains(to) || previous_.contains(to))
    return refuse("key-already-linked", "the new key is or was an account's");
  if (walk(from).size() > caps_.earlier_max)
    return refuse("key-change-limit", "the account has changed its key too often");
  if (next_.size() >= caps_.links_max) {
    return refuse(wire::FailureKind::kExhausted, "key-links-full",
                  "no more changes of keys can be remembered");
  }
  return false;
}

Verdict<void> KeyLinks::link(const Digest256& from, const Digest256& to, std::int64_t now_ms) {
  const std::lock_guard change(change_mutex_);
  ISSUE_TRY(done, check(from, to));
  if (done) return {};
  const LinkRow row{from, to, now_ms};
  if (const auto written = file_->append(wire::encode_body(row)); !written)
    return refuse(written.error(), "key-change-not-recorded");
  const std::lock_guard lock(mutex_);
  next_.emplace(from, to);
  previous_.emplace(to, from);
  return {};
}

Verdict<void> KeyLinks::can_link(const Digest256& from, const Digest256& to) const {
  ISSUE_CHECK(check(from, to));
  return {};
}

bool KeyLinks::is_replaced(const Digest256& thumbprint) const {
  const std::lock_guard lock(mutex_);
  return next_.contains(thumbprint);
}

std::vector<Digest256> KeyLinks::with_earlier(const Digest256& thumbprint) const {
  const std::lock_guard lock(mutex_);
  return walk(thumbprint);
}

Digest256 KeyLinks::newest(const Digest256& thumbprint) const {
  const std::lock_guard lock(mutex_);
  Digest256 out = thumbprint;
  for (std::size_t i = 0; i < caps_.earlier_max; ++i) {
    const auto next = next_.find(out);
    if (next == next_.end()) break;
    out = next->second;
  }
  return out;
}

Digest256 KeyLinks::origin(const Digest256& thumbprint) const {
  const std::lock_guard lock(mutex_);
  return walk(thumbprint).back();
}

std::size_t KeyLinks::size() const {
  const std::lock_guard lock(mutex_);
  return next_.size();
}

}  // namespace keyward::issue
