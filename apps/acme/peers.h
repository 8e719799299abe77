// Owns acme's peer table: whom it asks for what. Nobody asks acme.
#pragma once

#include <span>

#include "firmware/acme/backend.h"
#include "firmware/task/task.h"

namespace keyward::acme {

std::span<const task::PeerRule> peers();

// The service's questions, asked over the sockets of the peer table. Threads: any.
class PeerBackend {
 public:
  explicit PeerBackend(task::Task& task);
  ~PeerBackend();
  PeerBackend(const PeerBackend&) = delete;
  PeerBackend& operator=(const PeerBackend&) = delete;
  Backend backend();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::acme
