// The real keyward-platform over a real swtpm; the test is its supervisor and its signer.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/compose.h"
#include "firmware/task/channel.h"
#include "firmware/task/task.h"
#include "firmware/timekeep/records.h"
#include "firmware/wire/messages/anchor_advance.h"
#include "firmware/wire/messages/control_start.h"
#include "firmware/wire/messages/control_state.h"
#include "firmware/wire/messages/control_stop.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/key_seal.h"
#include "firmware/wire/messages/key_unseal.h"
#include "firmware/wire/messages/pin_unseal.h"
#include "firmware/wire/messages/time_get.h"
#include "hal/base/file.h"
#include "hal/linux/time_sources.h"
#include "hal/tss2/tss2_tpm.h"
#include "tests/support/swtpm/swtpm.h"

namespace keyward {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr std::int64_t kPatienceMs = 20'000;
const hal::PcrSelection kPcrs{0x000B, {7}};

class PlatformTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void seal(const std::string& pin) {
    const auto tpm = board::make_tpm(device_.tcti());
    ASSERT_TRUE(tpm);
    const auto sealed =
        board::make_sealed_pin(**tpm, {device_.directory() + "/hsm-pin.tss2", kPcrs});
    ASSERT_TRUE(sealed);
    const auto done = (*sealed)->seal(SecretBytes(view_of(pin)));
    ASSERT_TRUE(done) << done.error().what;
  }

