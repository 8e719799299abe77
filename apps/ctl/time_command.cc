#include "apps/ctl/time_command.h"

#include <cstdlib>
#include <ctime>
#include <iostream>

#include <CLI/CLI.hpp>

#include "board/compose.h"
#include "firmware/issue/timestamp.h"
#include "firmware/json/json.h"
#include "firmware/timekeep/judge.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::ctl {
namespace {

constexpr int kExitFailed = 1, kExitDoubt = 2, kExitUsage = 64;

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1'000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

int fail_with(int code, std::string_view what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

// As the platform judges, without its TPM.
timekeep::Judgement judge(const std::string& directory, const hal::KernelTime& kernel,
                          const std::optional<std::int64_t>& rtc_utc_ms) {
  timekeep::Inputs inputs;
  inputs.kernel = kernel;
  inputs.rtc_utc_ms = rtc_utc_ms;
  const auto at = [&](std::string_view name) { return directory + "/" + std::string(name); };
  if (const auto text = read_text_file(at(timekeep::kWordFile), limits::kTimeFileBytesMax)) {
    if (auto word = timekeep::parse_word(*text)) inputs.word = *word;
  }
  if (const auto text = read_text_file(at(timekeep::kAnchorFile), limits::kTimeFileBytesMax)) {
    if (auto anchor = timekeep::parse_anchor(*text)) inputs.anchor = *anchor;
  }
  return timekeep::judge(inputs);
}

}  // namespace

ClockJudgement judge_unit_clock(const std::string& directory) {
  const auto sources = board::make_time_sources();
  const auto judged = judge(directory, sources->kernel(), sources->rtc_utc_ms());
  return {judged.level > hal::TimeLevel::kFloor, std::string(hal::to_string(judged.level)),
          judged.detail};
}

TimeCommand::TimeCommand(CLI::App& app) {
  command_ = app.add_subcommand("time", "How far the unit's clock is trusted; confirm or set it");
  command_->require_subcommand(1);
  show_ = command_->add_subcommand("show", "The clock and what vouches for it");
  set_ = command_->add_subcommand("set", "Give your word that the clock is right, for this boot");
  set_->add_option("--at", at_, "First set the clock to this, e.g. 2027-01-31T12:00:00Z (as root)");
  for (auto* command : {show_, set_}) {
    command->add_option("directory", directory_, "platform's own, e.g. .../state/platform")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_flag("--json", json_, "For programs");
  }
}

bool TimeCommand::parsed() const { return command_->parsed(); }

int TimeCommand::run() const { return set_->parsed() ? set() : show(); }

int TimeCommand::show() const {
  const auto sources = board::make_time_sources();
  const auto kernel = sources->kernel();
  const auto rtc = sources->rtc_utc_ms();
  const auto judged = judge(directory_, kernel, rtc);
  const std::string level(hal::to_string(judged.level));
  if (json_) {
    json::Writer out;
    out.begin_object().member("utc", utc_text(kernel.utc_ms)).member("level", level);
    out.member("detail", judged.detail).member_bool("synchronised", kernel.synchronised);
    if (rtc) out.member("rtc", utc_text(*rtc));
    std::cout << out.end_object().take() << "\n";
  } else {
    std::cout << "clock   " << utc_text(kernel.utc_ms) << "\nlevel   " << level << ": "
              << judged.detail << "\nrtc     " << (rtc ? utc_text(*rtc) : "none") << "\n";
  }
  return judged.level <= hal::TimeLevel::kFloor ? kExitDoubt : 0;
}

int TimeCommand::set() const {
  if (!at_.empty()) {
    const auto wanted_ms = issue::parse_rfc3339(at_);
    if (!wanted_ms) return fail_with(kExitUsage, "--at is not a time such as 2027-01-31T12:00:00Z");
    const timespec wanted{static_cast<time_t>(*wanted_ms / 1'000),
                          static_cast<long>(*wanted_ms % 1'000) * 1'000'000};
    if (::clock_settime(CLOCK_REALTIME, &wanted) != 0)
      return fail_with(kExitFailed,
                       "the clock was not set: run this as root, outside a container; or set it "
                       "otherwise and leave --at out");
  }
  const auto kernel = board::make_time_sources()->kernel();
  if (kernel.boot_id.empty()) return fail_with(kExitFailed, "the kernel does not name this boot");
  const auto text =
      timekeep::to_text(timekeep::Word{kernel.boot_id, kernel.utc_ms, kernel.boottime_ms});
  const auto path = directory_ + "/" + std::string(timekeep::kWordFile);
  // Readable for the platform task's own user id; there is no secret in it.
  if (const auto written = replace_file(path, view_of(text), 0644); !written)
    return fail_with(kExitFailed, path + ": " + written.error().what);
  if (json_) {
    json::Writer out;
    out.begin_object().member("utc", utc_text(kernel.utc_ms)).member("file", path);
    std::cout << out.end_object().take() << "\n";
  } else {
    std::cout << "confirmed for this boot: " << utc_text(kernel.utc_ms)
              << "; the unit takes it within seconds\n";
  }
  return 0;
}

}  // namespace keyward::ctl
