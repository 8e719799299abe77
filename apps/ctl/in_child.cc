#include "apps/ctl/in_child.h"

#include <set>
#include <string>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/limits.h"
#include "hal/base/unique_fd.h"

namespace keyward::ctl {
namespace {

// Error texts must be static: one copy of each, kept for ever (there are few).
const char* keep(const std::string& text) {
  static auto* const texts = new std::set<std::string>;
  return texts->insert(text).first->c_str();
}

void put(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
}

// First octet: 0 and the bytes, or the error's kind, then its native code in 8 octets, then its
// text.
[[noreturn]] void run(const std::function<Result<Bytes>()>& step, int fd) {
  const auto result = step();
  Bytes out;
  if (result) {
    out.push_back(0);
    append(out, *result);
  } else {
    out.push_back(static_cast<std::uint8_t>(result.error().kind));
    for (int shift = 56; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(result.error().native >> shift));
    append(out, view_of(result.error().what));
  }
  put(fd, out);
  ::_exit(0);  // at-exit handlers of a PKCS#11 module crash (field notes)
}

}  // namespace

Result<Bytes> in_child(const std::function<Result<Bytes>()>& step) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(ErrorKind::kExhausted, "cannot make a pipe", errno);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail(ErrorKind::kExhausted, "cannot fork", errno);
  if (pid == 0) run(step, write_end.get());
  write_end.reset();
  Bytes in;
  std::uint8_t chunk[4096];
  while (in.size() <= limits::kRequestBodyBytesMax) {
    const ssize_t got = ::read(read_end.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    append(in, {chunk, static_cast<std::size_t>(got)});
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (in.empty() || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(ErrorKind::kInternal, "a step of the ceremony crashed", status);
  if (in[0] == 0) return Bytes(in.begin() + 1, in.end());
  if (in.size() < 9) return fail(ErrorKind::kInternal, "a step of the ceremony crashed");
  std::int64_t native = 0;
  for (int i = 1; i <= 8; ++i)
    native = static_cast<std::int64_t>(static_cast<std::uint64_t>(native) << 8 |
                                       in[static_cast<std::size_t>(i)]);
  return fail(static_cast<ErrorKind>(in[0]), keep(std::string(in.begin() + 9, in.end())), native);
}

}  // namespace keyward::ctl
