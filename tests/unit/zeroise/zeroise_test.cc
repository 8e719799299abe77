// Destruction of a state tree: what goes, what stays, what is never followed.
#include "firmware/zeroise/zeroise.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace keyward::zeroise {
namespace {

namespace fs = std::filesystem;

class Zeroise : public ::testing::Test {
 protected:
  Zeroise() {
    char name[] = "/tmp/keyward-zeroise-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~Zeroise() override { fs::remove_all(dir_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(dir_ + "/" + path).parent_path());
    std::ofstream(dir_ + "/" + path) << text;
  }
  bool there(const std::string& path) const { return fs::exists(dir_ + "/" + path); }
  Order order() const { return {dir_ + "/state", {}, false, "test", 0}; }
  std::string dir_;
};

TEST_F(Zeroise, StateTree_IsGoneButLedgerAndMarkers) {
  put("state/signer/tokens/a/token.object", "SECRET");
  put("state/signer/ledger/000000000000.ledger", "rows");
  put("state/signer/audit/heads.jsonl", "heads");
  put("state/store/store.sqlite", std::string(200'000, 'S'));
  put("state/attestation/eab/eab.json", "SECRET");
  put("state/platform/hsm-pin.tss2", "SECRET");
  const auto report = destroy(order());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->failed.empty());
  EXPECT_EQ(report->files, 4U);
  EXPECT_EQ(report->kept.size(), 2U);
  EXPECT_TRUE(there("state/signer/ledger/000000000000.ledger"));
  EXPECT_TRUE(there("state/signer/zeroised"));
  EXPECT_TRUE(there("state/platform/zeroised"));
  for (const char* path : {"state/signer/tokens", "state/store/store.sqlite",
                           "state/attestation/eab", "state/platform/hsm-pin.tss2"})
    EXPECT_FALSE(there(path)) << path;
}

TEST_F(Zeroise, WithLedger_EverythingIsGone) {
  put("state/signer/ledger/000000000000.ledger", "rows");
  auto all = order();
  all.ledger = true;
  const auto report = destroy(all);
  ASSERT_TRUE(report);
  EXPECT_FALSE(there("state/signer/ledger"));
  EXPECT_TRUE(report->kept.empty());
}

TEST_F(Zeroise, OpenFileOfAnother_ReadsZeros) {
  put("state/store/secret", "SECRET");
  std::ifstream open(dir_ + "/state/store/secret");
  ASSERT_TRUE(destroy(order()));
  std::string text;
  std::getline(open, text);
  EXPECT_EQ(text, std::string(6, '\0'));
}

TEST_F(Zeroise, SymbolicLinks_AreRemovedAndNotFollowed) {
  put("outside/file", "STAYS");
  fs::create_directories(dir_ + "/state/store");
  fs::create_symlink(dir_ + "/outside/file", dir_ + "/state/store/link");
  fs::create_symlink(dir_ + "/outside", dir_ + "/state/store/folder");
  const auto report = destroy(order());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->failed.empty());
  EXPECT_FALSE(fs::is_symlink(dir_ + "/state/store/link"));
  std::ifstream in(dir_ + "/outside/file");
  std::string text;
  in >> text;
  EXPECT_EQ(text, "STAYS");
}

TEST_F(Zeroise, AlsoNamedPaths_AreGoneToo) {
  put("state/store/x", "x");
  put("etc/recovery-slot.json", "slot");
  put("etc/tls/key.pem", "SECRET");
  auto more = order();
  more.also = {dir_ + "/etc/recovery-slot.json", dir_ + "/etc/tls", dir_ + "/etc/none"};
  const auto report = destroy(more);
  ASSERT_TRUE(report);
  EXPECT_FALSE(there("etc/recovery-slot.json"));
  EXPECT_FALSE(there("etc/tls"));
  EXPECT_TRUE(report->failed.empty());
}

TEST_F(Zeroise, Twice_IsDoneAlready) {
  put("state/store/x", "x");
  ASSERT_TRUE(destroy(order()));
  const auto again = destroy(order());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->files, 0U);
  EXPECT_TRUE(again->failed.empty());
}

TEST_F(Zeroise, RootOrRelativeFolder_Refused) {
  for (const char* root : {"", "/", "/var", "state", "/var/.."}) {
    auto bad = order();
    bad.state_root = root;
    EXPECT_FALSE(destroy(bad)) << root;
  }
}

}  // namespace
}  // namespace keyward::zeroise
