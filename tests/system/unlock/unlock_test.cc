// The whole simulated appliance loses its sealed PIN, is opened, and is zeroised: from each, custodians
// bring it back, or nothing of its secrets is left.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "firmware/config/config.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kPatienceMs = 90'000;

class Unlock : public ::testing::Test {
 protected:
  // A tamper input that the platform task, a user of its own, can read.
  class Input {
   public:
    Input() {
      char name[] = "/tmp/keyward-tamper-XXXXXX";
      dir_ = ::mkdtemp(name);
      fs::permissions(dir_, fs::perms(0755));
      set('0');
    }
    ~Input() { fs::remove_all(dir_); }
    void set(char value) const {
      std::ofstream(path()) << value << '\n';
      fs::permissions(path(), fs::perms(0644));
    }
    std::string path() const { return dir_ + "/intrusion0_alarm"; }

   private:
    std::string dir_;
  };
  static bool wait_state(const Simulator& sim, const std::string& state) {
    const auto deadline = Deadline::after_ms(kPatienceMs);
    while (!deadline.passed()) {
      if (sim.state() == state) return true;
      ::poll(nullptr, 0, 200);
    }
    ADD_FAILURE() << "not " << state << ": " << sim.run({"status"}).output;
    return false;
  }
  // The value of the member "key".
  static std::string secret_in(const std::string& json) {
    const auto at = json.find("\"key\":\"");
    return at == std::string::npos ? "" : json.substr(at + 7, json.find('"', at + 7) - at - 7);
  }
  static bool stands_in(const std::string& folder, const std::string& secret) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      const auto octets = read_whole_file(entry.path());
      if (text_of(octets).find(secret) != std::string_view::npos) return true;
    }
    return false;
  }
  static std::string pin_of(const Simulator& sim) {
    auto document = config::Document::load(sim.dir() + "/offline/pins.toml");
    return document.root().string("issuing_pin");
  }
  static void make_slot(const Simulator& sim) {
    write_file(sim.dir() + "/pin", view_of(pin_of(sim)));
    const auto made = run_command({keyward_binary("keywardctl"),
                                   "recovery",
                                   "create",
                                   "--unit",
                                   "sim",
                                   "--pin-file",
                                   sim.dir() + "/pin",
                                   "--threshold",
                                   "3",
                                   "--custodian",
                                   "Ada",
                                   "--custodian",
                                   "Bo",
                                   "--custodian",
                                   "Cy",
                                   "--custodian",
                                   "Di",
                                   "--custodian",
                                   "Ed",
                                   "--out",
                                   sim.dir() + "/slot"});
    ASSERT_EQ(made.status, 0) << made.output;
    fs::remove(sim.dir() + "/pin");
  }
  static CommandResult unlock(const Simulator& sim, const std::vector<std::string>& shares,
                              const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {keyward_binary("keywardctl"), "unlock",
                                      sim.dir() + "/keyward.toml", "--recovery",
                                      sim.dir() + "/slot/recovery-slot.json"};
    for (const auto& share : shares) {
      words.push_back("--share");
      words.push_back(sim.dir() + "/slot/" + share + ".share");
    }
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  }
  static void kill_signer(const Simulator& sim) {
    const int pid = sim.pid_of("signer");
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
  }
};

