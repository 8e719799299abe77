// Tests of hal/base: bytes, text codecs, secrets, files.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "hal/base/bytes.h"
#include "hal/base/disk.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"
#include "tests/support/command/command.h"

namespace keyward {
namespace {

TEST(Base64url_Rfc4648Vectors, BothWays) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base64url_encode(view_of(plain)), encoded);
    const auto decoded = base64url_decode(encoded);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(text_of(*decoded), plain);
  }
  EXPECT_EQ(base64url_encode(Bytes{0xfb, 0xff}), "-_8");
  EXPECT_EQ(base64_encode(view_of("fooba")), "Zm9vYmE=");
  EXPECT_EQ(base64_encode(view_of("foob")), "Zm9vYg==");
  EXPECT_EQ(base64_encode(Bytes{0xfb, 0xff}), "+/8=");
}

void expect_not_base64url(std::string_view text, std::string_view what) {
  const auto decoded = base64url_decode(text);
  ASSERT_FALSE(decoded) << text;
  EXPECT_EQ(decoded.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(std::string_view(decoded.error().what), what) << text;
}

TEST(Base64url_NotStrict, IsRefusedForItsReason) {
  for (const auto text :
       {"Zg==", "Zm8=", "Zm9v=", "Zg=", "Z m8", "Zm8\n", "Zm+v", "Zm/v", "Zm9v.", "Zm\xc3\xa9v"}) {
    const std::string_view view = text;
    expect_not_base64url(view, view.size() % 4 == 1 ? "base64url text has an impossible length"
                                                    : "base64url text has a foreign character");
  }
  expect_not_base64url(std::string_view("Zg\0v", 4), "base64url text has a foreign character");
  expect_not_base64url("Z", "base64url text has an impossible length");
  expect_not_base64url("Zh", "base64url text has non-zero unused bits");
  expect_not_base64url("Zm9", "base64url text has non-zero unused bits");
}

TEST(Base64_PaddedOrNot, IsReadAndNothingElse) {
  for (const std::string_view text : {"Zm9vYmE=", "Zm9vYmE"}) {
    const auto decoded = base64_decode(text);
    ASSERT_TRUE(decoded) << text;
    EXPECT_EQ(text_of(*decoded), "fooba");
  }
  EXPECT_EQ(*base64_decode("+/8="), (Bytes{0xfb, 0xff}));
  EXPECT_EQ(*base64_decode(""), Bytes());
  for (const std::string_view text : {"-_8=", "-_8", "Zg=", "Zg===", "Zg=x", "Z=g=", "Zm9v=",
                                      "Zm9v==", "====", "=", "Zh==", "Zm9v\n", "Zm 9v"}) {
    const auto decoded = base64_decode(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kBadInput);
  }
}

TEST(Base64url_EveryLength, RoundTrips) {
  for (std::size_t size = 0; size < 100; ++size) {
    const auto bytes = random_bytes(size);
    const auto decoded = base64url_decode(base64url_encode(bytes));
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, bytes);
  }
}