  void start(const std::string& tpm_section) {
    auto control = task::make_channel();
    auto edge = task::make_channel();
    auto second = task::make_channel();
    ASSERT_TRUE(control && edge && second);
    const std::string program = std::string(std::getenv("KEYWARD_BIN")) + "/keyward-platform";
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      ::dup2(control->second.get(), task::kControlFd);
      ::execl(program.c_str(), program.c_str(), nullptr);
      ::_exit(127);
    }
    control_ = std::move(control->first);
    signer_ = std::move(edge->first);
    attestation_ = std::move(second->first);
    wire::ControlStart start;
    start.task = TaskId::kPlatform;
    start.config = "state_dir = \"" + device_.directory() + "\"\n[tpm]\n" + tpm_section;
    start.peers = {{TaskId::kSigner, true}, {TaskId::kAttestation, true}};
    const int descriptors[] = {edge->second.get(), second->second.get()};
    ASSERT_TRUE(task::send_frame(control_.get(), wire::encode_frame(0, start), descriptors,
                                 Deadline::after_ms(kPatienceMs)));
  }
  void start() { start("tcti = \"" + device_.tcti() + "\"\npcrs = [7]\nprobe_ms = 100\n"); }

  // The next control-state, past ready and heartbeats.
  wire::ControlState next_state() {
    const auto deadline = Deadline::after_ms(kPatienceMs);
    while (!deadline.passed()) {
      const auto ready = task::wait_readable(control_.get(), deadline.remaining_ms());
      if (!ready || !*ready) break;
      const auto frame = task::receive_frame(control_.get(), 0);
      if (!frame) break;
      const auto opened = wire::open_frame(frame->bytes);
      if (!opened || opened->head.type != MessageType::kControlState) continue;
      const auto state = wire::decode_body<wire::ControlState>(opened->body);
      if (state) return *state;
    }
    ADD_FAILURE() << "no state";
    return {};
  }

  // The PIN, or "code" of the failure in angle brackets.
  std::string ask() {
    const auto deadline = Deadline::after_ms(kPatienceMs);
    if (!task::send_frame(signer_.get(), wire::encode_frame(7, wire::PinUnseal{}), {}, deadline))
      return "<not sent>";
    const auto ready = task::wait_readable(signer_.get(), deadline.remaining_ms());
    if (!ready || !*ready) return "<silence>";
    const auto frame = task::receive_frame(signer_.get(), 0);
    if (!frame) return "<closed>";
    const auto opened = wire::open_frame(frame->bytes);
    if (!opened || opened->head.id != 7) return "<wrong frame>";
    if (opened->head.type == MessageType::kFailure) {
      const auto failure = wire::decode_body<wire::Failure>(opened->body);
      return failure ? "<" + failure->code + ">" : "<malformed>";
    }
    const auto reply = wire::decode_body<wire::PinUnsealReply>(opened->body);
    return reply ? std::string(text_of(reply->pin)) : "<malformed>";
  }

  // A request of attestation's: the reply, or nothing and the failure's code in `code_`.
  template <class Request>
  std::optional<typename Request::Reply> call(const Request& request) {
    return call_on(attestation_.get(), request);
  }
  template <class Request>
  std::optional<typename Request::Reply> call_on(int fd, const Request& request) {
    const auto deadline = Deadline::after_ms(kPatienceMs);
    if (!task::send_frame(fd, wire::encode_frame(9, request), {}, deadline)) return std::nullopt;
    const auto ready = task::wait_readable(fd, deadline.remaining_ms());
    if (!ready || !*ready) return std::nullopt;
    const auto frame = task::receive_frame(fd, 0);
    if (!frame) return std::nullopt;
    const auto opened = wire::open_frame(frame->bytes);
    if (!opened) return std::nullopt;
    if (opened->head.type == MessageType::kFailure) {
      const auto failure = wire::decode_body<wire::Failure>(opened->body);
      code_ = failure ? failure->code : "malformed";
      return std::nullopt;
    }
    const auto reply = wire::decode_body<typename Request::Reply>(opened->body);
    if (!reply) return std::nullopt;
    return *reply;
  }

  int wait_exit() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  // TPMS_CLOCK_INFO.safe after a start: set if TPM2_Shutdown came before the end (Architecture
  // §36.3.3).
  std::string clock_is_safe() const {
    const std::string command = "TSS2_LOG=all+none tpm2_readclock -T " + device_.tcti();
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return "no tpm2_readclock";
    std::string text(4'096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), pipe));
    ::pclose(pipe);
    if (text.find("safe: yes") != std::string::npos) return "safe";
    return text.find("safe: no") != std::string::npos ? "unsafe" : "unreadable: " + text;
  }

  // TPM_PT_LOCKOUT_COUNTER as tpm2-tools print it, read past the task.
  std::string lockout_counter() const {
    const std::string command =
        "TSS2_LOG=all+none tpm2_getcap properties-variable -T " + device_.tcti();
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return "no tpm2_getcap";
    std::string text(16'384, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), pipe));
    ::pclose(pipe);
    const std::string name = "TPM2_PT_LOCKOUT_COUNTER: ";
    const auto at = text.find(name);
    if (at == std::string::npos) return "unreadable: " + text;
    const auto begin = at + name.size();
    return text.substr(begin, text.find('\n', begin) - begin);
  }

  test::Swtpm device_;
  UniqueFd control_;
  UniqueFd signer_;
  UniqueFd attestation_;
  std::string code_;
  pid_t pid_ = -1;
};

TEST_F(PlatformTest, KeySealAndUnseal_BesideThePin_GivesTheSecret) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  const Bytes secret = to_bytes("a key for encrypted evidence");
  const auto sealed = call(wire::KeySeal{secret});
  ASSERT_TRUE(sealed) << code_;
  EXPECT_EQ(text_of(sealed->sealed).find(text_of(secret)), std::string_view::npos);
  // Both edges at the same time reach one TPM.
  std::thread signer([&] {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(), "0815");
  });
  for (int i = 0; i < 5; ++i) {
    const auto opened = call(wire::KeyUnseal{sealed->sealed});
    ASSERT_TRUE(opened) << code_;
    EXPECT_EQ(opened->secret, secret);
  }
  signer.join();
}

TEST_F(PlatformTest, AnchorAdvance_SameRequestTwice_CountsOnce) {
  seal("0815");
  const std::string section =
      "tcti = \"" + device_.tcti() + "\"\npcrs = [7]\nprobe_ms = 100\nanchor_index = 0x01800100\n";
  start(section);
  EXPECT_EQ(next_state().state, "operational");
  const int fd = signer_.get();
  const auto none = call_on(fd, wire::AnchorAdvance{});
  ASSERT_TRUE(none) << code_;
  EXPECT_FALSE(none->value);
  EXPECT_FALSE(call_on(fd, wire::AnchorAdvance{5, Digest256{}})->value);  // there is nothing yet
  const auto made = call_on(fd, wire::AnchorAdvance{0, std::nullopt});
  ASSERT_TRUE(made && made->value) << code_;
  const auto first = *made->value;
  EXPECT_EQ(call_on(fd, wire::AnchorAdvance{0, std::nullopt})->value, first);
  EXPECT_EQ(call_on(fd, wire::AnchorAdvance{first, Digest256{1}})->value, first + 1);
  EXPECT_EQ(call_on(fd, wire::AnchorAdvance{first, Digest256{1}})->value, first + 1);
  EXPECT_EQ(call_on(fd, wire::AnchorAdvance{})->value, first + 1);
}

