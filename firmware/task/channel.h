// Owns sending and receiving one frame on a SEQPACKET socket, with or without descriptors. Must not
// know messages. Errors: kUnavailable (the other end is gone, or the deadline passed), kBadInput
// (truncated, oversize or empty frame; a descriptor where none belongs).
#pragma once

#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"

namespace keyward::task {

struct ReceivedFrame {
  Bytes bytes;
  std::vector<UniqueFd> descriptors;
};

// A pair of connected ends, close-on-exec: DESIGN §1's edges.
Result<std::pair<UniqueFd, UniqueFd>> make_channel();
// Waits until the frame can be written or the deadline passes.
Status send_frame(int fd, ByteView frame, std::span<const int> descriptors, Deadline deadline);
// Takes one frame that is there or waits for one; `descriptors_max` 0 refuses any.
Result<ReceivedFrame> receive_frame(int fd, std::size_t descriptors_max);
// Waits for something to read: false at the deadline.
Result<bool> wait_readable(int fd, std::int64_t timeout_ms);

}  // namespace keyward::task
