// The attestation task: the privileged RATS Verifier (RFC 9334). Wiring alone; handlers stand in
// loop.cc, the rules in firmware/attest.
#include "apps/attestation/loop.h"
#include "apps/attestation/peers.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/eab_verify.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::int64_t kHourMs = 3'600'000;

[[noreturn]] void die(const char* what, const Error& error) {
  log::error(what, error);
  task::Task::exit(task::kExitConfig);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, attestation::peers())) return 0;
  task::Task task(TaskId::kAttestation, attestation::peers());
  auto config = task.config();
  const auto roots = config.strings_or_empty("ak_roots", 64);
  const auto grant_lifetime_ms = config.integer_or("grant_lifetime_h", 1, 24, 24) * kHourMs;
  const auto state_dir = task.state_dir();
  (void)config.table("appliance").text();  // shared with every task; nothing in it is for this one
  task.finish_config_or_die();

  auto anchors = attestation::load_anchors(roots);
  if (!anchors) die("cannot load the trust anchors for attestation keys", anchors.error());
  auto mint = challenge::TokenMint::open(state_dir + "/challenge-token.key");
  if (!mint) die("cannot open the challenge token key", mint.error());

  attestation::Loop loop(std::move(*mint), {std::move(*anchors)}, grant_lifetime_ms,
                         task.peer(TaskId::kSigner));
  task.server().on<wire::DeviceTokenMint>(TaskId::kAcme,
                                          [&](const auto& request) { return loop.mint(request); });
  task.server().on<wire::DeviceVerify>(TaskId::kAcme,
                                       [&](const auto& request) { return loop.verify(request); });
  task.server().on<wire::EabVerify>(
      TaskId::kAcme, [](const auto&) -> task::Answer<wire::EabVerifyReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  task.server().on<wire::AuthorityVerify>(
      TaskId::kAcme, [](const auto&) -> task::Answer<wire::AuthorityVerifyReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  task.report_state("operational", "appraises device-attest-01 statements of format tpm");
  task::Task::exit(task.run());
}
