// The device and the file that stands in for it: see watchdog.h.
#include "hal/linux/watchdog.h"

#include <charconv>
#include <cstdio>

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace keyward::hal {
namespace {

constexpr int kTimeoutSecondsMax = 3'600;
constexpr char kMagicClose = 'V';  // watchdog-api: written before close, it stops the timer
constexpr std::size_t kRecordBytes = 48;

Status check_timeout(int timeout_s) {
  if (timeout_s >= 1 && timeout_s <= kTimeoutSecondsMax) return {};
  return fail(ErrorKind::kBadInput, "watchdog: the timeout is not within 1..3600 s", timeout_s);
}

class LinuxWatchdog final : public Watchdog {
 public:
  explicit LinuxWatchdog(std::string device) : device_(std::move(device)) {}

  Status arm(int timeout_s) override {
    KEYWARD_CHECK(check_timeout(timeout_s));
    if (!fd_) fd_.reset(::open(device_.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd_) return fail(ErrorKind::kUnavailable, "watchdog: cannot open the device", errno);
    int granted_s = timeout_s;
    if (::ioctl(fd_.get(), WDIOC_SETTIMEOUT, &granted_s) != 0) {
      const int error = errno;
      if (error == ENOTTY)
        return fail(ErrorKind::kRefused, "watchdog: not a watchdog or a fixed timeout", error);
      return fail(ErrorKind::kRefused, "watchdog: the timeout was not taken", error);
    }
    // Drivers round; rounding down would fire between two pets that are in time for the caller.
    if (granted_s < timeout_s)
      return fail(ErrorKind::kRefused, "watchdog: a shorter timeout was granted", granted_s);
    return pet();
  }

  Status pet() override {
    if (!fd_) return fail(ErrorKind::kBadInput, "watchdog: not armed");
    if (::ioctl(fd_.get(), WDIOC_KEEPALIVE, nullptr) != 0) {
      return fail(ErrorKind::kUnavailable, "watchdog: cannot pet", errno);
    }
    return {};
  }

  Status disarm() override {
    if (!fd_) return {};
    watchdog_info info{};
    const bool known = ::ioctl(fd_.get(), WDIOC_GETSUPPORT, &info) == 0;
    if (!known || (info.options & WDIOF_MAGICCLOSE) == 0) {
      return fail(ErrorKind::kRefused, "watchdog: the hardware cannot be disarmed");
    }
    if (::write(fd_.get(), &kMagicClose, 1) != 1) {
      return fail(ErrorKind::kUnavailable, "watchdog: cannot disarm", errno);
    }
    fd_.reset();
    return {};
  }

 private:
  std::string device_;
  UniqueFd fd_;
};

class FileWatchdog final : public Watchdog {
 public:
  FileWatchdog(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}

  Status arm(int timeout_s) override {
    KEYWARD_CHECK(check_timeout(timeout_s));
    timeout_s_ = timeout_s;
    return pet();
  }
  Status pet() override {
    if (timeout_s_ == 0) return fail(ErrorKind::kBadInput, "watchdog: not armed");
    return write_record(clock_.monotonic_ms() + 1'000LL * timeout_s_);
  }
  Status disarm() override {
    timeout_s_ = 0;
    return write_record(0);
  }

 private:
  // One write of fixed length, so that a reader never sees half a record.
  Status write_record(std::int64_t fires_at_ms) {
    if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd_) return fail(ErrorKind::kUnavailable, "watchdog: cannot open the file", errno);
    char record[kRecordBytes + 1];
    std::snprintf(record, sizeof record, "fires-at-monotonic-ms %024lld\n\n",
                  static_cast<long long>(fires_at_ms));
    if (::pwrite(fd_.get(), record, kRecordBytes, 0) != static_cast<ssize_t>(kRecordBytes)) {
      return fail(ErrorKind::kUnavailable, "watchdog: cannot write the file", errno);
    }
    return {};
  }

  std::string path_;
  const Clock& clock_;
  int timeout_s_ = 0;
  UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Watchdog> make_linux_watchdog(std::string device) {
  return std::make_unique<LinuxWatchdog>(std::move(device));
}

std::unique_ptr<Watchdog> make_file_watchdog(std::string path, const Clock& clock) {
  return std::make_unique<FileWatchdog>(std::move(path), clock);
}

Result<WatchdogState> file_watchdog_state(const std::string& path, const Clock& clock) {
  constexpr std::string_view kName = "fires-at-monotonic-ms ";
  KEYWARD_TRY(text, read_text_file(path, kRecordBytes));
  const std::string_view record(text);
  if (record.size() != kRecordBytes || !record.starts_with(kName)) {
    return fail(ErrorKind::kCorrupt, "watchdog: the file holds something else");
  }
  std::int64_t fires_at_ms = 0;
  const auto number = record.substr(kName.size(), 24);
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), fires_at_ms);
  if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size() || fires_at_ms < 0) {
    return fail(ErrorKind::kCorrupt, "watchdog: the file holds something else");
  }
  if (fires_at_ms == 0) return WatchdogState::kDisarmed;
  return clock.monotonic_ms() < fires_at_ms ? WatchdogState::kArmed : WatchdogState::kFired;
}

}  // namespace keyward::hal
