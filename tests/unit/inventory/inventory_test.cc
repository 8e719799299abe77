// Proves the inventory: devices are found by every trace and by no other device's, a list that does
// not read leaves the one before in force, and enrolments survive a restart.
#include "firmware/inventory/inventory.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "hal/base/file.h"

namespace keyward::inventory {
namespace {

using wire::IdentifierType;

Digest256 filled(std::uint8_t value) {
  Digest256 out{};
  out.fill(value);
  return out;
}

Device laptop() {
  Device out;
  out.id = "laptop-1";
  out.ek_sha256 = {filled(1)};
  out.ak_sha256 = {filled(2)};
  out.roots = {{"step", "123"}};
  out.identifiers = {{IdentifierType::kPermanentIdentifier, "SER-1/1.2.3"}};
  out.owner = "Ann";
  return out;
}

class InventoryTest : public ::testing::Test {
 protected:
  InventoryTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-inventory-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
  }
  ~InventoryTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void save(const DeviceBook& book) { write(book.to_lines()); }
  void write(ByteView content) {
    auto folder = operate::OperatorDirectory::open(directory_, std::string(kFolder));
    ASSERT_TRUE(folder);
    ASSERT_TRUE(folder->replace(std::string(kDevicesFile), content));
  }
  std::unique_ptr<Inventory> open() {
    auto out = Inventory::open(directory_);
    EXPECT_TRUE(out) << out.error().what;
    return out ? std::move(*out) : nullptr;
  }
  std::string record() const { return directory_ + "/devices/enrolments.jsonl"; }
  std::string directory_;
};

std::string ids(const std::vector<Device>& devices) {
  std::string out;
  for (const auto& device : devices) out += device.id + " ";
  return out;
}

TEST_F(InventoryTest, Find_EveryTrace_LeadsToTheDevice) {
  DeviceBook book;
  ASSERT_TRUE(book.add(laptop()));
  save(book);
  const auto inventory = open();
  EXPECT_EQ(ids(inventory->find({{filled(1)}, {}, {}, {}})), "laptop-1 ");
  EXPECT_EQ(ids(inventory->find({{}, filled(2), {}, {}})), "laptop-1 ");
  EXPECT_EQ(ids(inventory->find({{}, {}, {}, Root{"step", "123"}})), "laptop-1 ");
  const auto by_name = [&](const char* value) {
    return ids(inventory->find({{}, {}, {{IdentifierType::kPermanentIdentifier, value}}, {}}));
  };
  EXPECT_EQ(by_name("SER-1"), "laptop-1 ");
  EXPECT_EQ(by_name("SER-1/1.2.3"), "laptop-1 ");
  EXPECT_EQ(by_name("SER-1/1.2.4"), "");
  EXPECT_EQ(by_name("ser-1"), "");
  EXPECT_EQ(ids(inventory->find({{filled(2)}, filled(1), {}, Root{"apple", "123"}})), "");
}

TEST_F(InventoryTest, Lines_Written_ReadTheSame) {
  DeviceBook book;
  auto device = laptop();
  device.state = State::kRetired;
  device.note = "gone";
  device.created_ms = 5;
  device.changed_ms = 6;
  ASSERT_TRUE(book.add(device));
  const auto again = DeviceBook::parse(book.to_lines());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->all(), book.all());
}

TEST_F(InventoryTest, List_Wrong_TheOneBeforeStays) {
  DeviceBook book;
  ASSERT_TRUE(book.add(laptop()));
  save(book);
  const auto inventory = open();
  for (const auto* line :
       {"{\"id\":\"x\"}\n", "nonsense\n", "{\"id\":\"a\",\"sate\":\"retired\"}\n"}) {
    write(view_of(std::string(line)));
    EXPECT_EQ(ids(inventory->find({{filled(1)}, {}, {}, {}})), "laptop-1 ");
    EXPECT_TRUE(inventory->is_usable());
  }
  ASSERT_TRUE(book.set_state("laptop-1", State::kQuarantined, 9));
  save(book);
  EXPECT_EQ(inventory->find({{filled(1)}, {}, {}, {}}).at(0).state, State::kQuarantined);
}

TEST_F(InventoryTest, List_WrongFromTheStart_IsNotUsable) {
  write(view_of(std::string("nonsense\n")));
  const auto inventory = open();
  EXPECT_FALSE(inventory->is_usable());
  save(DeviceBook());
  EXPECT_TRUE(inventory->is_usable());
}

