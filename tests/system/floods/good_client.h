// Owns a client that behaves: a whole enrolment by http-01 with a new account, as patient as a
// client should be (it comes again when it is turned away). Must not know what disturbs it.
#pragma once

#include <memory>
#include <string>

#include "hal/base/result.h"

namespace keyward::test {

// What names answer on port() of 127.0.0.1 (the proofs) and of 127.0.0.9 (nothing, for ever).
class NameServers {
 public:
  NameServers();
  ~NameServers();
  NameServers(const NameServers&) = delete;
  NameServers& operator=(const NameServers&) = delete;
  int port() const;
  void put(const std::string& token, const std::string& key_authorization);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Enrolment {
  bool done = false;
  std::string step;  // where it ended, and why
  std::int64_t took_ms = 0;
  int turned_away = 0;  // requests that were tried again
};
Enrolment enrol(const std::string& directory_url, const std::string& ca_file,
                const std::string& name, NameServers& names, std::int64_t patience_ms);

}  // namespace keyward::test
