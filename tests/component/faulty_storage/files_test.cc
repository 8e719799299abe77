// The small files, each while its calls fail: entries are added, some with an error; those that were
// acknowledged are there after the file was opened again, and it can be opened and added to.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <set>

#include <gtest/gtest.h>

#include "firmware/acme/nonces.h"
#include "firmware/attest/spent_tokens.h"
#include "firmware/eab/bindings.h"
#include "firmware/inventory/enrolments.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

#include "faulty_files.h"

namespace keyward::test {
namespace {

constexpr int kEntries = 6;
constexpr std::int64_t kNowMs = 1'790'000'000'000;

Digest256 digest_of(int number) {
  Digest256 out{};
  out[0] = static_cast<std::uint8_t>(number + 1);
  return out;
}

// A file with entries 0, 1, ...: opening it, adding one, asking for one.
struct Book {
  std::function<bool(const std::string& path)> open;
  std::function<bool(int entry)> add;
  std::function<bool(int entry)> has;
  std::function<void()> close;
};

void live(Book& book, const std::string& path, std::set<int>& acknowledged, int first) {
  if (!book.open(path)) return;
  for (int i = first; i < first + kEntries; ++i) {
    if (book.add(i)) acknowledged.insert(i);
  }
  book.close();
}

// One life on a sound disk, one with the fault, and one more.
bool one(Book& book, FaultKind kind, std::uint64_t nth) {
  const TempDir directory;
  const std::string path = directory.path("book");
  std::set<int> acknowledged;
  live(book, path, acknowledged, 0);
  EXPECT_EQ(acknowledged.size(), static_cast<std::size_t>(kEntries));
  FaultyFiles::arm(directory.root(), kind, nth);
  live(book, path, acknowledged, kEntries);
  FaultyFiles::disarm();
  const bool reached = FaultyFiles::happened();
  EXPECT_TRUE(book.open(path)) << "it does not open any more";
  for (const int entry : acknowledged) EXPECT_TRUE(book.has(entry)) << "lost: " << entry;
  EXPECT_TRUE(book.add(100));
  EXPECT_TRUE(book.has(100));
  book.close();
  return reached;
}

void every_nth(Book book, std::string_view what) {
  std::uint64_t lives = 0;
  const bool all = std::getenv("KEYWARD_FAULTS_LONG") != nullptr;
  for (const auto kind : kFaultKinds) {
    if (!all && kind != FaultKind::kShortWrite && kind != FaultKind::kInputOutput) continue;
    for (std::uint64_t nth = 1; nth < 500; ++nth, ++lives) {
      SCOPED_TRACE(std::string(name_of(kind)) + " at call " + std::to_string(nth));
      const bool reached = one(book, kind, nth);
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << FaultyFiles::where();
        return;
      }
      if (!reached) break;
    }
  }
  EXPECT_GE(lives, 16U) << "a comparison of nothing";
  std::cout << "[faults] " << what << ": " << lives << " lives\n";
}

TEST(FaultyFile, Replaced_NthCallFails_OldOrNewWhole) {
  std::string path, content;
  const auto text = [](int entry) {
    return std::string(9'000, static_cast<char>('a' + entry % 26));
  };
  std::set<int> last;
  Book book;
  book.open = [&](const std::string& at) {
    path = at;
    return true;
  };
  int stands = -1;
  book.add = [&](int entry) {
    const bool done = replace_file(path, view_of(text(entry)), 0600).has_value();
    if (done) stands = entry;
    const auto read = read_text_file(path, 1u << 20);
    // Not the old one and not a part of one: an error that came after the renaming left the new.
    EXPECT_TRUE(read && (*read == text(entry) || (stands >= 0 && *read == text(stands)) ||
                         (!last.empty() && *read == text(*last.begin()))))
        << "neither the old content nor the new";
    if (!done && read && *read == text(entry)) last = {entry};
    return done;
  };
  book.has = [&](int entry) { return entry <= stands || entry == 100; };
  book.close = [] {};
  for (const auto kind : kFaultKinds) {
    for (std::uint64_t nth = 1; nth < 60; ++nth) {
      stands = -1;
      last.clear();
      if (!one(book, kind, nth)) break;
    }
  }
}

TEST(FaultyFile, Bindings_NthCallFails_AcknowledgedStay) {
  std::optional<eab::Bindings> open;
  every_nth(
      {[&](const std::string& path) {
         auto opened = eab::Bindings::open(path);
         if (!opened) return false;
         open.emplace(std::move(*opened));
         return true;
       },
       [&](int entry) { return open->add("kid", digest_of(entry), kNowMs).has_value(); },
       [&](int entry) { return open->holds("kid", digest_of(entry)); }, [&] { open.reset(); }},
      "account bindings");
}

TEST(FaultyFile, SpentTokens_NthCallFails_StaySpent) {
  std::unique_ptr<attest::SpentTokens> open;
  const auto spend = [&](int entry, const Digest256& use) {
    return open->spend(digest_of(entry), use, kNowMs + 86'400'000, kNowMs);
  };
  every_nth(
      {[&](const std::string& path) {
         auto opened = attest::SpentTokens::open(path, kNowMs);
         if (!opened) return false;
         open = std::move(*opened);
         return true;
       },
       [&](int entry) { return spend(entry, digest_of(1)).has_value(); },
       // Spent on the first use, so not on another.
       [&](int entry) { return !spend(entry, digest_of(2)).has_value(); }, [&] { open.reset(); }},
      "spent tokens");
}

TEST(FaultyFile, Enrolments_NthCallFails_AcknowledgedStay) {
  std::optional<inventory::Enrolments> open;
  const auto enrolment = [](int entry) {
    inventory::Enrolment out;
    out.decision = inventory::Decision::kAttestationKey;
    out.device_id = "device" + std::to_string(entry);
    out.ek_spki_sha256 = digest_of(entry);
    out.ak_spki_sha256 = digest_of(entry);
    out.at_ms = kNowMs;
    return out;
  };
  every_nth({[&](const std::string& path) {
               auto opened = inventory::Enrolments::open(path);
               if (!opened) return false;
               open.emplace(std::move(*opened));
               return true;
             },
             [&](int entry) { return open->add(enrolment(entry)).has_value(); },
             [&](int entry) { return open->activation_of(digest_of(entry)) != nullptr; },
             [&] { open.reset(); }},
            "enrolments");
}

// A nonce that was accepted is not accepted again, whatever the file did.
TEST(FaultyFile, Nonces_NthCallFails_NoneIsGoodTwice) {
  for (const auto kind : kFaultKinds) {
    for (std::uint64_t nth = 1; nth < 60; ++nth) {
      SCOPED_TRACE(std::string(name_of(kind)) + " at call " + std::to_string(nth));
      const TempDir directory;
      const auto path = directory.path("nonce.key");
      auto first = acme::Nonces::open(path, system_clock());
      ASSERT_TRUE(first);
      const auto used = (*first)->issue();
      EXPECT_EQ((*first)->consume(used, false), acme::NonceVerdict::kGood);
      FaultyFiles::arm(directory.root(), kind, nth);
      auto second = acme::Nonces::open(path, system_clock());
      FaultyFiles::disarm();
      const bool reached = FaultyFiles::happened();
      std::string of_second;
      if (second) {
        EXPECT_EQ((*second)->consume(used, false), acme::NonceVerdict::kBad);
        of_second = (*second)->issue();
        EXPECT_EQ((*second)->consume(of_second, false), acme::NonceVerdict::kGood);
      }
      auto third = acme::Nonces::open(path, system_clock());
      ASSERT_TRUE(third) << FaultyFiles::where();
      EXPECT_EQ((*third)->consume(used, false), acme::NonceVerdict::kBad);
      if (second) {
        EXPECT_EQ((*third)->consume(of_second, false), acme::NonceVerdict::kBad);
      }
      if (!reached) break;
    }
  }
}

}  // namespace
}  // namespace keyward::test
