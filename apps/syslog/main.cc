// keyward-syslog: sends the log's lines to a remote receiver over TLS. Wiring alone; it must never
// have an edge to another task: whoever takes it over gets log lines, and can withhold them.
#include <map>

#include "firmware/log/log.h"
#include "firmware/syslog/sender.h"
#include "firmware/task/task.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone

namespace {

constexpr const char* kDefaultPort = "6514";  // RFC 5425 section 4.1
constexpr std::size_t kNamesMax = 16;

const std::map<std::string, int>& facilities() {  // RFC 5424, table 1
  static const std::map<std::string, int> all = {{"daemon", 3},  {"auth", 4},    {"authpriv", 10},
                                                 {"audit", 13},  {"local0", 16}, {"local1", 17},
                                                 {"local2", 18}, {"local3", 19}, {"local4", 20},
                                                 {"local5", 21}, {"local6", 22}, {"local7", 23}};
  return all;
}

struct Configuration {
  syslog::SenderConfig sender;
  syslog::TlsLinkConfig link;
  std::string facility, roots, tls_chain, tls_key;
};

[[noreturn]] void refuse(std::string_view what) {
  log::error(what);
  task::Task::exit(task::kExitConfig);
}

// "host", "host:port", "[address]:port".
void split_server(const std::string& server, syslog::TlsLinkConfig& out) {
  out.port = kDefaultPort;
  const bool bracket = server.starts_with('[');
  const auto close = bracket ? server.find(']') : std::string::npos;
  if (bracket && close == std::string::npos) refuse("syslog.server: a bracket is not closed");
  const auto colon = server.find(':', bracket ? close : 0);
  out.host = bracket ? server.substr(1, close - 1) : server.substr(0, colon);
  if (bracket && close + 1 != server.size() && colon != close + 1)
    refuse("syslog.server: host, host:port or [address]:port");
  if (colon != std::string::npos) out.port = server.substr(colon + 1);
  const bool number = !out.port.empty() && out.port.size() <= 5 &&
                      out.port.find_first_not_of("0123456789") == std::string::npos;
  if (out.host.empty() || !number || std::stoi(out.port) < 1 || std::stoi(out.port) > 65'535)
    refuse("syslog.server: host, host:port or [address]:port");
}

Configuration read_configuration_or_die(task::Task& task) {
  Configuration out;
  auto section = task.config();
  out.sender.position_path = task.state_dir() + "/position";
  out.sender.spool_dir = section.string("spool_dir");
  out.sender.receiver = section.string("server");
  out.link.server_name = section.string_or("server_name", "");
  out.roots = section.string("roots");
  out.tls_chain = section.string_or("tls_chain", "");
  out.tls_key = section.string_or("tls_key", "");
  out.facility = section.string_or("facility", "local0");
  out.sender.origin.host = section.string_or("hostname", "");
  out.sender.origin.enterprise =
      static_cast<std::uint32_t>(section.integer_or("enterprise_number", 1, UINT32_MAX, 32'473));
  auto appliance = section.table("appliance");
  const auto names = appliance.strings_or_empty("names", kNamesMax);
  if (out.sender.origin.host.empty() && !names.empty()) out.sender.origin.host = names[0];
  (void)appliance.text();  // shared with every task: the rest is for others
  task.finish_config_or_die();
  split_server(out.sender.receiver, out.link);
  if (out.link.server_name.empty()) out.link.server_name = out.link.host;
  if (!facilities().contains(out.facility)) refuse("syslog.facility: there is none of this name");
  out.sender.origin.facility = facilities().at(out.facility);
  if (out.tls_chain.empty() != out.tls_key.empty())
    refuse("syslog.tls_chain and syslog.tls_key: both or none");
  return out;
}

std::string file_or_die(const std::string& path, std::size_t bytes_max, std::string_view key) {
  if (path.empty()) return {};
  auto text = read_text_file(path, bytes_max);
  if (text) return std::move(*text);
  log::error(key, text.error());
  task::Task::exit(task::kExitConfig);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, {})) return 0;
  task::Task task(wire::TaskId::kSyslog, {});
  auto config = read_configuration_or_die(task);
  config.link.roots_pem = file_or_die(config.roots, limits::kSyslogRootsBytesMax, "syslog.roots");
  config.link.chain_pem =
      file_or_die(config.tls_chain, limits::kTlsIdentityBytesMax, "syslog.tls_chain");
  config.link.key_pem = file_or_die(config.tls_key, limits::kTlsIdentityBytesMax, "syslog.tls_key");
  auto context = syslog::TlsContext::make(config.link);
  if (!context) {
    log::error("syslog.roots, syslog.tls_chain, syslog.tls_key", context.error());
    task::Task::exit(task::kExitConfig);
  }
  // The CA goes on without a receiver: that is said in words and metrics, not as a lesser state.
  config.sender.report = [&](const std::string& detail) {
    task.report_state("operational", detail);
  };
  syslog::Sender sender(config.sender, *context);
  task.on_stop([&] { sender.stop(); });
  task.report_state("operational", "connecting to " + config.sender.receiver);
  sender.start();
  task::Task::exit(task.run());
}
