#include "firmware/wire/codec.h"

namespace keyward::wire {

Result<OpenFrame> open_frame(ByteView frame) {
  if (frame.size() > limits::kFrameBytesMax)
    return fail(ErrorKind::kBadInput, "frame over its limit");
  CborReader in(frame);
  KEYWARD_TRY(count, in.array(3));
  if (count != 3) return fail(ErrorKind::kBadInput, "a frame has three parts");
  KEYWARD_TRY(type, in.unsigned_integer());
  KEYWARD_TRY(id, in.unsigned_integer());
  if (type > 0xffff) return fail(ErrorKind::kBadInput, "message type out of range");
  // Re-encoding the two integers gives where the body starts, since only the shortest form is
  // accepted.
  CborWriter head;
  head.array(3);
  head.unsigned_integer(type);
  head.unsigned_integer(id);
  return OpenFrame{{static_cast<MessageType>(type), id}, frame.subspan(head.size())};
}

}  // namespace keyward::wire
