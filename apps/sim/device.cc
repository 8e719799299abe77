#include "apps/sim/device.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include <signal.h>

#include "apps/sim/manufacturer.h"
#include "apps/sim/process_id.h"
#include "board/compose.h"
#include "board/sim/swtpm.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

constexpr std::uint32_t kAkHandle = 0x81010002;
constexpr const char* kAkHandleText = "0x81010002";
constexpr std::int64_t kTpmMs = 30'000;
constexpr std::size_t kNameBytesMax = 32;

std::string process_file(const std::string& dir) { return dir + "/process.toml"; }

bool runs(const std::string& dir) {
  const auto id = read_process_id(process_file(dir));
  return id && open_process(*id).has_value();
}

Status start_tpm(const std::string& dir) {
  if (runs(dir)) return {};
  sim::SwtpmSpec spec;
  spec.state_dir = dir + "/tpm-state";
  spec.socket_path = dir + "/tpm";
  spec.log_path = dir + "/tpm.log";
  spec.die_with_parent = false;  // it outlives this command
  KEYWARD_TRY(process, sim::SwtpmProcess::start(spec, Deadline::after_ms(kTpmMs)));
  KEYWARD_TRY(id, identify(process.pid()));
  KEYWARD_CHECK(write_process_id(process_file(dir), id));
  process.release();
  return {};
}

// The attestation key at its persistent handle, and the manufacturer's word for it.
Status make_attestation_key(const Places& places, const std::string& dir, const std::string& tcti,
                            const std::string& name) {
  KEYWARD_TRY(tpm, board::make_tpm(tcti));
  Bytes public_area;
  if (auto there = tpm->open_persistent(kAkHandle)) {
    public_area = to_bytes((*there)->public_area());
  } else {
    hal::TpmKeyTemplate key_template;
    key_template.restricted = true;
    KEYWARD_TRY(blob, tpm->create_key(key_template));
    KEYWARD_TRY(key, tpm->load(blob));
    KEYWARD_CHECK(tpm->make_persistent(*key, kAkHandle));
    public_area = to_bytes(key->public_area());
  }
  KEYWARD_TRY(certificate, certify_attestation_key(places.manufacturer(), public_area, name));
  KEYWARD_TRY(ca, read_text_file(places.manufacturer() + "/ca.pem", 65'536));
  return replace_file(dir + "/ak-chain.pem", view_of(x509::to_pem("CERTIFICATE", certificate) + ca),
                      0644);
}

}  // namespace

bool is_device_name(const std::string& name) {
  if (name.empty() || name.size() > kNameBytesMax || name[0] == '.') return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<Device> start_device(const Places& places, const std::string& name,
                            const Progress& progress) {
  if (!is_device_name(name))
    return fail(ErrorKind::kBadInput, "a device's name has 1 to 32 letters, digits, '.', '_', '-'");
  if (!file_exists(places.provisioned()))
    return fail(ErrorKind::kRefused,
                "the simulator was never up: `keyward-sim up` makes the manufacturer");
  const std::string dir = places.device(name);
  KEYWARD_CHECK(make_directories(dir, 0700));
  Device out{name, "swtpm:path=" + dir + "/tpm", kAkHandleText, dir + "/ak-chain.pem", true};
  if (!file_exists(out.ak_chain)) {
    KEYWARD_CHECK(sim::manufacture_swtpm(dir + "/tpm-state", {places.tpm_ca(), ""},
                                         Deadline::after_ms(kTpmMs)));
    progress.say("device " + name + ": its TPM (swtpm) made");
  }
  KEYWARD_CHECK(start_tpm(dir));
  if (!file_exists(out.ak_chain)) {
    KEYWARD_CHECK(make_attestation_key(places, dir, out.tcti, name));
    progress.say("device " + name + ": attestation key certified by the make-believe manufacturer");
  }
  return out;
}

Status stop_device(const Places& places, const std::string& name) {
  if (!is_device_name(name)) return fail(ErrorKind::kBadInput, "no such device");
  const std::string dir = places.device(name);
  const auto id = read_process_id(process_file(dir));
  if (!id) return {};
  const auto process = open_process(*id);
  if (process) {
    if (auto tpm = board::make_tpm("swtpm:path=" + dir + "/tpm")) {
      if (const auto done = (*tpm)->shutdown_orderly(); !done)
        std::cerr << "keyward-sim: device " << name << ": " << done.error().what << "\n";
    }
    (void)signal_process(*process, SIGTERM);
    if (!wait_ended(*process, Deadline::after_ms(5'000))) (void)signal_process(*process, SIGKILL);
  }
  std::error_code error;
  std::filesystem::remove(process_file(dir), error);
  return {};
}

void stop_all_devices(const Places& places) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(places.devices(), error))
    (void)stop_device(places, entry.path().filename().string());
}

}  // namespace keyward::simulator
