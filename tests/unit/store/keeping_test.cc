// What the store keeps, deletes and refuses as a file: housekeeping, limits, damage, versions,
// syncs.
#include <fstream>
#include <map>
#include <thread>

#include "firmware/store/schema.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

TEST_F(StoreTest, Sweep_LongExpiredOrders_AreDeletedAndOthersKept) {
  add_account("alice");
  add_order("alice", "old", 2);
  add_order("alice", "issued");
  issue("issued");
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs - 1;
  EXPECT_EQ(store_->sweep()->orders, 0);
  auto young = order("alice", "young");
  young.order.expires_at_ms = clock_.now_ms + kDayMs;
  ASSERT_TRUE(store_->order_put(young));
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs;
  EXPECT_EQ(store_->sweep()->orders, 2);
  EXPECT_FALSE(store_->order_get({"old", "alice"})->order);
  EXPECT_FALSE(store_->authz_get({"old-a1", "alice"})->authz);
  EXPECT_TRUE(store_->order_get({"young", "alice"})->order);
  EXPECT_TRUE(store_->certificate_get({"cert-issued", "alice"})->certificate);
  add_account("bob");
  EXPECT_TRUE(store_->order_put([&] {
    auto again = order("bob", "old");  // every row of the old one is gone, its ids are free
    again.order.expires_at_ms = clock_.now_ms + 1;
    return again;
  }()));
}

TEST_F(StoreTest, Figures_AfterWrites_CountEachKind) {
  add_account("alice");
  add_order("alice", "t1", 2);
  add_order("alice", "t2");
  issue("t2");
  const auto figures = store_->row_figures();
  ASSERT_TRUE(figures);
  std::map<std::string_view, std::int64_t> rows;
  for (std::size_t i = 0; i < RowFigures::kKinds.size(); ++i)
    rows[RowFigures::kKinds[i]] = figures->rows[i];
  const std::map<std::string_view, std::int64_t> wanted = {
      {"account", 1},   {"earlier-key", 0}, {"order", 2},    {"authorization", 3},
      {"challenge", 6}, {"certificate", 1}, {"recovery", 0}, {"mail", 0}};
  EXPECT_EQ(rows, wanted);
  const auto files = store_->file_figures();
  ASSERT_TRUE(files);
  EXPECT_GT(files->database_bytes + files->log_bytes, 0);
  EXPECT_EQ(files->bytes_max, limits::kStoreBytesMax);
}

TEST_F(StoreTest, Sweep_LongExpiredCertificates_AreDeleted) {
  add_account("alice");
  add_order("alice", "t1");
  issue("t1");
  clock_.now_ms = kNowMs + 90 * kDayMs + limits::kCertificateRetentionMs;
  const auto swept = store_->sweep();
  EXPECT_EQ(swept->certificates, 1);
  EXPECT_FALSE(store_->certificate_get({"cert-t1", "alice"})->certificate);
}

TEST_F(StoreTest, Sweep_MoreThanOneTurn_IsBoundedAndGoesOn) {
  reopen({.directory = {}, .open_orders_per_account_max = 1'000'000});
  add_account("alice");
  const int count = limits::kSweepRowsMax * limits::kSweepBatchesMax + 10;
  for (int i = 0; i < count; ++i) add_order("alice", "t" + std::to_string(i));
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs;
  EXPECT_EQ(store_->sweep()->orders, limits::kSweepRowsMax * limits::kSweepBatchesMax);
  EXPECT_EQ(store_->sweep()->orders, 10);
  EXPECT_EQ(store_->sweep()->orders, 0);
}

TEST_F(StoreTest, Open_AfterWrites_FindsAllAgain) {
  add_account("alice");
  add_order("alice", "t1");
  issue("t1");
  reopen();
  EXPECT_EQ(order_status("t1"), wire::OrderStatus::kValid);
  EXPECT_TRUE(store_->certificate_get({"cert-t1", "alice"})->certificate);
  EXPECT_FALSE(store_->account_put({account("alice")})->created);
  EXPECT_TRUE(store_->check_integrity());
}

TEST_F(StoreTest, Full_Database_RefusesTheNewAndLosesNothing) {
  reopen({.directory = {},
          .bytes_max = 1 << 20,
          .reserve_bytes = 0,
          .open_orders_per_account_max = 1'000'000});
  add_account("alice");
  int kept = 0;
  std::string refused;
  for (int i = 0; i < 5'000 && refused.empty(); ++i) {
    const auto put = store_->order_put(order("alice", "t" + std::to_string(i)));
    if (put) {
      ++kept;
    } else {
      EXPECT_EQ(put.error().kind, wire::FailureKind::kExhausted);
      refused = put.error().code;
    }
  }
  EXPECT_EQ(refused, "store-full");
  EXPECT_FALSE(store_->failed());
  EXPECT_GT(kept, 100);
  reopen({.directory = {}, .bytes_max = 1 << 20, .reserve_bytes = 0});
  for (int i = 0; i < kept; ++i)
    ASSERT_TRUE(store_->order_get({"t" + std::to_string(i), "alice"})->order) << i;
  EXPECT_FALSE(store_->order_get({"t" + std::to_string(kept), "alice"})->order);
  EXPECT_TRUE(store_->check_integrity());
  // Expired rows make room again.
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs;
  ASSERT_TRUE(store_->sweep());
  auto later = order("alice", "later");
  later.order.expires_at_ms = clock_.now_ms + 1;
  EXPECT_TRUE(store_->order_put(later));
}

