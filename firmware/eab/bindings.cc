// Owns the lines of the record and when they are on disk. Must not know credentials.
#include "firmware/eab/bindings.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::eab {
namespace {

constexpr std::size_t kFileBytesMax = limits::kEabBindingsFileBytesMax;

tl::unexpected<Error> corrupt(const char* what) { return fail(ErrorKind::kCorrupt, what); }

Result<Digest256> digest_from(std::string_view text) {
  const auto bytes = base64url_decode(text);
  Digest256 out{};
  if (!bytes || bytes->size() != out.size()) return corrupt("a thumbprint does not read");
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

}  // namespace

Result<Bindings> Bindings::open(const std::string& path) {
  const bool is_new = !file_exists(path);
  if (is_new) KEYWARD_CHECK(replace_file(path, {}, 0600));
  KEYWARD_TRY(content, read_file(path, kFileBytesMax));
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot open the record of bindings", errno);
  Bindings out(std::move(fd));
  KEYWARD_TRY(torn_bytes, out.read(content));
  if (torn_bytes > 0 && (::ftruncate(out.fd_.get(), static_cast<off_t>(out.whole_bytes_)) != 0 ||
                         ::fsync(out.fd_.get()) != 0))
    return fail(ErrorKind::kUnavailable, "cannot cut the record of bindings", errno);
  return out;
}

Result<Bindings> Bindings::parse(ByteView content) {
  Bindings out{UniqueFd()};
  KEYWARD_CHECK(out.read(content));
  return out;
}

Result<std::size_t> Bindings::read(ByteView content) {
  std::string_view rest = text_of(content);
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) break;  // torn
    const bool is_last = end + 1 == rest.size();
    const auto taken = take_line(rest.substr(0, end));
    if (!taken && is_last) break;  // torn: its octets came to the disk in another order
    if (!taken)
      return fail(taken.error().kind, taken.error().what, static_cast<std::int64_t>(lines_ + 1));
    rest.remove_prefix(end + 1);
    whole_bytes_ += end + 1;
    ++lines_;
  }
  return rest.size();
}

Status Bindings::take_line(std::string_view line) {
  const auto document = json::Document::parse(line, limits::kEabBindingBytesMax);
  if (!document || !document->root().is_object()) return corrupt("a line does not read");
  const auto root = document->root();
  const auto kid = root.get("kid");
  if (!kid.is_string() || kid.string().empty()) return corrupt("a line has no kid");
  if (root.get("revoked").boolean()) {
    revoked_.emplace(kid.string());
    return {};
  }
  KEYWARD_TRY(thumbprint, digest_from(root.get("thumbprint").string()));
  put(kid.string(), thumbprint);
  return {};
}

void Bindings::put(std::string_view kid, const Digest256& thumbprint) {
  kid_of_[thumbprint] = std::string(kid);
  keys_of_[std::string(kid)].insert(thumbprint);
}

bool Bindings::holds(std::string_view kid, const Digest256& thumbprint) const {
  const auto found = kid_of_.find(thumbprint);
  return found != kid_of_.end() && found->second == kid;
}

std::size_t Bindings::accounts_of(std::string_view kid) const {
  const auto found = keys_of_.find(kid);
  return found == keys_of_.end() ? 0 : found->second.size();
}

bool Bindings::is_revoked(std::string_view kid) const { return revoked_.contains(kid); }

// A line that did not get whole is overwritten by the next.
Status Bindings::append_line(std::string_view line) {
  if (lines_ >= limits::kEabBindingsMax)
    return fail(ErrorKind::kExhausted, "the record of bindings is full");
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::pwrite(fd_.get(), line.data() + done, line.size() - done,
                                   static_cast<off_t>(whole_bytes_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0)
      return fail(ErrorKind::kUnavailable, "cannot write the record of bindings", errno);
    done += static_cast<std::size_t>(wrote);
  }
  if (::fdatasync(fd_.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot sync the record of bindings", errno);
  whole_bytes_ += line.size();
  ++lines_;
  return {};
}

Status Bindings::add(std::string_view kid, const Digest256& thumbprint, std::int64_t now_ms) {
  if (holds(kid, thumbprint)) return {};
  json::Writer line;
  line.begin_object()
      .member("kid", kid)
      .member("thumbprint", base64url_encode(thumbprint))
      .member_int("at_ms", now_ms)
      .end_object();
  KEYWARD_CHECK(append_line(line.take() + "\n"));
  put(kid, thumbprint);
  return {};
}

Status Bindings::revoke(std::string_view kid, std::int64_t now_ms) {
  if (is_revoked(kid)) return {};
  json::Writer line;
  line.begin_object()
      .member("kid", kid)
      .member_bool("revoked", true)
      .member_int("at_ms", now_ms)
      .end_object();
  KEYWARD_CHECK(append_line(line.take() + "\n"));
  revoked_.emplace(kid);
  return {};
}

}  // namespace keyward::eab
