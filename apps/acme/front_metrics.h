// Owns how the HTTPS front end's counts become metrics. Must not know why anything was turned away.
// Threads: one.
#pragma once

#include "firmware/https/https_server.h"

namespace keyward::acme {

class FrontMetrics {
 public:
  void report(const https::HttpsServer& server);

 private:
  https::HttpsServer::Turned told_;
};

}  // namespace keyward::acme
