// The judgement about the clock, its two files, and the signer's guard over it.
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "firmware/issue/time_guard.h"
#include "firmware/timekeep/judge.h"
#include "hal/fake/fake_clock.h"
#include "hal/linux/time_sources.h"

namespace keyward::timekeep {
namespace {

using hal::TimeLevel;

constexpr std::int64_t kNow = 1'790'000'000'000;
constexpr std::int64_t kHour = 3'600'000;

Inputs at(std::int64_t utc_ms) {
  Inputs in;
  in.kernel.utc_ms = utc_ms;
  in.kernel.boottime_ms = 10 * kHour;
  in.kernel.boot_id = "boot-1";
  return in;
}

Inputs anchored() {
  auto in = at(kNow + kHour);
  in.anchor = Anchor{kNow, {1'000'000, 7, 2, true}};
  in.tpm = hal::TpmClock{1'000'000 + kHour, 7, 2, true};
  return in;
}

TEST(Judge_, NothingVouches_Floor) { EXPECT_EQ(judge(at(kNow)).level, TimeLevel::kFloor); }

TEST(Judge_, NeverSet_None) {
  EXPECT_EQ(judge(at(0)).level, TimeLevel::kNone);
  EXPECT_EQ(judge(at(0)).detail, "the clock was never set");
}

TEST(Judge_, BehindTheLedger_NoneWhateverVouches) {
  auto in = at(kNow);
  in.floor_ms = kNow + kHour;
  in.kernel.synchronised = true;
  EXPECT_EQ(judge(in).level, TimeLevel::kNone);
}

TEST(Judge_, BehindTheAnchor_None) {
  auto in = at(kNow - kHour);
  in.anchor = Anchor{kNow, {}};
  EXPECT_EQ(judge(in).level, TimeLevel::kNone);
}

TEST(Judge_, TimeService_SynchronisedWithinItsError) {
  auto in = at(kNow);
  in.kernel.synchronised = true;
  EXPECT_EQ(judge(in).level, TimeLevel::kSynchronised);
  in.kernel.error_max_ms = 15'000;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
}

TEST(Judge_, OperatorsWord_HoldsInItsBootWhileTheClockWentOn) {
  auto in = at(kNow);
  in.word = Word{"boot-1", kNow - kHour, 9 * kHour};
  EXPECT_EQ(judge(in).level, TimeLevel::kOperator);
  in.word->boot_id = "boot-0";
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in.word = Word{"boot-1", kNow - 2 * kHour, 9 * kHour};  // the clock was set since
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in.word->boot_id = in.kernel.boot_id = "";
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor) << "a comparison of nothing";
}

TEST(Judge_, TpmClock_VouchesWithinOnePowerCycle) {
  EXPECT_EQ(judge(anchored()).level, TimeLevel::kTpmClock);
  auto in = anchored();
  in.tpm->reset_count = 8;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in = anchored();
  in.tpm->restart_count = 3;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in = anchored();
  in.tpm->safe = false;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in = anchored();
  in.kernel.utc_ms += kHour;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
  in = anchored();
  in.tpm->clock_ms = 5;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
}

TEST(Judge_, Rtc_VouchesWhenItAgrees) {
  auto in = at(kNow);
  in.rtc_utc_ms = kNow + 2'000;
  EXPECT_EQ(judge(in).level, TimeLevel::kRtc);
  in.rtc_utc_ms = kNow + kHour;
  EXPECT_EQ(judge(in).level, TimeLevel::kFloor);
}

TEST(Records, WrittenAndRead_TheSame) {
  const auto word = parse_word(to_text(Word{"b", 5, 6}));
  ASSERT_TRUE(word);
  EXPECT_EQ(word->boot_id, "b");
  EXPECT_EQ(word->utc_ms, 5);
  EXPECT_EQ(word->boottime_ms, 6);
  const auto anchor = parse_anchor(to_text(Anchor{9, {1, 2, 3, true}}));
  ASSERT_TRUE(anchor);
  EXPECT_EQ(anchor->utc_ms, 9);
  EXPECT_EQ(anchor->tpm.clock_ms, 1u);
  EXPECT_EQ(anchor->tpm.reset_count, 2u);
  EXPECT_EQ(anchor->tpm.restart_count, 3u);
}

TEST(Records, OtherTexts_BadInput) {
  for (const char* text :
       {"", "[]", "{}", R"({"version":2,"boot_id":"b","utc_ms":1,"boottime_ms":1})",
        R"({"version":1,"boot_id":"","utc_ms":1,"boottime_ms":1})",
        R"({"version":1,"boot_id":"b","utc_ms":-1,"boottime_ms":1})"}) {
    EXPECT_FALSE(parse_word(text)) << text;
    EXPECT_FALSE(parse_anchor(text)) << text;
  }
}

TEST(LinuxTimeSources, RtcFile_Read) {
  const std::string path = ::testing::TempDir() + "keyward-rtc-" + std::to_string(::getpid());
  std::ofstream(path) << "rtc_time\t: 04:33:20\nrtc_date\t: 2026-09-22\nalrm_time\t: 00:00:00\n";
  EXPECT_EQ(hal::make_linux_time_sources(path)->rtc_utc_ms(), 1'790'051'600'000);
  EXPECT_FALSE(hal::make_linux_time_sources(path + ".none")->rtc_utc_ms());
  EXPECT_FALSE(hal::make_linux_time_sources()->kernel().boot_id.empty());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace keyward::timekeep

namespace keyward::issue {
namespace {

using hal::TimeLevel;
using hal::fake::FakeClock;

constexpr std::int64_t kDayMs = 86'400'000;

std::string code_of(const Verdict<void>& verdict) { return verdict ? "" : verdict.error().code; }

TEST(TimeGuard_, Default_AnyClockThatIsNotBehindTheLedger) {
  FakeClock clock;
  TimeGuard guard({}, clock);
  EXPECT_EQ(code_of(guard.check(clock.utc_ms() + 4'000)), "");
  EXPECT_EQ(code_of(guard.check(clock.utc_ms() + 6'000)), "clock-behind-ledger");
  EXPECT_FALSE(guard.wants_level());
}

TEST(TimeGuard_, LevelAskedFor_UnsetUntilReached) {
  FakeClock clock;
  TimeGuard guard({TimeLevel::kRtc}, clock);
  EXPECT_TRUE(guard.wants_level());
  EXPECT_EQ(code_of(guard.check(0)), "clock-unset");
  guard.note(TimeLevel::kFloor, clock.utc_ms(), "nothing vouches");
  EXPECT_EQ(code_of(guard.check(0)), "clock-unset");
  EXPECT_NE(guard.why_not(0).find("nothing vouches"), std::string::npos);
  guard.note(TimeLevel::kRtc, clock.utc_ms(), "");
  EXPECT_EQ(code_of(guard.check(0)), "");
  guard.note(TimeLevel::kNone, clock.utc_ms(), "");
  EXPECT_EQ(code_of(guard.check(0)), "clock-unset");
}

TEST(TimeGuard_, JudgementOfAnotherTime_NotTaken) {
  FakeClock clock;
  TimeGuard guard({TimeLevel::kRtc}, clock);
  guard.note(TimeLevel::kSynchronised, clock.utc_ms() - 60'000, "");
  EXPECT_EQ(code_of(guard.check(0)), "clock-unset");
}

TEST(TimeGuard_, LeapAhead_HeldUntilSomebodyVouches) {
  FakeClock clock;
  TimeGuard guard({}, clock);
  guard.note(TimeLevel::kOperator, clock.utc_ms(), "a word from before the leap");
  clock.advance_ms(10 * kDayMs);  // time goes by: no leap
  EXPECT_EQ(code_of(guard.check(0)), "");
  clock.set_utc_ms(clock.utc_ms() + 2 * kDayMs);
  EXPECT_EQ(code_of(guard.check(0)), "clock-jumped");
  EXPECT_TRUE(guard.wants_level());
  guard.note(TimeLevel::kRtc, clock.utc_ms(), "");
  EXPECT_EQ(code_of(guard.check(0)), "clock-jumped") << "a battery's word is none";
  guard.note(TimeLevel::kOperator, clock.utc_ms(), "");
  EXPECT_EQ(code_of(guard.check(0)), "");
  EXPECT_FALSE(guard.wants_level());
}

TEST(TimeGuard_, LeapTakenBack_GoesOn) {
  FakeClock clock;
  TimeGuard guard({}, clock);
  clock.set_utc_ms(clock.utc_ms() + 2 * kDayMs);
  EXPECT_EQ(code_of(guard.check(0)), "clock-jumped");
  clock.set_utc_ms(clock.utc_ms() - 2 * kDayMs);
  EXPECT_EQ(code_of(guard.check(0)), "");
}

TEST(TimeGuard_, LeapsNotLookedFor_Off) {
  FakeClock clock;
  TimeGuard guard({TimeLevel::kNone, 0}, clock);
  clock.set_utc_ms(clock.utc_ms() + 100 * kDayMs);
  EXPECT_EQ(code_of(guard.check(0)), "");
}

}  // namespace
}  // namespace keyward::issue
