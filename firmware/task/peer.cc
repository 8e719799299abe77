#include "firmware/task/peer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>

#include <sys/socket.h>
#include <unistd.h>

#include "firmware/log/log.h"
#include "firmware/task/channel.h"
#include "firmware/task/task.h"

namespace keyward::task {
namespace {

// Replies to calls that gave up arrive late; so many of their ids are remembered as not being an
// attack.
constexpr std::size_t kAbandonedMax = 4'096;

struct Waiter {
  wire::MessageType reply_type{};
  std::uint64_t generation = 0;
  enum class State { kWaiting, kReply, kFailure, kLost } state = State::kWaiting;
  Bytes body;
  std::condition_variable wake;
};

tl::unexpected<wire::Failure> lost() {
  return refuse(wire::FailureKind::kUnavailable, "peer-lost",
                "a part of the appliance is restarting");
}

}  // namespace

struct Peer::State {
  std::mutex mutex;
  std::shared_ptr<UniqueFd>
      fd;  // shared: a reader may still hold the old one while a new one is bound
  std::uint64_t generation = 0;
  std::uint64_t next_id = 1;
  bool reading = false;
  std::unordered_map<std::uint64_t, Waiter*> waiting;
  std::set<std::uint64_t> abandoned;

  // All that follow are called with the mutex held.
  void drop(std::uint64_t lost_generation) {
    if (generation == lost_generation) fd.reset();
    for (auto& [id, waiter] : waiting) {
      if (waiter->generation != lost_generation || waiter->state != Waiter::State::kWaiting)
        continue;
      waiter->state = Waiter::State::kLost;
      waiter->wake.notify_one();
    }
  }
  void hand_over_reading() {
    for (auto& [id, waiter] : waiting) {
      if (waiter->state != Waiter::State::kWaiting) continue;
      waiter->wake.notify_one();
      return;
    }
  }
  void abandon(std::uint64_t id) {
    if (abandoned.size() >= kAbandonedMax) abandoned.erase(abandoned.begin());
    abandoned.insert(id);
  }
};

Peer::Peer(wire::TaskId who) : who_(who), state_(std::make_unique<State>()) {}
Peer::~Peer() = default;

bool Peer::connected() const {
  const std::lock_guard lock(state_->mutex);
  return state_->fd != nullptr;
}

void Peer::rebind(UniqueFd fd) {
  const std::lock_guard lock(state_->mutex);
  if (state_->fd) ::shutdown(state_->fd->get(), SHUT_RDWR);  // wakes a reader of the old end
  const auto old = state_->generation;
  state_->drop(old);
  state_->generation = old + 1;
  state_->fd = std::make_shared<UniqueFd>(std::move(fd));
}

void Peer::die_on_bad_reply(const Error& error) const {
  log::error("a peer sent a reply that is not one", error, {{"peer", wire::to_string(who_)}});
  Task::exit(kExitProtocol);
}

namespace {

// Gives one received frame to its waiter; false: it must not have been sent.
bool deliver(std::unordered_map<std::uint64_t, Waiter*>& waiting,
             std::set<std::uint64_t>& abandoned, ByteView frame) {
  auto opened = wire::open_frame(frame);
  if (!opened) return false;
  const auto found = waiting.find(opened->head.id);
  if (found == waiting.end()) return abandoned.erase(opened->head.id) == 1;
  Waiter& waiter = *found->second;
  if (waiter.state != Waiter::State::kWaiting) return false;  // answered twice
  if (opened->head.type == waiter.reply_type) {
    waiter.state = Waiter::State::kReply;
  } else if (opened->head.type == wire::MessageType::kFailure) {
    waiter.state = Waiter::State::kFailure;
  } else {
    return false;
  }
  waiter.body = to_bytes(opened->body);
  waiter.wake.notify_one();
  return true;
}

}  // namespace

Answer<Bytes> Peer::exchange(wire::MessageType type, const Encoder& encode,
                             wire::MessageType reply_type, Deadline deadline) {
  State& s = *state_;
  Waiter self;
  self.reply_type = reply_type;
  std::unique_lock lock(s.mutex);
  if (!s.fd) return lost();
  if (s.waiting.size() >= limits::kPeerCallsMax) {
    return refuse(wire::FailureKind::kExhausted, "peer-busy", "too many requests are under way");
  }
  const auto id = s.next_id++;
  const auto fd = s.fd;
  self.generation = s.generation;
  s.waiting.emplace(id, &self);
  lock.unlock();
  const Bytes frame = encode(id);
  const auto sent = send_frame(fd->get(), frame, {}, deadline);
  lock.lock();
  if (!sent) {
    log::warning("cannot send to a peer", {{"peer", wire::to_string(who_)},
                                           {"type", static_cast<unsigned>(type)},
                                           {"why", sent.error().what},
                                           {"native", sent.error().native}});
    s.waiting.erase(id);
    if (sent.error().native != 0) s.drop(self.generation);
    s.hand_over_reading();
    return lost();
  }
  while (self.state == Waiter::State::kWaiting && !deadline.passed()) {
    if (s.reading) {
      self.wake.wait_for(lock, std::chrono::milliseconds(deadline.remaining_ms() + 1));
      continue;
    }
    s.reading = true;
    lock.unlock();
    const auto ready = wait_readable(fd->get(), deadline.remaining_ms());
    Result<ReceivedFrame> received = fail(ErrorKind::kInternal, "nothing was read");
    if (ready && *ready) received = receive_frame(fd->get(), 0);
    lock.lock();
    s.reading = false;
    if (ready && !*ready) continue;  // the deadline, or a signal
    if (!ready || !received) {
      if (received.error().kind == ErrorKind::kBadInput) die_on_bad_reply(received.error());
      s.drop(self.generation);
      continue;
    }
    // Given up meanwhile, by a send that failed or a new end: nobody waits for what still comes out of
    // the old one, and that is no fault of who wrote it.
    if (!s.fd || s.generation != self.generation) continue;
    if (!deliver(s.waiting, s.abandoned, received->bytes)) {
      die_on_bad_reply(Error{ErrorKind::kBadInput, "a reply to no request, or of another type"});
    }
  }
  s.waiting.erase(id);
  if (!s.reading) s.hand_over_reading();
  switch (self.state) {
    case Waiter::State::kReply:
      return std::move(self.body);
    case Waiter::State::kLost:
      return lost();
    case Waiter::State::kWaiting:
      s.abandon(id);
      return refuse(wire::FailureKind::kUnavailable, "peer-timeout",
                    "a part of the appliance did not answer in time");
    case Waiter::State::kFailure:
      break;
  }
  lock.unlock();
  auto failure = wire::decode_body<wire::Failure>(self.body);
  if (!failure) die_on_bad_reply(failure.error());
  return tl::unexpected<wire::Failure>(std::move(*failure));
}

}  // namespace keyward::task
