// An operator looks at a running unit: its state, what is wrong, who has which certificate; and hands a
// bundle to support. None of it disturbs the unit, and no secret leaves.
#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "firmware/config/config.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/simulator/enrol_loop.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kPatienceMs = 120'000;

CommandResult ctl(std::vector<std::string> words) {
  words.insert(words.begin(), keyward_binary("keywardctl"));
  return run_command(words);
}

json::Document json_of(const CommandResult& result) {
  auto parsed = json::Document::parse(result.output, 4u << 20, 65'536);
  EXPECT_TRUE(parsed) << result.output;
  return parsed ? std::move(*parsed) : *json::Document::parse("{}");
}

// Owner of each file of the store and of the token.
std::map<std::string, unsigned> owners(const Simulator& sim) {
  std::map<std::string, unsigned> out;
  for (const char* task : {"/state/store", "/state/signer"}) {
    for (const auto& entry : fs::recursive_directory_iterator(sim.dir() + task)) {
      struct stat info {};
      if (::lstat(entry.path().c_str(), &info) == 0) out[entry.path()] = info.st_uid;
    }
  }
  return out;
}

TEST(AtTheUnit, OperatorLooks_SeesEverythingAndDisturbsNothing) {
  const Simulator sim({"--quiet"});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto file = sim.dir() + "/keyward.toml";
  std::vector<std::string> serials;
  {
    EnrolLoop loop(sim, 1);
    ASSERT_TRUE(loop.wait_for(3, kPatienceMs)) << loop.last_failure();
    loop.stop();
    serials = loop.serials();
  }
  const auto status = ctl({"status", file, "--json"});
  const auto seen = json_of(status);
  EXPECT_EQ(seen.root().get("state").string(), "operational") << status.output;
  ASSERT_EQ(seen.root().get("tasks").items().size(), 6u);
  for (const auto& task : seen.root().get("tasks").items())
    EXPECT_GT(task.get("since_utc_ms").integer(), 1'600'000'000'000) << task.print();
  EXPECT_THAT(ctl({"status", file}).output, HasSubstr("issuing CA ends"));

  const auto checks = json_of(ctl({"diagnose", file, "--json"}));
  std::map<std::string, std::string> results;
  for (const auto& check : checks.root().get("checks").items())
    results[std::string(check.get("check").string())] = check.get("result").string();
  for (const auto* name : {"installation-file", "task-signer", "state-folders", "sealed-pin", "hsm",
                           "tls-chain", "tls-end", "tls-names", "issuing-ca", "listening"})
    EXPECT_EQ(results[name], "ok") << name;
  EXPECT_EQ(results["tpm"], "not-looked");

  const auto accounts = json_of(ctl({"accounts", "list", file, "--json"}));
  ASSERT_GE(accounts.root().get("entries").items().size(), 1u);
  const auto account = accounts.root().get("entries").items().front();
  const std::string id(account.get("id").string()), print(account.get("thumbprint").string());
  for (const auto& by : {id, print}) {
    const auto shown = json_of(ctl({"accounts", "show", file, by, "--json"}));
    EXPECT_EQ(shown.root().get("id").string(), id);
    EXPECT_GE(shown.root().get("certificates").integer(), 1);
  }
  EXPECT_EQ(ctl({"accounts", "show", file, "nobody"}).status, 1);
  EXPECT_THAT(ctl({"accounts", "list", file, "--status", "revoked"}).output, "");

  const auto orders =
      json_of(ctl({"orders", "list", file, "--status", "valid", "--limit", "2", "--json"}));
  ASSERT_EQ(orders.root().get("entries").items().size(), 2u);
  const auto after = orders.root().get("next_after").integer();
  const auto next =
      json_of(ctl({"orders", "list", file, "--after", std::to_string(after), "--json"}));
  ASSERT_GE(next.root().get("entries").items().size(), 1u);
  EXPECT_GT(next.root().get("entries").items().front().get("n").integer(), after);
  const std::string ticket(orders.root().get("entries").items().front().get("ticket").string());
  EXPECT_EQ(ctl({"orders", "show", file, ticket}).status, 0);

  const auto all = json_of(ctl({"certificates", "list", file, "--json"}));
  std::vector<std::string> listed;
  std::string device;
  for (const auto& entry : all.root().get("entries").items()) {
    listed.emplace_back(entry.get("serial").string());
    if (listed.back() == serials.front()) device = entry.get("names").items().front().string();
  }
  for (const auto& serial : serials) EXPECT_THAT(listed, ::testing::Contains(serial));
  ASSERT_FALSE(device.empty());
  const auto of_device = json_of(ctl({"certificates", "list", file, "--name", device, "--json"}));
  EXPECT_GE(of_device.root().get("entries").items().size(), 1u);
  const auto of_account = json_of(ctl({"certificates", "list", file, "--account", id, "--json"}));
  EXPECT_GE(of_account.root().get("entries").items().size(), 1u);
  for (const auto& entry : of_account.root().get("entries").items())
    EXPECT_EQ(entry.get("account_thumbprint").string(), print);
  EXPECT_EQ(ctl({"certificates", "list", file, "--expiring", "0"}).output, "");
  EXPECT_EQ(ctl({"certificates", "list", file, "--revoked"}).output, "");
  const auto page = json_of(ctl({"certificates", "list", file, "--limit", "1", "--json"}));
  ASSERT_EQ(page.root().get("entries").items().size(), 1u);
  const auto older =
      json_of(ctl({"certificates", "list", file, "--before-row",
                   std::to_string(page.root().get("next_before_row").integer()), "--json"}));
  EXPECT_EQ(older.root().get("entries").items().size() + 1, listed.size());
  EXPECT_THAT(ctl({"certificates", "show", file, serials.front(), "--json"}).output,
              HasSubstr("\"grounds\""));
  EXPECT_EQ(ctl({"certificates", "show", file, "00ff"}).status, 1);
  EXPECT_EQ(sim.state(), "operational");
}

TEST(AtTheUnit, SupportBundle_HoldsNoSecretOfARunningUnit_AndFilesKeepTheirOwners) {
  const Simulator sim({"--quiet"});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto file = sim.dir() + "/keyward.toml";
  const auto added = json_of(ctl({"eab", "add", sim.dir() + "/state/attestation", "--json"}));
  const TempDir work;
  const auto made = ctl({"support-bundle", file, "--out", work.path("b.tar")});
  ASSERT_EQ(made.status, 0) << made.output;
  // What a look leaves behind is the task's own, or the task could not open it.
  for (const auto& [path, uid] : owners(sim)) {
    struct stat folder {};
    ASSERT_EQ(::stat(fs::path(path).parent_path().c_str(), &folder), 0);
    EXPECT_EQ(uid, folder.st_uid) << path;
  }
  const std::string bundle(text_of(read_whole_file(work.path("b.tar"))));
  std::vector<std::string> secrets = {std::string(added.root().get("key").string()), "PRIVATE KEY"};
  auto pins = config::Document::load(sim.dir() + "/offline/pins.toml");
  for (const auto& name : pins.root().keys()) secrets.push_back(pins.root().string(name));
  EXPECT_GE(secrets.size(), 4u);
  for (const auto* key : {"/state/signer/ticket.key", "/state/acme/nonce.key",
                          "/state/attestation/challenge-token.key"}) {
    const auto octets = read_whole_file(sim.dir() + key);
    ASSERT_GE(octets.size(), 16u) << key;
    secrets.insert(secrets.end(), {std::string(text_of(octets)), hex_encode(octets),
                                   base64_encode(octets), base64url_encode(octets)});
  }
  for (const auto& secret : secrets) EXPECT_THAT(bundle, Not(HasSubstr(secret)));
  EXPECT_THAT(bundle, HasSubstr("\"check\":\"hsm\""));
  EXPECT_EQ(sim.state(), "operational");
}

}  // namespace
}  // namespace keyward::test
