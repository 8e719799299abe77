// Proves that configuration is read strictly: nothing is silently ignored or defaulted.
#include "firmware/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyward::config {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Config_KnownKeys, AreReadAndNothingIsLeft) {
  auto document = Document::parse(
      "a = 'x'\nlist = ['p', 'q']\n[t]\nn = 5\n[[row]]\nv = true\n[[row]]\nv = false\n", "f.toml");
  auto root = document.root();
  EXPECT_EQ(root.string("a"), "x");
  EXPECT_EQ(root.strings_or_empty("list", 4).size(), 2u);
  EXPECT_EQ(root.integer("t.n", 0, 9), 5);
  auto rows = root.tables("row");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].boolean_or("v", false));
  EXPECT_FALSE(rows[1].boolean_or("v", true));
  EXPECT_THAT(document.finish(), IsEmpty());
}

TEST(Config_UnknownKey_IsNamedWithItsLine, Holds) {
  auto document = Document::parse("a = 'x'\nprot = 5\n", "f.toml");
  (void)document.root().string("a");
  EXPECT_THAT(document.finish(), Contains(HasSubstr("f.toml:2: unknown key 'prot'")));
}

TEST(Config_UnknownKeyInATableRow_IsNamed, Holds) {
  auto document = Document::parse("[[row]]\nv = true\nw = 1\n", "f.toml");
  for (auto& row : document.root().tables("row")) (void)row.boolean_or("v", false);
  EXPECT_THAT(document.finish(), Contains(HasSubstr("unknown key 'row[0].w'")));
}

TEST(Config_Integers, OutOfRangeEmptyAbsentOrOfAnotherType_AreNamed) {
  auto document = Document::parse(
      "good = [7, 23]\nhigh = [24]\nnone = []\nmany = [1, 2, 3]\ntext = ['7']\none = 7\n",
      "f.toml");
  auto root = document.root();
  EXPECT_EQ(root.integers("good", 1, 23, 2), (std::vector<std::int64_t>{7, 23}));
  for (const char* key : {"high", "none", "many", "text", "one", "absent"})
    EXPECT_THAT(root.integers(key, 1, 23, 2), IsEmpty());
  const auto problems = document.finish();
  EXPECT_EQ(problems.size(), 6u);
  for (const char* key : {"'high'", "'none'", "'many'", "'text'", "'one'", "'absent'"})
    EXPECT_THAT(problems, Contains(HasSubstr(key)));
}

TEST(Config_MissingKey_IsNamed, Holds) {
  auto document = Document::parse("", "f.toml");
  (void)document.root().string("listen");
  EXPECT_THAT(document.finish(), Contains(HasSubstr("'listen' is missing")));
}

TEST(Config_OutOfRange_SaysTheRange, Holds) {
  auto document = Document::parse("port = 70000", "f.toml");
  (void)document.root().integer("port", 1, 65535);
  EXPECT_THAT(document.finish(), Contains(HasSubstr("from 1 to 65535")));
}

TEST(Config_WrongType_IsRefused, Holds) {
  auto document = Document::parse("port = '1'\nname = 5\nflag = 1\nlist = [1]", "f.toml");
  auto root = document.root();
  (void)root.integer_or("port", 1, 9, 1);
  (void)root.string_or("name", "");
  (void)root.boolean_or("flag", false);
  (void)root.strings_or_empty("list", 3);
  EXPECT_EQ(document.finish().size(), 4u);
}

TEST(Config_TooManyStrings_IsRefused, Holds) {
  auto document = Document::parse("list = ['a', 'b', 'c']", "f.toml");
  (void)document.root().strings_or_empty("list", 2);
  EXPECT_THAT(document.finish(), Contains(HasSubstr("at most 2")));
}

TEST(Config_SyntaxError_SaysTheLine, Holds) {
  auto document = Document::parse("a = 1\nb = = 2", "f.toml");
  EXPECT_THAT(document.finish(), Contains(HasSubstr("f.toml:2:")));
}

TEST(Config_Text_GivesTheTableBackAndMarksItRead, Holds) {
  auto document = Document::parse("[signer]\nkey = 'v'\n[signer.pkcs11]\nmodule = 'm'\n", "f.toml");
  const auto text = document.root().table("signer").text();
  EXPECT_THAT(document.finish(), IsEmpty());
  auto again = Document::parse(text, "part");
  EXPECT_EQ(again.root().string("pkcs11.module"), "m");
  EXPECT_EQ(again.root().string("key"), "v");
}

}  // namespace
}  // namespace keyward::config
