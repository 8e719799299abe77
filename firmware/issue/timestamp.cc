#include "firmware/issue/timestamp.h"

#include <array>

namespace keyward::issue {
namespace {

constexpr std::int64_t kDayMs = 86'400'000, kMinuteMs = 60'000;
constexpr std::size_t kFractionDigitsMax = 9;

// Takes what it reads off the front; the first mistake stays a mistake.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }
  int digits(std::size_t count) {
    int value = 0;
    if (rest_.size() < count) good_ = false;
    for (std::size_t i = 0; i < count && good_; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') good_ = false;
      value = value * 10 + (rest_[i] - '0');
    }
    if (good_) rest_.remove_prefix(count);
    return value;
  }
  // One of them, or a mistake (0).
  char one_of(std::string_view allowed) {
    const bool fits = good_ && !rest_.empty() && allowed.find(rest_[0]) != allowed.npos;
    if (!fits) {
      good_ = false;
      return 0;
    }
    const char taken = rest_[0];
    rest_.remove_prefix(1);
    return taken;
  }
  // ".000": allowed where it says nothing.
  void empty_fraction() {
    if (!good_ || rest_.empty() || rest_[0] != '.') return;
    rest_.remove_prefix(1);
    std::size_t zeros = 0;
    while (zeros < rest_.size() && rest_[zeros] == '0') ++zeros;
    good_ = zeros > 0 && zeros <= kFractionDigitsMax;
    rest_.remove_prefix(zeros);
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int days_in(int year, int month) {
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

// Days since 1970-01-01 of a day of the Gregorian calendar, years from 1.
std::int64_t days_since_epoch(int year, int month, int day) {
  const std::int64_t before = year - 1;
  std::int64_t days = before * 365 + before / 4 - before / 100 + before / 400;
  for (int m = 1; m < month; ++m) days += days_in(year, m);
  constexpr std::int64_t kEpoch = 719'162;  // of 1970-01-01, counted from 0001-01-01
  return days + day - 1 - kEpoch;
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  Cursor in(text);
  const int year = in.digits(4);
  in.one_of("-");
  const int month = in.digits(2);
  in.one_of("-");
  const int day = in.digits(2);
  in.one_of("Tt");
  const int hour = in.digits(2);
  in.one_of(":");
  const int minute = in.digits(2);
  in.one_of(":");
  const int second = in.digits(2);
  in.empty_fraction();
  const char zone = in.one_of("Zz+-");
  int offset_minutes = 0;
  if (zone == '+' || zone == '-') {
    const int hours = in.digits(2);
    in.one_of(":");
    const int minutes = in.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset_minutes = (hours * 60 + minutes) * (zone == '+' ? 1 : -1);
  }
  if (!in.good() || !in.at_end()) return std::nullopt;
  // RFC 5280 §4.1.2.5: UTCTime begins in 1950.
  if (year < 1950 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
    return std::nullopt;
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::int64_t seconds = hour * 3'600 + minute * 60 + second;
  return days_since_epoch(year, month, day) * kDayMs + seconds * 1'000 - offset_minutes * kMinuteMs;
}

}  // namespace keyward::issue
