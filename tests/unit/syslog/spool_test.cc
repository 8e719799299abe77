// Proves that the spool is bounded, keeps order over restarts and power cuts, and that a reader knows
// what it missed.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "firmware/syslog/position.h"
#include "firmware/syslog/spool_reader.h"
#include "firmware/syslog/spool_writer.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

namespace fs = std::filesystem;

class SpoolTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keyward-spool-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    spool_ = dir_ + "/spool";
  }
  void TearDown() override { fs::remove_all(dir_); }
  std::unique_ptr<SpoolWriter> open(std::int64_t utc_ms, std::uint64_t bytes_max = 1 << 20) {
    auto out = SpoolWriter::open({spool_, bytes_max, {}}, utc_ms);
    EXPECT_TRUE(out);
    return out ? std::move(*out) : nullptr;
  }
  // "<text>" or "(<first>-<last>)<text>" for each record that is there.
  std::vector<std::string> read(SpoolReader& reader) {
    std::vector<std::string> out;
    while (true) {
      auto item = reader.next();
      EXPECT_TRUE(item);
      if (!item || !*item) return out;
      std::string text;
      if (const auto& gone = (*item)->missing)
        text = "(" + std::to_string(gone->first) + "-" + std::to_string(gone->last) + ")";
      out.push_back(text + (*item)->record.text);
    }
  }
  std::vector<fs::path> files() {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(spool_)) out.push_back(entry.path());
    std::sort(out.begin(), out.end());
    return out;
  }
  std::uint64_t bytes() {
    std::uint64_t out = 0;
    for (const auto& file : files()) out += fs::file_size(file);
    return out;
  }
  using Texts = std::vector<std::string>;
  std::string dir_, spool_;
};

TEST_F(SpoolTest, Lines_ComeInOrderWhileTheyAreWritten) {
  const auto writer = open(100);
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), Texts{});
  writer->line("acme", "ts=1 a b", 5);
  writer->line("store", "two", 6);
  EXPECT_EQ(read(reader), (Texts{"ts=1 a b", "two"}));
  writer->line("acme", "three", 7);
  EXPECT_EQ(read(reader), Texts{"three"});
  EXPECT_EQ(reader.bytes_ahead(), 0U);
}

TEST_F(SpoolTest, Restart_NumbersGoOnAndNothingIsMissing) {
  open(100)->line("a", "one", 1);
  open(50)->line("a", "two", 2);  // the clock went back
  open(200)->line("a", "three", 3);
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), (Texts{"one", "two", "three"}));
  reader.seek({100, 1});
  EXPECT_EQ(read(reader), (Texts{"two", "three"}));
  reader.seek({101, 2});
  EXPECT_EQ(read(reader), Texts{"three"});
  reader.seek({200, 3});
  EXPECT_EQ(read(reader), Texts{});
}

TEST_F(SpoolTest, Bound_OldestGoesAndTheReaderKnowsHowMany) {
  constexpr std::uint64_t kBytesMax = 16'384;
  const auto writer = open(100, kBytesMax);
  SpoolReader reader(spool_);
  writer->line("a", "0", 1);
  EXPECT_EQ(read(reader), Texts{"0"});
  for (int i = 1; i < 2'000; ++i) {
    writer->line("a", std::to_string(i) + std::string(50, 'x'), 1);
    ASSERT_LE(bytes(), kBytesMax);
  }
  EXPECT_GT(bytes(), kBytesMax / 2);
  SpoolReader first_time(spool_);
  EXPECT_EQ(read(first_time)[0].substr(0, 3), "(1-");
  SpoolReader late(spool_);
  late.seek({100, 1});
  const auto got = read(late);
  ASSERT_FALSE(got.empty());
  const auto oldest = 2'000 - got.size();  // as text; its number is one more
  EXPECT_EQ(got[0],
            "(2-" + std::to_string(oldest) + ")" + std::to_string(oldest) + std::string(50, 'x'));
  EXPECT_EQ(got.back(), "1999" + std::string(50, 'x'));
}

