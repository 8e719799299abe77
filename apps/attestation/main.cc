// The attestation task: the privileged RATS Verifier (RFC 9334). Wiring alone; handlers stand in
// loop.cc, the rules in firmware/attest.
#include "apps/attestation/admission_turns.h"
#include "apps/attestation/attestation_ca.h"
#include "apps/attestation/authority.h"
#include "apps/attestation/devices.h"
#include "apps/attestation/loop.h"
#include "apps/attestation/peers.h"
#include "apps/attestation/remote.h"
#include "firmware/attest/device_policy.h"
#include "firmware/eab/admissions.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/eab_verify.h"
#include "firmware/wire/messages/evidence_key_get.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/remote_verify.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::int64_t kHourMs = 3'600'000;

[[noreturn]] void die(const char* what, const Error& error) {
  log::error(what, error);
  task::Task::exit(task::kExitConfig);
}

struct AuthorityConfig {
  std::vector<std::string> roots, files, hosts;
};

AuthorityConfig read_authority_config(config::Section& config) {
  return {config.strings_or_empty("authority_roots", 64),
          config.strings_or_empty("authority_files", limits::kAuthorityFilesMax),
          config.strings_or_empty("authority_hosts", limits::kAuthorityFilesMax)};
}

// Without roots no authority is trusted, and tkauth-01 is not offered.
attest::AuthorityPolicy authority_policy(const AuthorityConfig& config) {
  attest::AuthorityPolicy policy;
  policy.hosts = config.hosts;
  if (!config.roots.empty()) {
    auto roots = attest::load_anchors(config.roots, "no certificate in them");
    if (!roots) die("cannot load authority_roots", roots.error());
    policy.roots = std::move(*roots);
  }
  auto files = attest::load_authority_files(config.files);
  if (!files) die("cannot load authority_files", files.error());
  policy.certificates = std::move(*files);
  return policy;
}

std::unique_ptr<eab::Admissions> open_admissions(const std::string& state_dir, task::Peer& signer) {
  auto admissions = eab::Admissions::open(
      state_dir, [&signer](const wire::GrantAccount& grant) -> eab::Admissions::Told {
        if (const auto told = signer.call(grant); !told) return tl::unexpected(told.error());
        return {};
      });
  if (!admissions) die("cannot open the record of external account bindings", admissions.error());
  return std::move(*admissions);
}

struct Configuration {
  attest::DevicePolicyConfig device;
  std::int64_t grant_lifetime_ms;
  AuthorityConfig authority;
  std::vector<attest::VendorConfig> vendors;
  attestation::DevicesConfig devices;
  attestation::AttestationCaConfig ak;
  attestation::RemoteConfig remote;
  std::string state_dir;
};

Configuration read_configuration_or_die(task::Task& task) {
  auto config = task.config();
  Configuration out{attest::read_device_policy(config),
                    config.integer_or("grant_lifetime_h", 1, 24, 24) * kHourMs,
                    read_authority_config(config),
                    attest::read_vendors(config),
                    attestation::read_devices_config(config),
                    attestation::read_attestation_ca_config(config),
                    attestation::read_remote_config(config),
                    task.state_dir()};
  (void)config.table("appliance").text();  // shared with every task; nothing in it is for this one
  task.finish_config_or_die();
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, attestation::peers())) return 0;
  task::Task task(TaskId::kAttestation, attestation::peers());
  const auto config = read_configuration_or_die(task);
  const auto& state_dir = config.state_dir;

  auto device_policy = attest::load_device_policy(config.device);
  if (!device_policy) die("cannot load what statements are judged by", device_policy.error());
  if (device_policy->tpm_allow_rs1)
    log::warning("attestation keys may sign with SHA-1 (tpm_allow_rs1)");
  auto mint = challenge::TokenMint::open(state_dir + "/challenge-token.key");
  if (!mint) die("cannot open the challenge token key", mint.error());
  auto& signer = task.peer(TaskId::kSigner);
  auto authority_rules = authority_policy(config.authority);
  auto spent =
      attest::SpentTokens::open(state_dir + "/authority-tokens.spent", system_clock().utc_ms());
  if (!spent) die("cannot open the record of spent authority tokens", spent.error());
  const auto admissions = open_admissions(state_dir, signer);

  auto vendors = attest::load_vendors(config.vendors);
  if (!vendors) die("cannot load vendors", vendors.error());
  const auto opened = attestation::Devices::open(config.devices, state_dir);
  if (!opened) die("cannot open the inventory of devices", opened.error());
  auto& devices = **opened;
  if (devices.identity_by_enrolment())
    device_policy->identity_by_enrolment = [&](const Digest256& ak) {
      return devices.identifiers_of_key(ak);
    };
  const auto attestation_ca =
      attestation::AttestationCa::open(config.ak, state_dir, devices, signer);
  if (!attestation_ca) die("cannot open the attestation CA", attestation_ca.error());

  const auto taken = attest::format_names(*device_policy);
  attestation::Loop loop(
      *mint, std::move(*device_policy), config.grant_lifetime_ms, !authority_rules.roots.empty(),
      !vendors->empty(),
      [&](const Digest256& thumbprint) { return admissions->is_admitted(thumbprint); }, devices,
      signer);
  attestation::Authority authority(*mint, std::move(authority_rules), std::move(*vendors),
                                   std::move(*spent), signer);
  attestation::EvidenceKeys evidence_keys(config.remote.key, state_dir, signer,
                                          task.peer(TaskId::kPlatform));
  attestation::Remote remote(*mint, attestation::load_policies_or_die(config.remote.policies),
                             evidence_keys, config.grant_lifetime_ms, devices, signer);
  task.server().on<wire::DeviceTokenMint>(TaskId::kAcme, [&](const auto& request) {
    const bool is_remote = request.method == wire::ValidationMethod::kRemoteAttest01;
    return is_remote ? remote.mint(request) : loop.mint(request);
  });
  task.server().on<wire::DeviceVerify>(TaskId::kAcme,
                                       [&](const auto& request) { return loop.verify(request); });
  task.server().on<wire::EabVerify>(TaskId::kAcme, [&](const auto& request) {
    return admissions->verify(request, system_clock().utc_ms());
  });
  task.server().on<wire::AuthorityVerify>(
      TaskId::kAcme, [&](const auto& request) { return authority.verify(request); });
  auto& server = task.server();
  server.on<wire::RemoteVerify>(TaskId::kAcme,
                                [&](const auto& request) { return remote.verify(request); });
  server.on<wire::EvidenceKeyGet>(
      TaskId::kAcme, [&](const auto& request) { return remote.evidence_key(request); });
  attestation::serve_attestation_ca(server, attestation_ca->get());
  const attestation::AdmissionTurns turns([&] {
    (void)admissions->turn();
    devices.turn();
    if (*attestation_ca) (*attestation_ca)->turn();
  });
  task.report_state("operational", "appraises device-attest-01 statements of format " + taken);
  task::Task::exit(task.run());
}
