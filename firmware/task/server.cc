#include "firmware/task/server.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include <sys/socket.h>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "firmware/task/channel.h"
#include "firmware/task/task.h"
#include "firmware/wire/names.h"

namespace keyward::task {
namespace {

constexpr std::int64_t kReplySendMs =
    5'000;  // a peer that does not read for so long is treated as gone

std::int64_t monotonic_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

[[noreturn]] void die(wire::TaskId from, std::string_view message, std::int64_t type,
                      std::string_view why) {
  log::error(message, {{"peer", wire::to_string(from)}, {"type", type}, {"why", why}});
  Task::exit(kExitProtocol);
}

// The reply is our own frame; its code is one of the product's, whatever the request said.
void count_answer(wire::MessageType request, ByteView reply, std::int64_t since_us) {
  std::string result = "ok";
  const auto opened = wire::open_frame(reply);
  if (opened && opened->head.type == wire::MessageType::kFailure) {
    const auto failure = wire::decode_body<wire::Failure>(opened->body);
    result = failure ? failure->code : "other";
  }
  const auto now_us = monotonic_us();
  metrics::count_operation(
      wire::message_name(request), result,
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_us - since_us)));
}

}  // namespace

struct Server::Connection {
  Connection(wire::TaskId f, UniqueFd d) : from(f), fd(std::move(d)) {}
  wire::TaskId from;
  UniqueFd fd;
};

void Server::die_on_bad_request(wire::TaskId from, wire::MessageType type, const Error& error) {
  die(from, "a peer sent a malformed request", static_cast<std::int64_t>(type), error.what);
}

std::vector<std::pair<wire::TaskId, wire::MessageType>> Server::allowed() const {
  std::vector<std::pair<wire::TaskId, wire::MessageType>> out;
  for (const auto& [key, handler] : handlers_) out.push_back(key);
  return out;
}

void Server::refuse_all(std::span<const std::pair<wire::TaskId, wire::MessageType>> requests,
                        const wire::Failure& failure) {
  for (const auto& request : requests)
    handlers_[request] = [failure](ByteView, Responder responder) { responder.failure(failure); };
}

void Server::serve(wire::TaskId from, UniqueFd fd, int threads) {
  auto connection = std::make_shared<Connection>(from, std::move(fd));
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(connection);
  for (int i = 0; i < threads; ++i) {
    std::thread([this, connection] { run(connection); }).detach();
  }
}

void Server::run(const std::shared_ptr<Connection>& connection) {
  while (true) {
    auto frame = receive_frame(connection->fd.get(), 0);
    if (!frame && frame.error().kind == ErrorKind::kBadInput) {
      die(connection->from, "a peer sent what no frame is", 0, frame.error().what);
    }
    if (!frame) return;  // the peer ended; the supervisor brings a new end
    handle(connection, frame->bytes);
  }
}

void Server::handle(const std::shared_ptr<Connection>& connection, ByteView frame) {
  const auto opened = wire::open_frame(frame);
  if (!opened) die(connection->from, "a peer sent a malformed frame", 0, opened.error().what);
  const auto found = handlers_.find({connection->from, opened->head.type});
  if (found == handlers_.end()) {
    die(connection->from, "a peer sent a message that it may not send",
        static_cast<std::int64_t>(opened->head.type), "not in the peer table");
  }
  found->second(opened->body, Responder(opened->head.id, [connection, type = opened->head.type,
                                                          since_us = monotonic_us()](Bytes reply) {
                  count_answer(type, reply, since_us);
                  const auto sent =
                      send_frame(connection->fd.get(), reply, {}, Deadline::after_ms(kReplySendMs));
                  if (!sent)
                    log::warning(
                        "a reply could not be delivered",
                        {{"peer", wire::to_string(connection->from)}, {"why", sent.error().what}});
                }));
}

void Server::stop() {
  for (const auto& weak : connections_) {
    if (const auto connection = weak.lock()) ::shutdown(connection->fd.get(), SHUT_RD);
  }
}

}  // namespace keyward::task
