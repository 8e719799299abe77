// The platform task: the appliance's own TPM. Wiring alone; handlers stand in loop.cc, the TPM in
// the board's HAL.
#include "apps/platform/guard.h"
#include "apps/platform/loop.h"
#include "apps/platform/peers.h"
#include "apps/platform/time.h"
#include "board/compose.h"
#include "firmware/log/log.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::int64_t kProbeMsDefault = 5'000;
constexpr std::size_t kRegistersMax = 23;

[[noreturn]] void die(const char* what, const Error& error) {
  log::error(what, error);
  task::Task::exit(task::kExitConfig);
}

hal::PcrSelection selection_of(const std::vector<std::int64_t>& registers) {
  hal::PcrSelection out;
  for (const auto pcr : registers) out.registers.push_back(static_cast<std::uint8_t>(pcr));
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, platform::peers())) return 0;
  task::Task task(TaskId::kPlatform, platform::peers());
  auto config = task.config();
  auto section = config.table("tpm");
  const auto tcti = section.string("tcti");
  // PCR 0 changes with the CPU model and with each firmware update: not to be chosen.
  const auto registers = section.integers("pcrs", 1, 23, kRegistersMax);
  const auto pin_path = section.string_or("sealed_pin", task.state_dir() + "/hsm-pin.tss2");
  const auto probe_ms = section.integer_or("probe_ms", 100, 600'000, kProbeMsDefault);
  const auto anchor_index =
      static_cast<std::uint32_t>(section.integer_or("anchor_index", 0, 0x01FF'FFFF, 0));
  const auto tamper_path = config.string_or("tamper_input", "");
  const auto tamper_active = static_cast<int>(config.integer_or("tamper_active", 0, 1, 1));
  const auto on_tamper = config.string_or("on_tamper", "lock");
  (void)config.table("appliance").text();  // shared with every task; nothing in it is for this one
  task.finish_config_or_die();

  auto tpm = board::make_tpm(tcti);
  if (!tpm) die("the configured TCTI is not usable", tpm.error());
  auto pin = board::make_sealed_pin(**tpm, {pin_path, selection_of(registers)});
  if (!pin) die("the configuration of the sealed PIN is not usable", pin.error());

  const auto policy = platform::tamper_policy_from(on_tamper);
  if (!policy) die("platform.on_tamper is ignore, lock or zeroise", policy.error());
  auto tamper = board::make_tamper(tamper_path, tamper_active);
  if (!tamper) die("the tamper input is not usable", tamper.error());

  platform::Loop loop(**tpm, **pin, anchor_index,
                      [&](auto state, auto detail) { task.report_state(state, detail); });
  platform::TimeKeeper time(task.state_dir(), board::make_time_sources(),
                            [&] { return loop.read_clock(); });
  task.server().on<wire::TimeGet>(TaskId::kSigner, [&](const auto& r) { return time.get(r); });
  task.server().on<wire::PinUnseal>(TaskId::kSigner, [&](const auto&) { return loop.unseal(); });
  task.server().on<wire::AnchorAdvance>(TaskId::kSigner,
                                        [&](const auto& r) { return loop.advance_anchor(r); });
  task.server().on<wire::KeySeal>(TaskId::kAttestation,
                                  [&](const auto& r) { return loop.seal_key(r); });
  task.server().on<wire::KeyUnseal>(TaskId::kAttestation,
                                    [&](const auto& r) { return loop.unseal_key(r); });
  platform::Guard guard(loop, {task.state_dir(), pin_path, *policy}, tamper->get());
  task.on_stop([&] {
    guard.stop();
    loop.stop();
  });
  guard.start();
  loop.watch(probe_ms);
  task::Task::exit(task.run());
}
