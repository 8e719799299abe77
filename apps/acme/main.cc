// keyward-acme: the HTTPS front end of the CA (RFC 8555). Wiring alone; it must never have the HSM,
// the TPM, a database file or any key but its own TLS and nonce keys (DESIGN §1).
#include <mutex>
#include <thread>

#include "apps/acme/configuration.h"
#include "apps/acme/front_metrics.h"
#include "apps/acme/peers.h"
#include "firmware/acme/appliance_certificate.h"
#include "firmware/acme/public_pages.h"
#include "firmware/acme/service.h"
#include "firmware/https/https_server.h"
#include "firmware/log/log.h"

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone

namespace {

std::unique_ptr<https::HttpsServer> listen_or_die(const https::HttpsOptions& options,
                                                  acme::HttpHandler& handler,
                                                  std::string_view which) {
  auto server = https::HttpsServer::start(options, handler);
  if (server) return std::move(*server);
  log::error(which, server.error());
  task::Task::exit(server.error().kind == ErrorKind::kBadInput ? task::kExitConfig : 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, acme::peers())) return 0;
  task::Task task(wire::TaskId::kAcme, acme::peers());
  const auto config = acme::read_configuration_or_die(task);
  const auto own_tls = acme::own_identity_or_die(config);
  auto nonces = acme::Nonces::open(config.service.state_dir + "/nonce.key", system_clock());
  if (!nonces) {
    log::error("the nonce key", nonces.error());
    task::Task::exit(1);
  }
  acme::PeerBackend peers(task);
  acme::Service service(config.service, peers.backend(), system_clock(), std::move(*nonces));
  auto server = listen_or_die(config.https, service, "the HTTPS server");
  acme::PublicPages pages(service);
  std::unique_ptr<https::HttpsServer> plain;
  if (config.public_http) plain = listen_or_die(*config.public_http, pages, "acme.public_http");
  std::mutex server_mutex;
  acme::ApplianceCertificate certificate(
      config.appliance, peers.backend(), system_clock(),
      [&](const acme::TlsIdentity& identity) {
        const std::lock_guard lock(server_mutex);
        if (!server) return;  // stopping
        if (auto set = server->set_identity(identity); !set)
          log::error("the TLS identity", set.error());
      },
      [&](std::string_view state, std::string_view detail) { task.report_state(state, detail); });
  if (own_tls) {
    if (auto set = server->set_identity(*own_tls); !set) {
      log::error("acme.tls_chain and acme.tls_key", set.error());
      task::Task::exit(task::kExitConfig);
    }
    task.report_state("operational", "serves with the TLS certificate of acme.tls_chain");
  } else {
    task.report_state("starting", "waiting for a TLS certificate");
  }
  task.on_stop([&] {
    certificate.stop();
    const std::lock_guard lock(server_mutex);
    const std::jthread beside([&] { plain.reset(); });
    server.reset();  // the requests under way are answered
    service.stop();
  });
  acme::FrontMetrics front("keyward_acme_"), front_plain("keyward_acme_public_");
  task.on_metrics([&] {
    const std::lock_guard lock(server_mutex);
    if (server) front.report(*server);
    if (plain) front_plain.report(*plain);
  });
  service.start();
  if (!own_tls) certificate.start();
  task::Task::exit(task.run());
}