TEST_F(Unlock, SealedPinLost_ThreeOfFiveSharesMakeItOperationalWithoutRestart) {
  const Simulator sim({"--quiet"});
  ASSERT_TRUE(sim.started()) << sim.output();
  make_slot(sim);
  fs::remove(sim.dir() + "/state/platform/hsm-pin.tss2");
  kill_signer(sim);
  ASSERT_TRUE(wait_state(sim, "locked"));
  const int platform = sim.pid_of("platform");
  const int signer = sim.pid_of("signer");

  const auto two = unlock(sim, {"01-Ada", "04-Di"});
  EXPECT_NE(two.status, 0);
  EXPECT_NE(two.output.find("1 more share"), std::string::npos) << two.output;
  EXPECT_EQ(sim.state(), "locked");
  const auto twice = unlock(sim, {"01-Ada", "01-Ada"});
  EXPECT_EQ(twice.status, 78);
  EXPECT_NE(twice.output.find("01-Ada.share: share number 1 was given already"), std::string::npos)
      << twice.output;

  const auto three = unlock(sim, {"05-Ed", "02-Bo", "03-Cy"});
  EXPECT_EQ(three.status, 0) << three.output;
  EXPECT_TRUE(wait_state(sim, "operational"));
  EXPECT_EQ(sim.pid_of("platform"), platform);
  EXPECT_EQ(sim.pid_of("signer"), signer);
  // Sealed again: the next start needs nobody.
  kill_signer(sim);
  EXPECT_TRUE(wait_state(sim, "operational"));
}

TEST_F(Unlock, ApplianceStopped_OfflineSealsAndTheNextStartNeedsNobody) {
  const Simulator sim({"--quiet"});
  ASSERT_TRUE(sim.started()) << sim.output();
  make_slot(sim);
  const auto running = unlock(sim, {"01-Ada", "02-Bo", "03-Cy"}, {"--offline"});
  EXPECT_EQ(running.status, 64) << running.output;
}

TEST_F(Unlock, TamperInput_LocksUntilAnOperatorUnlocks) {
  const Input input;
  const Simulator sim({"--quiet", "--set", "platform.tamper_input=\"" + input.path() + "\""});
  ASSERT_TRUE(sim.started()) << sim.output();
  make_slot(sim);
  const int signer = sim.pid_of("signer");
  input.set('1');
  ASSERT_TRUE(wait_state(sim, "locked"));
  EXPECT_NE(sim.pid_of("signer"), signer);  // the PIN went with its memory
  const auto open = unlock(sim, {"01-Ada", "02-Bo", "03-Cy"}, {"--wait", "0"});
  EXPECT_NE(open.output.find("close the unit first"), std::string::npos) << open.output;
  input.set('0');
  const int platform = sim.pid_of("platform");
  ASSERT_EQ(::kill(platform, SIGKILL), 0);
  const auto deadline = Deadline::after_ms(kPatienceMs);
  while (!deadline.passed() && (sim.pid_of("platform") == platform || sim.pid_of("platform") == 0))
    ::poll(nullptr, 0, 200);
  ASSERT_TRUE(wait_state(sim, "locked"));  // over a restart
  const auto closed = unlock(sim, {"01-Ada", "02-Bo", "03-Cy"});
  EXPECT_EQ(closed.status, 0) << closed.output;
  EXPECT_TRUE(wait_state(sim, "operational"));
}

TEST_F(Unlock, TamperInputWithZeroise_LeavesNoSecretAndAnUnprovisionedUnit) {
  const Input input;
  const Simulator sim({"--quiet", "--set", "platform.tamper_input=\"" + input.path() + "\"",
                       "--set", "platform.on_tamper=\"zeroise\""});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto eab = run_command(
      {keyward_binary("keywardctl"), "eab", "add", sim.dir() + "/state/attestation", "--json"});
  ASSERT_EQ(eab.status, 0) << eab.output;
  const auto key = secret_in(eab.output);
  ASSERT_FALSE(key.empty()) << eab.output;
  ASSERT_TRUE(stands_in(sim.dir() + "/state", key));
  input.set('1');
  ASSERT_TRUE(wait_state(sim, "unprovisioned"));
  EXPECT_TRUE(fs::exists(sim.dir() + "/state/signer/ledger"));
  EXPECT_FALSE(stands_in(sim.dir() + "/state", key));
  EXPECT_FALSE(fs::exists(sim.dir() + "/state/signer/tokens"));
  EXPECT_FALSE(fs::exists(sim.dir() + "/state/platform/hsm-pin.tss2"));
}

}  // namespace
}  // namespace keyward::test
