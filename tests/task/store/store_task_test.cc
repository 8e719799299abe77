// The real keyward-store, spoken to as supervisor and acme.
#include <fstream>
#include <thread>

#include "firmware/task/task.h"
#include "firmware/wire/messages/grant_name.h"
#include "tests/support/task_process/task_process.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::TaskId;

class StoreTaskTest : public ::testing::Test {
 protected:
  ~StoreTaskTest() override {
    if (HasFailure()) std::fputs(test::log_text(log()).c_str(), stderr);
  }
  std::string log() const { return directory_.path() + "/store.log"; }
  std::string state_dir() const { return directory_.path() + "/state"; }
  bool begin(const std::string& more = "") {
    std::filesystem::create_directories(state_dir());
    const std::string config = "state_dir = \"" + state_dir() + "\"\n" + more +
                               "[appliance]\nbase_url = \"https://ca.example\"\n";
    return task_.start("keyward-store", TaskId::kStore, config, {{TaskId::kAcme, true}}, log());
  }
  void start(const std::string& more = "") {
    ASSERT_TRUE(begin(more));
    ASSERT_TRUE(task_.wait_ready());
    store_.emplace(TaskId::kStore);
    store_->rebind(task_.take(TaskId::kAcme));
  }
  wire::OrderPut fresh_order(const std::string& account_id, const std::string& ticket) {
    auto put = order(account_id, ticket);
    put.order.expires_at_ms = put.authorizations[0].expires_at_ms =
        system_clock().utc_ms() + kDayMs;
    return put;
  }
  // One enrolment's calls; true once the certificate is acknowledged.
  bool enrol(const std::string& account_id, const std::string& ticket) {
    if (!store_->call(fresh_order(account_id, ticket))) return false;
    if (!store_->call(wire::AuthzGet{ticket + "-a0", account_id})) return false;
    if (!store_->call(wire::ChallengeUpdate{ticket + "-a0-c0",
                                            wire::ChallengeStatus::kPending,
                                            wire::ChallengeStatus::kValid,
                                            1,
                                            {},
                                            {}}))
      return false;
    wire::OrderUpdate update;
    update.ticket = ticket;
    update.expected = wire::OrderStatus::kReady;
    update.status = wire::OrderStatus::kProcessing;
    update.finalize = finalize();
    if (!store_->call(update)) return false;
    update.expected = wire::OrderStatus::kProcessing;
    update.status = wire::OrderStatus::kValid;
    update.finalize.reset();
    update.certificate = certificate(account_id, ticket);
    const auto valid = store_->call(update);
    return valid && valid->applied;
  }

  TemporaryDirectory directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> store_;
};

