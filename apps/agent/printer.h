// Owns what keyward-agent says on its standard output and error, for people or as JSON lines. Must
// not know what is done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "firmware/agent/failure.h"
#include "firmware/agent/installed.h"

namespace keyward::agent {

class Printer {
 public:
  explicit Printer(bool json);
  void step(std::string_view name, std::string_view detail);  // with the time since the step before
  void note(std::string_view text);
  void result(std::string_view word);  // "enrolled", "renewed", "not due", ...
  void failure(const Failure& failure);
  void installed(const Installed& what, const std::string& identifier,
                 const std::string& directory_url, const StateDirectory& directory,
                 std::int64_t now_utc_ms);

 private:
  const bool json_;
  std::int64_t begin_ms_;
  std::int64_t last_ms_;
};

}  // namespace keyward::agent
