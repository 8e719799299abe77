// Measures what one issuance costs in the real signer: newOrder, a grant and finalize over its
// sockets, SoftHSM behind the shim. Prints; fails only if an issuance does. Target: 0.45 ms of CPU
// (release build).
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kIssuances = 1'000;

struct CpuMs {
  double user = 0;
  double system = 0;
};

// proc_pid_stat(5): fields 14 and 15, counted behind the program's name.
CpuMs cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  std::istringstream fields(text.str().substr(text.str().rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  const double tick_ms = 1'000.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return {user * tick_ms, system * tick_ms};
}

TEST(SignerCost, OneClient_CpuPerIssuance) {
  SignerStage stage("budgets.account_per_hour = 100000\nbudgets.overall_per_hour = 100000");
  stage.start();
  const TestClient client;
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto issue_one = [&](int i) {
    const auto name = device("SN-" + std::to_string(i));
    const auto made = stage.call(TaskId::kAcme, client.new_order({name}));
    if (!made || !stage.attest(client, name, made->ticket, key.public_key())) return false;
    return stage.call(TaskId::kAcme, client.finalize(*made, make_csr(key, {name}))).has_value();
  };
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(issue_one(i));
  const auto before = cpu_of(stage.pid());
  const auto begin_ms = system_clock().monotonic_ms();
  for (int i = 0; i < kIssuances; ++i) ASSERT_TRUE(issue_one(1'000 + i));
  const auto wall_ms = system_clock().monotonic_ms() - begin_ms;
  const auto after = cpu_of(stage.pid());
  std::printf("issuances %d  wall %.3f ms each  signer CPU %.3f ms each (user %.3f, system %.3f)\n",
              kIssuances, static_cast<double>(wall_ms) / kIssuances,
              (after.user - before.user + after.system - before.system) / kIssuances,
              (after.user - before.user) / kIssuances, (after.system - before.system) / kIssuances);
  const auto begin_read = std::chrono::steady_clock::now();
  const auto ledger = issue::read_ledger(stage.ledger_directory(),
                                         [](const auto&, const auto&) -> Status { return {}; });
  ASSERT_TRUE(ledger);
  const std::chrono::duration<double, std::micro> read_us =
      std::chrono::steady_clock::now() - begin_read;
  std::printf("ledger: %llu octets, %.1f us to read and check a row\n",
              static_cast<unsigned long long>(ledger->last_segment_bytes),
              read_us.count() / static_cast<double>(ledger->rows));
}

}  // namespace
}  // namespace keyward::test
