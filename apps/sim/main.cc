// keyward-sim: the appliance on a PC. Wiring of the command line alone.
#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>

#include "apps/sim/device.h"
#include "apps/sim/inspect.h"
#include "apps/sim/keeper.h"
#include "apps/sim/up.h"
#include "firmware/json/json.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
namespace sim = keyward::simulator;

int show_device(const sim::Places& places, const std::string& name, bool as_json, bool stop) {
  if (stop) {
    const auto stopped = sim::stop_device(places, name);
    if (!stopped) std::cerr << "keyward-sim: " << stopped.error().what << "\n";
    return stopped ? 0 : 1;
  }
  const auto device = sim::start_device(places, name, sim::Progress(as_json));
  if (!device) {
    std::cerr << "keyward-sim: device " << name << ": " << device.error().what << " ("
              << device.error().native << ")\n";
    return 1;
  }
  if (as_json) {
    json::Writer out;
    out.begin_object()
        .member("identifier", device->name)
        .member("tcti", device->tcti)
        .member("ak_handle", device->ak_handle);
    std::cout << out.member("ak_chain", device->ak_chain).end_object().take() << "\n";
    return 0;
  }
  std::cout << "identifier: " << device->name << "\ntcti:       " << device->tcti
            << "\nak handle:  " << device->ak_handle << "\nak chain:   " << device->ak_chain
            << "\n";
  return 0;
}

int destroy(const sim::Places& places, bool sure) {
  std::error_code error;
  if (!std::filesystem::exists(places.lock(), error)) {
    std::cerr << "keyward-sim: " << places.root << " is no simulator's folder\n";
    return 1;
  }
  if (!sure) {
    std::cerr << "keyward-sim: this removes all keys and certificates in " << places.root
              << "; say --yes\n";
    return 1;
  }
  if (const int code = sim::down(places); code != 0) return code;
  std::filesystem::remove_all(places.root, error);
  if (error) std::cerr << "keyward-sim: " << error.message() << "\n";
  return error ? 1 : 0;
}

CLI::App* add_up(CLI::App& app, sim::UpOptions& options) {
  auto* up = app.add_subcommand("up", "Start it; the first time make keys, certificates and a TPM");
  up->add_flag("--foreground", options.foreground, "Stay, and show the log; ^C ends it");
  up->add_flag("--quiet", options.quiet, "No progress lines");
  up->add_option("--port", options.port, "Of the ACME server on 127.0.0.1")
      ->check(CLI::Range(1, 65'535));
  up->add_option("--http-port", options.http_port, "Where http-01 looks (first: 5002)")
      ->check(CLI::Range(1, 65'535));
  up->add_option("--public-port", options.public_port,
                 "Of lists and OCSP over plain HTTP (first: 14080)")
      ->check(CLI::Range(1, 65'535));
  up->add_option("--host", options.hosts, "NAME=ADDRESS for validation; repeat it");
  up->add_option("--permit", options.permitted,
                 "One more DNS tree that the issuing CA may vouch for (first start only)");
  up->add_option("--module", options.module,
                 "Another PKCS#11 module for the signer; 'softhsm' goes back");
  up->add_option("--module-env", options.module_environment,
                 "NAME=VALUE for that module; repeat it");
  up->add_option("--test-ca", options.test_ca,
                 "Folder of a TEST CA (root.pem, chain.pem, issuing.key) to use in place of a key "
                 "ceremony (first start only)");
  up->add_option("--set", options.additions,
                 "SECTION.KEY=VALUE, a further line of the installation file (VALUE in TOML); "
                 "repeat it");
  up->add_option("--patience", options.patience_s, "Seconds to wait until it is ready")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600));
  return up;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs Keyward on a PC, with SoftHSMv2 for the HSM and swtpm for the TPM.",
               "keyward-sim"};
  app.require_subcommand(1);
  app.fallthrough();
  std::string dir;
  app.add_option("--dir", dir,
                 "The simulator's folder (default: ~/.local/state/keyward-sim, for root "
                 "/var/lib/keyward-sim)");

  sim::UpOptions options;
  auto* up = add_up(app, options);
  auto* down = app.add_subcommand("down", "Stop it in order, devices too; its state stays");

  bool as_json = false;
  auto* status = app.add_subcommand("status", "Exit status 0 operational, 1 not quite, 3 stopped");
  status->add_flag("--json", as_json, "For programs");

  bool follow = false;
  std::string task;
  auto* logs = app.add_subcommand("logs", "Show the log, of one task or all");
  logs->add_flag("-f,--follow", follow, "Go on");
  logs->add_option("task", task,
                   "acme, store, validation, attestation, signer, platform, supervisor");
  auto* env = app.add_subcommand(
      "env", "What a client needs, as shell assignments: eval \"$(keyward-sim env)\"");

  std::string name;
  bool stop = false;
  auto* device = app.add_subcommand("device", "Make and start a make-believe device with a TPM");
  device->add_option("name", name, "Its permanent identifier")->required();
  device->add_flag("--json", as_json, "For programs");
  device->add_flag("--stop", stop, "Stop its TPM");

  bool sure = false;
  auto* remove = app.add_subcommand("destroy", "Stop it and remove its folder with all keys");
  remove->add_flag("--yes", sure, "Yes, remove them");
  CLI11_PARSE(app, argc, argv);

  const auto places = sim::places_for(dir);
  if (!places) {
    std::cerr << "keyward-sim: " << places.error().what << "\n";
    return 1;
  }
  if (up->parsed()) return sim::up(*places, options);
  if (down->parsed()) return sim::down(*places);
  if (status->parsed()) return sim::show_status(*places, as_json);
  if (logs->parsed()) return sim::show_logs(*places, task, follow);
  if (env->parsed()) return sim::show_environment(*places);
  if (device->parsed()) return show_device(*places, name, as_json, stop);
  if (remove->parsed()) return destroy(*places, sure);
  return 1;
}