TEST_F(PlatformTest, AnchorAdvance_WithoutAnIndex_NotConfigured) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_FALSE(call_on(signer_.get(), wire::AnchorAdvance{}));
  EXPECT_EQ(code_, "anchor-not-configured");
}

// Which level this machine's own clock has is not ours to say; with an operator's word it is his at
// least, and behind the ledger it is none.
TEST_F(PlatformTest, TimeGet_OperatorsWordAndTheFloor) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  const int fd = signer_.get();
  const auto before = call_on(fd, wire::TimeGet{});
  ASSERT_TRUE(before) << code_;
  EXPECT_GE(before->level, static_cast<std::uint64_t>(hal::TimeLevel::kFloor));
  EXPECT_FALSE(before->detail.empty());
  const auto now = hal::make_linux_time_sources()->kernel();
  const auto word = timekeep::to_text({now.boot_id, now.utc_ms, now.boottime_ms});
  const auto path = device_.directory() + "/" + std::string(timekeep::kWordFile);
  ASSERT_TRUE(replace_file(path, view_of(word), 0644));
  const auto after = call_on(fd, wire::TimeGet{});
  ASSERT_TRUE(after) << code_;
  EXPECT_GE(after->level, static_cast<std::uint64_t>(hal::TimeLevel::kOperator));
  const auto behind =
      call_on(fd, wire::TimeGet{static_cast<std::uint64_t>(now.utc_ms + 3'600'000)});
  ASSERT_TRUE(behind) << code_;
  EXPECT_EQ(behind->level, static_cast<std::uint64_t>(hal::TimeLevel::kNone));
  ASSERT_TRUE(replace_file(path, view_of("{}"), 0644));
  EXPECT_TRUE(call_on(fd, wire::TimeGet{})) << "a damaged word is no word";
}

// A real TPM2_ReadClock: it runs, and a power cycle shows in the count.
TEST(TpmClock_, RunsAndCountsResets) {
  test::Swtpm device;
  hal::TpmClock first;
  {
    const auto tpm = hal::make_tpm(device.tcti());
    ASSERT_TRUE(tpm);
    const auto read = (*tpm)->read_clock();
    ASSERT_TRUE(read) << read.error().what;
    first = *read;
    ::usleep(20'000);
    const auto later = (*tpm)->read_clock();
    ASSERT_TRUE(later);
    EXPECT_GT(later->clock_ms, first.clock_ms);
    EXPECT_EQ(later->reset_count, first.reset_count);
    ASSERT_TRUE((*tpm)->shutdown_orderly());
  }
  device.stop();
  device.start();
  const auto tpm = hal::make_tpm(device.tcti());
  ASSERT_TRUE(tpm);
  const auto again = (*tpm)->read_clock();
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_NE(again->reset_count, first.reset_count);
}

TEST_F(PlatformTest, KeyUnseal_DamagedOrShort_KeyUnusable) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  auto sealed = call(wire::KeySeal{to_bytes("secret")});
  ASSERT_TRUE(sealed) << code_;
  sealed->sealed.back() ^= 1;
  EXPECT_FALSE(call(wire::KeyUnseal{sealed->sealed}));
  EXPECT_EQ(code_, "key-unusable");
  code_.clear();
  EXPECT_FALSE(call(wire::KeyUnseal{Bytes(1, 0)}));
  EXPECT_EQ(code_, "key-unusable");
  code_.clear();
  EXPECT_FALSE(call(wire::KeySeal{}));
  EXPECT_EQ(code_, "key-empty");
}

TEST_F(PlatformTest, PinUnseal_InTheSealedState_GivesThePin) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "0815");
  EXPECT_EQ(ask(), "0815");
}

TEST_F(PlatformTest, PinUnseal_NeverSealed_IsUnusableAndTheStateLocked) {
  start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "<pin-unusable>");
  EXPECT_EQ(next_state().state, "locked");
}

TEST_F(PlatformTest, PinUnseal_AfterAPcrChanged_IsRefusedAndTheStateLocked) {
  seal("0815");
  {
    const auto tpm = board::make_tpm(device_.tcti());
    ASSERT_TRUE(tpm);
    ASSERT_TRUE((*tpm)->pcr_extend(7, Bytes(32, 1)));
  }
  start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "<pin-refused>");
  EXPECT_EQ(next_state().state, "locked");
}