TEST_F(StoreTest, Filling_NothingNewIsBegunButWhatWasBegunEnds) {
  reopen({.directory = {},
          .bytes_max = 1 << 20,
          .reserve_bytes = 0,
          .open_orders_per_account_max = 1'000'000});
  add_account("alice");
  int count = 0;
  while (!store_->filling()) {
    for (int i = 0; i < 10; ++i) {
      const auto put = store_->order_put(order("alice", "t" + std::to_string(count)));
      ASSERT_TRUE(put) << put.error().code;
      ++count;
    }
    ASSERT_TRUE(store_->sweep());
  }
  EXPECT_EQ(store_->order_put(order("alice", "new")).error().code, "store-full");
  EXPECT_EQ(store_->account_put({account("bob")}).error().code, "store-full");
  issue("t0");
  EXPECT_TRUE(store_->certificate_get({"cert-t0", "alice"})->certificate);
}

TEST_F(StoreTest, LowDisk_NothingNewIsBegun) {
  reopen({.directory = {}, .reserve_bytes = std::int64_t{1} << 60});
  EXPECT_TRUE(store_->filling());
  EXPECT_EQ(store_->account_put({account("alice")}).error().code, "store-full");
}

TEST_F(StoreTest, Open_NotADatabase_IsCorrupt) {
  store_.reset();
  std::filesystem::remove(database() + "-wal");
  std::ofstream(database(), std::ios::trunc) << std::string(8192, 'x');
  const auto opened = Store::open({.directory = directory_.path()}, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
}

TEST_F(StoreTest, Open_AnotherProgramsDatabase_IsCorrupt) {
  TemporaryDirectory other;
  auto foreign = Connection::open(other.path() + "/keyward.db", Connection::Mode::kReadWriteCreate);
  ASSERT_TRUE(foreign && foreign->run("CREATE TABLE schema_version (version INTEGER)"));
  const auto opened = Store::open({.directory = other.path()}, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
}

TEST_F(StoreTest, Open_ANewerVersionsDatabase_IsRefused) {
  store_.reset();
  {
    auto newer = Connection::open(database(), Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(newer && newer->run("INSERT INTO schema_version VALUES (999, 0)"));
  }
  const auto opened = Store::open({.directory = directory_.path()}, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kRefused);
}

TEST_F(StoreTest, Open_NoSuchDirectory_IsUnavailable) {
  const auto opened = Store::open({.directory = directory_.path() + "/nowhere"}, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kUnavailable);
}

TEST_F(StoreTest, Damage_OnceSeen_RefusesEverything) {
  reopen({.directory = {}, .open_orders_per_account_max = 1'000'000});
  add_account("alice");
  for (int i = 0; i < 400; ++i) add_order("alice", "t" + std::to_string(i), 2);
  store_.reset();  // the last connection moves the log into the file
  {
    std::fstream file(database(), std::ios::in | std::ios::out | std::ios::binary);
    const auto bytes = std::filesystem::file_size(database());
    for (std::uintmax_t page = 12; page * 4096 < bytes; ++page) {
      file.seekp(static_cast<std::streamoff>(page * 4096));
      file << std::string(64, '\xff');
    }
  }
  auto opened = Store::open({.directory = directory_.path()}, clock_);
  if (!opened) {
    EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
    return;
  }
  store_ = std::move(*opened);
  EXPECT_EQ(store_->check_integrity().error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(store_->failed());
  EXPECT_EQ(store_->account_get({.id = "alice", .thumbprint = {}}).error().code, "store-failed");
  EXPECT_EQ(store_->account_put({account("bob")}).error().code, "store-failed");
  EXPECT_FALSE(store_->sweep());
}

TEST_F(StoreTest, Durable_ConcurrentAccounts_ShareSyncs) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  const auto before = store_->syncs();
  std::vector<std::thread> threads;
  std::atomic<int> created{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto put =
            store_->account_put({account("a" + std::to_string(t) + "-" + std::to_string(i))});
        if (put && put->created) ++created;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(created, kThreads * kEach);
  EXPECT_GT(store_->syncs(), before);
  EXPECT_LE(store_->syncs() - before, std::uint64_t{kThreads * kEach});
}

TEST_F(StoreTest, Durable_PromisedWritesSyncAndOthersDoNot) {
  add_account("alice");
  auto before = store_->syncs();
  add_order("alice", "t1");
  prove("t1");
  EXPECT_EQ(store_->syncs(), before);  // NORMAL
  ASSERT_TRUE(move("t1", wire::OrderStatus::kReady, wire::OrderStatus::kProcessing)->applied);
  EXPECT_EQ(store_->syncs(), before);
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(store_->syncs(), before + 1);
  ASSERT_TRUE(store_->flush());  // nothing new: nothing to do
  EXPECT_EQ(store_->syncs(), before + 1);
  before = store_->syncs();
  ASSERT_TRUE(move("t1", wire::OrderStatus::kProcessing, wire::OrderStatus::kValid)->applied);
  EXPECT_GT(store_->syncs(), before);
}

TEST_F(StoreTest, Concurrent_CompareAndSet_HasOneWinner) {
  add_account("alice");
  for (int round = 0; round < 20; ++round) {
    const auto ticket = "t" + std::to_string(round);
    add_order("alice", ticket);
    prove(ticket);
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        const auto reply = move(ticket, wire::OrderStatus::kReady, wire::OrderStatus::kProcessing);
        if (reply && reply->applied) ++winners;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
  }
}

}  // namespace
}  // namespace keyward::store
