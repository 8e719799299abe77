// Runs what an operator runs at a unit that stands still: status, diagnose, support-bundle, completion, man.
// The unit is a folder made here; what a running one answers: tests/system/at_the_unit.
#include <cstdlib>
#include <filesystem>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

CommandResult ctl(std::vector<std::string> words) {
  words.insert(words.begin(), std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl");
  return run_command(words);
}

class UnitCommandsTest : public ::testing::Test {
 protected:
  UnitCommandsTest() {
    for (const char* task : {"acme", "store", "attestation/eab", "signer", "platform"}) {
      fs::create_directories(dir_.path("state/") + task);
      ::chmod((dir_.path("state/") + task).c_str(), 0700);
    }
    ::chmod(dir_.path("state/attestation").c_str(), 0700);
    fs::create_directories(dir_.path("run"));
    write_file(installation(), view_of(toml()));
  }
  std::string installation() const { return dir_.path("keyward.toml"); }
  std::string toml() const {
    return "# the PIN is 99887766\n[supervisor]\nrun_dir = \"" + dir_.path("run") +
           "\"\nstate_root = \"" + dir_.path("state") +
           "\"\nuid_base = 200000\n[appliance]\nbase_url = \"https://ca.plant.example\"\n"
           "[acme]\nlisten = \"127.0.0.1:1\"\n[store]\nconninfo = \"host=db "
           "password=hunter2hunter2\"\n"
           "[pkcs11]\nmodule = \"/nowhere/libhsm.so\"\ntoken_label = \"issuing\"\n"
           "environment = [\"HSM_PIN=11223344\", \"HSM_CONF=/etc/hsm.conf\"]\n"
           "[tpm]\ntcti = \"device:/nowhere/tpm\"\npcrs = [16]\n"
           "[signer]\nkey_label = \"issuing\"\ncrl_url = "
           "\"http://user:s3cr3tpass@crl.plant.example/crl\"\n";
  }
  json::Document json_of(const CommandResult& result) {
    auto parsed = json::Document::parse(result.output);
    EXPECT_TRUE(parsed) << result.output;
    return parsed ? std::move(*parsed) : *json::Document::parse("{}");
  }
  TempDir dir_;
};

TEST_F(UnitCommandsTest, Status_OfAUnitThatStandsStill_SaysSoAndExits2) {
  // What a killed supervisor left behind does not count.
  write_file(dir_.path("run/status.json"),
             view_of("{\"state\":\"operational\",\"supervisor_pid\":999999999,\"tasks\":[]}"));
  const auto text = ctl({"status", installation()});
  EXPECT_EQ(text.status, 2);
  EXPECT_THAT(text.output, HasSubstr("not running (start keyward-supervisor)"));
  const auto parsed = json_of(ctl({"status", installation(), "--json"}));
  EXPECT_EQ(parsed.root().get("state").string(), "not running");
  EXPECT_TRUE(parsed.root().get("trouble").boolean());
}

TEST_F(UnitCommandsTest, Status_OfAWrongInstallationFile_Exits78) {
  write_file(installation(), view_of("[supervisor]\nrun_dir = 7\n"));
  const auto result = ctl({"status", installation()});
  EXPECT_EQ(result.status, 78);
  EXPECT_THAT(result.output, HasSubstr("run_dir"));
}

TEST_F(UnitCommandsTest, Diagnose_NamesEachFindingAndWhatToDo_AndChangesNothing) {
  ::chmod(dir_.path("state/signer").c_str(), 0755);
  write_file(dir_.path("state/platform/hsm-pin.tss2"), view_of("sealed"));
  ::chmod(dir_.path("state/platform/hsm-pin.tss2").c_str(), 0644);
  const auto result = ctl({"diagnose", installation(), "--json"});
  EXPECT_EQ(result.status, 2) << result.output;
  const auto parsed = json_of(result);
  std::map<std::string, std::string> findings;
  for (const auto& check : parsed.root().get("checks").items()) {
    if (check.get("result").string() != "finding") continue;
    findings[std::string(check.get("check").string())] += check.get("found").string();
    EXPECT_FALSE(check.get("what_to_do").string().empty()) << check.print();
  }
  EXPECT_THAT(findings["running"], HasSubstr("no supervisor"));
  EXPECT_THAT(findings["hsm"], HasSubstr("/nowhere/libhsm.so is not there"));
  EXPECT_THAT(findings["tpm"], HasSubstr("/nowhere/tpm"));
  EXPECT_THAT(findings["state-folders"], HasSubstr("state/signer is open to others: mode 0755"));
  EXPECT_THAT(findings["sealed-pin"], HasSubstr("mode 0644"));
  EXPECT_TRUE(findings.contains("tls-chain"));
  EXPECT_TRUE(findings.contains("issuing-ca"));
  struct stat info {};
  ASSERT_EQ(::stat(dir_.path("state/signer").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
}

TEST_F(UnitCommandsTest, SupportBundle_HoldsNoSecretWhereverItStood) {
  const auto added = ctl({"eab", "add", dir_.path("state/attestation"), "--json"});
  ASSERT_EQ(added.status, 0) << added.output;
  const std::string key(json_of(added).root().get("key").string());
  const Bytes ticket = to_bytes("0123456789-ticket-key-abcdef0123");
  write_file(dir_.path("state/signer/ticket.key"), ticket);
  const auto tls = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto pem = tls->to_pem();
  std::string log = "line one\n";
  log += "a key slipped: " + key + "\n" + hex_encode(ticket) + " " + base64_encode(ticket) + "\n";
  log += std::string(text_of(pem->view())) + "last line\n";
  write_file(dir_.path("run/log"), view_of(log));
  const auto made = ctl({"support-bundle", installation(), "--out", dir_.path("b.tar")});
  ASSERT_EQ(made.status, 0) << made.output;
  const std::string bundle(text_of(read_whole_file(dir_.path("b.tar"))));
  for (const std::string& secret :
       {key, hex_encode(ticket), base64_encode(ticket), base64url_encode(ticket),
        std::string(text_of(ticket)), std::string("PRIVATE KEY"), std::string("99887766"),
        std::string("11223344"), std::string("hunter2"), std::string("s3cr3tpass")})
    EXPECT_THAT(bundle, Not(HasSubstr(secret)));
  EXPECT_THAT(bundle, HasSubstr("last line"));
  EXPECT_THAT(bundle, HasSubstr("HSM_CONF=/etc/hsm.conf"));
  struct stat info {};
  ASSERT_EQ(::stat(dir_.path("b.tar").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto again = ctl({"support-bundle", installation(), "--out", dir_.path("b.tar")});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("is there already"));
}

TEST_F(UnitCommandsTest, SupportBundle_IsATarWhoseManifestHolds) {
  write_file(dir_.path("run/log"), view_of(std::string(5'000, 'x') + "\nnewest\n"));
  ASSERT_EQ(
      ctl({"support-bundle", installation(), "--out", dir_.path("b.tar"), "--log-kib", "1"}).status,
      0);
  if (!has_command("tar")) GTEST_SKIP() << "NO tar HERE: THE ARCHIVE WAS NOT UNPACKED";
  ASSERT_EQ(run_command({"tar", "-xf", dir_.path("b.tar"), "-C", dir_.root()}).status, 0);
  const auto manifest =
      json::Document::parse(text_of(read_whole_file(dir_.path("keyward-support/manifest.json"))));
  ASSERT_TRUE(manifest);
  const auto files = manifest->root().get("files").items();
  EXPECT_GE(files.size(), 5u);
  for (const auto& file : files) {
    const auto content =
        read_whole_file(dir_.path("keyward-support/" + std::string(file.get("name").string())));
    EXPECT_EQ(file.get("sha256").string(), hex_encode(crypto::sha256(content)))
        << file.get("name").string();
  }
  EXPECT_EQ(text_of(read_whole_file(dir_.path("keyward-support/log"))), "newest\n");
}

TEST_F(UnitCommandsTest, Records_WithoutADatabase_SayWhy) {
  for (const auto* what : {"accounts", "orders"}) {
    const auto result = ctl({what, "list", installation()});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("keyward.db"));
  }
  EXPECT_FALSE(file_exists(dir_.path("state/store/keyward.db")));
}

// base64url: one id in 64 begins with a hyphen, and looks like an option then.
TEST_F(UnitCommandsTest, IdsThatBeginWithAHyphen_AreOperandsAndValues) {
  const std::string id = "-_IvrOxqfBprQfESvqLstg",
                    print = "--oxqfBprQfESvqLstgAAAAAAAAAAAAAAAAAAAAAAAA";
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"accounts", "show", installation(), id, "--json"},
           {"accounts", "show", installation(), print, "--json"},
           {"orders", "list", installation(), "--account", id, "--json"},
           {"accounts", "show", "--json", "--", installation(), id}}) {
    const auto result = ctl(command);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("keyward.db")) << result.output;
  }
  const auto slip = ctl({"accounts", "show", installation(), "--jsno"});
  EXPECT_GT(slip.status, 1);
  EXPECT_THAT(slip.output, Not(HasSubstr("keyward.db")));
}

TEST_F(UnitCommandsTest, BashCompletion_KnowsEveryCommandAndOption) {
  write_file(dir_.path("completion"), view_of(ctl({"completion", "bash"}).output));
  const std::string script = "source '" + dir_.path("completion") +
                             "'\n"
                             "t() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); "
                             "_keywardctl; echo \"$* -> ${COMPREPLY[*]}\"; }\n"
                             "t keywardctl stat\nt keywardctl audit ''\n"
                             "t keywardctl certificates list --exp\n"
                             "t keywardctl eab add --kid audit --prof\n";
  const auto result = run_command({"bash", "-c", script});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("keywardctl stat -> status\n"));
  EXPECT_THAT(result.output, HasSubstr("keywardctl audit  -> export verify why accept-rollback\n"));
  EXPECT_THAT(result.output, HasSubstr("--exp -> --expiring\n"));
  EXPECT_THAT(result.output, HasSubstr("--prof -> --profile\n"));
  EXPECT_EQ(ctl({"completion", "tcsh"}).status != 0, true);
}

TEST_F(UnitCommandsTest, OtherShells_TakeTheirScripts) {
  for (const std::string shell : {"zsh", "fish"}) {
    const auto script = ctl({"completion", shell});
    ASSERT_EQ(script.status, 0);
    EXPECT_THAT(script.output, HasSubstr("support-bundle"));
    if (!has_command(shell)) {
      std::cout << "NO " << shell << " HERE: ITS SCRIPT WAS NOT READ BY IT\n";
      continue;
    }
    write_file(dir_.path(shell), view_of(script.output));
    EXPECT_EQ(run_command({shell, "-n", dir_.path(shell)}).status, 0) << shell;
  }
}

TEST_F(UnitCommandsTest, ManualPages_AreThereForEveryCommandAndWithoutWarnings) {
  fs::create_directories(dir_.path("man"));
  ASSERT_EQ(ctl({"man", "--dir", dir_.path("man")}).status, 0);
  const auto program = std::string(text_of(read_whole_file(dir_.path("man/keywardctl.1"))));
  int pages = 0;
  for (const auto& entry : fs::directory_iterator(dir_.path("man"))) {
    ++pages;
    const std::string name = entry.path().stem();
    if (name != "keywardctl") {
      EXPECT_THAT(program, HasSubstr(".BR keywardctl\\-")) << name;
    }
    if (!has_command("man")) continue;
    const auto read = run_command({"man", "--warnings", "-E", "UTF-8", "-l", entry.path()});
    EXPECT_EQ(read.status, 0) << name;
    EXPECT_THAT(read.output, Not(HasSubstr("warning:"))) << name;
  }
  EXPECT_GT(pages, 20);
  if (!has_command("man")) std::cout << "NO man HERE: THE PAGES WERE NOT FORMATTED\n";
  EXPECT_THAT(ctl({"man", "certificates"}).output, HasSubstr("\\-\\-expiring"));
  EXPECT_EQ(ctl({"man", "nonsense"}).status, 1);
}

// `policy check` has its own list of the signer's keys that decide nothing about certificates: a key that
// the signer learns and the list lacks would be called a mistake in a good file.
TEST_F(UnitCommandsTest, PolicyCheck_KnowsEveryKeyThatTheSignerReads) {
  const char* source = std::getenv("KEYWARD_SOURCE");
  ASSERT_NE(source, nullptr);
  const std::string code(
      text_of(read_whole_file(std::string(source) + "/apps/signer/configuration.cc")));
  const std::regex asked(
      "own\\.(string_or|string|integer_or|integer|boolean_or|strings_or_empty)\\("
      "\\s*\"([a-z_.]+)\"");
  std::string keys;
  int count = 0;
  for (auto at = std::sregex_iterator(code.begin(), code.end(), asked);
       at != std::sregex_iterator(); ++at, ++count)
    keys += (*at)[2].str() + " = 1\n";
  EXPECT_GT(count, 8);
  write_file(dir_.path("p.toml"), view_of("[appliance]\nbase_url = \"https://ca.plant.example\"\n"
                                          "[signer]\nissuer_chain = \"/x\"\n" +
                                          keys + "no_such_key = 1\n"));
  const auto result = ctl({"policy", "check", dir_.path("p.toml")});
  EXPECT_THAT(result.output, HasSubstr("unknown key 'signer.no_such_key'"));
  auto others = result.output;
  for (auto at = others.find("unknown key"); at != std::string::npos;
       at = others.find("unknown key", at + 1))
    EXPECT_EQ(others.substr(at, 31), "unknown key 'signer.no_such_key") << others;
}

}  // namespace
}  // namespace keyward::test
