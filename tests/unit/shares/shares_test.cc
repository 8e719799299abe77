// Shares of a secret: each error names the share, and no wrong secret ever comes out.
#include <algorithm>

#include <gtest/gtest.h>

#include "firmware/shares/share_text.h"

namespace keyward::shares {
namespace {

const std::vector<std::string> kNames = {"Ada", "Bo", "Cy", "Di", "Ed"};

std::vector<std::string> lines_of(ByteView secret, std::size_t threshold, std::size_t count = 5) {
  std::vector<std::string> names(count, "somebody");
  auto made = split(secret, threshold, names);
  EXPECT_TRUE(made);
  std::vector<std::string> out;
  for (const auto& share : *made) out.emplace_back(text_of(share.line.view()));
  return out;
}

std::string combined(const std::vector<std::string>& lines) {
  std::vector<std::string_view> views(lines.begin(), lines.end());
  auto secret = combine(views);
  if (secret) return "secret " + std::string(text_of(secret->view()));
  return std::string(secret.error().code) + " " + std::to_string(secret.error().share) + " " +
         std::to_string(secret.error().group);
}

char other(char c) { return c == 'A' ? 'B' : 'A'; }

TEST(Shares_Split, EveryThresholdOfShares_GivesTheSecretBack) {
  for (std::size_t count = 2; count <= kSharesMax; ++count) {
    for (std::size_t threshold = 2; threshold <= count; ++threshold) {
      const auto lines = lines_of(view_of("3141-5926"), threshold, count);
      const auto skip = static_cast<std::ptrdiff_t>(count - threshold);
      EXPECT_EQ(combined({lines.begin() + skip, lines.end()}), "secret 3141-5926");
      EXPECT_EQ(combined(lines), "secret 3141-5926");
    }
  }
}

TEST(Shares_Split, AnySubsetInAnyOrder_GivesTheSecretBack) {
  const auto lines = lines_of(view_of("s"), 3);
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  do {
    EXPECT_EQ(combined({lines[order[0]], lines[order[1]], lines[order[2]]}), "secret s");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Shares_Split, OfEverySize_FitsOneLine) {
  for (const std::size_t size : {1, 2, 3, 4, 5, 6, 7, 8, 31, 32, 33, 255, 256}) {
    const Bytes secret(size, 0x5A);
    const auto lines = lines_of(secret, 2, 2);
    EXPECT_LE(lines[0].size(), kLineBytesMax);
    EXPECT_EQ(lines[0].find('\n'), std::string::npos);
    EXPECT_EQ(combined(lines), "secret " + std::string(size, 0x5A));
  }
}

TEST(Shares_Split, OutsideItsLimits_IsRefused) {
  EXPECT_FALSE(split({}, 2, kNames));
  EXPECT_FALSE(split(Bytes(257), 2, kNames));
  EXPECT_FALSE(split(view_of("x"), 1, kNames));
  EXPECT_FALSE(split(view_of("x"), 6, kNames));
  EXPECT_FALSE(split(view_of("x"), 2, std::vector<std::string>(17)));
}

TEST(Shares_Split, OfTheSameSecretTwice_HasNothingInCommon) {
  EXPECT_NE(lines_of(view_of("secret"), 2)[0], lines_of(view_of("secret"), 2)[0]);
}

TEST(Shares_Split, NamesAndNumbers_AreThoseGiven) {
  auto made = split(view_of("x"), 2, kNames);
  ASSERT_TRUE(made);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    EXPECT_EQ((*made)[i].name, kNames[i]);
    auto header = inspect(text_of((*made)[i].line.view()));
    ASSERT_TRUE(header);
    EXPECT_EQ(header->index, static_cast<int>(i + 1));  // never 0: that would be the secret itself
    EXPECT_EQ(header->threshold, 2);
    EXPECT_EQ(header->count, 5);
  }
}

TEST(Shares_Combine, FewerThanTheThreshold_RefusesAndSaysHowMany) {
  const auto lines = lines_of(view_of("secret"), 3);
  std::vector<std::string_view> two = {lines[1], lines[4]};
  const auto secret = combine(two);
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code, "shares-too-few");
  EXPECT_EQ(secret.error().missing, 1);
  EXPECT_EQ(combined({}), "shares-too-few 0 0");
}

TEST(Shares_Combine, ShareOfAnotherSet_IsNamed) {
  const auto one = lines_of(view_of("secret"), 3);
  const auto two = lines_of(view_of("secret"), 3);
  EXPECT_EQ(combined({one[0], two[1], one[2]}), "share-of-another-set 2 0");
}

TEST(Shares_Combine, ShareTwice_IsNamed) {
  const auto lines = lines_of(view_of("secret"), 3);
  EXPECT_EQ(combined({lines[0], lines[1], lines[0]}), "share-twice 3 0");
}

TEST(Shares_Combine, EveryWrongCharacter_IsNamedByShareAndGroup) {
  const auto lines = lines_of(view_of("secret"), 2);
  const auto start = lines[1].find(' ') + 1;
  for (std::size_t i = start; i < lines[1].size(); ++i) {
    if (lines[1][i] == '-') continue;
    auto wrong = lines[1];
    wrong[i] = other(wrong[i]);
    EXPECT_EQ(combined({lines[0], wrong}),
              "share-mistyped 2 " + std::to_string((i - start) / 6 + 1));
  }
}

TEST(Shares_Combine, TwoCharactersExchanged_AreNamed) {
  const auto lines = lines_of(view_of("secret"), 2);
  const auto start = lines[0].find(' ') + 1;
  for (std::size_t i = start; i + 1 < lines[0].size(); ++i) {
    auto wrong = lines[0];
    std::swap(wrong[i], wrong[i + 1]);
    if (wrong == lines[0] || wrong[i] == '-' || wrong[i + 1] == '-') continue;
    EXPECT_EQ(combined({wrong, lines[1]}),
              "share-mistyped 1 " + std::to_string((i - start) / 6 + 1));
  }
}

TEST(Shares_Combine, GroupsExchangedOrMissing_AreNamed) {
  const auto lines = lines_of(view_of("secret"), 2);
  const auto start = lines[0].find(' ') + 1;
  auto exchanged = lines[0].substr(0, start) + lines[0].substr(start + 6, 6) +
                   lines[0].substr(start, 6) + lines[0].substr(start + 12);
  EXPECT_EQ(combined({exchanged, lines[1]}), "share-mistyped 1 1");
  EXPECT_EQ(combined({lines[1], lines[0].substr(0, lines[0].size() - 6)}), "share-mistyped 2 0");
  EXPECT_EQ(combined({lines[1], lines[0].substr(0, lines[0].size() - 2)}).substr(0, 16),
            "share-mistyped 2");
  EXPECT_EQ(combined({lines[1], lines[0] + "-00000"}).substr(0, 16), "share-mistyped 2");
}

TEST(Shares_Combine, ForeignCharacterOrText_IsNamed) {
  const auto lines = lines_of(view_of("secret"), 2);
  auto wrong = lines[0];
  wrong[wrong.find(' ') + 9] = '!';
  EXPECT_EQ(combined({wrong, lines[1]}), "share-mistyped 1 2");
  EXPECT_EQ(combined({lines[0], "what the custodian remembers"}), "share-malformed 2 0");
  EXPECT_EQ(combined({lines[0], ""}), "share-malformed 2 0");
  EXPECT_EQ(combined({lines[0], lines[1] + std::string(kLineBytesMax, ' ')}),
            "share-malformed 2 0");
}

TEST(Shares_Combine, LowerCaseSpacesAndLookalikes_AreTaken) {
  auto lines = lines_of(view_of("secret"), 2);
  auto& typed = lines[0];
  for (auto& c : typed) c = c == '-' ? ' ' : static_cast<char>(std::tolower(c));
  typed.replace(0, std::string("keyward share 1").size(), "Keyward-Share-1");
  std::replace(typed.begin() + 16, typed.end(), '0', 'o');
  std::replace(typed.begin() + 16, typed.end(), '1', 'l');
  EXPECT_EQ(combined({"  " + typed + "\r\n", lines[1]}), "secret secret");
}

// A custodian who changes his share and mends every check sum still cannot make another secret.
TEST(Shares_Combine, ForgedShareOfTheSameSet_GivesNoSecret) {
  const auto lines = lines_of(view_of("secret"), 2);
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    auto mine = read_line(lines[0], 1);
    ASSERT_TRUE(mine);
    mine->value.data()[0] ^= static_cast<std::uint8_t>(1U << i);
    const auto forged = write_line(mine->header, mine->value.view());
    if (combined({std::string(text_of(forged.view())), lines[1]}) == "shares-do-not-match 0 0")
      ++refused;
  }
  EXPECT_EQ(refused, 8);
}

}  // namespace
}  // namespace keyward::shares