TEST_F(SpoolTest, BoundMadeSmaller_IsKeptAtTheNextStart) {
  {
    const auto writer = open(100, 65'536);
    for (int i = 0; i < 800; ++i) writer->line("a", std::string(60, 'x'), 1);
  }
  const auto writer = open(200, 16'384);
  EXPECT_LE(bytes(), 16'384U);
  EXPECT_EQ(writer->next_number(), 801U);
}

TEST_F(SpoolTest, TornTail_IsPassedOverAndItsNumberIsGivenAgain) {
  {
    const auto writer = open(100);
    for (const char* text : {"one", "two", "three"}) writer->line("a", text, 1);
  }
  const auto path = files()[0];
  fs::resize_file(path, fs::file_size(path) - 3);  // the power was cut between write and fsync
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), (Texts{"one", "two"}));
  const auto writer = open(200);
  EXPECT_EQ(writer->next_number(), 3U);
  writer->line("a", "three again", 1);
  EXPECT_EQ(read(reader), Texts{"three again"});
}

TEST_F(SpoolTest, ZeroedTail_IsPassedOver) {
  {
    const auto writer = open(100);
    for (const char* text : {"one", "two", "three"}) writer->line("a", text, 1);
  }
  const auto path = files()[0];
  const auto size = fs::file_size(path);
  fs::resize_file(path, size - 15);
  fs::resize_file(path, size + 40'000);  // a file system that had the length but not the octets
  const auto writer = open(200);
  writer->line("a", "after", 1);
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), (Texts{"one", "two", "after"}));
}

TEST_F(SpoolTest, DamagedLineInTheMiddle_IsMissed) {
  const auto writer = open(100);
  for (const char* text : {"one", "two", "three"}) writer->line("a", text, 1);
  auto text = *read_text_file(files()[0], 1 << 20);
  text[text.find("two")] = 'T';
  std::ofstream(files()[0], std::ios::binary) << text;
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), (Texts{"one", "(2-2)three"}));
}

TEST_F(SpoolTest, LinesLostToAPowerCut_DoNotHideWhatFollows) {
  {
    const auto writer = open(100);
    for (int i = 0; i < 10; ++i) writer->line("a", "old", 1);
  }
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader).size(), 10U);  // sent ...
  fs::resize_file(files()[0], 0);       // ... and then not on the disk after all
  const auto writer = open(200);
  EXPECT_EQ(writer->next_number(), 1U);
  writer->line("a", "new", 1);
  SpoolReader again(spool_);
  again.seek({100, 10});
  EXPECT_EQ(read(again), Texts{"new"});
}

TEST_F(SpoolTest, SpoolThatWasTakenAway_IsReadFromItsBeginning) {
  open(500)->line("a", "old", 1);
  fs::remove_all(spool_);
  open(100)->line("a", "new", 1);
  SpoolReader reader(spool_);
  reader.seek({500, 1});
  EXPECT_EQ(read(reader), Texts{"new"});
}

TEST_F(SpoolTest, DiskThatTakesNothing_LeavesAGapThatIsSeen) {
  constexpr std::uint64_t kBytesMax =
      1'600;  // files of 100 octets: the next line begins another one
  const auto writer = open(100, kBytesMax);
  writer->line("a", std::string(60, '1'), 1);
  fs::create_directory(spool_ + "/" + file_name({100, 2}));  // where that file would be
  writer->line("a", std::string(60, '2'), 1);
  EXPECT_EQ(writer->unwritten(), 1U);
  writer->line("a", "three", 1);
  fs::remove(spool_ + "/" + file_name({100, 2}));
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), (Texts{std::string(60, '1'), "(2-2)three"}));
}

TEST_F(SpoolTest, Files_AreForTheReaderAlone) {
  const auto writer = open(100);
  writer->line("a", "one", 1);
  struct stat info {};
  ASSERT_EQ(::stat(spool_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat(files()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(SpoolTest, ControlCharacters_CannotMakeALineOfTheirOwn) {
  const auto writer = open(100);
  writer->line("a", "one\n00000000 9 1 a evil", 1);
  SpoolReader reader(spool_);
  EXPECT_EQ(read(reader), Texts{"one 00000000 9 1 a evil"});
}

TEST_F(SpoolTest, Position_DamagedMeansFromTheBeginning) {
  const std::string path = dir_ + "/position";
  EXPECT_EQ(load_position(path), Place{});
  ASSERT_TRUE(save_position(path, {17, 4}));
  EXPECT_EQ(load_position(path), (Place{17, 4}));
  for (const std::string text : {"", "17 4", "17\n", "x 4\n", "17 4x\n", "17 \n"}) {
    std::ofstream(path) << text;
    EXPECT_EQ(load_position(path), Place{}) << text;
  }
}

}  // namespace
}  // namespace keyward::syslog
