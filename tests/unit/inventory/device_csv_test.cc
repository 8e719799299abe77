// Proves the reading of devices from CSV: what RFC 4180 allows, and each way a row is wrong with its
// line.
#include "firmware/inventory/device_csv.h"

#include <gtest/gtest.h>

namespace keyward::inventory {
namespace {

const std::string kDigest(64, 'a');

std::string problem_of(std::string_view csv) {
  const auto read = read_devices_csv(csv, 1);
  if (read.problems.empty()) return "good";
  return std::to_string(read.problems.front().line) + ": " + read.problems.front().text;
}

TEST(DeviceCsv_Good, AllColumnsAreRead) {
  const auto read = read_devices_csv(
      "\xef\xbb\xbfid,ek_sha256,ak_sha256,root,permanent_identifier,permanent_identifier,"
      "hardware_module,owner,state,note\r\nlaptop-1," +
          kDigest + "," + std::string(64, 'B') +
          ",step:123,SER-1,SER-2/1.2.3,1/1.2.4,\"Ann, \"\"A\"\"\",quarantined,\r\n",
      7);
  ASSERT_TRUE(read.problems.empty()) << read.problems.front().text;
  ASSERT_EQ(read.devices.size(), 1u);
  const auto& device = read.devices[0].device;
  EXPECT_EQ(device.id, "laptop-1");
  EXPECT_EQ(device.ek_sha256.at(0)[0], 0xaa);
  EXPECT_EQ(device.ak_sha256.at(0)[0], 0xbb);
  EXPECT_EQ(to_string(device.roots.at(0)), "step:123");
  EXPECT_EQ(device.identifiers.size(), 3u);
  EXPECT_EQ(device.owner, "Ann, \"A\"");
  EXPECT_EQ(device.state, State::kQuarantined);
  EXPECT_EQ(device.created_ms, 7);
  EXPECT_EQ(read.devices[0].line, 2);
}

TEST(DeviceCsv_Wrong_LineIsNamed, EachItsOwnWords) {
  EXPECT_EQ(problem_of("name\nx\n"), "1: no column of that name: name");
  EXPECT_EQ(problem_of("id,id\nx,y\n"), "1: the column stands twice: id");
  EXPECT_EQ(problem_of("owner\nx\n"), "1: the column id is missing");
  EXPECT_EQ(problem_of("id,root\na,step:1\nb\n"), "3: has 1 fields, the header has 2");
  EXPECT_EQ(problem_of("id,root\na,\"step:1\"x\n"),
            "2: a field ends where neither a comma nor a line end is");
  EXPECT_EQ(problem_of("id,root\na,step\"1\n"), "2: a quote inside a field without quotes");
  EXPECT_EQ(problem_of("id,root\na,\"step:1\n"), "2: a quoted field does not end");
  EXPECT_EQ(problem_of("id,ek_sha256\na,00\n"),
            "2: ek_sha256: not a SHA-256 in 64 hexadecimal digits");
  EXPECT_EQ(problem_of("id,root\na,usb:1\n"),
            "2: root: not \"apple:\", \"android-key:\", \"packed:\" or \"step:\" and a serial");
  EXPECT_EQ(problem_of("id,root,state\na,step:1,gone\n"),
            "2: state: not expected, quarantined or retired");
  EXPECT_EQ(problem_of("id,root\na b,step:1\n"),
            "2: an id has 1 to 64 characters of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(problem_of("id,root\na,\n"),
            "2: nothing to find the device by: an EK, an AK, a root or an identifier is needed");
  EXPECT_EQ(problem_of("id,root,note\na,step:1,\"x\ny\"\n"),
            "2: owner and note are UTF-8 without control characters");
  EXPECT_EQ(problem_of("id,root,owner\na,step:1,\xdf\n"),
            "2: owner and note are UTF-8 without control characters");
}

TEST(DeviceCsv_Duplicates_AreRefused, WithTheirLine) {
  EXPECT_EQ(problem_of("id,root\na,step:1\na,step:2\n"), "3: as in a line above: the id is taken");
  EXPECT_EQ(problem_of("id,root\na,step:1\nb,step:1\n"),
            "3: as in a line above: a root is another device's");
  EXPECT_EQ(problem_of("id,ek_sha256\na," + kDigest + "\nb," + kDigest + "\n"),
            "3: as in a line above: an EK digest is another device's");
  EXPECT_EQ(problem_of("id,ak_sha256\na," + kDigest + "\nb," + kDigest + "\n"),
            "3: as in a line above: an AK digest is another device's");
  EXPECT_EQ(problem_of("id,permanent_identifier\na,X/1.2.3\nb,X\n"),
            "3: as in a line above: an identifier is another device's");
  EXPECT_EQ(problem_of("id,root,root\na,step:1,step:1\n"), "2: the same thing twice in one device");
}

TEST(DeviceCsv_ManyWrong, AreCountedAndEnd) {
  std::string csv = "id,root\n";
  for (int i = 0; i < 100; ++i) csv += "a,\n";
  const auto read = read_devices_csv(csv, 1);
  EXPECT_EQ(read.problems.size(), kCsvProblemsMax);
  EXPECT_TRUE(read.devices.empty());
}

}  // namespace
}  // namespace keyward::inventory
