// The queue's order and bound; the memory of refused PINs.
#include <gtest/gtest.h>

#include "hal/base/file.h"
#include "hal/pkcs11/job_queue.h"
#include "hal/pkcs11/pin_memory.h"
#include "tests/support/command/command.h"

namespace keyward::hal::pkcs11 {
namespace {

std::shared_ptr<QueueEntry> entry(std::string key, SignPriority priority) {
  auto out = std::make_shared<QueueEntry>();
  out->key = std::move(key);
  out->priority = priority;
  return out;
}

TEST(JobQueue, Priorities_UrgentFirstThenArrival) {
  JobQueue<QueueEntry> queue;
  auto background = entry("k", SignPriority::kBackground);
  auto first = entry("k", SignPriority::kIssuance);
  auto second = entry("k", SignPriority::kIssuance);
  auto urgent = entry("k", SignPriority::kUrgent);
  for (const auto& one : {background, first, second, urgent}) EXPECT_TRUE(queue.push_back(one));
  EXPECT_EQ(queue.pop(), urgent);
  EXPECT_EQ(queue.pop(), first);
  queue.push_front(first);
  EXPECT_EQ(queue.pop(), first);
  EXPECT_EQ(queue.pop(), second);
  EXPECT_EQ(queue.pop(), background);
  EXPECT_EQ(queue.pop(), nullptr);
}

TEST(JobQueue, Bound_IsPerKeyAndFreedByPopAndRemove) {
  JobQueue<QueueEntry> queue;
  for (std::size_t i = 0; i < limits::kSignQueueMax; ++i)
    ASSERT_TRUE(queue.push_back(entry("full", SignPriority::kIssuance)));
  auto extra = entry("full", SignPriority::kUrgent);
  EXPECT_FALSE(queue.push_back(extra));
  EXPECT_TRUE(queue.push_back(entry("other", SignPriority::kIssuance)));
  (void)queue.pop();
  EXPECT_TRUE(queue.push_back(extra));
  EXPECT_FALSE(queue.push_back(entry("full", SignPriority::kIssuance)));
  EXPECT_TRUE(queue.remove(extra));
  EXPECT_FALSE(queue.remove(extra));
  EXPECT_TRUE(queue.push_back(entry("full", SignPriority::kIssuance)));
}

TEST(PinMemory, RefusedPin_IsKnownAndOthersAreNot) {
  PinMemory memory("");
  const SecretBytes pin(view_of("1234"));
  EXPECT_FALSE(memory.is_refused(pin));
  ASSERT_TRUE(memory.remember(pin));
  EXPECT_TRUE(memory.is_refused(pin));
  EXPECT_FALSE(memory.is_refused(SecretBytes(view_of("1235"))));
}

TEST(PinMemory, File_SurvivesAndHoldsNoPin) {
  const test::TempDir dir;
  const auto path = dir.path("refused");
  const SecretBytes pin(view_of("geheim-1234"));
  ASSERT_TRUE(PinMemory(path).remember(pin));
  EXPECT_TRUE(PinMemory(path).is_refused(pin));
  EXPECT_FALSE(PinMemory(path).is_refused(SecretBytes(view_of("other"))));
  auto text = read_text_file(path, 4'096);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->find("geheim"), std::string::npos);
}

TEST(PinMemory, DamagedFile_RefusesEveryPin) {
  const test::TempDir dir;
  const auto path = dir.path("refused");
  const SecretBytes pin(view_of("1234"));
  for (const char* damaged :
       {"", "nonsense", "keyward-refused-pins-1\nab", "keyward-refused-pins-1\nzz\n"}) {
    ASSERT_TRUE(replace_file(path, view_of(damaged), 0600));
    EXPECT_TRUE(PinMemory(path).is_refused(pin)) << damaged;
  }
}

TEST(PinMemory, Full_RefusesUnseen) {
  PinMemory memory("");
  for (std::size_t i = 0; i < limits::kTokenRefusedPinsMax; ++i)
    ASSERT_TRUE(memory.remember(SecretBytes(view_of(std::to_string(i)))));
  EXPECT_TRUE(memory.is_refused(SecretBytes(view_of("never tried"))));
}

}  // namespace
}  // namespace keyward::hal::pkcs11
