// keyward-admin: the management port (metrics, health, status, operators' orders). Wiring alone; it
// must never have a key but its own TLS key, nor the ACME port: it passes on what an operator signed.
#include "apps/admin/peers.h"
#include "firmware/https/https_server.h"
#include "firmware/log/log.h"
#include "firmware/manage/service.h"
#include "hal/base/file.h"

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone

namespace {

constexpr std::size_t kNamesMax = 16;

struct Configuration {
  manage::ServiceConfig service;
  https::HttpsOptions https;
  std::string tls_chain, tls_key;
};

Configuration read_configuration_or_die(task::Task& task) {
  Configuration out;
  auto section = task.config();
  (void)task.state_dir();
  out.service.run_dir = section.string("run_dir");
  out.service.operators = section.string_or("operators", "");
  for (auto& pin : section.strings_or_empty("monitors", limits::kAdminMonitorsMax))
    out.service.monitors.insert(std::move(pin));
  out.service.anonymous_on_loopback = section.boolean_or("anonymous_on_loopback", false);
  out.https.listen = section.string("listen");
  out.https.hosts = section.strings_or_empty("hosts", kNamesMax);
  out.https.connections_max = limits::kAdminConnectionsMax;
  out.tls_chain = section.string("tls_chain");
  out.tls_key = section.string("tls_key");
  auto appliance = section.table("appliance");
  for (auto& name : appliance.strings_or_empty("names", kNamesMax))
    out.https.hosts.push_back(std::move(name));
  (void)appliance.text();  // shared with every task: the rest is for others
  task.finish_config_or_die();
  for (const auto& pin : out.service.monitors) {
    if (pin.size() == 64 && pin.find_first_not_of("0123456789abcdef") == std::string::npos)
      continue;
    log::error("admin.monitors: SHA-256 of a public key, 64 lower-case hexadecimal digits");
    task::Task::exit(task::kExitConfig);
  }
  return out;
}

acme::TlsIdentity identity_or_die(const Configuration& config) {
  auto chain = read_text_file(config.tls_chain, limits::kTlsIdentityBytesMax);
  auto key = read_text_file(config.tls_key, limits::kTlsIdentityBytesMax);
  if (chain && key) return {std::move(*chain), std::move(*key)};
  log::error("admin.tls_chain or admin.tls_key", chain ? key.error() : chain.error());
  task::Task::exit(task::kExitConfig);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, manage::peers())) return 0;
  task::Task task(wire::TaskId::kAdmin, manage::peers());
  auto config = read_configuration_or_die(task);
  config.service.send_order = [&](const wire::OperatorOrder& order) {
    return task.peer(wire::TaskId::kSigner).call(order, limits::kPeerCallSlowMs);
  };
  config.service.newest_head = [&] {
    return task.peer(wire::TaskId::kSigner).call(wire::AuditHeadGet{}, limits::kPeerCallSlowMs);
  };
  manage::Service service(config.service);
  config.https.client_key_known = [&](ByteView key) { return service.roles_of(key) != 0; };
  config.https.client_key_required = !config.service.anonymous_on_loopback;
  auto server = https::HttpsServer::start(config.https, service);
  if (!server) {
    log::error("the management port", server.error());
    task::Task::exit(server.error().kind == ErrorKind::kBadInput ? task::kExitConfig : 1);
  }
  if (auto set = (*server)->set_identity(identity_or_die(config)); !set) {
    log::error("admin.tls_chain and admin.tls_key", set.error());
    task::Task::exit(task::kExitConfig);
  }
  log::info("management port", {{"port", (*server)->port()}});
  task.on_stop([&] { server->reset(); });
  task.report_state("operational", "management port " + std::to_string((*server)->port()));
  task::Task::exit(task.run());
}
