// Fuzzes frames between tasks. Held: what is accepted has one encoding, for every message.
#include <cstdlib>

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/all.h"

namespace keyward::wire {
namespace {

template <class M>
void check_body(ByteView body) {
  const auto message = decode_body<M>(body);
  if (message && !equal(encode_body(*message), body)) std::abort();
}

template <class... M>
void check_type(MessageType type, ByteView body, MessageList<M...>) {
  ((M::kType == type ? check_body<M>(body) : void()), ...);
}

}  // namespace
}  // namespace keyward::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward::wire;
  const keyward::ByteView frame(data, size);
  const auto open = open_frame(frame);
  if (!open) return 0;
  check_type(open->head.type, open->body, AllMessages{});
  check_body<OrderTerms>(open->body);
  return 0;
}
