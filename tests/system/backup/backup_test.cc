// A running unit is backed up, is lost, and goes on as another unit with another TPM and an HSM that got
// the keys: the same CA, the same ledger, and what was lost after the backup is signed into its next head.
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "firmware/config/config.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kPatienceMs = 90'000;

CommandResult ctl(std::vector<std::string> words) {
  words.insert(words.begin(), keyward_binary("keywardctl"));
  return run_command(words);
}

std::string status_of(const Simulator& sim) { return sim.run({"status"}).output; }

bool wait_for(const Simulator& sim, const std::function<bool()>& condition) {
  const auto deadline = Deadline::after_ms(kPatienceMs);
  while (!deadline.passed()) {
    if (condition()) return true;
    ::poll(nullptr, 0, 250);
  }
  ADD_FAILURE() << status_of(sim);
  return false;
}

std::string pin_of(const Simulator& sim) {
  auto document = config::Document::load(sim.dir() + "/offline/pins.toml");
  return document.root().string("issuing_pin");
}

TEST(Backup, OfARunningUnit_RestoredOnAnother_IssuesWithTheSameCaAndKnowsTheLoss) {
  const TempDir work;
  const auto first = std::make_unique<Simulator>(std::vector<std::string>{"--quiet"});
  ASSERT_TRUE(first->started()) << first->output();
  write_file(work.path("pin"), view_of(pin_of(*first)));
  const std::vector<std::string> custodians = {"--custodian", "Ada",         "--custodian",
                                               "Bo",          "--custodian", "Cy"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), custodians.begin(), custodians.end());
    return ctl(words);
  };
  auto done = with({"recovery", "create", "--unit", "sim", "--pin-file", work.path("pin"),
                    "--threshold", "2", "--out", work.path("pin-shares")});
  ASSERT_EQ(done.status, 0) << done.output;
  done = with({"backup", "key", "--threshold", "2", "--out", work.path("backup-shares")});
  ASSERT_EQ(done.status, 0) << done.output;
  const auto eab = ctl({"eab", "add", first->dir() + "/state/attestation"});
  ASSERT_EQ(eab.status, 0);

  const std::string file = work.path("unit.kwbackup");
  done = ctl({"backup", "create", first->dir() + "/keyward.toml", "--out", file, "--to",
              work.path("backup-shares/backup-key.pem"), "--tokens", "--include",
              work.path("pin-shares/recovery-slot.json")});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(first->state(), "operational");
  const auto root = read_whole_file(first->dir() + "/ca/root.pem");
  EXPECT_EQ(ctl({"backup", "show", file}).status, 0);

  const auto share = [&](const std::string& name) {
    return work.path("backup-shares/" + name + ".share");
  };
  done = ctl({"backup", "verify", file, "--share", share("01-Ada"), "--share", share("03-Cy")});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_NE(done.output.find("state/store/keyward.db"), std::string::npos);
  EXPECT_NE(done.output.find("state/attestation/"), std::string::npos);
  EXPECT_EQ(done.output.find("ticket.key"), std::string::npos);
  EXPECT_EQ(done.output.find("hsm-pin"), std::string::npos);
  done = ctl({"backup", "verify", file, "--share", share("01-Ada")});
  EXPECT_NE(done.output.find("1 more share"), std::string::npos) << done.output;
  done = ctl({"backup", "verify", file, "--share", work.path("pin-shares/01-Ada.share"), "--share",
              work.path("pin-shares/02-Bo.share")});
  EXPECT_NE(done.status, 0);

  // The loss; another unit, whose TPM has seen other heads.
  static_cast<void>(first->run({"down"}));
  const Simulator second({"--quiet"});
  ASSERT_TRUE(second.started()) << second.output();
  done = ctl({"restore", file, second.dir() + "/keyward.toml", "--share", share("01-Ada"),
              "--share", share("02-Bo")});
  EXPECT_EQ(done.status, 64) << done.output;  // it runs
  ASSERT_EQ(second.run({"down"}).status, 0);
  done = ctl({"restore", file, second.dir() + "/keyward.toml", "--share", share("01-Ada"),
              "--share", share("02-Bo")});
  EXPECT_EQ(done.status, 1) << done.output;  // it has a ledger
  const auto conf = read_whole_file(second.dir() + "/state/signer/softhsm2.conf");
  fs::remove_all(second.dir() + "/state");
  fs::remove_all(second.dir() + "/backup");
  done = ctl({"restore", file, second.dir() + "/keyward.toml", "--share", share("01-Ada"),
              "--share", share("02-Bo")});
  ASSERT_EQ(done.status, 0) << done.output;
  write_file(second.dir() + "/state/signer/softhsm2.conf", conf);
  EXPECT_EQ(read_whole_file(second.dir() + "/ca/root.pem"), root);

  CommandResult up;
  std::thread start([&] { up = second.run({"up", "--quiet"}); });
  EXPECT_TRUE(wait_for(second, [&] { return second.state() == "locked"; }));
  done = ctl({"unlock", second.dir() + "/keyward.toml", "--recovery",
              second.dir() + "/ca/included/recovery-slot.json", "--share",
              work.path("pin-shares/02-Bo.share"), "--share", work.path("pin-shares/03-Cy.share")});
  EXPECT_EQ(done.status, 0) << done.output;
  const std::string refused = second.dir() + "/state/signer/audit/refused.json";
  EXPECT_TRUE(wait_for(second, [&] {
    return status_of(second).find("not taken") != std::string::npos || file_exists(refused) ||
           second.state() == "operational";
  }));
  EXPECT_NE(second.state(), "operational");  // it does not go on as if nothing had happened
  done = ctl({"audit", "accept-rollback", second.dir() + "/state/signer", "--reason",
              "restored from a backup"});
  EXPECT_EQ(done.status, 0) << done.output << status_of(second);
  EXPECT_TRUE(wait_for(second, [&] { return second.state() == "operational"; }));
  start.join();
  EXPECT_EQ(up.status, 0) << up.output;

  const std::string exported = work.path("export.kwaudit");
  write_file(work.path("root.pem"), root);
  // The next head says it; it may not be signed yet when the state says that all is well.
  EXPECT_TRUE(wait_for(second, [&] {
    (void)::unlink(exported.c_str());
    done = ctl({"audit", "export", second.dir() + "/state/signer", "--out", exported});
    if (done.status != 0) return false;
    done = ctl({"audit", "verify", exported, "--root", work.path("root.pem")});
    return done.output.find("restored from a backup") != std::string::npos;
  })) << done.output;
  EXPECT_EQ(done.status, 0) << done.output;
}

}  // namespace
}  // namespace keyward::test