TEST(Hex_BothWays, AndItsRefusals) {
  EXPECT_EQ(hex_encode(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(*hex_decode("00ABff"), (Bytes{0x00, 0xab, 0xff}));
  EXPECT_STREQ(hex_decode("abc").error().what, "hex text has an odd length");
  EXPECT_STREQ(hex_decode("0g").error().what, "hex text has a foreign character");
}

TEST(Equal_ConstantTime_ComparesLikeEqual, ForAllShapes) {
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_TRUE(equal_constant_time(view_of("abc"), view_of("abc")));
  EXPECT_FALSE(equal_constant_time(view_of("abc"), view_of("abd")));
  EXPECT_FALSE(equal_constant_time(view_of("abc"), view_of("ab")));
  EXPECT_FALSE(equal(view_of("abc"), view_of("ab")));
}

TEST(SecretBytes_Moved, IsEmptyAfterwards) {
  SecretBytes first(view_of("secret"));
  SecretBytes second(std::move(first));
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(text_of(second.view()), "secret");
  SecretBytes third;
  third = std::move(second);
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(text_of(third.clone().view()), "secret");
  third.wipe();
  EXPECT_TRUE(third.empty());
}

TEST(RandomId_TwoOfThem, Differ) {
  EXPECT_NE(random_id(), random_id());
  EXPECT_EQ(random_id(16).size(), 22U);
}

TEST(Disk, BytesInAFolder_CountsItsFilesAlone) {
  const test::TempDir dir;
  ASSERT_TRUE(replace_file(dir.path("a"), view_of("123"), 0600));
  ASSERT_TRUE(replace_file(dir.path("b"), view_of("4567"), 0600));
  ASSERT_TRUE(make_directories(dir.path("c"), 0700));
  ASSERT_TRUE(replace_file(dir.path("c/d"), view_of("89"), 0600));
  EXPECT_EQ(bytes_in(dir.root()).value_or(-1), 7);
  EXPECT_EQ(bytes_of(dir.path("b")), 4);
  EXPECT_EQ(bytes_of(dir.path("c")), 0);
  EXPECT_EQ(bytes_of(dir.path("none")), 0);
  EXPECT_EQ(bytes_in(dir.path("none")).error().kind, ErrorKind::kUnavailable);
  const auto space = disk_space(dir.root());
  ASSERT_TRUE(space);
  EXPECT_GT(space->size_bytes, 0);
  EXPECT_LE(space->free_bytes, space->size_bytes);
  EXPECT_EQ(disk_space(dir.path("none")).error().kind, ErrorKind::kUnavailable);
}

TEST(ReplaceFile_OverAnOldFile, LeavesTheNewContentAndModeAndNothingElse) {
  const test::TempDir dir;
  const auto path = dir.path("state");
  ASSERT_TRUE(replace_file(path, view_of("old"), 0644));
  ASSERT_TRUE(replace_file(path, view_of("new content"), 0600));
  EXPECT_EQ(*read_text_file(path, 100), "new content");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_FALSE(file_exists(path + ".new"));
}

TEST(ReplaceFile_LeftoverOfAPowerCut_IsOverwritten, AndTheOldContentStandsUntilThen) {
  const test::TempDir dir;
  const auto path = dir.path("state");
  ASSERT_TRUE(replace_file(path, view_of("old"), 0600));
  test::write_file(path + ".new", view_of("half of a very long leftover"));
  EXPECT_EQ(*read_text_file(path, 100), "old");
  ASSERT_TRUE(replace_file(path, view_of("new"), 0600));
  EXPECT_EQ(*read_text_file(path, 100), "new");
}

TEST(ReplaceFile_DirectoryMissing, IsUnavailable) {
  const test::TempDir dir;
  const auto status = replace_file(dir.path("no/such/file"), view_of("x"), 0600);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
}

TEST(ReadFile_OverItsCapOrMissing, IsAnError) {
  const test::TempDir dir;
  ASSERT_TRUE(replace_file(dir.path("f"), Bytes(20'000, 'a'), 0600));
  EXPECT_EQ(read_file(dir.path("f"), 19'999).error().kind, ErrorKind::kExhausted);
  EXPECT_EQ(read_file(dir.path("f"), 20'000)->size(), 20'000U);
  EXPECT_EQ(read_file(dir.path("none"), 10).error().kind, ErrorKind::kUnavailable);
}

TEST(MakeDirectories_Nested, ExistWithTheMode) {
  const test::TempDir dir;
  ASSERT_TRUE(make_directories(dir.path("a/b"), 0700));
  ASSERT_TRUE(make_directories(dir.path("a/b"), 0700));
  struct stat status {};
  ASSERT_EQ(::stat(dir.path("a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  test::write_file(dir.path("file"), view_of("x"));
  EXPECT_FALSE(make_directories(dir.path("file/b"), 0700));
}

}  // namespace
}  // namespace keyward
