// The backup's file: what was written comes back, and everything else is refused.
#include "firmware/backup/backup_file.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/shares/shares.h"
#include "hal/base/file.h"

namespace keyward::backup {
namespace {

namespace fs = std::filesystem;
constexpr const char* kId = "00112233445566778899aabbccddeeff";

class BackupFile : public ::testing::Test {
 protected:
  BackupFile() : key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)) {
    char name[] = "/tmp/keyward-backup-XXXXXX";
    dir_ = ::mkdtemp(name);
    path_ = dir_ + "/b";
  }
  ~BackupFile() override { fs::remove_all(dir_); }

  void write(const std::map<std::string, Bytes>& parts) {
    UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const crypto::PublicKey recipients[] = {key_.public_key()};
    auto writer = Writer::begin(std::move(fd), {kId, "unit-7", 1'000, {}}, recipients);
    ASSERT_TRUE(writer) << writer.error().what;
    bool as_file = false;
    for (const auto& [name, content] : parts) {
      as_file = !as_file;
      if (!as_file) {
        ASSERT_TRUE(writer->add_bytes(name, content));
        continue;
      }
      ASSERT_TRUE(replace_file(dir_ + "/part", content, 0600));
      ASSERT_TRUE(writer->add_file(name, dir_ + "/part"));
    }
    ASSERT_TRUE(writer->finish());
  }
  Result<std::map<std::string, Bytes>> read(const crypto::PrivateKey& key) const {
    std::map<std::string, Bytes> out;
    std::string name;
    Sink sink;
    sink.begin = [&](const std::string& n, std::uint64_t) {
      name = n;
      out[n];
      return Status();
    };
    sink.data = [&](ByteView piece) {
      append(out[name], piece);
      return Status();
    };
    sink.end = [] { return Status(); };
    KEYWARD_TRY(opened, read_backup(path_, key, sink));
    EXPECT_EQ(opened.parts, out.size());
    return out;
  }
  std::string why() const {
    const auto parts = read(key_);
    return parts ? "" : parts.error().what;
  }
  void rewrite(const std::function<void(Bytes&)>& change) {
    auto octets = *read_file(path_, 1U << 24);
    change(octets);
    std::ofstream(path_, std::ios::trunc) << text_of(octets);
  }

  crypto::PrivateKey key_;
  std::string dir_, path_;
};

TEST_F(BackupFile, PartsOfEverySize_ComeBack) {
  std::map<std::string, Bytes> parts;
  for (const std::size_t size : {0, 1, 32'767, 32'768, 32'769, 65'535, 65'536, 65'537, 300'000})
    parts["state/p" + std::to_string(size)] = Bytes(size, static_cast<std::uint8_t>(size));
  write(parts);
  const auto back = read(key_);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(*back, parts);
}

TEST_F(BackupFile, HeaderWithoutKey_SaysUnitAndRecipients) {
  write({{"a", Bytes(10, 1)}});
  const auto header = read_header(path_);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->unit, "unit-7");
  EXPECT_EQ(header->recipients, std::vector{hex_encode(key_.public_key().spki_sha256())});
}

TEST_F(BackupFile, Content_IsNotReadable) {
  write({{"secret-name", to_bytes("SECRET CONTENT")}});
  const auto octets = *read_file(path_, 65'536);
  EXPECT_EQ(text_of(octets).find("SECRET"), std::string_view::npos);
  EXPECT_EQ(text_of(octets).find("secret-name"), std::string_view::npos);
}

TEST_F(BackupFile, AnotherKey_Refused) {
  write({{"a", Bytes(10, 1)}});
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(read(*other).error().what, std::string("backup: it is not encrypted to this key"));
}

TEST_F(BackupFile, PrivateKeyInShares_OpensIt) {
  write({{"a", Bytes(10, 1)}});
  const auto pem = key_.to_pem();
  const std::vector<std::string> names = {"Ada", "Bo", "Cy"};
  const auto made = shares::split(pem->view(), 2, names);
  ASSERT_TRUE(made) << made.error().what;
  const std::string_view two[] = {text_of((*made)[0].line.view()), text_of((*made)[2].line.view())};
  const auto secret = shares::combine(two);
  ASSERT_TRUE(secret);
  const auto key = crypto::PrivateKey::from_pem(text_of(secret->view()));
  ASSERT_TRUE(key);
  EXPECT_TRUE(read(*key));
}

TEST_F(BackupFile, EveryOctetChanged_IsRefused) {
  write({{"a", Bytes(100, 1)}, {"b", Bytes(100, 2)}});
  const auto good = *read_file(path_, 65'536);
  for (std::size_t i = 0; i < good.size(); ++i) {
    rewrite([&](Bytes& octets) {
      octets = good;
      octets[i] ^= 1;
    });
    EXPECT_FALSE(read(key_)) << i;
  }
}

TEST_F(BackupFile, CutAnywhere_IsRefused) {
  write({{"a", Bytes(70'000, 1)}});
  const auto good = *read_file(path_, 1U << 20);
  for (std::size_t size = 0; size < good.size(); size += 997) {
    rewrite([&](Bytes& octets) {
      octets.assign(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    });
    EXPECT_FALSE(read(key_)) << size;
  }
  rewrite([&](Bytes& octets) {
    octets = good;
    octets.push_back(0);
  });
  EXPECT_FALSE(read(key_));
}

TEST_F(BackupFile, ChunksExchangedDroppedOrRepeated_AreRefusedByName) {
  write({{"a", Bytes(200'000, 1)}});
  const auto good = *read_file(path_, 1U << 20);
  const std::size_t chunk = 4 + kChunkBytesMax + 16;
  const std::size_t start =
      17 + 4 +
      (static_cast<std::size_t>(good[17]) << 24 | good[18] << 16 | good[19] << 8 | good[20]);
  const auto at = [&](std::size_t i) {
    return good.begin() + static_cast<std::ptrdiff_t>(start + i * chunk);
  };
  const std::string changed =
      "backup: the file was changed, or its end is missing (a chunk does not verify)";
  rewrite([&](Bytes& o) {
    o.assign(good.begin(), at(0));
    o.insert(o.end(), at(1), at(2));
    o.insert(o.end(), at(0), at(1));
    o.insert(o.end(), at(2), good.end());
  });
  EXPECT_EQ(why(), changed);
  rewrite([&](Bytes& o) {
    o.assign(good.begin(), at(1));
    o.insert(o.end(), at(2), good.end());
  });
  EXPECT_EQ(why(), changed);
  rewrite([&](Bytes& o) {
    o.assign(good.begin(), at(1));
    o.insert(o.end(), at(0), good.end());
  });
  EXPECT_EQ(why(), changed);
  rewrite([&](Bytes& o) { o.assign(good.begin(), at(2)); });  // a whole chunk less at the end
  EXPECT_EQ(why(), changed);
}

// What was written by the first release of the format stays readable for ever. The file and its key (of
// this test alone, secret to nobody) were made once and are not made anew: a change of the format needs a new
// version and leaves this test as it is.
TEST_F(BackupFile, CommittedFileOfVersion1_ComesBack) {
  const char* source = std::getenv("KEYWARD_SOURCE");
  ASSERT_NE(source, nullptr) << "run by ctest, or set KEYWARD_SOURCE to the repository's root";
  const std::string folder = std::string(source) + "/tests/unit/backup/data/";
  path_ = folder + "v1.kwbackup";
  const auto pem = read_text_file(folder + "v1-key.pem", 4'096);
  ASSERT_TRUE(pem);
  const auto key = crypto::PrivateKey::from_pem(*pem);
  ASSERT_TRUE(key);
  const auto header = read_header(path_);
  ASSERT_TRUE(header) << header.error().what;
  EXPECT_EQ(header->id, kId);
  EXPECT_EQ(header->unit, "unit-7");
  EXPECT_EQ(header->created_utc_ms, 1'000);
  const auto parts = read(*key);
  ASSERT_TRUE(parts) << parts.error().what;
  // One part goes over the end of a chunk.
  const std::map<std::string, Bytes> wanted = {{"keyward.toml", to_bytes("# of a unit\n")},
                                               {"state/empty", {}},
                                               {"state/store/keyward.db", Bytes(70'000, 0x5a)}};
  EXPECT_EQ(*parts, wanted);
  EXPECT_FALSE(read(key_));  // with another key
}

TEST_F(BackupFile, AnotherVersionOrFile_IsNamed) {
  ASSERT_TRUE(replace_file(path_, view_of("keyward-backup 2\n0000"), 0600));
  EXPECT_EQ(why(), "this is no backup of version 1");
  EXPECT_FALSE(read_header(dir_ + "/none"));
}

TEST(PartName, ThatLeavesItsFolder_IsNone) {
  EXPECT_TRUE(is_part_name("state/signer/ledger/000000000000.ledger"));
  for (const char* bad :
       {"", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a/./b", "a\\b", "a b", "a\nb"})
    EXPECT_FALSE(is_part_name(bad)) << bad;
  EXPECT_FALSE(is_part_name(std::string(513, 'a')));
}

}  // namespace
}  // namespace keyward::backup