TEST_F(PlatformTest, TpmAway_AtStart_IsDegradedAndItsReturnIsNoticed) {
  seal("0815");
  device_.power_cut();
  start();
  EXPECT_EQ(next_state().state, "degraded");
  EXPECT_EQ(ask(), "<tpm-away>");
  device_.start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "0815");
}

TEST_F(PlatformTest, TpmLost_WhileRunning_IsDegradedAndComesBack) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "0815");
  device_.power_cut();
  EXPECT_EQ(next_state().state, "degraded");
  EXPECT_EQ(ask(), "<tpm-away>");
  device_.start();
  EXPECT_EQ(next_state().state, "operational");
  EXPECT_EQ(ask(), "0815");
}

TEST_F(PlatformTest, TpmReset_BetweenTwoRequests_CostsNone) {
  seal("0815");
  start();
  EXPECT_EQ(ask(), "0815");
  device_.power_cut();
  device_.start();
  EXPECT_EQ(ask(), "0815");
}

// PIN, sealed key and counter are used, and then the power fails: none of them may cost one of the tries
// after which a TPM locks itself.
TEST_F(PlatformTest, PowerLoss_FiveTimesWithEverythingUsed_LeavesTheLockoutCounterAtZero) {
  seal("0815");
  start("tcti = \"" + device_.tcti() +
        "\"\npcrs = [7]\nprobe_ms = 100\nanchor_index = 0x01800100\n");
  EXPECT_EQ(next_state().state, "operational");
  const Bytes secret = to_bytes("a key for encrypted evidence");
  const auto sealed = call(wire::KeySeal{secret});
  ASSERT_TRUE(sealed) << code_;
  auto counter = call_on(signer_.get(), wire::AnchorAdvance{0, std::nullopt});
  ASSERT_TRUE(counter && counter->value) << code_;
  for (int loss = 1; loss <= 5; ++loss) {
    EXPECT_EQ(ask(), "0815");
    const auto opened = call(wire::KeyUnseal{sealed->sealed});
    ASSERT_TRUE(opened) << code_;
    const auto before = *counter->value;
    counter = call_on(signer_.get(), wire::AnchorAdvance{before, Digest256{1}});
    ASSERT_TRUE(counter && counter->value) << code_;
    EXPECT_EQ(*counter->value, before + 1);
    device_.power_cut();
    EXPECT_EQ(next_state().state, "degraded");
    device_.start();
    EXPECT_EQ(next_state().state, "operational");
    EXPECT_EQ(lockout_counter(), "0x0") << "after power loss " << loss;
  }
  EXPECT_EQ(ask(), "0815");
}

TEST_F(PlatformTest, ControlStop_EndsWithZeroAfterTpmShutdown) {
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  ASSERT_TRUE(task::send_frame(control_.get(), wire::encode_frame(0, wire::ControlStop{}), {},
                               Deadline::after_ms(kPatienceMs)));
  EXPECT_EQ(wait_exit(), 0);
  device_.power_cut();
  device_.start();
  EXPECT_EQ(clock_is_safe(), "safe");
}

TEST_F(PlatformTest,
       Kill_WithoutStop_IsAnUnorderlyEndForTheTpm) {  // the counterpart of the test above
  seal("0815");
  start();
  EXPECT_EQ(next_state().state, "operational");
  device_.power_cut();
  device_.start();
  EXPECT_EQ(clock_is_safe(), "unsafe");
}

TEST_F(PlatformTest, MessageOfAnotherEdge_IsFatal) {
  start();
  EXPECT_EQ(next_state().state, "operational");
  ASSERT_TRUE(task::send_frame(signer_.get(), wire::encode_frame(1, wire::IssuerGet{}), {},
                               Deadline::after_ms(kPatienceMs)));
  EXPECT_EQ(wait_exit(), task::kExitProtocol);
}

TEST_F(PlatformTest, WrongConfiguration_EndsWithTheConfigurationsCode) {
  const std::string tcti = "tcti = \"" + device_.tcti() + "\"\n";
  for (const std::string& section :
       {tcti, tcti + "pcrs = []\n", tcti + "pcrs = [0, 7]\n", tcti + "pcrs = [24]\n",
        std::string("pcrs = [7]\n"), std::string("tcti = \"nosuch:x\"\npcrs = [7]\n"),
        tcti + "pcrs = [7]\nunknown = 1\n", tcti + "pcrs = [7]\nsealed_pin = \"\"\n"}) {
    start(section);
    EXPECT_EQ(wait_exit(), task::kExitConfig) << section;
  }
}

}  // namespace
}  // namespace keyward
