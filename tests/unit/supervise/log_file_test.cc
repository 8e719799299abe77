// Proves that the log is bounded whatever tasks write, and that no line loses its task.
#include "firmware/supervise/log_file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "hal/base/file.h"

namespace keyward::supervise {
namespace {

class LogFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keyward-log-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    path_ = dir_ + "/log";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string text(const std::string& suffix = "") {
    return read_text_file(path_ + suffix, 1 << 20).value_or("");
  }
  std::string dir_;
  std::string path_;
};

TEST_F(LogFileTest, Line_OfATask_IsKeptAsItIs) {
  LogFile log(path_, -1);
  ASSERT_TRUE(log.open());
  LineCollector lines("store");
  lines.take("ts=1 task=store msg=a\nts=2 task=st", log);
  lines.take("ore msg=b\n", log);
  EXPECT_EQ(text(), "ts=1 task=store msg=a\nts=2 task=store msg=b\n");
}

TEST_F(LogFileTest, Line_OfALibrary_GetsTheTasksName) {
  LogFile log(path_, -1);
  ASSERT_TRUE(log.open());
  LineCollector lines("signer");
  lines.take("terminate called\x1b[2J\nlast words", log);
  lines.finish(log);
  EXPECT_EQ(text(), "task=signer raw=1 terminate called [2J\ntask=signer raw=1 last words\n");
}

TEST_F(LogFileTest, Line_Overlong_IsCutAndTheNextIsWhole) {
  LogFile log(path_, -1);
  ASSERT_TRUE(log.open());
  LineCollector lines("acme");
  lines.take("ts=" + std::string(100'000, 'x'), log);
  lines.take("xxx\nts=2\n", log);
  const auto all = text();
  EXPECT_LT(all.size(), limits::kLogLineBytesMax + 128);
  EXPECT_TRUE(all.ends_with("\nts=2\n"));
}

TEST_F(LogFileTest, File_Full_IsRotatedAndTheOldestGoes) {
  LogFile log(path_, -1, 100);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 50; ++i) log.line(std::to_string(i) + std::string(40, '.'));
  EXPECT_TRUE(text().starts_with("48."));
  EXPECT_TRUE(text(".1").starts_with("46."));
  EXPECT_TRUE(file_exists(path_ + "." + std::to_string(limits::kLogFilesMax - 1)));
  EXPECT_FALSE(file_exists(path_ + "." + std::to_string(limits::kLogFilesMax)));
  EXPECT_EQ(log.lost(), 0U);
}

}  // namespace
}  // namespace keyward::supervise
