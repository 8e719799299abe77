// Tests of the agent's state file.
#include "firmware/agent/agent_state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::agent {
namespace {

AgentState full_state() {
  AgentState state;
  state.directory_url = "https://ca.test/directory";
  state.identifier = "SN \"1\"/1.2.3";
  state.profile = "device";
  state.account_key_pem = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n";
  state.account_url = "https://ca.test/account/1";
  state.settings = {{"tcti", "swtpm:path=/x"}, {"ca_file", ""}};
  state.key = hal::TpmKeyBlob{{1, 2, 3}, {4, 5}, 0x40000001};
  state.pending =
      PendingEnrolment{hal::TpmKeyBlob{{6}, {7}, 0x81000001}, "https://ca.test/order/1", "PEM\n"};
  return state;
}

TEST(AgentState, Json_Full_RoundTrips) {
  const auto read = state_from_json(to_json(full_state()));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(to_json(*read), to_json(full_state()));
  EXPECT_EQ(read->identifier, "SN \"1\"/1.2.3");
  EXPECT_EQ(read->pending->key.parent, 0x81000001u);
  EXPECT_EQ(read->settings.at("tcti"), "swtpm:path=/x");
}

TEST(AgentState, Json_WithoutKeys_RoundTrips) {
  AgentState state = full_state();
  state.key.reset();
  state.pending.reset();
  const auto read = state_from_json(to_json(state));
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->key);
  EXPECT_FALSE(read->pending);
}

TEST(AgentState, Json_NotOurs_IsCorrupt) {
  for (
      const char* text :
      {"", "{}", "[]", "{\"version\":2}", "{\"version\":1}", "not json",
       R"({"version":1,"directory":"d","identifier":"i","account_key":"k","key":{"public":"","private":"","parent":1}})",
       R"({"version":1,"directory":"d","identifier":"i","account_key":"k","key":{"public":"AQ","private":"AQ","parent":0}})"}) {
    const auto read = state_from_json(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt) << text;
  }
}

TEST(StateDirectory, Save_IsPrivate_AndLoadGivesItBack) {
  const keyward::test::TempDir temporary;
  const auto directory = StateDirectory::open(temporary.path("state"));
  ASSERT_TRUE(directory);
  const auto none = directory->load();
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(directory->save(full_state()));
  struct stat info {};
  ASSERT_EQ(::stat(directory->state_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(temporary.path("state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_EQ(to_json(**directory->load()), to_json(full_state()));
}

TEST(StateDirectory, Open_Twice_IsRefused) {
  const keyward::test::TempDir temporary;
  const auto first = StateDirectory::open(temporary.path("state"));
  ASSERT_TRUE(first);
  const auto second = StateDirectory::open(temporary.path("state"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kRefused);
}

}  // namespace
}  // namespace keyward::agent
