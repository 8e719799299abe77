#include "hal/linux/time_sources.h"

#include <cstdio>
#include <ctime>

#include <sys/timex.h>

#include "hal/base/file.h"

namespace keyward::hal {
namespace {

constexpr std::size_t kProcFileBytesMax = 4'096;

std::int64_t ms_of(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000 + time.tv_nsec / 1'000'000;
}

std::int64_t clock_ms(clockid_t clock) {
  timespec now{};
  (void)::clock_gettime(clock, &now);
  return ms_of(now);
}

class LinuxTimeSources final : public TimeSources {
 public:
  explicit LinuxTimeSources(std::string rtc_path) : rtc_path_(std::move(rtc_path)) {}

  KernelTime kernel() override {
    KernelTime out;
    out.utc_ms = clock_ms(CLOCK_REALTIME);
    out.boottime_ms = clock_ms(CLOCK_BOOTTIME);
    timex kept{};  // modes 0: only reads, for which no right is needed
    const int state = ::adjtimex(&kept);
    // A sandbox without the call, or a kernel that says TIME_ERROR: nobody keeps the clock.
    out.synchronised = state >= 0 && state != TIME_ERROR && (kept.status & STA_UNSYNC) == 0;
    out.error_max_ms = kept.maxerror / 1'000;
    if (auto id = read_text_file("/proc/sys/kernel/random/boot_id", kProcFileBytesMax))
      out.boot_id = id->substr(0, id->find('\n'));
    return out;
  }

  // "rtc_time\t: 02:01:21" and "rtc_date\t: 2026-11-23" (drivers/rtc/proc.c), in UTC.
  std::optional<std::int64_t> rtc_utc_ms() override {
    const auto text = read_text_file(rtc_path_, kProcFileBytesMax);
    if (!text) return std::nullopt;
    const auto time_at = text->find("rtc_time");
    const auto date_at = text->find("rtc_date");
    if (time_at == std::string::npos || date_at == std::string::npos) return std::nullopt;
    std::tm when{};
    if (std::sscanf(text->c_str() + time_at, "rtc_time : %d:%d:%d", &when.tm_hour, &when.tm_min,
                    &when.tm_sec) != 3 ||
        std::sscanf(text->c_str() + date_at, "rtc_date : %d-%d-%d", &when.tm_year, &when.tm_mon,
                    &when.tm_mday) != 3)
      return std::nullopt;
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    return static_cast<std::int64_t>(::timegm(&when)) * 1'000;
  }

 private:
  std::string rtc_path_;
};

}  // namespace

std::unique_ptr<TimeSources> make_linux_time_sources(std::string rtc_path) {
  return std::make_unique<LinuxTimeSources>(std::move(rtc_path));
}

}  // namespace keyward::hal
