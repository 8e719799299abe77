#include "firmware/syslog/sender.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "firmware/syslog/position.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

constexpr std::int64_t kSecondMs = 1'000;

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

// Between half and the whole: units that lost the same receiver do not come back together.
std::int64_t jittered(std::int64_t ms) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_int_distribution<std::int64_t>(ms / 2, ms)(random);
}

}  // namespace

Sender::Sender(SenderConfig config, std::shared_ptr<TlsContext> context)
    : config_(std::move(config)),
      context_(std::move(context)),
      reader_(config_.spool_dir),
      received_(load_position(config_.position_path)),
      saved_(received_) {}

Sender::~Sender() { stop(); }  // in a process that goes on: only while a receiver can be reached

void Sender::start() {
  thread_ = std::thread([this] { run(); });
}

void Sender::stop() {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  const auto patience = std::chrono::milliseconds(limits::kSyslogFarewellMs + kSecondMs);
  const bool ended = changed_.wait_for(lock, patience, [this] { return ended_; });
  lock.unlock();
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

bool Sender::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// False: it is time to stop.
bool Sender::pause(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void Sender::say(bool connected, const Error* why) {
  const std::string now = connected ? "connected to " + config_.receiver
                                    : "not connected to " + config_.receiver +
                                          (why == nullptr ? "" : std::string(": ") + why->what);
  connected_ = connected;
  metrics::set("keyward_syslog_connected", {}, connected ? 1 : 0);
  if (now == said_) return;
  said_ = now;
  if (connected) {
    log::info("connected", {{"receiver", config_.receiver}});
  } else if (why != nullptr) {
    log::warning("not connected",
                 {{"receiver", config_.receiver}, {"why", why->what}, {"native", why->native}});
  }
  if (config_.report) config_.report(now);
}

void Sender::run() {
  while (!stopping()) {
    auto link = TlsLink::connect(*context_);
    if (link) {
      say(true, nullptr);
      serve(**link);
    } else {
      say(false, &link.error());
    }
    look_ahead();
    if (!pause(jittered(backoff_ms_))) break;
    backoff_ms_ = std::min(backoff_ms_ * 2, limits::kSyslogBackoffMaxMs);
  }
  save(true);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Sender::serve(TlsLink& link) {
  reader_.seek(received_);
  unsettled_.clear();
  Deadline farewell{};
  while (true) {
    const auto sent = send_some(link);
    if (!sent) return say(false, &sent.error());
    if (stopping() && farewell.monotonic_ms == 0)
      farewell = Deadline::after_ms(limits::kSyslogFarewellMs);
    if (farewell.monotonic_ms != 0 && (!*sent || farewell.passed())) {
      if (link.farewell(farewell)) settle_all();
      return;
    }
    if (const auto alive = link.wait(*sent ? 0 : limits::kSyslogPollMs); !alive)
      return say(false, &alive.error());
    settle(link);
    save(false);
    measure();
  }
}

// True: something was written, and there may be more.
Result<bool> Sender::send_some(TlsLink& link) {
  std::string batch;
  std::vector<Sent> sent;
  while (batch.size() < limits::kSyslogBatchBytesMax &&
         unsettled_.size() + sent.size() < limits::kSyslogUnsettledMax) {
    KEYWARD_TRY(item, reader_.next());
    if (!item) break;
    if (item->missing) {
      note_loss(*item);
      batch += framed(loss_of(*item->missing, item->record, config_.origin));
    }
    batch += framed(message_of(item->record, config_.origin));
    sent.push_back({item->record.place, item->record.utc_ms, 0, 0});
  }
  if (sent.empty()) return false;
  // What a receiver has must not be given out again under the same number after a power cut.
  KEYWARD_CHECK(reader_.sync());
  KEYWARD_CHECK(link.write(batch, Deadline::after_ms(limits::kSyslogWriteMs)));
  for (auto& one : sent) {
    one.end = link.written();
    one.sent_ms = now_ms();
    unsettled_.push_back(one);
  }
  metrics::count("keyward_syslog_lines_sent_total", {}, sent.size());
  return true;
}

// Counted once, said in each sending.
void Sender::note_loss(const SpoolItem& item) {
  if (item.record.place <= loss_counted_) return;
  loss_counted_ = item.record.place;
  const auto count = item.missing->last - item.missing->first + 1;
  metrics::count("keyward_syslog_lines_lost_total", {}, count);
  log::warning("lines were lost before they could be sent",
               {{"count", count}, {"first", item.missing->first}, {"last", item.missing->last}});
}

void Sender::settle(const TlsLink& link) {
  const auto acknowledged = link.acknowledged();
  const auto now = now_ms();
  while (!unsettled_.empty() && unsettled_.front().end <= acknowledged &&
         unsettled_.front().sent_ms + limits::kSyslogSettleMs <= now) {
    received_ = unsettled_.front().place;
    unsettled_.pop_front();
    backoff_ms_ = limits::kSyslogBackoffMinMs;
  }
  oldest_utc_ms_ = unsettled_.empty() ? 0 : unsettled_.front().utc_ms;
}

void Sender::settle_all() {
  if (!unsettled_.empty()) received_ = unsettled_.back().place;
  unsettled_.clear();
  oldest_utc_ms_ = 0;
}

void Sender::save(bool now) {
  if (received_ == saved_ || (!now && now_ms() < next_save_ms_)) return;
  next_save_ms_ = now_ms() + kSecondMs;
  if (const auto done = save_position(config_.position_path, received_); !done) {
    log::error("the position could not be kept", done.error());
    return;
  }
  saved_ = received_;
}

// Without a connection: how old is what waits, and is something gone already?
void Sender::look_ahead() {
  save(true);
  unsettled_.clear();
  reader_.seek(received_);
  const auto item = reader_.next();
  if (item && *item && (*item)->missing) note_loss(**item);
  oldest_utc_ms_ = item && *item ? (*item)->record.utc_ms : 0;
  next_measure_ms_ = 0;
  measure();
}

void Sender::measure() {
  if (now_ms() < next_measure_ms_) return;
  next_measure_ms_ = now_ms() + kSecondMs;
  const auto age_ms = oldest_utc_ms_ == 0 ? 0 : system_clock().utc_ms() - oldest_utc_ms_;
  metrics::set("keyward_syslog_oldest_unsent_seconds", {},
               std::max<std::int64_t>(0, age_ms / kSecondMs));
  metrics::set("keyward_syslog_spool_bytes", {}, static_cast<std::int64_t>(reader_.bytes_ahead()));
}

}  // namespace keyward::syslog
