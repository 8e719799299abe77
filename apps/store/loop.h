// Owns what the store task does between messages: housekeeping, and telling the operator how it
// stands. Must not know SQL. Threads: one of its own, from start to stop().
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "apps/store/figures.h"
#include "firmware/store/store.h"
#include "firmware/task/server.h"

namespace keyward::store {

class Loop {
 public:
  using Report = std::function<void(std::string_view state, std::string_view detail)>;
  // `store` empty: it could not be opened, and every request is refused with "store-failed".
  // `directory`: where it lies, for figures.
  Loop(std::unique_ptr<Store> store, std::string directory, Report report);
  ~Loop();

  void register_handlers(task::Server& server);
  void start();
  void stop();  // idempotent

 private:
  template <class Request, class Method>
  void on(task::Server& server, Method method);
  void run();
  void tell();
  bool wait();  // false: stop

  std::unique_ptr<Store> store_;
  Figures figures_;
  Report report_;
  std::string told_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace keyward::store
