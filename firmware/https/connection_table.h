// Owns the places that connections take: who gets one, who loses his, and one thread that cuts
// those that are late. Must not know HTTP, TLS or civetweb.
//
// civetweb's own time-outs are per read: a drip of one octet a second is never cut. Here every
// phase of a connection has one deadline, and a late connection's socket is shut down, which wakes
// the worker that is blocked in it. A descriptor is shut down only while it is in the table, under
// the table's lock: it cannot have been closed and given to somebody else.
//
// One connection takes one worker, so places are few and are dealt out before a worker is asked
// (admit). An address that has its share gets another place only for one of its own that waits. When
// all places are taken, the address that has most loses one to an address that has fewer, and with
// equals the one that has waited longest. Who is at work (a handler runs) keeps his place: the
// handler has its own bounds. Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

#include "firmware/https/address_pace.h"
#include "hal/base/clock.h"

namespace keyward::https {

class ConnectionTable {
 public:
  enum class Phase : std::uint8_t {
    kQueued,  // accepted; no worker has it yet
    kHandshake,
    kWaiting,  // for a request's header to be complete: idle, or reading
    kBody,     // late: reading ends, so that the worker can still answer
    kWorking,  // no deadline: the handler has its own
    kPaced,    // made to wait, because its address asks too fast
    kResponse,
    kDraining,  // reading on after a refusal
  };
  struct Entry {
    int fd = -1;
    AddressKey address = 0;
    Phase phase = Phase::kHandshake;
    std::int64_t since_ms = 0;     // monotonic
    std::int64_t deadline_ms = 0;  // monotonic; 0: none
    bool cut = false;
  };

  struct Options {
    std::size_t places = 0;
    std::size_t per_address = 0;    // 0: as many as there are
    std::size_t busy_from = 0;      // open connections; then is_busy
    std::int64_t busy_wait_ms = 0;  // an idle connection keeps its place so long when all are taken
    std::int64_t connects_per_s = 0;  // of one address; 0: no limit
  };
  enum class Verdict : std::uint8_t { kAdmitted, kFull, kAddressFull, kTooFast, kStopping };

  explicit ConnectionTable(const Options& options);
  ~ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // Of a descriptor that was just accepted; the caller closes it if it is not admitted. Who is not
  // taken up by `open` within `deadline_after_ms` is cut.
  Verdict admit(int fd, AddressKey address, std::int64_t deadline_after_ms);
  // A worker has it.
  Entry* open(int fd, std::int64_t deadline_after_ms);
  void enter(Entry* entry, Phase phase, std::int64_t deadline_after_ms);  // 0: no deadline
  bool was_cut(const Entry* entry);
  void close(Entry* entry);  // before the descriptor is closed
  bool is_busy();            // the caller should not keep its connection open
  std::size_t size();
  std::uint64_t displaced();  // connections that lost their place to others, since the start
  // The server stops: new connections are cut at once, those that wait for a request too; the
  // others have until the deadline to be answered, then they are cut.
  void finish(Deadline deadline);

 private:
  void run();
  void cut_late(std::int64_t now_ms);
  bool may_lose_place(const Entry& entry, std::int64_t now_ms, bool at_once) const;
  bool make_room_of(AddressKey address, std::int64_t now_ms);
  bool make_room_for(AddressKey address, std::int64_t now_ms);
  void cut(Entry& entry);
  void displace(Entry& entry);
  Entry* add(int fd, AddressKey address, Phase phase);
  std::size_t open_of(AddressKey address) const;

  const Options options_;
  AddressPace connects_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable emptied_;
  std::list<Entry> entries_;
  std::unordered_map<AddressKey, std::size_t> open_;  // entries that are not cut, by address
  std::size_t open_all_ = 0;
  std::uint64_t displaced_ = 0;
  std::int64_t wake_ms_ = 0;
  bool stop_ = false;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace keyward::https
