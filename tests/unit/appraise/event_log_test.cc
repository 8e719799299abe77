// Proves the reading and the replay of event logs: each refusal by its code, every truncation.
#include "firmware/appraise/event_log.h"

#include <gtest/gtest.h>

#include "tests/support/quote/quote.h"

namespace keyward::appraise {
namespace {

using test::event_log;
using test::EventSpec;
using test::good_boot;
using test::LogSpec;

std::string code(ByteView log) {
  const auto parsed = parse_event_log(log);
  return parsed ? "" : parsed.error().code;
}

// The octets of the first event: its place behind the header.
Bytes with(const LogSpec& spec, std::size_t at_from_end, std::uint8_t value) {
  Bytes out = event_log(spec);
  out[out.size() - 1 - at_from_end] = value;
  return out;
}

TEST(EventLog, GoodBoot_ReplaysToTheRegistersThatTheTpmWouldHold) {
  const auto log = parse_event_log(event_log(good_boot()));
  ASSERT_TRUE(log) << log.error().detail;
  ASSERT_EQ(log->events.size(), 4u);
  EXPECT_TRUE(log->events[0].is_data_measured);
  EXPECT_FALSE(log->events[2].is_data_measured);  // the digest is over the loader
  EXPECT_TRUE(log->events[3].is_data_measured);   // behind the colon
  Bytes extended(32, 0);
  append(extended, crypto::sha256(view_of("firmware 1.7")));
  const auto values = replay(*log, Bank::kSha256);
  EXPECT_EQ(values.at(0), crypto::hash(Bank::kSha256, extended));
  EXPECT_EQ(values.size(), 3u);
  EXPECT_EQ(words_of(log->events[3], Bank::kSha384),
            "event 4 (PCR 4, EV_IPL, \"grub_cmd: linux /vmlinuz\")");
}

TEST(EventLog, StartupLocality_IsWherePcr0Begins) {
  auto spec = good_boot();
  spec.locality = 3;
  const auto log = parse_event_log(event_log(spec));
  ASSERT_TRUE(log) << log.error().detail;
  Bytes extended(31, 0);
  extended.push_back(3);
  append(extended, crypto::sha256(view_of("firmware 1.7")));
  EXPECT_EQ(replay(*log, Bank::kSha256).at(0), crypto::hash(Bank::kSha256, extended));
}

TEST(EventLog, SeveralBanks_EachIsReplayed) {
  auto spec = good_boot();
  spec.algorithms = {0x0004, 0x000B, 0x000C};
  const auto log = parse_event_log(event_log(spec));
  ASSERT_TRUE(log) << log.error().detail;
  EXPECT_EQ(replay(*log, Bank::kSha384).at(7).size(), 48u);
  EXPECT_EQ(log->banks.size(), 3u);
}

TEST(EventLog, EachFault_IsRefusedByItsCode) {
  auto legacy = good_boot();
  legacy.signature = std::string("Spec ID Event02\0", 16);
  EXPECT_EQ(code(event_log(legacy)), "log.legacy");
  auto other = good_boot();
  other.signature = std::string("Spec ID Event04\0", 16);
  EXPECT_EQ(code(event_log(other)), "log.malformed");
  auto locality = good_boot();
  locality.locality = 5;
  EXPECT_EQ(code(event_log(locality)), "log.locality");
  auto pcr = good_boot();
  pcr.events = {{24, 5, "x", {}}};
  EXPECT_EQ(code(event_log(pcr)), "log.pcr");
  auto one = good_boot();
  one.events = {{1, 5, "", {}}};
  // Behind the digests: four octets of length; before them 32 of digest, two of algorithm, four of count.
  EXPECT_EQ(code(with(one, 1, 0xff)), "log.limit");
  EXPECT_EQ(code(with(one, 4 + 32 + 2 + 3, 2)), "log.digests");
  EXPECT_EQ(code(with(one, 4 + 32 + 1, 0x0C)), "log.digests");
  EXPECT_EQ(code(Bytes(limits::kEvidenceBytesMax + 1, 0)), "log.limit");
  EXPECT_EQ(code({}), "log.malformed");
}

TEST(EventLog, HashesThatNobodyReads_AreRefused) {
  auto spec = good_boot();
  spec.events.clear();
  Bytes log = event_log(spec);
  // The only hash of the header becomes SM3: algorithm before its size before the vendor's length.
  log[log.size() - 5] = 0x12;
  EXPECT_EQ(code(log), "log.banks");
}

TEST(EventLog, EachTruncationBetweenEvents_IsRefused) {
  const Bytes log = event_log(good_boot());
  std::size_t whole = 0;
  for (std::size_t size = 0; size < log.size(); ++size)
    whole += code(ByteView(log).first(size)).empty() ? 1 : 0;
  EXPECT_EQ(whole, 4u);  // behind the header, and behind each event but the last
}

TEST(EventLog, EachOctetOfADigestChanged_LeadsToAnotherRegister) {
  auto spec = good_boot();
  spec.events = {{4, 5, "loader", {}}};
  const Bytes log = event_log(spec);
  const auto good = replay(*parse_event_log(log), Bank::kSha256).at(4);
  const std::size_t digest = log.size() - 6 - 4 - 32;
  for (std::size_t i = 0; i < 32; ++i) {
    Bytes changed = log;
    changed[digest + i] ^= 1;
    const auto parsed = parse_event_log(changed);
    ASSERT_TRUE(parsed);
    EXPECT_NE(replay(*parsed, Bank::kSha256).at(4), good);
  }
}

TEST(EventLog, TypeNames_AreReadAgain) {
  for (const std::uint32_t type : {0x00000004u, 0x80000003u, 0x12345678u})
    EXPECT_EQ(event_type_from(event_type_name(type)), type);
  EXPECT_FALSE(event_type_from("EV_NOTHING"));
}

}  // namespace
}  // namespace keyward::appraise
