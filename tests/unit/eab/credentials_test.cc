// Tests of the credentials file: what it holds comes back, what is wrong in it is refused.
#include "firmware/eab/credentials.h"

#include <gtest/gtest.h>

#include "hal/base/limits.h"
#include "tests/support/eab/eab.h"

namespace keyward::eab {
namespace {

constexpr std::string_view kKey = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI";  // 32 x 'B'

std::string line(std::string_view more = "") {
  return R"({"kid":"a","key":")" + std::string(kKey) + R"(","created_ms":1,"on_excess":"refuse")" +
         std::string(more) + "}\n";
}

TEST(CredentialBook_EveryField, ComesBack) {
  CredentialBook book;
  auto full = test::credential("full");
  full.expires_ms = 5;
  full.profiles = {"device", "server"};
  full.quota = 3;
  full.accounts_max = 2;
  full.on_excess = OnExcess::kRevoke;
  full.revoked_ms = 4;
  full.recovers_account = "abc";
  ASSERT_TRUE(book.add(std::move(full)));
  ASSERT_TRUE(book.add(test::credential("plain", 1)));
  const auto again = CredentialBook::parse(book.to_lines().view());
  ASSERT_TRUE(again) << again.error().what;
  ASSERT_EQ(again->all().size(), 2u);
  const auto* got = again->find("full");
  ASSERT_NE(got, nullptr);
  EXPECT_TRUE(equal(got->key.view(), Bytes(32, 0x42)));
  EXPECT_EQ(got->created_ms, 1);
  EXPECT_EQ(got->expires_ms, 5);
  EXPECT_EQ(got->profiles, (std::vector<std::string>{"device", "server"}));
  EXPECT_EQ(got->quota, 3u);
  EXPECT_EQ(got->accounts_max, 2u);
  EXPECT_EQ(got->on_excess, OnExcess::kRevoke);
  EXPECT_EQ(got->revoked_ms, 4);
  EXPECT_EQ(got->recovers_account, "abc");
  const auto* plain = again->find("plain");
  ASSERT_NE(plain, nullptr);
  EXPECT_FALSE(plain->expires_ms || plain->quota || plain->accounts_max || plain->revoked_ms ||
               plain->recovers_account);
  EXPECT_EQ(again->find("other"), nullptr);
}

TEST(CredentialBook_Lines, AreReadStrictly) {
  const auto good = line();
  EXPECT_TRUE(CredentialBook::parse(view_of(good)));
  const auto reason = [](const std::string& text) -> std::string {
    const auto book = CredentialBook::parse(view_of(text));
    return book ? "read" : book.error().what;
  };
  EXPECT_EQ(reason(""), "read");
  EXPECT_EQ(reason(line(R"(,"profile":["a"])")), "an unknown member");
  EXPECT_EQ(reason(line(R"(,"profiles":"a")")), "profiles is not an array");
  EXPECT_EQ(reason(line(R"(,"profiles":[1])")), "a profile is not a string");
  EXPECT_EQ(reason(line(R"(,"profiles":[""])")),
            "a profile's name has 1 to 64 characters, ASCII without spaces");
  EXPECT_EQ(reason(line(R"(,"quota":-1)")), "a number is not a number, or below 0");
  EXPECT_EQ(reason(line(R"(,"quota":"1")")), "a number is not a number, or below 0");
  EXPECT_EQ(reason(line(R"(,"accounts_max":0)")), "accounts_max is 1 or more");
  EXPECT_EQ(reason(line(R"(,"recovers_account":"a b")")),
            "recovers_account is not the id of an account");
  EXPECT_EQ(reason("[]\n"), "a line is not a JSON object");
  EXPECT_EQ(reason(line() + line()), "the kid is taken");
  EXPECT_EQ(reason(R"({"kid":"a","key":"QkJC","created_ms":1,"on_excess":"refuse"})"),
            "a key has 32 octets or more");
  EXPECT_EQ(reason(R"({"kid":"a b","key":")" + std::string(kKey) +
                   R"(","created_ms":1,"on_excess":"refuse"})"),
            "a kid is ASCII without spaces");
  EXPECT_EQ(reason(R"({"kid":"a","key":")" + std::string(kKey) + R"(","on_excess":"refuse"})"),
            "created_ms is missing");
  EXPECT_EQ(
      reason(R"({"kid":"a","key":")" + std::string(kKey) + R"(","created_ms":1,"on_excess":"x"})"),
      "on_excess is neither refuse nor revoke");
}

TEST(CredentialBook_BadLine, IsNamedByItsNumber) {
  const auto text = line() + "\n{}\n";
  const auto book = CredentialBook::parse(view_of(text));
  ASSERT_FALSE(book);
  EXPECT_EQ(book.error().native, 3);
}

}  // namespace
}  // namespace keyward::eab
