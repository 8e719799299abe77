#include "apps/platform/time.h"

#include "firmware/log/log.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::platform {
namespace {

constexpr std::int64_t kAnchorEveryMs = 60'000;

template <class Record>
std::optional<Record> read(const std::string& path, Result<Record> (*parse)(std::string_view)) {
  if (!file_exists(path)) return std::nullopt;
  const auto text = read_text_file(path, limits::kTimeFileBytesMax);
  if (!text) return std::nullopt;
  auto record = parse(*text);
  if (record) return std::move(*record);
  log::warning("a file about the time is not used", {{"path", path}, {"why", record.error().what}});
  return std::nullopt;
}

}  // namespace

// Only a clock that a service keeps is worth an anchor.
void TimeKeeper::anchor(const timekeep::Inputs& inputs) {
  if (!inputs.tpm || !inputs.tpm->safe || inputs.kernel.boottime_ms < next_anchor_ms_) return;
  next_anchor_ms_ = inputs.kernel.boottime_ms + kAnchorEveryMs;
  const auto text = timekeep::to_text(timekeep::Anchor{inputs.kernel.utc_ms, *inputs.tpm});
  const auto path = state_dir_ + "/" + std::string(timekeep::kAnchorFile);
  if (const auto written = replace_file(path, view_of(text), 0600); !written)
    log::error("the time's anchor was not kept", written.error());
}

task::Answer<wire::TimeGetReply> TimeKeeper::get(const wire::TimeGet& request) {
  const std::lock_guard lock(mutex_);
  timekeep::Inputs inputs;
  // The TPM first: it may take long, and the clocks are to be read together.
  if (auto tpm = read_tpm_()) inputs.tpm = *tpm;
  inputs.kernel = sources_->kernel();
  inputs.rtc_utc_ms = sources_->rtc_utc_ms();
  const auto in_state = [this](std::string_view name) {
    return state_dir_ + "/" + std::string(name);
  };
  inputs.anchor = read(in_state(timekeep::kAnchorFile), &timekeep::parse_anchor);
  inputs.word = read(in_state(timekeep::kWordFile), &timekeep::parse_word);
  inputs.floor_ms = static_cast<std::int64_t>(request.floor_ms);
  const auto judged = timekeep::judge(inputs);
  if (judged.level == hal::TimeLevel::kSynchronised) anchor(inputs);
  if (judged.level != last_)
    log::info("the clock's level changed",
              {{"level", std::string(hal::to_string(judged.level))}, {"why", judged.detail}});
  last_ = judged.level;
  return wire::TimeGetReply{static_cast<std::uint64_t>(judged.level),
                            static_cast<std::uint64_t>(inputs.kernel.utc_ms), judged.detail};
}

}  // namespace keyward::platform
