#include "apps/attestation/devices.h"

#include <algorithm>

#include "firmware/log/log.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::attestation {
namespace {

constexpr std::int64_t kDaysMax = 3'650;

wire::Failure failure_of(const Error& error) {
  const bool full = error.kind == ErrorKind::kExhausted;
  return wire::Failure::of(
      full ? wire::FailureKind::kExhausted : wire::FailureKind::kUnavailable,
      full ? "inventory-full" : "inventory-unavailable",
      full ? "the record of enrolments is full" : "the inventory of devices cannot be used");
}

// The worst counts, since every trace is the device's.
inventory::State worst_of(const std::vector<inventory::Device>& devices) {
  auto out = inventory::State::kExpected;
  for (const auto& device : devices) out = std::max(out, device.state);
  return out;
}

inventory::Traces traces_of(const attest::DeviceQuestion& question) {
  return {{question.ek_certificate_sha256, question.ek_spki_sha256},
          question.ak_spki_sha256,
          {},
          std::nullopt};
}

}  // namespace

DevicesConfig read_devices_config(config::Section& config) {
  DevicesConfig out;
  out.inventory = config.string_or("inventory", "known");
  out.identity_by_enrolment = config.boolean_or("identity_by_enrolment", false);
  auto days = config.table("evidence_days");
  for (const auto& profile : days.keys())
    out.evidence_days[profile] = days.integer(profile, 0, kDaysMax);
  return out;
}

Result<std::unique_ptr<Devices>> Devices::open(const DevicesConfig& config,
                                               const std::string& state_dir) {
  if (config.inventory != "off" && config.inventory != "known" && config.inventory != "required")
    return fail(ErrorKind::kBadInput, "inventory: \"off\", \"known\" or \"required\"");
  if (config.identity_by_enrolment && config.inventory == "off")
    return fail(ErrorKind::kBadInput, "identity_by_enrolment: needs an inventory that is not off");
  KEYWARD_TRY(inventory, inventory::Inventory::open(state_dir));
  KEYWARD_TRY(evidence, attest::EvidenceStore::open(state_dir + "/evidence", config.evidence_days,
                                                    system_clock().utc_ms()));
  if (config.identity_by_enrolment)
    log::warning("devices are named by their enrolment record (identity_by_enrolment)");
  return std::unique_ptr<Devices>(new Devices(config, std::move(inventory), std::move(evidence)));
}

task::Answer<std::optional<attest::Refusal>> Devices::judge(const inventory::Traces& traces) {
  using Judged = std::optional<attest::Refusal>;
  if (is_off()) return Judged();
  if (!inventory_->is_usable())
    return task::refuse(wire::FailureKind::kUnavailable, "inventory-unavailable",
                        "the inventory of devices cannot be used");
  const auto devices = inventory_->find(traces);
  if (devices.empty()) {
    if (config_.inventory != "required") return Judged();
    return Judged(attest::Refusal{"device.unknown", "the device is not in the inventory"});
  }
  switch (worst_of(devices)) {
    case inventory::State::kRetired:
      return Judged(attest::Refusal{"device.retired", "the device was retired"});
    case inventory::State::kQuarantined:
      return Judged(attest::Refusal{"device.quarantined", "the device is quarantined"});
    case inventory::State::kExpected:
      break;
  }
  return Judged();
}

attest::FindDevice Devices::find_device() {
  return [this](const attest::DeviceQuestion& question) -> std::optional<attest::KnownDevice> {
    if (!inventory_->is_usable())
      return attest::KnownDevice{attest::DeviceStanding::kQuarantined, {}};
    const auto devices = inventory_->find(traces_of(question));
    if (devices.empty()) return std::nullopt;
    attest::KnownDevice out;
    const auto worst = worst_of(devices);
    if (worst == inventory::State::kQuarantined)
      out.standing = attest::DeviceStanding::kQuarantined;
    if (worst == inventory::State::kRetired) out.standing = attest::DeviceStanding::kRetired;
    // Digests of two devices name neither.
    if (devices.size() > 1)
      out.standing = std::max(out.standing, attest::DeviceStanding::kQuarantined);
    if (devices.size() == 1) out.identifiers = devices.front().identifiers;
    return out;
  };
}

std::vector<wire::Identifier> Devices::identifiers_of_key(const Digest256& ak_spki_sha256) {
  if (is_off() || !inventory_->is_usable()) return {};
  inventory::Traces traces;
  traces.ak_spki_sha256 = ak_spki_sha256;
  const auto device = inventory_->find_by_keys(traces);
  if (!device || device->state != inventory::State::kExpected) return {};
  log::info("a device was named by its enrolment record",
            {{"device", device->id}, {"ak_sha256", hex_encode(ak_spki_sha256)}});
  return device->identifiers;
}

void Devices::note(inventory::Decision decision, const inventory::Traces& traces,
                   const Digest256& thumbprint, const Digest256& evidence_sha256) {
  if (is_off()) return;
  for (const auto& device : inventory_->find(traces)) {
    inventory::Enrolment enrolment;
    enrolment.decision = decision;
    enrolment.device_id = device.id;
    enrolment.ak_spki_sha256 = traces.ak_spki_sha256;
    enrolment.account_sha256 = crypto::sha256(thumbprint);
    enrolment.evidence_sha256 = evidence_sha256;
    enrolment.at_ms = system_clock().utc_ms();
    if (const auto noted = inventory_->note_enrolment(enrolment); !noted)
      log::error("an enrolment cannot be noted", noted.error(), {{"device", device.id}});
  }
}

tl::expected<void, wire::Failure> Devices::note_attestation_key(const attest::DeviceQuestion& about,
                                                                const Digest256& thumbprint) {
  if (is_off()) return {};
  const auto devices = inventory_->find(traces_of(about));
  inventory::Enrolment enrolment;
  enrolment.decision = inventory::Decision::kAttestationKey;
  if (devices.size() == 1) enrolment.device_id = devices.front().id;
  enrolment.ek_certificate_sha256 = about.ek_certificate_sha256;
  enrolment.ek_spki_sha256 = about.ek_spki_sha256;
  enrolment.ak_spki_sha256 = about.ak_spki_sha256;
  enrolment.account_sha256 = crypto::sha256(thumbprint);
  enrolment.evidence_sha256 = about.ek_certificate_sha256;
  enrolment.at_ms = system_clock().utc_ms();
  if (const auto noted = inventory_->note_enrolment(enrolment); !noted) {
    log::error("an attestation key cannot be noted", noted.error());
    return tl::unexpected(failure_of(noted.error()));
  }
  return {};
}

void Devices::keep(std::string_view profile, ByteView evidence) {
  const auto kept = evidence_->keep(profile, evidence, system_clock().utc_ms());
  if (!kept) log::error("evidence cannot be kept", kept.error());
}

void Devices::turn() {
  const auto now_ms = system_clock().utc_ms();
  if (now_ms >= swept_ms_ && now_ms < swept_ms_ + limits::kEvidenceSweepMs) return;
  swept_ms_ = now_ms;
  evidence_->sweep(now_ms);
}

}  // namespace keyward::attestation
