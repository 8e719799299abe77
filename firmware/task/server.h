// Owns the answering side of the edges: frames in, handlers, replies out. Must not know what
// messages mean.
//
// A handler is registered for (peer, request type). Anything else that arrives is fatal to this
// task: log, exit, be restarted (DESIGN §1). Several threads may serve one peer; handlers must be
// safe for that.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "firmware/task/peer.h"

namespace keyward::task {

// Answers one request, from any thread, exactly once; dropping it unanswered answers "internal".
class Responder {
 public:
  using Send = std::function<void(Bytes frame)>;
  Responder(std::uint64_t id, Send send) : id_(id), send_(std::move(send)) {}
  Responder(Responder&&) = default;
  Responder& operator=(Responder&&) = default;
  ~Responder() {
    if (send_)
      failure(
          wire::Failure::of(wire::FailureKind::kInternal, "unanswered", "the request was dropped"));
  }
  template <class Reply>
  void reply(const Reply& message) {
    finish(wire::encode_frame(id_, message));
  }
  void failure(const wire::Failure& message) { finish(wire::encode_frame(id_, message)); }

 private:
  void finish(Bytes frame) {
    auto send = std::move(send_);
    send_ = nullptr;
    if (send) send(std::move(frame));
  }
  std::uint64_t id_;
  Send send_;
};

class Server {
 public:
  // `from` may send Request; the handler answers at once.
  template <class Request, class Handler>  // Handler: Answer<Request::Reply>(const Request&)
  void on(wire::TaskId from, Handler handler) {
    on_deferred<Request>(from, [handler](const Request& request, Responder responder) {
      auto answer = handler(request);
      if (answer) {
        responder.reply(*answer);
      } else {
        responder.failure(answer.error());
      }
    });
  }
  // The handler answers later, from another thread.
  template <class Request, class Handler>  // Handler: void(const Request&, Responder)
  void on_deferred(wire::TaskId from, Handler handler) {
    handlers_[{from, Request::kType}] = [handler, from](ByteView body, Responder responder) {
      auto request = wire::decode_body<Request>(body);
      if (!request) die_on_bad_request(from, Request::kType, request.error());
      handler(*request, std::move(responder));
    };
  }

  // Whatever a peer of the table may ask is answered with this: for a task that has nothing to serve
  // yet. What it may not ask stays fatal.
  void refuse_all(std::span<const std::pair<wire::TaskId, wire::MessageType>> requests,
                  const wire::Failure& failure);

  // What is registered, for comparison with the peer table and tasks.toml.
  std::vector<std::pair<wire::TaskId, wire::MessageType>> allowed() const;

  // Serves one end until it closes, with `threads` threads; returns at once. The old end of the
  // same peer, if any, has closed by itself.
  void serve(wire::TaskId from, UniqueFd fd, int threads);
  void stop();  // no new requests are read; those under way finish

 private:
  using Handler = std::function<void(ByteView, Responder)>;
  struct Connection;
  [[noreturn]] static void die_on_bad_request(wire::TaskId from, wire::MessageType type,
                                              const Error& error);
  void run(const std::shared_ptr<Connection>& connection);
  void handle(const std::shared_ptr<Connection>& connection, ByteView frame);
  std::map<std::pair<wire::TaskId, wire::MessageType>, Handler> handlers_;
  std::vector<std::weak_ptr<Connection>> connections_;
};

}  // namespace keyward::task
