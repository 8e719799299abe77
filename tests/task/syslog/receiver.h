// Owns a receiver of RFC 5425 on loopback: frames in, messages kept; ends abruptly or in order, and
// begins again on the same port. Must not know what messages say. Threads: one of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/unique_fd.h"

namespace keyward::test {

struct ReceiverOptions {
  std::string chain_path, key_path;
  std::string
      client_roots_path;      // a client must show a certificate of these; empty: none is asked for
  std::size_t die_after = 0;  // messages of one connection, then a reset; 0: never
};

class Receiver {
 public:
  Receiver();
  ~Receiver();
  std::uint16_t port() const { return port_; }
  void start(const ReceiverOptions& options);
  void stop();  // a reset for who is connected
  // All messages so far, of all connections; waits until `done` says so or 60 s have passed.
  template <class Done>
  std::vector<std::string> wait(Done done) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return done(messages_); });
    return messages_;
  }
  // So many connections came, or 60 s have passed.
  bool wait_handshakes(int count);
  std::size_t count() const;
  int handshakes() const { return handshakes_; }
  int refused() const { return refused_; }
  std::string problem() const;  // a frame that is none

 private:
  void run(ReceiverOptions options);
  void serve(int fd, void* context, std::size_t die_after);
  bool take_frames(std::string& buffer);
  std::uint16_t port_ = 0;
  UniqueFd listener_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> handshakes_ = 0, refused_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> messages_;
  std::string problem_;
  std::thread thread_;
};

}  // namespace keyward::test