TEST_F(StoreTaskTest, Enrolment_OverTheWire_EndsInACertificate) {
  start();
  ASSERT_TRUE(store_->call(wire::AccountPut{account("alice")})->created);
  ASSERT_TRUE(enrol("alice", "t1"));
  const auto order = store_->call(wire::OrderGet{"t1", "alice"});
  ASSERT_TRUE(order && order->order);
  EXPECT_EQ(order->order->status, wire::OrderStatus::kValid);
  EXPECT_TRUE(store_->call(wire::CertificateGet{"cert-t1", "alice"})->certificate);
  EXPECT_FALSE(store_->call(wire::CertificateGet{"cert-t1", "bob"})->certificate);
  EXPECT_EQ(store_->call(wire::OrderList{"alice", {}})->tickets.size(), 1u);
  EXPECT_TRUE(store_->call(wire::WorkList{})->orders.empty());
  const auto refused = store_->call(wire::OrderPut{fresh_order("nobody", "t2")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "account-unknown");
  task_.send_stop();
  EXPECT_EQ(task_.wait_exit(), 0);
}

TEST_F(StoreTaskTest, Figures_OfFilesAndRows_AreReported) {
  start();
  ASSERT_TRUE(store_->call(wire::AccountPut{account("alice")})->created);
  ASSERT_TRUE(enrol("alice", "t1"));
  EXPECT_GT(task_.wait_metric("keyward_store_file_bytes", R"(file="database")", 1), 0);
  EXPECT_GT(task_.wait_metric("keyward_store_file_bytes", R"(file="log")", 1), 0);
  EXPECT_EQ(task_.wait_metric("keyward_store_file_limit_bytes", "", 1), limits::kStoreBytesMax);
  EXPECT_GT(task_.wait_metric("keyward_store_disk_free_bytes", "", 1), 0);
  EXPECT_GT(task_.wait_metric("keyward_store_disk_size_bytes", "", 1), 0);
  EXPECT_EQ(task_.wait_metric("keyward_store_filling", "", 0), 0);
  EXPECT_GE(task_.wait_metric("keyward_store_rows", R"(kind="certificate")", 0), 0);
  EXPECT_EQ(task_.wait_metric("keyward_store_swept_rows_total", R"(kind="order")", 0), 0);
  task_.send_stop();
  EXPECT_EQ(task_.wait_exit(), 0);
}

TEST_F(StoreTaskTest, EveryFurtherOperation_IsServedOverTheWire) {
  start();
  ASSERT_TRUE(store_->call(wire::AccountPut{account("alice")})->created);
  auto alone = lone_authz("alice", "z1", "pump.plant.example");
  alone.expires_at_ms = system_clock().utc_ms() + kDayMs;
  ASSERT_TRUE(store_->call(wire::AuthzPut{alone}));
  ASSERT_TRUE(store_->call(wire::ChallengeUpdate{"z1-c0",
                                                 wire::ChallengeStatus::kPending,
                                                 wire::ChallengeStatus::kValid,
                                                 1,
                                                 {},
                                                 alone.expires_at_ms}));
  const auto found =
      store_->call(wire::AuthzFind{"alice", {{wire::IdentifierType::kDns, "pump.plant.example"}}});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->authorizations.size(), 1u);
  auto relying = relying_order("alice", "t1", {"z1"});
  relying.order.expires_at_ms = alone.expires_at_ms;
  ASSERT_TRUE(store_->call(relying));
  ASSERT_TRUE(enrol("alice", "t2"));
  const auto serial = certificate("alice", "t2").serial;
  EXPECT_TRUE(store_->call(wire::CertificateFind{serial})->certificate);
  EXPECT_TRUE(store_->call(wire::CertificateMark{serial, 5, 1})->applied);
  wire::AccountRekey rekey{"alice", account("alice").thumbprint, account("new").thumbprint,
                           account("new").jwk, true};
  EXPECT_TRUE(store_->call(rekey)->applied);
  wire::RecoveryRecord recovery;
  recovery.id = "r1";
  recovery.account_id = "nobody";
  recovery.jwk = "{}";
  recovery.status = wire::RecoveryStatus::kPending;
  recovery.expires_at_ms = alone.expires_at_ms;
  EXPECT_TRUE(store_->call(wire::RecoveryPut{recovery}));
  EXPECT_EQ(store_->call(wire::RecoveryGet{"r1", {}})->recoveries.size(), 1u);
  EXPECT_TRUE(store_
                  ->call(wire::RecoveryUpdate{
                      "r1", wire::RecoveryStatus::kPending, wire::RecoveryStatus::kInvalid, {}, {}})
                  ->applied);
  EXPECT_TRUE(store_->call(wire::MailPut{{"m1", "a@b.example", "s", "t", 1, 1, 0}}));
  EXPECT_EQ(store_->call(wire::MailTake{})->mails.size(), 1u);
  EXPECT_TRUE(store_->call(wire::MailDone{"m1", {}}));
  EXPECT_TRUE(store_->call(wire::MailTake{})->mails.empty());
  task_.send_stop();
  EXPECT_EQ(task_.wait_exit(), 0);
}

