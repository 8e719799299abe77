// Tests of firmware/operate: owner, mode and atomicity of what is written; when it is noticed.
#include "firmware/operate/operator_file.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/file.h"

namespace keyward::operate {
namespace {

constexpr std::size_t kBytesMax = 1'024;

class OperatorFileTest : public ::testing::Test {
 protected:
  OperatorFileTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-operate-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
  }
  ~OperatorFileTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void write(std::string_view text) {
    auto directory = OperatorDirectory::open(directory_, "eab");
    ASSERT_TRUE(directory) << directory.error().what;
    const auto done = directory->replace("file", view_of(text));
    ASSERT_TRUE(done) << done.error().what;
  }
  std::string path() const { return directory_ + "/eab/file"; }
  WatchedFile<std::string> watched() const {
    return {path(), kBytesMax, [](ByteView bytes) -> Result<std::string> {
              if (text_of(bytes) == "bad") return fail(ErrorKind::kBadInput, "bad");
              return std::string(text_of(bytes));
            }};
  }
  std::string directory_;
};

TEST_F(OperatorFileTest, Replace_HasModeAndOwnerOfItsDirectory) {
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chown(directory_.c_str(), 65'000, 65'001), 0);
  }
  write("one");
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_uid, root ? 65'000u : ::geteuid());
  EXPECT_EQ(info.st_gid, root ? 65'001u : ::getegid());
  ASSERT_EQ(::stat((directory_ + "/eab").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_EQ(info.st_uid, root ? 65'000u : ::geteuid());
}

TEST_F(OperatorFileTest, Read_IsWhatWasWrittenAndEmptyIfNothingWas) {
  {
    const auto directory = OperatorDirectory::open(directory_, "eab");
    ASSERT_TRUE(directory);
    EXPECT_EQ(directory->read("file", kBytesMax)->size(), 0u);
  }
  write("one");
  write("two");
  const auto directory = OperatorDirectory::open(directory_, "eab");
  EXPECT_EQ(text_of(*directory->read("file", kBytesMax)), "two");
  EXPECT_EQ(directory->read("file", 2).error().kind, ErrorKind::kExhausted);
}

TEST_F(OperatorFileTest, SymbolicLinks_AreNotFollowed) {
  ASSERT_TRUE(replace_file(directory_ + "/victim", view_of("kept"), 0600));
  ASSERT_EQ(::mkdir((directory_ + "/eab").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("../victim", (path() + ".new").c_str()), 0);
  write("new");
  EXPECT_EQ(*read_text_file(directory_ + "/victim", kBytesMax), "kept");
  ASSERT_EQ(::unlink(path().c_str()), 0);
  ASSERT_EQ(::symlink("../victim", path().c_str()), 0);
  {
    const auto directory = OperatorDirectory::open(directory_, "eab");
    EXPECT_FALSE(directory->read("file", kBytesMax));
  }
  EXPECT_FALSE(read_private_file(path(), kBytesMax));
  ASSERT_EQ(::symlink("eab", (directory_ + "/link").c_str()), 0);
  EXPECT_FALSE(OperatorDirectory::open(directory_, "link"));
}

TEST_F(OperatorFileTest, OthersMayReadIt_IsRefused) {
  write("one");
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  EXPECT_EQ(read_private_file(path(), kBytesMax).error().kind, ErrorKind::kRefused);
  ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
  EXPECT_TRUE(read_private_file(path(), kBytesMax));
}

TEST_F(OperatorFileTest, Watched_NewContent_IsNoticedOnce) {
  auto file = watched();
  EXPECT_FALSE(file.refresh());
  EXPECT_EQ(file.current(), nullptr);
  write("one");
  EXPECT_TRUE(file.refresh());
  EXPECT_EQ(*file.current(), "one");
  EXPECT_FALSE(file.refresh());
  write("two");  // of the same size
  EXPECT_TRUE(file.refresh());
  EXPECT_EQ(*file.current(), "two");
}

TEST_F(OperatorFileTest, Watched_BadOrGone_KeepsTheOneBefore) {
  auto file = watched();
  write("bad");
  EXPECT_FALSE(file.refresh());
  EXPECT_EQ(file.current(), nullptr);
  write("one");
  EXPECT_TRUE(file.refresh());
  write("bad");
  EXPECT_FALSE(file.refresh());
  EXPECT_EQ(*file.current(), "one");
  ASSERT_EQ(::unlink(path().c_str()), 0);
  EXPECT_FALSE(file.refresh());
  EXPECT_EQ(*file.current(), "one");
  write("three");
  EXPECT_TRUE(file.refresh());
  EXPECT_EQ(*file.current(), "three");
}

}  // namespace
}  // namespace keyward::operate
