// keyward-pebble: the appliance with Pebble's flags, configuration and management interface, so that
// what is tested against Pebble can be tested against Keyward. The same tasks with a simulator's
// configuration, not a second server. Wiring alone.
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "apps/pebble/appliance.h"
#include "apps/pebble/management.h"
#include "apps/pebble/temporary_folder.h"
#include "firmware/https/https_server.h"
#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone

constexpr int kUsage = 64;
constexpr std::int64_t kPatienceMs = 60'000;
constexpr int kLookMs = 500;
constexpr std::size_t kTlsFileBytesMax = limits::kTlsIdentityBytesMax;

int complain(const std::string& what, const Error& error = {}) {
  std::cerr << "keyward-pebble: " << what;
  if (*error.what != '\0') std::cerr << ": " << error.what;
  std::cerr << "\n";
  return 1;
}

std::string programs_dir() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

Result<std::unique_ptr<https::HttpsServer>> serve_management(const pebble::Options& options,
                                                             const std::vector<std::string>& names,
                                                             pebble::Management& management) {
  https::HttpsOptions https;
  https.listen = options.management.address + ":" + std::to_string(options.management.port);
  https.hosts = names;
  https.hosts.insert(https.hosts.end(), {"localhost", "127.0.0.1"});
  https.connections_max = 16;
  KEYWARD_TRY(server, https::HttpsServer::start(https, management));
  KEYWARD_TRY(chain, read_text_file(options.certificate, kTlsFileBytesMax));
  KEYWARD_TRY(key, read_text_file(options.private_key, kTlsFileBytesMax));
  KEYWARD_CHECK(server->set_identity({std::move(chain), std::move(key)}));
  return std::move(server);
}

// Until a signal asks for the end (0) or the appliance ended by itself (1).
int wait_for_end(int signals, pebble::Appliance& appliance) {
  while (true) {
    pollfd entry{signals, POLLIN, 0};
    if (::poll(&entry, 1, kLookMs) > 0) return 0;
    if (appliance.ended()) return complain("the appliance ended");
  }
}

// Where the acme task, which has a user id of its own, can read them. A test server's key is no secret.
Status copy_identity(pebble::Options& options, const std::string& folder) {
  KEYWARD_CHECK(make_directories(folder, 0755));
  KEYWARD_TRY(chain, read_text_file(options.certificate, kTlsFileBytesMax));
  KEYWARD_TRY(key, read_text_file(options.private_key, kTlsFileBytesMax));
  options.certificate = folder + "/chain.pem";
  options.private_key = folder + "/key.pem";
  KEYWARD_CHECK(replace_file(options.certificate, view_of(chain), 0644));
  return replace_file(options.private_key, view_of(key), 0644);
}

int run(pebble::Options options, int signals) {
  const auto names = pebble::names_of_certificate(options.certificate);
  if (!names) return complain(options.certificate, names.error());
  const auto base_url = pebble::base_url_of(options);
  if (!base_url) return complain("no base URL", base_url.error());
  const pebble::TemporaryFolder folder(options.state_dir);
  if (folder.path().empty()) return complain("cannot make a temporary folder");
  if (const auto copied = copy_identity(options, folder.path() + "/tls"); !copied)
    return complain("the server's certificate and key", copied.error());
  const std::string ca_folder = folder.path() + "/test-ca";
  const auto ca =
      pebble::load_or_make(ca_folder, 1 + options.alternate_roots, options.chain_length);
  if (!ca) return complain("the test CA", ca.error());

  pebble::Appliance appliance(programs_dir(), folder.path() + "/sim");
  const auto started =
      appliance.start(pebble::up_words(options, *ca, ca_folder, *base_url, *names), options.quiet);
  if (!started) return complain("the appliance", started.error());
  if (const auto ready = appliance.wait_until_ready(kPatienceMs); !ready)
    return complain("the appliance", ready.error());
  for (const auto& [kid, key] : options.binding_keys) {
    if (const auto added = appliance.add_binding_key(kid, key); !added)
      return complain("externalAccountMACKeys, " + kid, added.error());
  }
  std::unique_ptr<https::HttpsServer> server;
  pebble::Management management(*ca, appliance.ledger_dir());
  if (options.management.port != 0) {
    auto made = serve_management(options, *names, management);
    if (!made) return complain("the management interface", made.error());
    server = std::move(*made);
    std::cout << "Management interface: " << options.management.address << ":"
              << options.management.port << ", the root at /roots/0\n";
  }
  std::cout << "TEST KEYS: nobody may trust what this CA signs\nACME directory: " << *base_url
            << "/dir" << std::endl;
  return wait_for_end(signals, appliance);
}

}  // namespace

int main(int argc, char** argv) {
  const auto loaded = pebble::load_options(
      {argv + 1, argv + argc}, [](const char* name) -> const char* { return std::getenv(name); });
  if (loaded.options.help) {
    std::cout << pebble::usage();
    return 0;
  }
  for (const auto& problem : loaded.problems) std::cerr << "keyward-pebble: " << problem << "\n";
  if (!loaded.problems.empty()) return kUsage;
  for (const auto& name : loaded.options.ignored)
    std::cerr << "keyward-pebble: \"" << name << "\" has no meaning here and is ignored\n";
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  const UniqueFd signals(::signalfd(-1, &ending, SFD_CLOEXEC));
  return run(loaded.options, signals.get());
}
