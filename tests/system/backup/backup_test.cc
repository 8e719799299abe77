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

class Backup : public ::testing::Test {
 protected:
  void make_shares() {
    const std::vector<std::string> custodians = {"--custodian", "Ada",         "--custodian",
                                                 "Bo",          "--custodian", "Cy"};
    const auto with = [&](std::vector<std::string> words) {
      words.insert(words.end(), custodians.begin(), custodians.end());
      return ctl(words);
    };
    auto done = with({"recovery", "create", "--unit", "sim", "--pin-file", work_.path("pin"),
                      "--threshold", "2", "--out", work_.path("pin-shares")});
    ASSERT_EQ(done.status, 0) << done.output;
    done = with({"backup", "key", "--threshold", "2", "--out", work_.path("backup-shares")});
    ASSERT_EQ(done.status, 0) << done.output;
  }

  std::string share(const std::string& name) const {
    return work_.path("backup-shares/" + name + ".share");
  }

  void expect_it_opens_with_two_right_shares_only() {
    auto done =
        ctl({"backup", "verify", file_, "--share", share("01-Ada"), "--share", share("03-Cy")});
    ASSERT_EQ(done.status, 0) << done.output;
    EXPECT_NE(done.output.find("state/store/keyward.db"), std::string::npos);
    EXPECT_NE(done.output.find("state/attestation/"), std::string::npos);
    EXPECT_EQ(done.output.find("ticket.key"), std::string::npos);
    EXPECT_EQ(done.output.find("hsm-pin"), std::string::npos);
    done = ctl({"backup", "verify", file_, "--share", share("01-Ada")});
    EXPECT_NE(done.output.find("1 more share"), std::string::npos) << done.output;
    done = ctl({"backup", "verify", file_, "--share", work_.path("pin-shares/01-Ada.share"),
                "--share", work_.path("pin-shares/02-Bo.share")});
    EXPECT_NE(done.status, 0);
  }

  CommandResult restore(const Simulator& unit) const {
    return ctl({"restore", file_, unit.dir() + "/keyward.toml", "--share", share("01-Ada"),
                "--share", share("02-Bo")});
  }

  // Refused while it runs, and while it has a ledger.
  void restore_on_an_emptied(const Simulator& unit) {
    auto done = restore(unit);
    EXPECT_EQ(done.status, 64) << done.output;  // it runs
    ASSERT_EQ(unit.run({"down"}).status, 0);
    done = restore(unit);
    EXPECT_EQ(done.status, 1) << done.output;  // it has a ledger
    const auto conf = read_whole_file(unit.dir() + "/state/signer/softhsm2.conf");
    fs::remove_all(unit.dir() + "/state");
    fs::remove_all(unit.dir() + "/backup");
    done = restore(unit);
    ASSERT_EQ(done.status, 0) << done.output;
    write_file(unit.dir() + "/state/signer/softhsm2.conf", conf);
  }

  // Its TPM has seen other heads: an operator's word is asked for.
  void unlock_and_accept_the_loss(const Simulator& unit) {
    EXPECT_TRUE(wait_for(unit, [&] { return unit.state() == "locked"; }));
    auto done = ctl({"unlock", unit.dir() + "/keyward.toml", "--recovery",
                     unit.dir() + "/ca/included/recovery-slot.json", "--share",
                     work_.path("pin-shares/02-Bo.share"), "--share",
                     work_.path("pin-shares/03-Cy.share")});
    EXPECT_EQ(done.status, 0) << done.output;
    const std::string refused = unit.dir() + "/state/signer/audit/refused.json";
    EXPECT_TRUE(wait_for(unit, [&] {
      return status_of(unit).find("not taken") != std::string::npos || file_exists(refused) ||
             unit.state() == "operational";
    }));
    EXPECT_NE(unit.state(), "operational");  // it does not go on as if nothing had happened
    done = ctl({"audit", "accept-rollback", unit.dir() + "/state/signer", "--reason",
                "restored from a backup"});
    EXPECT_EQ(done.status, 0) << done.output << status_of(unit);
    EXPECT_TRUE(wait_for(unit, [&] { return unit.state() == "operational"; }));
  }

  // At once: nothing is issued before a signed head says who accepted the loss.
  void expect_the_loss_on_record(const Simulator& unit, const Bytes& root) {
    const std::string exported = work_.path("export.kwaudit");
    write_file(work_.path("root.pem"), root);
    auto done = ctl({"audit", "export", unit.dir() + "/state/signer", "--out", exported});
    ASSERT_EQ(done.status, 0) << done.output;
    done = ctl({"audit", "verify", exported, "--root", work_.path("root.pem")});
    EXPECT_EQ(done.status, 0) << done.output;
    EXPECT_NE(done.output.find("restored from a backup"), std::string::npos) << done.output;
  }

  const TempDir work_;
  const std::string file_ = work_.path("unit.kwbackup");
};

TEST_F(Backup, OfARunningUnit_RestoredOnAnother_IssuesWithTheSameCaAndKnowsTheLoss) {
  const auto first = std::make_unique<Simulator>(std::vector<std::string>{"--quiet"});
  ASSERT_TRUE(first->started()) << first->output();
  write_file(work_.path("pin"), view_of(pin_of(*first)));
  make_shares();
  ASSERT_EQ(ctl({"eab", "add", first->dir() + "/state/attestation"}).status, 0);
  const auto done = ctl({"backup", "create", first->dir() + "/keyward.toml", "--out", file_, "--to",
                         work_.path("backup-shares/backup-key.pem"), "--tokens", "--include",
                         work_.path("pin-shares/recovery-slot.json")});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(first->state(), "operational");
  const auto root = read_whole_file(first->dir() + "/ca/root.pem");
  EXPECT_EQ(ctl({"backup", "show", file_}).status, 0);
  expect_it_opens_with_two_right_shares_only();

  static_cast<void>(first->run({"down"}));  // the loss
  const Simulator second({"--quiet"});
  ASSERT_TRUE(second.started()) << second.output();
  restore_on_an_emptied(second);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(read_whole_file(second.dir() + "/ca/root.pem"), root);
  CommandResult up;
  std::thread start([&] { up = second.run({"up", "--quiet"}); });
  unlock_and_accept_the_loss(second);
  start.join();
  EXPECT_EQ(up.status, 0) << up.output;
  expect_the_loss_on_record(second, root);
}

}  // namespace
}  // namespace keyward::test
