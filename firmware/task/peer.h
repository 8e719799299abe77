// Owns the asking side of an edge: requests out, replies in. Must not know what messages mean.
//
// One socket, any number of threads: a caller that finds nobody reading reads itself and hands out
// replies until its own has come (no reader thread, no extra wake-up on the quiet path). A peer
// that is gone answers every call with unavailable, at once, until the supervisor plumbs it again.
// A reply to no request, an unknown type, an attached descriptor or a malformed frame is fatal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/failure.h"
#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"

namespace keyward::task {

template <class T>
using Answer = tl::expected<T, wire::Failure>;

inline tl::unexpected<wire::Failure> refuse(wire::FailureKind kind, std::string_view code,
                                            std::string_view detail) {
  return tl::unexpected<wire::Failure>(wire::Failure::of(kind, code, detail));
}

class Peer {
 public:
  explicit Peer(wire::TaskId who);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  wire::TaskId who() const { return who_; }
  bool connected() const;

  // Failure codes of its own: "peer-lost" (unavailable), "peer-timeout" (unavailable), "peer-busy"
  // (exhausted).
  template <class Request>
  Answer<typename Request::Reply> call(const Request& request,
                                       std::int64_t timeout_ms = limits::kPeerCallMs) {
    auto raw = exchange(
        Request::kType, [&](std::uint64_t id) { return wire::encode_frame(id, request); },
        Request::Reply::kType, Deadline::after_ms(timeout_ms));
    if (!raw) return tl::unexpected<wire::Failure>(raw.error());
    auto reply = wire::decode_body<typename Request::Reply>(*raw);
    if (!reply) die_on_bad_reply(reply.error());
    return std::move(*reply);
  }

  // The supervisor gave a new end; calls in flight on the old one fail with peer-lost.
  void rebind(UniqueFd fd);

 private:
  struct State;
  using Encoder = std::function<Bytes(std::uint64_t)>;
  Answer<Bytes> exchange(wire::MessageType type, const Encoder& encode,
                         wire::MessageType reply_type, Deadline deadline);
  [[noreturn]] void die_on_bad_reply(const Error& error) const;
  wire::TaskId who_;
  std::unique_ptr<State> state_;
};

}  // namespace keyward::task
