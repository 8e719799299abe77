// Owns the way of lines from the spool to the receiver: in order, at least once, with a position that
// survives. Must not know tasks, nor what a line means.
//
// TLS gives no receipt (RFC 5424 section 8.5): a line counts as received once
// the other side's kernel has acknowledged it and the connection has lived on for
// limits::kSyslogSettleMs, or the receiver has answered our close_notify. What was sent before a
// connection broke and did not count yet is sent again with the same number. Its own thread; nothing
// waits for it. Backs off with jitter. Threads: start and stop from one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "firmware/syslog/message.h"
#include "firmware/syslog/spool_reader.h"
#include "firmware/syslog/tls_link.h"
#include "hal/base/limits.h"

namespace keyward::syslog {

struct SenderConfig {
  std::string spool_dir;
  std::string position_path;
  std::string receiver;  // for people
  Origin origin;
  std::function<void(const std::string& detail)> report;  // for the status; at each change
};

class Sender {
 public:
  Sender(SenderConfig config, std::shared_ptr<TlsContext> context);
  ~Sender();
  void start();
  // Sends what is there, says farewell, and ends: within limits::kSyslogFarewellMs and a second. A
  // thread that hangs in a name or a connection attempt by then is left behind: the process ends.
  void stop();

 private:
  struct Sent {
    Place place;
    std::int64_t utc_ms = 0;
    std::uint64_t end = 0;  // on the wire
    std::int64_t sent_ms = 0;
  };
  void run();
  void serve(TlsLink& link);
  Result<bool> send_some(TlsLink& link);
  void note_loss(const SpoolItem& item);
  void settle(const TlsLink& link);
  void settle_all();
  void save(bool now);
  void say(bool connected, const Error* why);
  void measure();
  void look_ahead();
  bool stopping() const;
  bool pause(std::int64_t ms);

  SenderConfig config_;
  std::shared_ptr<TlsContext> context_;
  SpoolReader reader_;
  Place received_, saved_, loss_counted_;
  std::deque<Sent> unsettled_;
  std::int64_t next_save_ms_ = 0, next_measure_ms_ = 0, backoff_ms_ = limits::kSyslogBackoffMinMs;
  std::int64_t oldest_utc_ms_ = 0;  // of what was not received yet; 0: nothing
  bool connected_ = false;
  std::string said_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace keyward::syslog
