#include "firmware/task/server.h"

#include <mutex>
#include <thread>

#include <sys/socket.h>

#include "firmware/log/log.h"
#include "firmware/task/channel.h"
#include "firmware/task/task.h"

namespace keyward::task {
namespace {

constexpr std::int64_t kReplySendMs =
    5'000;  // a peer that does not read for so long is treated as gone

[[noreturn]] void die(wire::TaskId from, std::string_view message, std::int64_t type,
                      std::string_view why) {
  log::error(message, {{"peer", wire::to_string(from)}, {"type", type}, {"why", why}});
  Task::exit(kExitProtocol);
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
  found->second(opened->body, Responder(opened->head.id, [connection](Bytes reply) {
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
