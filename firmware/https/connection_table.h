// Owns the deadlines of open connections: one thread that cuts those that are late. Must not know
// HTTP, TLS or civetweb.
//
// civetweb's own time-outs are per read: a drip of one octet a second is never cut. Here every
// phase of a connection has one deadline, and a late connection's socket is shut down, which wakes
// the worker that is blocked in it. A descriptor is shut down only while it is in the table, under
// the table's lock: it cannot have been closed and given to somebody else. Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

#include "hal/base/clock.h"

namespace keyward::https {

class ConnectionTable {
 public:
  enum class Phase : std::uint8_t {
    kHandshake,
    kWaiting,  // for a request's header to be complete: idle, or reading
    kBody,     // late: reading ends, so that the worker can still answer
    kWorking,  // no deadline: the handler has its own
    kResponse,
    kDraining,  // reading on after a refusal
  };
  struct Entry {
    int fd = -1;
    Phase phase = Phase::kHandshake;
    std::int64_t since_ms = 0;     // monotonic
    std::int64_t deadline_ms = 0;  // monotonic; 0: none
    bool cut = false;
  };

  // From `busy_from` open connections on, each new one closes the longest waiting one that has
  // waited at least `busy_wait_ms`: idle connections must not keep workers from those that ask.
  ConnectionTable(std::size_t busy_from, std::int64_t busy_wait_ms);
  ~ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  Entry* open(int fd, std::int64_t deadline_after_ms);
  void enter(Entry* entry, Phase phase, std::int64_t deadline_after_ms);  // 0: no deadline
  bool was_cut(const Entry* entry);
  void close(Entry* entry);  // before the descriptor is closed
  bool is_busy();            // the caller should not keep its connection open
  std::size_t size();
  // The server stops: new connections are cut at once, those that wait for a request too; the
  // others have until the deadline to be answered, then they are cut.
  void finish(Deadline deadline);

 private:
  void run();
  void cut_late(std::int64_t now_ms);
  void make_room(std::int64_t now_ms);

  const std::size_t busy_from_;
  const std::int64_t busy_wait_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable emptied_;
  std::list<Entry> entries_;
  std::int64_t wake_ms_ = 0;
  bool stop_ = false;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace keyward::https
