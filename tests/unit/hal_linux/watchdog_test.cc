// The watchdog: the file that stands in for it, and refusals of the device.
#include "hal/linux/watchdog.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "hal/base/file.h"

namespace keyward::hal {
namespace {

class SteppedClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return 0; }
  std::int64_t monotonic_ms() const override { return now_ms; }
  std::int64_t now_ms = 1'000;
};

class WatchdogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "keyward-wd-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/watchdog"; }
  WatchdogState state() const {
    const auto read = file_watchdog_state(path(), clock_);
    EXPECT_TRUE(read) << read.error().what;
    return read.value_or(WatchdogState::kFired);
  }
  std::string directory_;
  SteppedClock clock_;
};

TEST_F(WatchdogTest, File_NotPettedInTime_Fires) {
  const auto dog = make_file_watchdog(path(), clock_);
  ASSERT_TRUE(dog->arm(10));
  clock_.now_ms += 9'999;
  EXPECT_EQ(state(), WatchdogState::kArmed);
  clock_.now_ms += 1;
  EXPECT_EQ(state(), WatchdogState::kFired);
}

TEST_F(WatchdogTest, File_Petted_StaysArmed) {
  const auto dog = make_file_watchdog(path(), clock_);
  ASSERT_TRUE(dog->arm(10));
  clock_.now_ms += 9'000;
  ASSERT_TRUE(dog->pet());
  clock_.now_ms += 9'000;
  EXPECT_EQ(state(), WatchdogState::kArmed);
}

TEST_F(WatchdogTest, File_Disarmed_NeverFires) {
  const auto dog = make_file_watchdog(path(), clock_);
  ASSERT_TRUE(dog->arm(10));
  ASSERT_TRUE(dog->disarm());
  clock_.now_ms += 1'000'000;
  EXPECT_EQ(state(), WatchdogState::kDisarmed);
}

TEST_F(WatchdogTest, File_ObjectEndsWithoutDisarm_StaysArmedAndFires) {
  { ASSERT_TRUE(make_file_watchdog(path(), clock_)->arm(10)); }
  EXPECT_EQ(state(), WatchdogState::kArmed);
  clock_.now_ms += 10'000;
  EXPECT_EQ(state(), WatchdogState::kFired);
}

TEST_F(WatchdogTest, Any_PetBeforeArm_IsBadInput) {
  EXPECT_EQ(make_file_watchdog(path(), clock_)->pet().error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(make_linux_watchdog(path())->pet().error().kind, ErrorKind::kBadInput);
}

TEST_F(WatchdogTest, Any_TimeoutOutOfRange_IsBadInput) {
  for (const int timeout_s : {-1, 0, 3'601}) {
    EXPECT_EQ(make_file_watchdog(path(), clock_)->arm(timeout_s).error().kind,
              ErrorKind::kBadInput);
    EXPECT_EQ(make_linux_watchdog(path())->arm(timeout_s).error().kind, ErrorKind::kBadInput);
  }
}

TEST_F(WatchdogTest, FileState_OfAnotherFile_IsCorrupt) {
  for (const std::string& text : {std::string("x"), std::string(48, '0'),
                                  std::string("fires-at-monotonic-ms ") + std::string(26, 'x')}) {
    ASSERT_TRUE(replace_file(path(), view_of(text), 0600));
    EXPECT_EQ(file_watchdog_state(path(), clock_).error().kind, ErrorKind::kCorrupt);
  }
}

TEST_F(WatchdogTest, Linux_NoDevice_IsUnavailable) {
  EXPECT_EQ(make_linux_watchdog(path())->arm(10).error().kind, ErrorKind::kUnavailable);
}

TEST_F(WatchdogTest, Linux_AFileThatIsNoWatchdog_IsRefused) {
  ASSERT_TRUE(replace_file(path(), view_of("x"), 0600));
  EXPECT_EQ(make_linux_watchdog(path())->arm(10).error().kind, ErrorKind::kRefused);
}

}  // namespace
}  // namespace keyward::hal
