// Tests nonces: once in a life, what a restart keeps, the window, forgeries.
#include "firmware/acme/nonces.h"

#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::TempDir;
using test::TestClock;

struct Life {
  std::unique_ptr<Nonces> nonces;
  explicit Life(const TempDir& dir, const Clock& clock) {
    auto opened = Nonces::open(dir.path() + "/nonce.key", clock);
    EXPECT_TRUE(opened.has_value());
    nonces = std::move(*opened);
  }
  Nonces* operator->() { return nonces.get(); }
};

TEST(Nonces, Issued_ConsumedTwice_SecondRefused) {
  TempDir dir;
  TestClock clock;
  Life life(dir, clock);
  const auto nonce = life->issue();
  EXPECT_EQ(life->consume(nonce, true), NonceVerdict::kGood);
  EXPECT_EQ(life->consume(nonce, true), NonceVerdict::kBad);
}

TEST(Nonces, Issued_Many_AllDifferentAndGood) {
  TempDir dir;
  TestClock clock;
  Life life(dir, clock);
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(life->issue());
  EXPECT_EQ(seen.size(), 1'000U);
  for (const auto& nonce : seen) EXPECT_EQ(life->consume(nonce, false), NonceVerdict::kGood);
}

TEST(Nonces, Forged_AnyBitChanged_Refused) {
  TempDir dir;
  TestClock clock;
  Life life(dir, clock);
  const auto bytes = *base64url_decode(life->issue());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto changed = bytes;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_EQ(life->consume(base64url_encode(changed), true), NonceVerdict::kBad) << bit;
  }
  EXPECT_EQ(life->consume(base64url_encode(bytes), true), NonceVerdict::kGood);
}

TEST(Nonces, NotIssued_OtherForms_RefusedEachInItsWay) {
  TempDir dir;
  TestClock clock;
  Life life(dir, clock);
  EXPECT_EQ(life->consume("", true), NonceVerdict::kBad);
  EXPECT_EQ(life->consume("AAAA", true), NonceVerdict::kBad);
  EXPECT_EQ(life->consume("not base64url!", true), NonceVerdict::kMalformed);
  EXPECT_EQ(life->consume(life->issue() + "=", true), NonceVerdict::kMalformed);
  EXPECT_EQ(life->consume(std::string(limits::kNonceBytesMax + 1, 'A'), true),
            NonceVerdict::kMalformed);
}

TEST(Nonces, OtherKey_SameForm_Refused) {
  TempDir dir;
  TempDir other_dir;
  TestClock clock;
  Life life(dir, clock);
  Life other(other_dir, clock);
  EXPECT_EQ(life->consume(other->issue(), true), NonceVerdict::kBad);
}

TEST(Nonces, Restart_UnusedNonceOfTheLifeBefore_GoodOnce) {
  TempDir dir;
  TestClock clock;
  std::string nonce;
  { nonce = Life(dir, clock)->issue(); }
  Life second(dir, clock);
  EXPECT_EQ(second->consume(nonce, true), NonceVerdict::kGood);
  EXPECT_EQ(second->consume(nonce, true), NonceVerdict::kBad);
}

TEST(Nonces, Restart_WhereRepeatingChanges_Refused) {
  TempDir dir;
  TestClock clock;
  std::string nonce;
  { nonce = Life(dir, clock)->issue(); }
  Life second(dir, clock);
  EXPECT_EQ(second->consume(nonce, false), NonceVerdict::kBad);
}

TEST(Nonces, Restart_AfterTheGrace_Refused) {
  TempDir dir;
  TestClock clock;
  std::string nonce;
  { nonce = Life(dir, clock)->issue(); }
  Life second(dir, clock);
  clock.advance(limits::kNonceEarlierLifeMs + 1);
  EXPECT_EQ(second->consume(nonce, true), NonceVerdict::kBad);
}

TEST(Nonces, Restart_TwoLivesLater_Refused) {
  TempDir dir;
  TestClock clock;
  std::string nonce;
  { nonce = Life(dir, clock)->issue(); }
  { Life second(dir, clock); }
  Life third(dir, clock);
  EXPECT_EQ(third->consume(nonce, true), NonceVerdict::kBad);
}

TEST(Nonces, KeyFile_Damaged_NewKeyAndOldNoncesRefused) {
  TempDir dir;
  TestClock clock;
  std::string nonce;
  { nonce = Life(dir, clock)->issue(); }
  ASSERT_TRUE(replace_file(dir.path() + "/nonce.key", to_bytes("short"), 0600).has_value());
  Life second(dir, clock);
  EXPECT_EQ(second->consume(nonce, true), NonceVerdict::kBad);
  EXPECT_EQ(second->consume(second->issue(), true), NonceVerdict::kGood);
}

TEST(Nonces, Window_OlderThanTheRing_RefusedEvenUnused) {
  TestClock clock;
  constexpr std::size_t kWindow = 256;
  Nonces nonces(SecretBytes(std::size_t{32}), 7, clock, kWindow);
  const auto oldest = nonces.issue();
  const auto used = nonces.issue();
  EXPECT_EQ(nonces.consume(used, true), NonceVerdict::kGood);
  for (std::size_t i = 0; i < kWindow - 64 - 2; ++i) static_cast<void>(nonces.issue());
  EXPECT_EQ(nonces.consume(used, true), NonceVerdict::kBad);
  EXPECT_EQ(nonces.consume(oldest, true), NonceVerdict::kGood)
      << "the edge of the window is still inside";
  // Whatever comes after, a used nonce stays used or becomes too old; never good again.
  for (std::size_t i = 0; i < 4 * kWindow; ++i) {
    static_cast<void>(nonces.issue());
    ASSERT_EQ(nonces.consume(used, true), NonceVerdict::kBad) << i;
  }
}

TEST(Nonces, Threads_SameNonceAtOnce_OneWins) {
  TempDir dir;
  TestClock clock;
  Life life(dir, clock);
  for (int round = 0; round < 50; ++round) {
    const auto nonce = life->issue();
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back(
          [&] { good += life->consume(nonce, true) == NonceVerdict::kGood ? 1 : 0; });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 1);
  }
}

}  // namespace
}  // namespace keyward::acme
