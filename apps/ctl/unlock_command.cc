#include "apps/ctl/unlock_command.h"

#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "apps/ctl/share_input.h"
#include "apps/ctl/unit_places.h"
#include "board/compose.h"
#include "firmware/json/json.h"
#include "firmware/recovery/hand_over.h"
#include "firmware/recovery/recovery_slot.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr std::int64_t kHandOverMs = 30'000;
constexpr int kLookMs = 250;

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what;
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return error.kind == ErrorKind::kBadInput || error.kind == ErrorKind::kCorrupt ? kExitFile
                                                                                 : kExitFailed;
}

// The appliance is down: the TPM is ours.
Status seal_here(const UnitPlaces& places, const SecretBytes& pin) {
  KEYWARD_TRY(tpm, board::make_tpm(places.tcti));
  KEYWARD_TRY(sealed, board::make_sealed_pin(*tpm, {places.sealed_pin, places.pcrs}));
  KEYWARD_CHECK(make_directories(std::filesystem::path(places.sealed_pin).parent_path(), 0700));
  KEYWARD_CHECK(sealed->seal(pin));
  KEYWARD_CHECK(give_to_folders_owner(places.sealed_pin));
  ::unlink((places.state_of("platform") + "/tampered").c_str());
  return tpm->shutdown_orderly();
}

// Status and what was said: sealed, or why not.
int give_pin(const UnitPlaces& places, const UnlockOptions& options, const SecretBytes& pin) {
  if (options.offline) {
    if (unit_runs(places)) {
      std::cerr << "keywardctl: the appliance runs: without --offline its platform task seals the"
                   " PIN itself\n";
      return kExitUsage;
    }
    const auto sealed = seal_here(places, pin);
    return sealed ? 0 : complain("the PIN was not sealed", sealed.error());
  }
  const auto answer =
      recovery::hand_over(places.state_of("platform"), pin, Deadline::after_ms(kHandOverMs));
  if (!answer) {
    const int code = complain("the PIN was not handed over", answer.error());
    std::cerr << "keywardctl: with the appliance stopped, use --offline\n";
    return code;
  }
  if (answer->code == "sealed") return 0;
  std::cerr << "keywardctl: the platform task did not take the PIN: " << answer->code << " "
            << answer->detail << "\n";
  return kExitFailed;
}

// The signer asks again within ten seconds.
bool wait_until_unlocked(const UnitPlaces& places, int wait_s) {
  const auto deadline = Deadline::after_ms(wait_s * 1'000LL);
  while (!deadline.passed()) {
    const auto state = unit_state(places);
    if (state == "operational" || state == "degraded") return true;
    ::poll(nullptr, 0, kLookMs);
  }
  return false;
}

}  // namespace

int UnlockCommand::run_unlock() const {
  const auto places = read_unit_places(options_.installation);
  if (!places) return complain(options_.installation, places.error());
  const auto slot = read_text_file(options_.slot, recovery::kSlotBytesMax);
  if (!slot) return complain(options_.slot, slot.error());
  const auto info = recovery::read_slot_info(*slot);
  if (!info) return complain(options_.slot, info.error());
  if (!options_.json)
    std::cout << "recovery slot of " << info->unit << ", PIN version " << info->pin_version
              << ", shares of set " << info->set << "\n";
  const auto key = gather_secret(options_.share_files, info->set, "the HSM's PIN");
  if (!key) return complain("no recovery key", key.error());
  auto pin = recovery::open_recovery_slot(*slot, key->view());
  if (!pin) return complain(options_.slot, pin.error());
  auto version = info->pin_version;
  if (options_.new_pin) {
    auto fresh = read_secret_line(options_.new_pin_file, "The HSM's new PIN: ");
    if (!fresh) return complain("the new PIN", fresh.error());
    const auto renewed = recovery::renew_recovery_slot(*slot, key->view(), fresh->view());
    if (!renewed) return complain(options_.slot, renewed.error());
    if (const auto kept = replace_file(options_.slot, view_of(*renewed), 0600); !kept)
      return complain(options_.slot, kept.error());
    pin = std::move(*fresh);
    ++version;
  }
  if (const int code = give_pin(*places, options_, *pin); code != 0) return code;
  const bool waits = !options_.offline && options_.wait_s > 0;
  const bool unlocked = waits && wait_until_unlocked(*places, options_.wait_s);
  if (options_.json) {
    json::Writer out;
    out.begin_object().member_bool("sealed", true).member_int("pin_version", version);
    out.member("state", options_.offline ? "stopped" : unit_state(*places)).end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout << "the PIN (version " << version
              << ") is sealed to this unit's TPM as it booted now\n";
    if (unlocked) std::cout << "the appliance is " << unit_state(*places) << "\n";
  }
  if (!waits || unlocked) return 0;
  std::cerr << "keywardctl: the appliance is still " << unit_state(*places)
            << ": its log says why (a PIN that the HSM refused is never tried again)\n";
  return kExitFailed;
}