// The largest answer passes in both directions, and outlives the process that was judging it.
TEST_F(StoreTaskTest, LargestAnswer_KillNine_IsThereUntilItIsDecided) {
  start();
  ASSERT_TRUE(store_->call(wire::AccountPut{account("alice")})->created);
  auto put = fresh_order("alice", "t1");
  put.authorizations[0].identifier = {wire::IdentifierType::kRemoteAttestation, "measured_boot"};
  put.authorizations[0].challenges.resize(1);
  put.authorizations[0].challenges[0].method = wire::ValidationMethod::kRemoteAttest01;
  ASSERT_TRUE(store_->call(put));
  wire::ChallengeUpdate update{
      "t1-a0-c0", wire::ChallengeStatus::kPending, wire::ChallengeStatus::kProcessing, {}, {}, {}};
  update.answer = Bytes(limits::kEvidenceBytesMax, 0x5a);
  ASSERT_TRUE(store_->call(update)->applied);
  task_.kill_now();
  start();
  EXPECT_EQ(store_->call(wire::WorkList{})->challenges.size(), 1u);
  const auto kept = store_->call(wire::AuthzGet{"t1-a0", "alice"});
  ASSERT_TRUE(kept && kept->authz);
  EXPECT_EQ(kept->authz->challenges[0].answer, update.answer);
  ASSERT_TRUE(store_->call(wire::ChallengeUpdate{
      "t1-a0-c0", wire::ChallengeStatus::kProcessing, wire::ChallengeStatus::kValid, 1, {}, {}}));
  EXPECT_FALSE(store_->call(wire::AuthzGet{"t1-a0", "alice"})->authz->challenges[0].answer);
  EXPECT_EQ(store_->call(wire::OrderGet{"t1", "alice"})->order->status, wire::OrderStatus::kReady);
}

// What a client was told of its key outlives the process: killed right after each answer.
TEST_F(StoreTaskTest, KillNine_AfterKeyChanges_KeepsEachOfThem) {
  start();
  ASSERT_TRUE(store_->call(wire::AccountPut{account("key0")})->created);
  for (int i = 0; i < 6; ++i) {
    const auto from = account("key" + std::to_string(i));
    const auto to = account("key" + std::to_string(i + 1));
    const auto changed =
        store_->call(wire::AccountRekey{"key0", from.thumbprint, to.thumbprint, to.jwk, false});
    task_.kill_now();
    ASSERT_TRUE(changed && changed->applied) << i;
    start();
    const auto found = store_->call(wire::AccountGet{.id = {}, .thumbprint = to.thumbprint});
    ASSERT_TRUE(found && found->account) << i;
    EXPECT_EQ(found->account->id, "key0");
    EXPECT_EQ(found->account->earlier_keys.size(), static_cast<std::size_t>(i + 1));
    EXPECT_FALSE(store_->call(wire::AccountGet{.id = {}, .thumbprint = from.thumbprint})->account);
  }
}

// Killed at whatever moment, again and again: what was acknowledged as durable is there afterwards.
TEST_F(StoreTaskTest, KillNine_UnderWrites_KeepsAllThatWasAcknowledged) {
  constexpr int kRounds = 8;
  constexpr int kThreads = 3;
  constexpr int kBeforeKill = 60;
  std::vector<std::string> accounts;
  std::vector<std::pair<std::string, std::string>> issued;  // account, ticket
  std::mutex mutex;
  for (int round = 0; round < kRounds; ++round) {
    start();
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0;; ++i) {
          const auto id = std::to_string(round) + "." + std::to_string(t) + "." + std::to_string(i);
          const auto put = store_->call(wire::AccountPut{account(id)});
          if (!put) return;
          {
            const std::lock_guard lock(mutex);
            accounts.push_back(id);
          }
          if (!enrol(id, "t" + id)) return;
          {
            const std::lock_guard lock(mutex);
            issued.emplace_back(id, "t" + id);
          }
          ++done;
        }
      });
    }
    const auto deadline = Deadline::after_ms(20'000);
    while (done < kBeforeKill + round * 7 && !deadline.passed()) std::this_thread::yield();
    task_.kill_now();
    for (auto& thread : threads) thread.join();
    EXPECT_GE(done, kBeforeKill);
  }
  start();
  for (const auto& id : accounts) {
    const auto found = store_->call(wire::AccountGet{.id = id, .thumbprint = {}});
    ASSERT_TRUE(found && found->account) << id;
  }
  for (const auto& [id, ticket] : issued) {
    const auto order = store_->call(wire::OrderGet{ticket, id});
    ASSERT_TRUE(order && order->order) << ticket;
    ASSERT_EQ(order->order->status, wire::OrderStatus::kValid) << ticket;
    ASSERT_TRUE(store_->call(wire::CertificateGet{"cert-" + ticket, id})->certificate) << ticket;
  }
  ASSERT_FALSE(issued.empty());
  task_.send_stop();
  EXPECT_EQ(task_.wait_exit(), 0);
}

