#include "firmware/task/channel.h"

#include <cstring>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "hal/base/limits.h"

namespace keyward::task {
namespace {

constexpr std::size_t kDescriptorsMax = limits::kTasksMax;

// One buffer a thread: a frame is received here and copied out at its true size.
Bytes& receive_buffer() {
  thread_local Bytes buffer(limits::kFrameBytesMax + 1);
  return buffer;
}

std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> out;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      out.emplace_back(fd);
    }
  }
  return out;
}

// An empty datagram and the end both read as 0 octets; only the end hangs up.
bool has_ended(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(ErrorKind::kExhausted, "cannot make a socket pair", errno);
  }
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<bool> wait_readable(int fd, std::int64_t timeout_ms) {
  pollfd entry{fd, POLLIN, 0};
  const int got = ::poll(&entry, 1, static_cast<int>(timeout_ms));
  if (got < 0 && errno != EINTR)
    return fail(ErrorKind::kUnavailable, "cannot wait for a frame", errno);
  return got > 0;
}

Status send_frame(int fd, ByteView frame, std::span<const int> descriptors, Deadline deadline) {
  if (frame.size() > limits::kFrameBytesMax)
    return fail(ErrorKind::kBadInput, "frame over its limit");
  if (descriptors.size() > kDescriptorsMax)
    return fail(ErrorKind::kBadInput, "too many descriptors");
  iovec part{const_cast<std::uint8_t*>(frame.data()), frame.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(c), descriptors.data(), sizeof(int) * descriptors.size());
  }
  while (true) {
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(ErrorKind::kUnavailable, "the other end is gone", errno);
    pollfd entry{fd, POLLOUT, 0};
    if (deadline.passed()) return fail(ErrorKind::kUnavailable, "the other end does not read");
    ::poll(&entry, 1, static_cast<int>(deadline.remaining_ms()));
  }
}

Result<ReceivedFrame> receive_frame(int fd, std::size_t descriptors_max) {
  Bytes& buffer = receive_buffer();
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = -1;
  do {
    got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(ErrorKind::kUnavailable, "the other end is gone", errno);
  ReceivedFrame out;
  out.descriptors = take_descriptors(message);  // owned at once, so that none leaks on refusal
  if (got == 0 && out.descriptors.empty()) {
    if (has_ended(fd)) return fail(ErrorKind::kUnavailable, "the other end is gone");
    return fail(ErrorKind::kBadInput, "empty frame");
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      static_cast<std::size_t>(got) > limits::kFrameBytesMax) {
    return fail(ErrorKind::kBadInput, "frame over its limit");
  }
  if (out.descriptors.size() > descriptors_max)
    return fail(ErrorKind::kBadInput, "unexpected descriptor");
  out.bytes.assign(buffer.begin(), buffer.begin() + got);
  return out;
}

}  // namespace keyward::task
