#include "apps/attestation/attestation_ca.h"

#include "firmware/attest/device_policy.h"
#include "firmware/log/log.h"

namespace keyward::attestation {
namespace {

constexpr std::size_t kRootFilesMax = 64, kManufacturersMax = 64;

wire::ChallengeProblem problem_of(const attest::Refusal& refusal) {
  return {std::string(attest::problem_type_of(refusal.code)),
          refusal.code.substr(0, limits::kCodeBytesMax),
          refusal.detail.substr(0, limits::kDetailBytesMax)};
}

wire::Failure not_served() {
  return wire::Failure::of(wire::FailureKind::kRefused, "not-served",
                           "no attestation CA is offered here");
}

Result<attest::AttestationCaPolicy> policy_of(const AttestationCaConfig& config,
                                              attest::FindDevice find_device) {
  const bool off = config.inventory == "off", required = config.inventory == "required";
  if (!off && !required && config.inventory != "known")
    return fail(ErrorKind::kBadInput, "inventory: \"off\", \"known\" or \"required\"");
  attest::AttestationCaPolicy out;
  KEYWARD_TRY(time, attest::ek_time_from(config.ek_time));
  KEYWARD_CHECK(attest::check_manufacturers(config.tpm_manufacturers));
  if (!config.ek_roots.empty()) {
    KEYWARD_TRY(roots, attest::load_anchors(config.ek_roots, "ek_roots: no certificate in them"));
    out.ek.roots = std::move(roots);
  }
  out.ek.time = time;
  out.ek.manufacturers = config.tpm_manufacturers;
  out.must_be_known = required;
  if (!off) out.find_device = std::move(find_device);
  return out;
}

}  // namespace

AttestationCaConfig read_attestation_ca_config(config::Section& config) {
  auto section = config.table("attestation_ca");
  AttestationCaConfig out;
  out.enabled = section.boolean_or("enabled", false);
  out.ek_roots = section.strings_or_empty("ek_roots", kRootFilesMax);
  out.ek_time = section.string_or("ek_time", "now");
  out.inventory = section.string_or("inventory", "known");
  out.tpm_manufacturers = section.strings_or_empty("tpm_manufacturers", kManufacturersMax);
  return out;
}

Result<std::unique_ptr<AttestationCa>> AttestationCa::open(const AttestationCaConfig& config,
                                                           const std::string& state_dir,
                                                           Devices& devices, task::Peer& signer) {
  if (!config.enabled) return std::unique_ptr<AttestationCa>();
  KEYWARD_TRY(policy, policy_of(config, devices.find_device()));
  KEYWARD_TRY(ca, attest::AttestationCa::open(state_dir + "/attestation-ca.key"));
  const auto roots_path =
      state_dir + "/" + std::string(attest::kRootsFolder) + "/" + std::string(attest::kRootsFile);
  std::unique_ptr<AttestationCa> out(
      new AttestationCa(std::move(ca), std::move(policy), roots_path, devices, signer));
  out->turn();
  if (out->policy()->ek.roots.empty())
    log::warning("the attestation CA has no vendor root yet (ek_roots, keywardctl roots import)");
  return out;
}

AttestationCa::AttestationCa(attest::AttestationCa ca, attest::AttestationCaPolicy policy,
                             const std::string& roots_path, Devices& devices, task::Peer& signer)
    : ca_(std::move(ca)),
      configured_(std::move(policy)),
      imported_(roots_path, limits::kVendorRootsFileBytesMax, attest::parse_imported),
      policy_(std::make_shared<const attest::AttestationCaPolicy>(configured_)),
      devices_(devices),
      signer_(signer) {}

std::shared_ptr<const attest::AttestationCaPolicy> AttestationCa::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

void AttestationCa::turn() {
  if (!imported_.refresh()) return;
  const auto imported = imported_.current();
  auto fresh = configured_;
  for (auto& root : imported->roots.of(attest::RootUse::kRoot))
    fresh.ek.roots.push_back(std::move(root));
  fresh.ek.intermediates = imported->roots.of(attest::RootUse::kIntermediate);
  fresh.ek.revoked = imported->roots.revoked_keys();
  log::info("vendor roots taken in", {{"version", std::to_string(imported->roots.version)},
                                      {"roots", std::to_string(fresh.ek.roots.size())}});
  const std::lock_guard lock(mutex_);
  policy_ = std::make_shared<const attest::AttestationCaPolicy>(std::move(fresh));
}

task::Answer<wire::AkBeginReply> AttestationCa::begin(const wire::AkBegin& request) {
  const auto begun =
      ca_.begin(request.thumbprint, request.payload, *policy(), system_clock().utc_ms());
  wire::AkBeginReply reply;
  if (!begun) {
    log::info("attestation key refused",
              {{"code", begun.error().code}, {"detail", begun.error().detail}});
    reply.problem = problem_of(begun.error());
    return reply;
  }
  reply.answer_json = attest::to_json(*begun);
  return reply;
}

task::Answer<wire::AkActivateReply> AttestationCa::activate(const wire::AkActivate& request) {
  attest::DeviceQuestion about;
  const auto grant =
      ca_.activate(request.thumbprint, request.payload, *policy(), system_clock().utc_ms(), &about);
  wire::AkActivateReply reply;
  if (!grant) {
    log::info("attestation key not activated", {{"code", grant.error().code}});
    reply.problem = problem_of(grant.error());
    return reply;
  }
  if (const auto noted = devices_.note_attestation_key(about, request.thumbprint); !noted)
    return tl::unexpected<wire::Failure>(noted.error());
  // The signer must hold the grant before anyone asks it for the certificate.
  if (const auto granted = signer_.call(*grant); !granted)
    return tl::unexpected<wire::Failure>(granted.error());
  log::info("attestation key activated",
            {{"ek_certificate_sha256", hex_encode(grant->evidence_sha256)},
             {"ak_sha256", hex_encode(crypto::sha256(grant->spki))}});
  reply.grant_expires_at_ms = grant->expires_at_ms;
  return reply;
}

void serve_attestation_ca(task::Server& server, AttestationCa* ca) {
  server.on<wire::AkBegin>(wire::TaskId::kAcme, [ca](const wire::AkBegin& request) {
    if (ca == nullptr) return task::Answer<wire::AkBeginReply>(tl::unexpected(not_served()));
    return ca->begin(request);
  });
  server.on<wire::AkActivate>(wire::TaskId::kAcme, [ca](const wire::AkActivate& request) {
    if (ca == nullptr) return task::Answer<wire::AkActivateReply>(tl::unexpected(not_served()));
    return ca->activate(request);
  });
}

}  // namespace keyward::attestation