int UnlockCommand::run_create() const {
  const auto pin = read_secret_line(recovery_.pin_file, "The HSM's PIN: ");
  if (!pin) return complain("the PIN", pin.error());
  const auto made = recovery::make_recovery_slot(pin->view(), recovery_.unit, recovery_.threshold,
                                                 recovery_.custodians);
  if (!made) {
    complain("no recovery slot", made.error());
    return kExitUsage;
  }
  const std::string path = recovery_.out + "/recovery-slot.json";
  if (file_exists(path)) {
    std::cerr << "keywardctl: " << path << " is there already\n";
    return kExitFailed;
  }
  if (const auto kept = write_shares(recovery_.out, made->shares); !kept)
    return complain(recovery_.out, kept.error());
  if (const auto kept = replace_file(path, view_of(made->text), 0600); !kept)
    return complain(path, kept.error());
  std::cout
      << path << " and " << made->shares.size() << " shares, " << recovery_.threshold
      << " of which open it.\nGive each custodian his file, and remove it here; the slot stays "
         "with the unit and in a copy elsewhere.\n";
  return 0;
}

int UnlockCommand::run_show() const {
  const auto slot = read_text_file(recovery_.slot, recovery::kSlotBytesMax);
  if (!slot) return complain(recovery_.slot, slot.error());
  const auto info = recovery::read_slot_info(*slot);
  if (!info) return complain(recovery_.slot, info.error());
  json::Writer out;
  out.begin_object().member("unit", info->unit).member_int("pin_version", info->pin_version);
  out.member("set", info->set).end_object();
  std::cout << out.take() << "\n";
  return 0;
}

UnlockCommand::UnlockCommand(CLI::App& app) {
  unlock_ = app.add_subcommand(
      "unlock", "Seal the HSM's PIN anew to this unit's TPM, from the custodians' shares");
  unlock_->add_option("installation", options_.installation, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  unlock_->add_option("--recovery", options_.slot, "The recovery slot that the ceremony made")
      ->required()
      ->check(CLI::ExistingFile);
  unlock_->add_option("--share", options_.share_files,
                      "A file with one share; repeatable. Missing ones are asked for");
  unlock_->add_flag("--new-pin", options_.new_pin,
                    "The HSM's PIN was changed: ask for it, and keep it in the slot");
  unlock_->add_option("--new-pin-file", options_.new_pin_file, "The new PIN, in a file")
      ->check(CLI::ExistingFile);
  unlock_->add_flag("--offline", options_.offline,
                    "The appliance is stopped: seal with the TPM from here");
  unlock_
      ->add_option("--wait", options_.wait_s, "So many seconds for the appliance; 0: do not wait")
      ->capture_default_str()
      ->check(CLI::Range(0, 3'600));
  unlock_->add_flag("--json", options_.json, "For programs");

  recovery_command_ = app.add_subcommand("recovery", "The recovery slot of the HSM's PIN");
  recovery_command_->require_subcommand(1);
  create_ = recovery_command_->add_subcommand(
      "create", "Make a slot and its shares for a unit whose ceremony made none");
  create_->add_option("--unit", recovery_.unit, "The unit's name")->required();
  create_->add_option("--pin-file", recovery_.pin_file, "The PIN, in a file; else it is asked for")
      ->check(CLI::ExistingFile);
  create_->add_option("--threshold", recovery_.threshold, "So many shares open it")->required();
  create_->add_option("--custodian", recovery_.custodians, "A custodian's name; repeatable")
      ->required();
  create_->add_option("--out", recovery_.out, "Folder for the slot and the shares")->required();
  show_ = recovery_command_->add_subcommand("show", "Which unit, PIN version and set of shares");
  show_->add_option("slot", recovery_.slot, "The recovery slot")
      ->required()
      ->check(CLI::ExistingFile);
}

bool UnlockCommand::parsed() const { return unlock_->parsed() || recovery_command_->parsed(); }

int UnlockCommand::run() const {
  if (unlock_->parsed()) return run_unlock();
  return create_->parsed() ? run_create() : run_show();
}

}  // namespace keyward::ctl
