#include "apps/sim/provision.h"

#include <filesystem>
#include <iostream>

#include <unistd.h>

#include "apps/sim/manufacturer.h"
#include "apps/sim/run_program.h"
#include "apps/sim/test_ca.h"
#include "board/compose.h"
#include "board/sim/swtpm.h"
#include "firmware/config/config.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kTpmMs = 30'000;

Status remove_leftovers(const Places& places) {
  std::error_code error;
  for (const auto& path : {places.root + "/ca", places.root + "/offline", places.state(),
                           places.tpm_state(), places.root + "/backup"}) {
    fs::remove_all(path, error);
    if (error)
      return fail(ErrorKind::kUnavailable, "cannot remove what an interrupted start left",
                  error.value());
  }
  return {};
}

Status hold_ceremony(const Places& places, const Settings& settings) {
  KEYWARD_CHECK(write_plan(places, settings));
  const std::string log = places.run() + "/ceremony.log";
  const auto code = run_program({own_directory() + "/keywardctl", "ceremony", "--simulator",
                                 places.plan(), "--dir", places.root},
                                log);
  if (!code) return fail(code.error());
  if (*code == 0) return {};
  std::cerr << read_text_file(log, 65'536).value_or("");
  return fail(ErrorKind::kUnavailable, "the key ceremony failed", *code);
}

Result<SecretBytes> issuing_pin(const Places& places) {
  auto document = config::Document::load(places.pins());
  auto pin = SecretBytes(view_of(document.root().string("issuing_pin")));
  if (pin.empty()) return fail(ErrorKind::kCorrupt, "the ceremony left no PIN");
  return pin;
}

Status seal_pin(const Places& places) {
  KEYWARD_TRY(pin, issuing_pin(places));
  KEYWARD_CHECK(make_directories(places.state() + "/platform", 0700));
  sim::SwtpmSpec spec;
  spec.state_dir = places.tpm_state();
  spec.socket_path = places.tpm_socket();
  KEYWARD_TRY(process, sim::SwtpmProcess::start(spec, Deadline::after_ms(kTpmMs)));
  {
    KEYWARD_TRY(tpm, board::make_tpm(process.tcti()));
    hal::PcrSelection pcrs;
    pcrs.registers = {16};
    KEYWARD_TRY(sealed, board::make_sealed_pin(*tpm, {places.sealed_pin(), pcrs}));
    KEYWARD_CHECK(sealed->seal(pin));
    KEYWARD_CHECK(tpm->shutdown_orderly());
  }
  process.stop(Deadline::after_ms(kTpmMs));
  return {};
}

// A token directory of SoftHSM holds one folder per token with a token.object that is never empty.
bool tokens_whole(const std::string& dir) {
  std::error_code error;
  bool any = false;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (!entry.is_directory()) continue;
    const auto size = fs::file_size(entry.path() / "token.object", error);
    if (error || size == 0) return false;
    any = true;
  }
  return any;
}

Status copy_tree(const std::string& from, const std::string& to) {
  std::error_code error;
  const std::string fresh = to + ".new";
  const std::string old = to + ".old";
  fs::remove_all(fresh, error);
  fs::create_directories(fs::path(to).parent_path(), error);
  fs::copy(from, fresh, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) return fail(ErrorKind::kUnavailable, "cannot copy the token directory", error.value());
  fs::remove_all(old, error);
  fs::rename(to, old, error);  // absent the first time
  fs::rename(fresh, to, error);
  if (error)
    return fail(ErrorKind::kUnavailable, "cannot place the copy of the token directory",
                error.value());
  fs::remove_all(old, error);
  return {};
}

}  // namespace

Status provision(const Places& places, const Settings& settings, const Progress& progress) {
  if (file_exists(places.provisioned())) return {};
  progress.say("first use: making keys, certificates and a TPM in " + places.root);
  KEYWARD_CHECK(remove_leftovers(places));
  if (settings.test_ca.empty()) {
    KEYWARD_CHECK(hold_ceremony(places, settings));
    progress.say("key ceremony held: root " + places.root_certificate() +
                 ", issuing CA in a SoftHSMv2 token");
  } else {
    KEYWARD_CHECK(adopt_test_ca(places, settings.test_ca));
    progress.say("TEST KEYS from " + settings.test_ca +
                 " taken: whoever has that folder is this CA");
  }
  KEYWARD_CHECK(make_directories(places.tpm_ca(), 0700));
  KEYWARD_CHECK(sim::manufacture_swtpm(places.tpm_state(), {places.tpm_ca(), ""},
                                       Deadline::after_ms(kTpmMs)));
  KEYWARD_CHECK(seal_pin(places));
  progress.say("the appliance's TPM (swtpm) made; the token's PIN sealed to it");
  KEYWARD_CHECK(make_manufacturer(places.manufacturer()));
  progress.say("make-believe TPM manufacturer for simulated devices made");
  KEYWARD_CHECK(back_up_tokens(places));
  return replace_file(places.provisioned(),
                      view_of("made by keyward-sim; `keyward-sim destroy` looks for this file\n"),
                      0644);
}

Status back_up_tokens(const Places& places) {
  if (!tokens_whole(places.tokens()))
    return fail(ErrorKind::kCorrupt, "the token directory is not whole: the older copy is kept");
  KEYWARD_CHECK(make_directories(places.root + "/backup", 0700));
  return copy_tree(places.tokens(), places.token_backup());
}

Status restore_tokens_if_lost(const Places& places, const Progress& progress) {
  if (tokens_whole(places.tokens())) return {};
  if (!tokens_whole(places.token_backup()))
    return fail(ErrorKind::kCorrupt, "the token is lost and there is no copy of it");
  KEYWARD_CHECK(copy_tree(places.token_backup(), places.tokens()));
  progress.say(
      "the token was damaged (a power cut while SoftHSM wrote it?): put back from the copy");
  return {};
}

}  // namespace keyward::simulator
