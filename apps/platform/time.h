// Owns the platform's knowledge of the time: reads the clocks and the operator's word, keeps the
// anchor. Must not know what is refused. Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "firmware/task/peer.h"
#include "firmware/timekeep/judge.h"
#include "firmware/wire/messages/time_get.h"
#include "hal/base/result.h"

namespace keyward::platform {

class TimeKeeper {
 public:
  using ReadTpm = std::function<Result<hal::TpmClock>()>;
  TimeKeeper(std::string state_dir, std::unique_ptr<hal::TimeSources> sources, ReadTpm read_tpm)
      : state_dir_(std::move(state_dir)),
        sources_(std::move(sources)),
        read_tpm_(std::move(read_tpm)) {}
  task::Answer<wire::TimeGetReply> get(const wire::TimeGet& request);

 private:
  void anchor(const timekeep::Inputs& inputs);
  const std::string state_dir_;
  const std::unique_ptr<hal::TimeSources> sources_;
  const ReadTpm read_tpm_;
  std::mutex mutex_;
  std::int64_t next_anchor_ms_ = 0;  // on the boot's clock
  hal::TimeLevel last_ = hal::TimeLevel::kNone;
};

}  // namespace keyward::platform