TEST_F(InventoryTest, List_Absent_IsEmptyAndUsable) {
  const auto inventory = open();
  EXPECT_TRUE(inventory->is_usable());
  EXPECT_TRUE(inventory->find({{filled(1)}, {}, {}, {}}).empty());
}

Enrolment activation(std::int64_t at_ms = 1) {
  Enrolment out;
  out.decision = Decision::kAttestationKey;
  out.ek_certificate_sha256 = filled(9);
  out.ek_spki_sha256 = filled(1);
  out.ak_spki_sha256 = filled(7);
  out.account_sha256 = filled(8);
  out.evidence_sha256 = filled(9);
  out.at_ms = at_ms;
  return out;
}

TEST_F(InventoryTest, Enrolment_OfAnAk_LeadsToTheDeviceAlsoAfterARestart) {
  DeviceBook book;
  ASSERT_TRUE(book.add(laptop()));
  save(book);
  for (int start = 0; start < 3; ++start) {
    const auto inventory = open();
    if (start == 0) {
      EXPECT_TRUE(inventory->find({{}, filled(7), {}, {}}).empty());
      ASSERT_TRUE(inventory->note_enrolment(activation()));
    }
    EXPECT_EQ(ids(inventory->find({{}, filled(7), {}, {}})), "laptop-1 ");
    EXPECT_EQ(inventory->find_by_keys({{}, filled(7), {}, {}})->id, "laptop-1");
  }
}

TEST_F(InventoryTest, FindByKeys_TwoDevices_NamesNeither) {
  DeviceBook book;
  ASSERT_TRUE(book.add(laptop()));
  auto other = laptop();
  other.id = "laptop-2";
  other.ek_sha256 = {filled(9)};
  other.ak_sha256.clear();
  other.roots.clear();
  other.identifiers.clear();
  ASSERT_TRUE(book.add(other));
  save(book);
  const auto inventory = open();
  ASSERT_TRUE(inventory->note_enrolment(activation()));
  EXPECT_EQ(inventory->find({{}, filled(7), {}, {}}).size(), 2u);
  EXPECT_FALSE(inventory->find_by_keys({{}, filled(7), {}, {}}));
}

TEST_F(InventoryTest, Enrolments_SameAgain_AreCompactedAtTheStart) {
  {
    const auto inventory = open();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(inventory->note_enrolment(activation(i)));
  }
  const auto lines = [&] {
    const auto text = read_text_file(record(), 1u << 20);
    return std::count(text->begin(), text->end(), '\n');
  };
  EXPECT_EQ(lines(), 5);
  (void)open();
  EXPECT_EQ(lines(), 1);
  EXPECT_EQ(Enrolments::open(record())->all().at(0).at_ms, 4);
}

TEST_F(InventoryTest, Enrolments_TornLine_IsCutAndAWrongOneIsCorrupt) {
  (void)open();
  auto enrolments = Enrolments::open(record());
  ASSERT_TRUE(enrolments->add(activation()));
  auto text = *read_text_file(record(), 1u << 20);
  ASSERT_TRUE(replace_file(record(), view_of(text + "{\"decision\":\"dev"), 0600));
  EXPECT_EQ(Enrolments::open(record())->count(), 1u);
  ASSERT_TRUE(replace_file(record(), view_of("{}\n" + text), 0600));
  const auto wrong = Enrolments::open(record());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(wrong.error().native, 1);
}

TEST_F(InventoryTest, Enrolments_HoldDigestsAlone) {
  const auto inventory = open();
  ASSERT_TRUE(inventory->note_enrolment(activation()));
  const auto text = *read_text_file(record(), 1u << 20);
  EXPECT_EQ(text, "{\"decision\":\"attestation-key\",\"ek_certificate_sha256\":\"" +
                      hex_encode(filled(9)) + "\",\"ek_spki_sha256\":\"" + hex_encode(filled(1)) +
                      "\",\"ak_sha256\":\"" + hex_encode(filled(7)) + "\",\"account_sha256\":\"" +
                      hex_encode(filled(8)) + "\",\"evidence_sha256\":\"" + hex_encode(filled(9)) +
                      "\",\"at_ms\":1}\n");
}

}  // namespace
}  // namespace keyward::inventory