TEST_F(StoreTaskTest, MessageOfAnotherEdge_IsFatal) {
  start();
  EXPECT_FALSE(store_->call(wire::GrantName{}));
  EXPECT_EQ(task_.wait_exit(), task::kExitProtocol);
  EXPECT_NE(test::log_text(log()).find("may not send"), std::string::npos);
}

TEST_F(StoreTaskTest, MalformedFrames_AreFatal) {
  const std::vector<Bytes> frames = {
      {0x00},
      {0x83},
      to_bytes("not cbor at all"),
      Bytes(5, 0xff),
      [] {  // a known request with one byte too many
        auto frame = wire::encode_frame(1, wire::WorkList{});
        frame.push_back(0);
        return frame;
      }(),
      [] {
        auto frame = wire::encode_frame(1, wire::AccountGet{.id = "alice", .thumbprint = {}});
        frame.pop_back();
        return frame;
      }(),
      wire::encode_frame(1, wire::WorkListReply{}),  // a reply to no request
  };
  for (const auto& frame : frames) {
    ASSERT_TRUE(begin());
    ASSERT_TRUE(task_.wait_ready());
    auto end = task_.take(TaskId::kAcme);
    ASSERT_TRUE(task::send_frame(end.get(), frame, {}, Deadline::after_ms(1'000)));
    EXPECT_EQ(task_.wait_exit(), task::kExitProtocol) << hex_encode(frame);
  }
}

TEST_F(StoreTaskTest, AttachedDescriptor_IsFatal) {
  ASSERT_TRUE(begin());
  ASSERT_TRUE(task_.wait_ready());
  auto end = task_.take(TaskId::kAcme);
  const int attached[] = {0};
  const auto frame = wire::encode_frame(1, wire::WorkList{});
  ASSERT_TRUE(task::send_frame(end.get(), frame, attached, Deadline::after_ms(1'000)));
  EXPECT_EQ(task_.wait_exit(), task::kExitProtocol);
}

TEST_F(StoreTaskTest, DamagedDatabase_IsToldAndEverythingIsRefused) {
  std::filesystem::create_directories(state_dir());
  std::ofstream(state_dir() + "/keyward.db") << std::string(8192, 'x');
  start();
  EXPECT_TRUE(task_.wait_state("failed"));
  const auto put = store_->call(wire::AccountPut{account("alice")});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, "store-failed");
  EXPECT_EQ(put.error().kind, wire::FailureKind::kCorrupt);
}

TEST_F(StoreTaskTest, FullDatabase_RefusesTheNewAndKeepsTheOld) {
  start("bytes_max = 1048576\nreserve_bytes = 0\n");
  std::string refused;
  int kept = 0;
  for (int i = 0; i < 2'000 && refused.empty(); ++i) {
    auto large = account("a" + std::to_string(i));
    large.jwk.append(1'800, ' ');
    const auto put = store_->call(wire::AccountPut{large});
    if (put) {
      ++kept;
    } else {
      refused = put.error().code;
      EXPECT_EQ(put.error().kind, wire::FailureKind::kExhausted);
    }
  }
  EXPECT_EQ(refused, "store-full");
  for (int i = 0; i < kept; ++i) {
    ASSERT_TRUE(
        store_->call(wire::AccountGet{.id = "a" + std::to_string(i), .thumbprint = {}})->account)
        << i;
  }
}

TEST_F(StoreTaskTest, UnknownKey_EndsWithTheConfigurationStatus) {
  ASSERT_TRUE(begin("bytez_max = 5\n"));
  EXPECT_FALSE(task_.wait_ready(5'000));
  EXPECT_EQ(task_.wait_exit(), task::kExitConfig);
}

}  // namespace
}  // namespace keyward::store
