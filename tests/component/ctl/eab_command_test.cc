// Runs `keywardctl eab` as an operator does: what it prints, what it leaves in the file, how it
// ends.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/eab/bindings.h"
#include "firmware/eab/credentials.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kDayMs = 24LL * 3'600'000;

class EabCommandTest : public ::testing::Test {
 protected:
  CommandResult eab(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl",
                                     "eab"};
    argv.push_back(arguments.front());
    argv.push_back(state_.root());
    argv.insert(argv.end(), arguments.begin() + 1, arguments.end());
    return run_command(argv);
  }
  std::string file() const { return state_.path("eab/credentials.jsonl"); }
  eab::CredentialBook book() {
    auto parsed = eab::CredentialBook::parse(read_whole_file(file()));
    EXPECT_TRUE(parsed);
    return parsed ? std::move(*parsed) : eab::CredentialBook();
  }
  TempDir state_;
};

TEST_F(EabCommandTest, Add_PrintsKidAndKeyOnce_AndTheFileHasThem) {
  const auto added =
      eab({"add", "--kid", "gate-7", "--profile", "device", "--quota", "5", "--expires", "30d",
           "--accounts", "3", "--on-excess", "revoke", "--recovers", "acct-1"});
  ASSERT_EQ(added.status, 0) << added.output;
  const auto credentials = book();
  const auto* credential = credentials.find("gate-7");
  ASSERT_NE(credential, nullptr);
  EXPECT_THAT(added.output, HasSubstr("kid  gate-7\n"));
  EXPECT_THAT(added.output, HasSubstr("key  " + base64url_encode(credential->key.view()) + "\n"));
  EXPECT_EQ(credential->key.size(), 32u);
  EXPECT_EQ(credential->profiles, std::vector<std::string>{"device"});
  EXPECT_EQ(credential->quota, 5u);
  EXPECT_EQ(credential->accounts_max, 3u);
  EXPECT_EQ(credential->on_excess, eab::OnExcess::kRevoke);
  EXPECT_EQ(credential->recovers_account, "acct-1");
  EXPECT_EQ(*credential->expires_ms - credential->created_ms, 30 * kDayMs);
  const auto listed = eab({"list"});
  EXPECT_EQ(listed.status, 0);
  EXPECT_THAT(listed.output, HasSubstr("gate-7  live"));
  EXPECT_THAT(listed.output, HasSubstr("accounts 0/3 then revoke  quota 5  profiles device"));
  EXPECT_THAT(listed.output, Not(HasSubstr(base64url_encode(credential->key.view()))));
}

TEST_F(EabCommandTest, Add_WithoutOptions_IsForOneAccountAndMakesAKid) {
  const auto added = eab({"add", "--json"});
  ASSERT_EQ(added.status, 0) << added.output;
  const auto printed = json::Document::parse(added.output.substr(0, added.output.find('\n')));
  ASSERT_TRUE(printed) << added.output;
  const auto credentials = book();
  const auto* credential = credentials.find(printed->root().get("kid").string());
  ASSERT_NE(credential, nullptr);
  EXPECT_EQ(printed->root().get("key").string(), base64url_encode(credential->key.view()));
  EXPECT_EQ(credential->accounts_max, 1u);
  EXPECT_FALSE(credential->expires_ms || credential->quota);
  EXPECT_EQ(eab({"add", "--accounts", "0", "--kid", "any"}).status, 0);
  EXPECT_FALSE(book().find("any")->accounts_max);
}

TEST_F(EabCommandTest, File_BelongsToTheTaskAlone) {
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chown(state_.root().c_str(), 65'000, 65'000), 0);
  }
  ASSERT_EQ(eab({"add"}).status, 0);
  ASSERT_EQ(eab({"add"}).status, 0);
  struct stat info {};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_uid, root ? 65'000u : ::geteuid());
  EXPECT_FALSE(file_exists(file() + ".new"));
}

TEST_F(EabCommandTest, Revoke_MarksIt_AndStays) {
  ASSERT_EQ(eab({"add", "--kid", "a"}).status, 0);
  EXPECT_EQ(eab({"revoke", "a"}).status, 0);
  const auto when = book().find("a")->revoked_ms;
  ASSERT_TRUE(when);
  EXPECT_EQ(eab({"revoke", "a"}).status, 0);
  EXPECT_EQ(book().find("a")->revoked_ms, when);
  EXPECT_THAT(eab({"list"}).output, HasSubstr("a  revoked"));
  const auto again = eab({"add", "--kid", "a"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("a: the kid is taken"));
  const auto unknown = eab({"revoke", "b"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.output, HasSubstr("no credential has the kid b"));
}

TEST_F(EabCommandTest, List_CountsWhatTheTaskRecorded) {
  ASSERT_EQ(eab({"add", "--kid", "a"}).status, 0);
  {
    auto record = eab::Bindings::open(state_.path("eab/bindings.jsonl"));
    ASSERT_TRUE(record);
    ASSERT_TRUE(record->add("a", Digest256{1}, 1));
    ASSERT_TRUE(record->revoke("a", 2));
  }
  const auto before = read_whole_file(state_.path("eab/bindings.jsonl"));
  const auto listed = eab({"list", "--json"});
  ASSERT_EQ(listed.status, 0) << listed.output;
  const auto document = json::Document::parse(listed.output.substr(0, listed.output.find('\n')));
  ASSERT_TRUE(document);
  const auto entries = document->root().get("credentials").items();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].get("accounts").integer(), 1);
  EXPECT_EQ(entries[0].get("state").string(), "revoked");
  EXPECT_TRUE(entries[0].get("revoked_for_excess").boolean());
  EXPECT_FALSE(entries[0].get("key").exists());
  EXPECT_EQ(read_whole_file(state_.path("eab/bindings.jsonl")), before);
}

TEST_F(EabCommandTest, WrongOptions_ChangeNothing) {
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--expires", "yesterday"},
                                                        {"--expires", "2020-01-01T00:00:00Z"},
                                                        {"--expires", "0d"},
                                                        {"--kid", "a b"},
                                                        {"--kid", std::string(65, 'a')},
                                                        {"--profile", ""},
                                                        {"--recovers", "a b"}}) {
    EXPECT_EQ(eab({"add", option, value}).status, 64) << option << " " << value;
  }
  EXPECT_NE(eab({"add", "--on-excess", "x"}).status, 0);
  EXPECT_NE(eab({"add", "--quota", "-1"}).status, 0);
  EXPECT_FALSE(file_exists(file()));
}

TEST_F(EabCommandTest, BrokenFile_IsNamedByItsLineAndLeftAlone) {
  ASSERT_EQ(eab({"add", "--kid", "a"}).status, 0);
  auto broken = read_whole_file(file());
  append(broken, view_of("{}\n"));
  write_file(file(), broken);
  ASSERT_EQ(::chmod(file().c_str(), 0600), 0);
  for (const auto* what : {"list", "add"}) {
    const auto result = eab({what});
    EXPECT_EQ(result.status, 78) << result.output;
    EXPECT_THAT(result.output, HasSubstr("(line 2)"));
  }
  EXPECT_EQ(read_whole_file(file()), broken);
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  EXPECT_EQ(eab({"list"}).status, 78);
}

}  // namespace
}  // namespace keyward::test
