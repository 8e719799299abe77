// Owns a mail relay on loopback (RFC 5321, in the clear) that keeps what it is given. Must not know
// what the mails say. Threads: any.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/unique_fd.h"

namespace keyward::test {

struct SunkMail {
  std::string to;
  std::string text;  // header and body, CRLF as LF
};

class SmtpSink {
 public:
  SmtpSink();
  ~SmtpSink();
  SmtpSink(const SmtpSink&) = delete;
  SmtpSink& operator=(const SmtpSink&) = delete;
  std::string url() const { return "smtp://127.0.0.1:" + std::to_string(port_); }
  std::vector<SunkMail> mails() const;

 private:
  void loop();
  void serve(int fd);
  UniqueFd listener_;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<SunkMail> mails_;
  std::thread thread_;
};

}  // namespace keyward::test
