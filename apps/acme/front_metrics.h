// Owns how a listener's counts become metrics. Must not know why anything was turned away.
// Threads: one.
#pragma once

#include "firmware/https/https_server.h"

namespace keyward::acme {

class FrontMetrics {
 public:
  explicit FrontMetrics(std::string prefix) : prefix_(std::move(prefix)) {}
  void report(const https::HttpsServer& server);

 private:
  std::string prefix_;  // of the metrics' names
  https::HttpsServer::Turned told_;
};

}  // namespace keyward::acme
