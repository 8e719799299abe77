// Owns the search over list and record. Must not know how either is written.
#include "firmware/inventory/inventory.h"

#include <algorithm>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::inventory {

Result<std::unique_ptr<Inventory>> Inventory::open(const std::string& state_dir) {
  const std::string folder = state_dir + "/" + std::string(kFolder);
  KEYWARD_CHECK(make_directories(folder, 0700));
  KEYWARD_TRY(enrolments, Enrolments::open(folder + "/" + std::string(kEnrolmentsFile)));
  return std::unique_ptr<Inventory>(
      new Inventory(folder + "/" + std::string(kDevicesFile), std::move(enrolments)));
}

Inventory::Inventory(std::string devices_path, Enrolments enrolments)
    : devices_path_(std::move(devices_path)),
      file_(devices_path_, limits::kInventoryFileBytesMax, DeviceBook::parse),
      enrolments_(std::move(enrolments)) {
  (void)file_.refresh();
}

bool Inventory::is_usable() {
  const std::lock_guard lock(mutex_);
  (void)file_.refresh();
  return file_.current() != nullptr || !operate::mark_of(devices_path_).exists;
}

std::vector<Device> Inventory::found(const DeviceBook& book, const Traces& traces) const {
  std::vector<const Device*> hits;
  for (const auto& ek : traces.ek_sha256) hits.push_back(book.find_by_ek(ek));
  for (const auto& identifier : traces.identifiers) {
    const auto named = book.find_by_identifier(identifier);
    hits.insert(hits.end(), named.begin(), named.end());
  }
  if (traces.root) hits.push_back(book.find_by_root(*traces.root));
  if (traces.ak_spki_sha256) {
    hits.push_back(book.find_by_ak(*traces.ak_spki_sha256));
    if (const auto* activation = enrolments_.activation_of(*traces.ak_spki_sha256)) {
      hits.push_back(book.find(activation->device_id));
      for (const auto& ek : {activation->ek_certificate_sha256, activation->ek_spki_sha256}) {
        if (ek) hits.push_back(book.find_by_ek(*ek));
      }
    }
  }
  std::vector<Device> out;
  for (const auto* hit : hits) {
    if (hit == nullptr) continue;
    if (std::ranges::find(out, hit->id, &Device::id) == out.end()) out.push_back(*hit);
  }
  return out;
}

std::vector<Device> Inventory::find(const Traces& traces) {
  const std::lock_guard lock(mutex_);
  (void)file_.refresh();
  const auto book = file_.current();
  return book ? found(*book, traces) : std::vector<Device>();
}

std::optional<Device> Inventory::find_by_keys(const Traces& traces) {
  auto devices = find({traces.ek_sha256, traces.ak_spki_sha256, {}, {}});
  if (devices.size() != 1) return std::nullopt;
  return std::move(devices.front());
}

Status Inventory::note_enrolment(const Enrolment& enrolment) {
  const std::lock_guard lock(mutex_);
  return enrolments_.add(enrolment);
}

}  // namespace keyward::inventory
