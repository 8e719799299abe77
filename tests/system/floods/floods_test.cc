// What happens to clients that behave while others do not: a whole appliance, one flood after the
// other, and enrolments from another address beside each (docs/operations/floods.md). Every flood
// prints what it took.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <gtest/gtest.h>
#include <poll.h>

#include "hal/base/clock.h"
#include "tests/support/memory/memory.h"

#include "flood.h"
#include "good_client.h"

namespace keyward::test {
namespace {

bool is_long() { return std::getenv("KEYWARD_FLOOD_LONG") != nullptr; }

constexpr std::int64_t kEnrolMsMax = 60'000;  // during a flood, on a machine that also floods
constexpr std::int64_t kCalmMs = 60'000;
constexpr long kAcmeKibMax = 512 * 1'024;
constexpr long kOtherKibMax = 384 * 1'024;
constexpr long kFilesMax = 1'200;  // two for each place, and what is there anyway
constexpr int kSilentNames = 56;
constexpr const char* kTasks[] = {"acme", "store", "validation", "attestation", "signer"};
constexpr const char* kGoodName = "good.plant.example";

std::string silent_name(int number) { return "silent" + std::to_string(number) + ".plant.example"; }

long open_files(int pid) {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", error);
  return error ? -1 : std::distance(all, std::filesystem::directory_iterator{});
}

class Floods : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    names = std::make_unique<NameServers>();
    std::vector<std::string> options{"--quiet", "--http-port", std::to_string(names->port()),
                                     "--host", std::string(kGoodName) + "=127.0.0.1"};
    for (int i = 0; i < kSilentNames; ++i)
      options.insert(options.end(), {"--host", silent_name(i) + "=127.0.0.9"});
    // The product's own defaults, which a simulator has not.
    for (const char* line : {"acme.connections_per_address=128", "acme.connects_per_address_s=200",
                             "acme.requests_per_address_s=1000"})
      options.insert(options.end(), {"--set", line});
    simulator = std::make_unique<Simulator>(options);
    ASSERT_TRUE(simulator->started()) << simulator->output();
    target = target_of(*simulator);
    for (const char* task : kTasks) pids[task] = simulator->pid_of(task);
    calm_ms = enrolled("before").took_ms;
    files = open_files(pids["acme"]);
  }
  static void TearDownTestSuite() {
    simulator.reset();
    names.reset();
  }

  static Enrolment enrolled(const std::string& when) {
    auto out = enrol(target.directory_url, target.ca_file, kGoodName, *names, kEnrolMsMax);
    EXPECT_TRUE(out.done) << when << ": " << out.step;
    return out;
  }

  // Enrolments beside the flood, once it stands; then without it, and everything as it was.
  void withstand(const std::string& name, int threads, const Flood::Body& body,
                 std::uint64_t stands_at) {
    std::int64_t worst_ms = 0;
    int turned_away = 0;
    {
      const Flood flood(threads, body);
      const auto& counts = flood.counts();
      const auto standing = Deadline::after_ms(60'000);
      while (counts.tried < stands_at && !standing.passed()) ::poll(nullptr, 0, 50);
      EXPECT_GE(counts.tried, stands_at) << "this is not a flood";
      const int enrolments = is_long() ? 10 : 2;
      for (int i = 0; i < enrolments; ++i) {
        const auto one = enrolled(name);
        worst_ms = std::max(worst_ms, one.took_ms);
        turned_away += one.turned_away;
        measure();
      }
      std::cout << "[flood] " << name << ": tried " << counts.tried << ", served " << counts.served
                << ", refused " << counts.refused << ", held " << counts.held << "; enrolment "
                << calm_ms << " ms before, at worst " << worst_ms << " ms beside it ("
                << turned_away << " requests again)";
    }
    const auto after = enrolled("after " + name);
    std::cout << ", " << after.took_ms << " ms after; MiB:";
    for (const char* task : kTasks) std::cout << " " << task << " " << most_kib[task] / 1'024;
    std::cout << "; files of acme " << most_files << "\n";
    expect_calm();
  }

  void measure() {
    for (const char* task : kTasks)
      most_kib[task] = std::max(most_kib[task], resident_kib(pids[task]));
    most_files = std::max(most_files, open_files(pids["acme"]));
  }

  void expect_calm() {
    const bool any_size = memory_is_the_sanitizers();
    for (const char* task : kTasks) {
      EXPECT_EQ(simulator->pid_of(task), pids[task]) << task << " is another process";
      if (any_size) continue;
      EXPECT_LT(most_kib[task], std::string(task) == "acme" ? kAcmeKibMax : kOtherKibMax) << task;
    }
    EXPECT_LT(most_files, kFilesMax);
    EXPECT_EQ(simulator->state(), "operational");
    const auto deadline = Deadline::after_ms(kCalmMs);
    while (open_files(pids["acme"]) > files + 16 && !deadline.passed()) ::poll(nullptr, 0, 100);
    EXPECT_LE(open_files(pids["acme"]), files + 16)
        << "connections that nobody has are still there";
  }

  static int connections() { return is_long() ? 10'000 : 1'500; }
  static int addresses() { return is_long() ? 40 : 10; }

  static inline std::unique_ptr<NameServers> names;
  static inline std::unique_ptr<Simulator> simulator;
  static inline FloodTarget target;
  static inline std::map<std::string, int> pids;
  static inline std::int64_t calm_ms = 0;
  static inline long files = 0;
  std::map<std::string, long> most_kib;
  long most_files = 0;
};

TEST_F(Floods, IdleConnections_OthersEnrol) {
  withstand("idle TLS connections", 4, idle_connections(target, connections(), 4, addresses()),
            static_cast<std::uint64_t>(connections()));
}

TEST_F(Floods, IdleConnectionsOfManyAddresses_OthersEnrol) {
  withstand("idle TLS connections of 240 addresses", 4,
            idle_connections(target, connections(), 4, 240),
            static_cast<std::uint64_t>(connections()));
}

TEST_F(Floods, HandshakesNeverFinished_OthersEnrol) {
  withstand("handshakes never finished", 4, slow_handshakes(target, connections(), 4, addresses()),
            static_cast<std::uint64_t>(connections()));
}

TEST_F(Floods, SlowHeaders_OthersEnrol) {
  withstand("slow headers", 4, slow_headers(target, connections() / 2, 4, addresses()), 600);
}

TEST_F(Floods, SlowBodies_OthersEnrol) {
  withstand("slow bodies", 4, slow_bodies(target, connections() / 2, 4, addresses()), 600);
}

TEST_F(Floods, HugeRequests_OthersEnrol) {
  withstand("huge headers and bodies", 4, huge_requests(target, 4), 40);
}

TEST_F(Floods, Nonces_OthersEnrol) {
  withstand("nonces", 8, nonces(target, 4), is_long() ? 50'000 : 2'000);
}

TEST_F(Floods, Accounts_OthersEnrol) {
  withstand("new accounts", 8, accounts(target, 4), is_long() ? 4'000 : 200);
}

TEST_F(Floods, OrdersOfOneAccount_OthersEnrol) {
  withstand("orders of one account", 8, orders(target, 4), 800);
}

TEST_F(Floods, ChallengesForSilentHosts_OthersEnrol) {
  std::vector<std::string> silent;
  for (int i = 0; i < kSilentNames; ++i) silent.push_back(silent_name(i));
  const int accounts = is_long() ? 12 : 2;
  withstand("challenges for silent hosts", accounts, challenges(target, silent, accounts), 100);
}

}  // namespace
}  // namespace keyward::test
