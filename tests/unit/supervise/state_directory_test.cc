// Proves that preparing a state directory cannot be led elsewhere by links that a broken task left
// in it.
#include "firmware/supervise/state_directory.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/file.h"

namespace keyward::supervise {
namespace {

constexpr unsigned kUid = 63'999;

class StateDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keyward-state-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    path_ = dir_ + "/store";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  static struct stat look(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0);
    return info;
  }
  std::string dir_;
  std::string path_;
};

TEST_F(StateDirectoryTest, Absent_IsMadePrivate) {
  ASSERT_TRUE(prepare_state_directory(path_, false, 0));
  EXPECT_EQ(look(path_).st_mode & 07777, 0700U);
}

TEST_F(StateDirectoryTest, SymbolicLink_IsRefused) {
  std::filesystem::create_directory(dir_ + "/other");
  std::filesystem::create_symlink(dir_ + "/other", path_);
  EXPECT_EQ(prepare_state_directory(path_, false, 0).error().kind, ErrorKind::kRefused);
}

TEST_F(StateDirectoryTest, Tree_IsGivenToTheTask) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: only root can give files away";
  std::filesystem::create_directories(path_ + "/a/b");
  ASSERT_TRUE(replace_file(path_ + "/a/b/f", view_of("x"), 0600));
  ASSERT_TRUE(replace_file(dir_ + "/outside", view_of("x"), 0600));
  std::filesystem::create_symlink(dir_ + "/outside", path_ + "/a/link");
  ASSERT_TRUE(prepare_state_directory(path_, true, kUid));
  EXPECT_EQ(look(path_ + "/a/b/f").st_uid, kUid);
  EXPECT_EQ(look(path_ + "/a/link").st_uid, kUid);
  EXPECT_EQ(look(dir_ + "/outside").st_uid, 0U);
}

TEST_F(StateDirectoryTest, HardLink_IsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: only root can give files away";
  std::filesystem::create_directory(path_);
  ASSERT_TRUE(replace_file(dir_ + "/outside", view_of("x"), 0600));
  std::filesystem::create_hard_link(dir_ + "/outside", path_ + "/f");
  EXPECT_EQ(prepare_state_directory(path_, true, kUid).error().kind, ErrorKind::kRefused);
  EXPECT_EQ(look(dir_ + "/outside").st_uid, 0U);
}

}  // namespace
}  // namespace keyward::supervise
