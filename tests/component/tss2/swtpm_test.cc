// The simulator's TPM process.
#include "board/sim/swtpm.h"

#include <filesystem>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/file.h"

#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

sim::SwtpmSpec spec_in(const std::string& directory) {
  return {directory + "/s2", directory + "/t2.sock", "", 0700, -1, true};
}

TEST(Swtpm, Start_TwoSideBySide_AreDifferentTpms) {
  const test::Swtpm first, second;
  auto a = open_tpm(first.tcti());
  auto b = open_tpm(second.tcti());
  ASSERT_OK(a);
  ASSERT_OK(b);
  const auto ek_a = (*a)->create_ek(TpmKeyType::kEccP256);
  const auto ek_b = (*b)->create_ek(TpmKeyType::kEccP256);
  ASSERT_OK(ek_a);
  ASSERT_OK(ek_b);
  EXPECT_NE(to_bytes((*ek_a)->name()), to_bytes((*ek_b)->name()));
}

TEST(Swtpm, Restart_SameState_IsTheSameTpm) {
  test::Swtpm device;
  Bytes name;
  for (int round = 0; round < 2; ++round) {
    auto tpm = open_tpm(device.tcti());
    ASSERT_OK(tpm);
    const auto ek = (*tpm)->create_ek(TpmKeyType::kEccP256);
    ASSERT_OK(ek);
    if (round == 0) name = to_bytes((*ek)->name());
    EXPECT_EQ(to_bytes((*ek)->name()), name);
    device.power_cut();
    device.start();
  }
}

TEST(Swtpm, Start_WhereOneRuns_IsUnavailableAndLeavesItAlone) {
  const test::Swtpm device;
  auto spec = spec_in(device.directory());
  spec.socket_path = device.directory() + "/tpm.sock";
  EXPECT_KIND(ErrorKind::kUnavailable, sim::SwtpmProcess::start(spec, Deadline::after_ms(5'000)));
  const auto tpm = open_tpm(device.tcti());
  ASSERT_OK(tpm);
}

TEST(Swtpm, Start_WithStateThatCannotBeRead_IsUnavailableBeforeTheDeadline) {
  const test::Swtpm device;
  const auto spec = spec_in(device.directory());
  ASSERT_TRUE(make_directories(spec.state_dir, 0700));
  ASSERT_TRUE(replace_file(spec.state_dir + "/tpm2-00.permall", view_of("garbage"), 0600));
  const auto deadline = Deadline::after_ms(20'000);
  auto started = sim::SwtpmProcess::start(spec, deadline);
  if (started) {  // some versions only fail at the first command
    EXPECT_FALSE(open_tpm(started->tcti()));
  } else {
    EXPECT_EQ(started.error().kind, ErrorKind::kUnavailable);
  }
  EXPECT_FALSE(deadline.passed());
}

TEST(Swtpm, Start_WithRelativeOrLongPath_IsBadInput) {
  sim::SwtpmSpec spec{"/tmp/x", "relative.sock", "", 0700, -1, true};
  EXPECT_KIND(ErrorKind::kBadInput, sim::SwtpmProcess::start(spec, Deadline::after_ms(100)));
  spec.socket_path = "/" + std::string(110, 'x');
  EXPECT_KIND(ErrorKind::kBadInput, sim::SwtpmProcess::start(spec, Deadline::after_ms(100)));
  EXPECT_KIND(ErrorKind::kBadInput,
              sim::manufacture_swtpm("relative", {"/tmp/ca", ""}, Deadline::after_ms(100)));
}

TEST(Swtpm, Stop_OfARunningOne_EndsIt) {
  const test::Swtpm device;
  auto started = sim::SwtpmProcess::start(spec_in(device.directory()), Deadline::after_ms(20'000));
  ASSERT_OK(started);
  EXPECT_TRUE(started->running());
  const pid_t pid = started->pid();
  started->stop(Deadline::after_ms(20'000));
  EXPECT_FALSE(started->running());
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Swtpm, Move_EmptiesItsSource) {
  const test::Swtpm device;
  auto started = sim::SwtpmProcess::start(spec_in(device.directory()), Deadline::after_ms(20'000));
  ASSERT_OK(started);
  sim::SwtpmProcess moved = std::move(*started);
  EXPECT_EQ(started->pid(), -1);
  EXPECT_FALSE(started->running());
  EXPECT_TRUE(moved.running());
}

TEST(Swtpm, ParentThatIsKilled_TakesTheTpmWithIt) {
  const test::Swtpm device;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {  // a launcher that will be killed
    ::close(pipe_fds[0]);
    auto started =
        sim::SwtpmProcess::start(spec_in(device.directory()), Deadline::after_ms(20'000));
    const pid_t pid = started ? started->pid() : -1;
    if (::write(pipe_fds[1], &pid, sizeof pid) != static_cast<ssize_t>(sizeof pid)) ::_exit(1);
    while (true) ::pause();
  }
  ::close(pipe_fds[1]);
  pid_t tpm = -1;
  ASSERT_EQ(::read(pipe_fds[0], &tpm, sizeof tpm), static_cast<ssize_t>(sizeof tpm));
  ::close(pipe_fds[0]);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  ASSERT_GT(tpm, 0);
  // Its socket refuses once it is gone; whoever reaps it is not us.
  const auto deadline = Deadline::after_ms(20'000);
  bool gone = false;
  while (!gone && !deadline.passed())
    gone = !open_tpm("swtpm:path=" + device.directory() + "/t2.sock");
  EXPECT_TRUE(gone);
}

TEST(Swtpm, Manufacture_Twice_KeepsTheTpmAndItsManufacturer) {
  const test::Swtpm device(test::Swtpm::Kind::kManufactured);
  const auto second = test::Swtpm::of_same_manufacturer(device);
  EXPECT_TRUE(file_exists(device.manufacturer_root_file()));
  EXPECT_TRUE(file_exists(device.manufacturer_issuer_file()));
  EXPECT_EQ(device.manufacturer_root_file(), second->manufacturer_root_file());
  const auto again = sim::manufacture_swtpm(device.directory() + "/state",
                                            {device.directory() + "/manufacturer", ""},
                                            Deadline::after_ms(20'000));
  ASSERT_OK(again);
  EXPECT_FALSE(file_exists(device.directory() + "/state.new"));
}

}  // namespace
}  // namespace keyward::hal::tss2_test
