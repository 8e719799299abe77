#include "apps/acme/configuration.h"

#include <charconv>

#include "apps/acme/account_settings.h"
#include "apps/acme/authz_settings.h"
#include "firmware/config/tenants.h"
#include "firmware/log/log.h"
#include "hal/base/file.h"

namespace keyward::acme {
namespace {

// The port in "https://host:port"; 443 when there is none.
std::uint16_t port_of(std::string_view base_url) {
  const auto bracket = base_url.rfind(']');
  const auto colon = base_url.rfind(':');
  const bool has_port = colon != std::string_view::npos &&
                        colon > std::string_view("https:").size() &&
                        (bracket == std::string_view::npos || colon > bracket);
  std::uint16_t port = 443;
  if (has_port)
    std::from_chars(base_url.data() + colon + 1, base_url.data() + base_url.size(), port);
  return port;
}

std::string host_of(std::string_view base_url) {
  auto rest = base_url.substr(std::string_view("https://").size());
  const auto bracket = rest.find(']');
  if (bracket != std::string_view::npos) return std::string(rest.substr(0, bracket + 1));
  return std::string(rest.substr(0, rest.find(':')));
}

const char* fault_of(const Configuration& config) {
  const auto& trial = config.service;
  if (!config.tenants_problem.empty()) return config.tenants_problem.c_str();
  const bool simulated = !trial.directory_alias.empty() || trial.nonce_reject_percent != 0 ||
                         trial.orders_page != 0 || trial.authz_reuse_percent != 100 ||
                         config.quick_cooling;
  if (simulated && !config.simulator) return "acme.simulation is for simulators alone";
  if (config.tls_chain.empty() != config.tls_key.empty())
    return "acme.tls_chain and acme.tls_key belong together";
  if (!trial.base_url.starts_with("https://") || trial.base_url.ends_with('/'))
    return "appliance.base_url must begin with https:// and end without a slash";
  if (const char* fault = fault_of_account_settings(trial)) return fault;
  return fault_of_authz_settings(trial);
}

// What one client address may have of the front end (docs/operations/floods.md).
void read_shares(config::Section& section, https::HttpsOptions& out) {
  constexpr std::int64_t kPerSecondMax = 1'000'000;
  out.connections_per_address_max = static_cast<int>(section.integer_or(
      "connections_per_address", 0, limits::kHttpConnectionsMax, limits::kHttpPerAddressMax));
  out.connects_per_address_s =
      section.integer_or("connects_per_address_s", 0, kPerSecondMax, limits::kHttpConnectsPerS);
  out.requests_per_address_s =
      section.integer_or("requests_per_address_s", 0, kPerSecondMax, limits::kHttpRequestsPerS);
}

// Revocation lists, OCSP and issuer certificates for whoever checks certificates; a share of few places,
// the same rates of each address.
void read_public_http(config::Section& section, Configuration& out) {
  const auto listen = section.string_or("public_http", "");
  if (listen.empty()) return;
  https::HttpsOptions options;
  options.plain = true;
  options.listen = listen;
  options.connections_max = limits::kPublicHttpConnectionsMax;
  options.connections_per_address_max = limits::kPublicHttpPerAddressMax;
  options.response_bytes_per_s = limits::kPublicHttpBytesPerS;
  options.connects_per_address_s = out.https.connects_per_address_s;
  options.requests_per_address_s = out.https.requests_per_address_s;
  out.public_http = options;
}

// What clients of other test servers expect.
void read_simulation(config::Section& section, Configuration& out) {
  auto& trial = out.service;
  trial.directory_alias = section.string_or("simulation.directory_alias", "");
  trial.nonce_reject_percent =
      static_cast<int>(section.integer_or("simulation.nonce_reject_percent", 0, 100, 0));
  trial.authz_reuse_percent =
      static_cast<int>(section.integer_or("simulation.authz_reuse_percent", 0, 100, 100));
  trial.orders_page = static_cast<std::uint64_t>(
      section.integer_or("simulation.orders_page", 0, limits::kOrdersPageMax, 0));
  constexpr std::int64_t kQuickCoolingSMax = 3'600;
  const auto cooling_s =
      section.integer_or("simulation.recovery_cooling_s", 0, kQuickCoolingSMax, 0);
  out.quick_cooling = cooling_s != 0;
  if (out.quick_cooling) trial.recovery_cooling_ms = cooling_s * 1'000;
}

void load_operators_or_die(Configuration& config) {
  if (config.operators.empty()) return;
  const auto text = read_text_file(config.operators, limits::kOperatorsBytesMax);
  auto operators =
      text ? operate::Operators::parse(*text) : Result<operate::Operators>(fail(text.error()));
  if (!operators) {
    log::error("acme.operators", operators.error());
    task::Task::exit(task::kExitConfig);
  }
  config.service.operators = std::move(*operators);
}

Configuration read(task::Task& task) {
  constexpr std::size_t kNamesMax = 16;
  Configuration out;
  auto section = task.config();
  auto appliance = section.table("appliance");
  out.service.base_url = appliance.string("base_url");
  out.service.terms_of_service = section.string_or("terms_of_service", "");
  out.service.website = section.string_or("website", "");
  out.service.order_poll_s = section.integer_or("order_poll_s", 1, 3'600, 1);
  read_account_settings(section, out.service);
  read_authz_settings(section, out.service);
  auto tenants = config::read_tenants(section);
  out.service.tenants = std::move(tenants.delegates);
  out.tenants_problem = std::move(tenants.problem);
  out.service.renewal_start_percent = section.integer_or("renewal_start_percent", 10, 95, 67);
  out.service.renewal_poll_s = section.integer_or("renewal_poll_s", 60, 86'400, 21'600);
  out.service.state_dir = task.state_dir();
  out.https.listen = section.string("listen");
  out.appliance.base_url = out.service.base_url;
  out.appliance.names = appliance.strings_or_empty("names", kNamesMax);
  out.appliance.state_dir = out.service.state_dir;
  out.simulator = appliance.boolean_or("simulator", false);
  read_simulation(section, out);
  out.https.hosts = section.strings_or_empty("hosts", kNamesMax);
  read_shares(section, out.https);
  read_public_http(section, out);
  out.tls_chain = section.string_or("tls_chain", "");
  out.tls_key = section.string_or("tls_key", "");
  out.operators = section.string_or("operators", "");
  (void)appliance.text();  // shared with every task: the rest is for others
  return out;
}

// What the Host header may say, beside what is configured.
void complete_hosts(Configuration& config) {
  auto& hosts = config.https.hosts;
  hosts.insert(hosts.end(), config.appliance.names.begin(), config.appliance.names.end());
  hosts.push_back(host_of(config.service.base_url));
  config.https.public_port = port_of(config.service.base_url);
}

}  // namespace

Configuration read_configuration_or_die(task::Task& task) {
  auto config = read(task);
  task.finish_config_or_die();
  if (const char* fault = fault_of(config)) {
    log::error(fault);
    task::Task::exit(task::kExitConfig);
  }
  load_operators_or_die(config);
  complete_hosts(config);
  return config;
}

std::optional<TlsIdentity> own_identity_or_die(const Configuration& config) {
  if (config.tls_chain.empty()) return std::nullopt;
  auto chain = read_text_file(config.tls_chain, limits::kTlsIdentityBytesMax);
  auto key = read_text_file(config.tls_key, limits::kTlsIdentityBytesMax);
  if (!chain || !key) {
    log::error("acme.tls_chain or acme.tls_key", chain ? key.error() : chain.error());
    task::Task::exit(task::kExitConfig);
  }
  return TlsIdentity{std::move(*chain), std::move(*key)};
}

}  // namespace keyward::acme
