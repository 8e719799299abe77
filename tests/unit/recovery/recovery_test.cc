// Boxes and recovery slots: the right key opens, everything else is refused.
#include <thread>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/recovery/box.h"
#include "firmware/recovery/hand_over.h"
#include "firmware/recovery/recovery_slot.h"
#include "hal/base/file.h"

namespace keyward::recovery {
namespace {

const std::vector<std::string> kNames = {"Ada", "Bo", "Cy", "Di", "Ed"};

Result<SecretBytes> key_from(const NewSlot& slot, std::vector<int> which) {
  std::vector<std::string_view> lines;
  for (const int i : which)
    lines.push_back(text_of(slot.shares[static_cast<std::size_t>(i)].line.view()));
  auto key = shares::combine(lines);
  if (!key) return fail(ErrorKind::kRefused, "shares");
  return std::move(*key);
}

TEST(Box, OpenedByItsRecipientAndPurpose_GivesTheContent) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto box = close_box(key->public_key(), "test", view_of("content"));
  ASSERT_TRUE(box);
  EXPECT_EQ(box->size(), kBoxOverheadBytes + 7);
  EXPECT_EQ(text_of(open_box(*key, "test", *box)->view()), "content");
  EXPECT_EQ(open_box(*key, "other", *box).error().kind, ErrorKind::kRefused);
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(open_box(*other, "test", *box).error().kind, ErrorKind::kRefused);
}

TEST(Box, AnyOctetChanged_Refused) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto box = close_box(key->public_key(), "test", view_of("content"));
  for (std::size_t i = 0; i < box->size(); ++i) {
    auto changed = *box;
    changed[i] ^= 1;
    EXPECT_FALSE(open_box(*key, "test", changed)) << i;
  }
  EXPECT_EQ(open_box(*key, "test", ByteView(*box).first(79)).error().kind, ErrorKind::kBadInput);
}

TEST(Box, KeyOfAnotherKind_BadInput) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP384);
  EXPECT_EQ(close_box(key->public_key(), "test", view_of("x")).error().kind, ErrorKind::kBadInput);
}

TEST(RecoverySlot, ThreeOfFiveShares_OpenIt) {
  const auto slot = make_recovery_slot(view_of("0815"), "unit-7", 3, kNames);
  ASSERT_TRUE(slot);
  EXPECT_EQ(slot->text.find("0815"), std::string::npos);
  const auto info = read_slot_info(slot->text);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->unit, "unit-7");
  EXPECT_EQ(info->pin_version, 1);
  const auto key = key_from(*slot, {4, 0, 2});
  ASSERT_TRUE(key);
  EXPECT_EQ(text_of(open_recovery_slot(slot->text, key->view())->view()), "0815");
  EXPECT_FALSE(key_from(*slot, {0, 1}));
}

TEST(RecoverySlot, SharesOfAnotherSlot_Refused) {
  const auto one = make_recovery_slot(view_of("0815"), "unit-7", 2, kNames);
  const auto two = make_recovery_slot(view_of("0815"), "unit-7", 2, kNames);
  const auto key = key_from(*two, {0, 1});
  EXPECT_EQ(open_recovery_slot(one->text, key->view()).error().kind, ErrorKind::kRefused);
}

TEST(RecoverySlot, EachMemberChanged_Refused) {
  const auto slot = make_recovery_slot(view_of("0815"), "unit-7", 2, kNames);
  const auto key = key_from(*slot, {0, 1});
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"unit-7", "unit-8"},
                                                        {"\"pin_version\":1", "\"pin_version\":2"},
                                                        {"\"set\":\"", "\"set\":\"0"}}) {
    auto text = slot->text;
    text.replace(text.find(from), from.size(), to);
    EXPECT_EQ(open_recovery_slot(text, key->view()).error().kind, ErrorKind::kRefused) << from;
  }
  EXPECT_EQ(open_recovery_slot("{}", key->view()).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(open_recovery_slot("", key->view()).error().kind, ErrorKind::kBadInput);
}

TEST(RecoverySlot, Renewed_SameSharesNewPinNextVersion) {
  const auto slot = make_recovery_slot(view_of("0815"), "unit-7", 2, kNames);
  const auto key = key_from(*slot, {1, 3});
  const auto renewed = renew_recovery_slot(slot->text, key->view(), view_of("4711"));
  ASSERT_TRUE(renewed);
  EXPECT_EQ(read_slot_info(*renewed)->pin_version, 2);
  EXPECT_EQ(text_of(open_recovery_slot(*renewed, key->view())->view()), "4711");
  EXPECT_FALSE(renew_recovery_slot(slot->text, Bytes(32, 0), view_of("4711")));
}

class HandOver : public ::testing::Test {
 protected:
  HandOver() {
    char name[] = "/tmp/keyward-handover-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~HandOver() override { static_cast<void>(!::system(("rm -rf " + dir_).c_str())); }
  std::string dir_;
};

TEST_F(HandOver, NobodyThere_Unavailable) {
  EXPECT_EQ(hand_over(dir_, SecretBytes(view_of("0815")), Deadline::after_ms(100)).error().kind,
            ErrorKind::kUnavailable);
}

TEST_F(HandOver, DeskThere_PinArrivesAndIsNotOnTheDisk) {
  auto desk = HandOverDesk::open(dir_);
  ASSERT_TRUE(desk);
  EXPECT_FALSE(desk->take());
  std::thread task([&] {
    const auto deadline = Deadline::after_ms(20'000);
    while (!deadline.passed()) {
      const auto box = read_file(dir_ + "/unlock/pin.box", 4'096);
      if (box) {
        EXPECT_EQ(text_of(*box).find("0815"), std::string_view::npos);
      }
      if (const auto pin = desk->take()) {
        EXPECT_EQ(text_of(pin->view()), "0815");
        desk->answer("sealed", "");
        return;
      }
      std::this_thread::yield();
    }
  });
  const auto answer = hand_over(dir_, SecretBytes(view_of("0815")), Deadline::after_ms(20'000));
  task.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, "sealed");
  EXPECT_FALSE(file_exists(dir_ + "/unlock/pin.box"));
  desk->close();
  EXPECT_FALSE(file_exists(dir_ + "/unlock/offer.json"));
}

TEST_F(HandOver, BoxOfAnEarlierLife_IsGoneOrRefused) {
  auto earlier = HandOverDesk::open(dir_);
  ASSERT_TRUE(earlier);
  EXPECT_FALSE(hand_over(dir_, SecretBytes(view_of("0815")), Deadline::after_ms(1)));
  ASSERT_TRUE(replace_file(dir_ + "/unlock/pin.box", Bytes(100, 1), 0600));
  auto desk = HandOverDesk::open(dir_);
  EXPECT_FALSE(file_exists(dir_ + "/unlock/pin.box"));
  ASSERT_TRUE(replace_file(dir_ + "/unlock/pin.box", Bytes(100, 1), 0600));
  EXPECT_FALSE(desk->take());
  EXPECT_NE(read_text_file(dir_ + "/unlock/answer.json", 1'000)->find("box-unusable"),
            std::string::npos);
}

}  // namespace
}  // namespace keyward::recovery
