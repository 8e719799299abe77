// Proves what is kept of evidence: nothing by default, and the octets until their time is over.
#include "firmware/attest/evidence_store.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kDayMs = 86'400'000;

class EvidenceStoreTest : public ::testing::Test {
 protected:
  EvidenceStoreTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-evidence-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
  }
  ~EvidenceStoreTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::unique_ptr<EvidenceStore> open(std::int64_t now_ms = kAt) {
    auto out = EvidenceStore::open(directory_ + "/evidence", {{"audited", 2}, {"long", 9}}, now_ms);
    EXPECT_TRUE(out);
    return std::move(*out);
  }
  std::string path() const {
    return directory_ + "/evidence/" + hex_encode(crypto::sha256(evidence_));
  }
  bool is_there() const { return file_exists(path()); }
  std::string directory_;
  Bytes evidence_ = to_bytes("evidence");
};

TEST_F(EvidenceStoreTest, Profile_NotNamed_KeepsNothing) {
  const auto store = open();
  EXPECT_EQ(*store->keep("other", evidence_, kAt), false);
  EXPECT_FALSE(is_there());
}

TEST_F(EvidenceStoreTest, Profile_Named_KeepsUntilTheEndAlsoAcrossRestarts) {
  auto store = open();
  EXPECT_EQ(*store->keep("audited", evidence_, kAt), true);
  EXPECT_EQ(*read_file(path(), 100), evidence_);
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  store = open(kAt + 2 * kDayMs - 1);
  EXPECT_TRUE(is_there());
  store->sweep(kAt + 2 * kDayMs);
  EXPECT_FALSE(is_there());
}

TEST_F(EvidenceStoreTest, SameAgain_TheLaterEndCounts) {
  const auto store = open();
  EXPECT_TRUE(store->keep("long", evidence_, kAt));
  EXPECT_TRUE(store->keep("audited", evidence_, kAt));
  store->sweep(kAt + 8 * kDayMs);
  EXPECT_TRUE(is_there());
  store->sweep(kAt + 9 * kDayMs);
  EXPECT_FALSE(is_there());
}

TEST_F(EvidenceStoreTest, Unfinished_GoesAtTheStart) {
  (void)open();
  const auto stray = path() + ".new";
  ASSERT_TRUE(replace_file(stray, evidence_, 0600));
  (void)open();
  EXPECT_FALSE(file_exists(stray));
}

}  // namespace
}  // namespace keyward::attest
