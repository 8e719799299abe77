#include "apps/sim/settings.h"

#include <iostream>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "firmware/config/config.h"
#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace keyward::simulator {
namespace {

constexpr std::size_t kListMax = 64;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string array(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? ", " : "") + quoted(item);
  return out + "]";
}

// In this process's user name space (user_namespaces(7): lines of first inside, first outside,
// count).
bool uid_is_mapped(std::uint64_t uid) {
  std::istringstream map(read_text_file("/proc/self/uid_map", 65'536).value_or(""));
  std::uint64_t inside = 0, outside = 0, count = 0;
  while (map >> inside >> outside >> count) {
    if (uid >= inside && uid - inside < count) return true;
  }
  return false;
}

// User ids of its own for each simulator: RLIMIT_NPROC counts by user id, and one simulator's tasks
// shall not reach another's. From the folder, so that a simulator keeps its ids.
unsigned uid_base(const Places& places) {
  constexpr unsigned kPerSimulator = 16;
  const auto digest = crypto::sha256(view_of(places.root));
  const unsigned number = digest[0] * 256U + digest[1];
  // A container's user name space may end at 65,536: then the gap of Debian Policy §9.2.2 below
  // that.
  return uid_is_mapped(200'000 + kPerSimulator * 65'536) ? 200'000 + kPerSimulator * number
                                                         : 63'100 + kPerSimulator * (number % 112);
}

std::vector<std::string> default_permitted() { return {"plant.example", "sim.keyward.example"}; }

}  // namespace

Result<Settings> load_settings(const Places& places) {
  Settings out;
  out.permitted = default_permitted();
  if (!file_exists(places.settings())) return out;
  auto document = config::Document::load(places.settings());
  auto root = document.root();
  out.port = static_cast<int>(root.integer("port", 1, 65'535));
  out.http_port = static_cast<int>(root.integer("http_port", 1, 65'535));
  out.hosts = root.strings_or_empty("hosts", kListMax);
  out.permitted = root.strings_or_empty("permitted", kListMax);
  out.module = root.string_or("module", "");
  out.module_environment = root.strings_or_empty("module_environment", kListMax);
  const auto problems = document.finish();
  for (const auto& problem : problems) std::cerr << "keyward-sim: " << problem << "\n";
  if (!problems.empty()) return fail(ErrorKind::kBadInput, "the simulator's settings are wrong");
  return out;
}

Status save_settings(const Places& places, const Settings& s) {
  const std::string text =
      "# What this simulator remembers; change it by `keyward-sim up` options.\nport = " +
      std::to_string(s.port) + "\nhttp_port = " + std::to_string(s.http_port) +
      "\nhosts = " + array(s.hosts) + "\npermitted = " + array(s.permitted) +
      "\nmodule = " + quoted(s.module) + "\nmodule_environment = " + array(s.module_environment) +
      "\n";
  return replace_file(places.settings(), view_of(text), 0644);
}

std::string base_url(const Settings& settings) {
  return "https://127.0.0.1:" + std::to_string(settings.port);
}

Status write_installation(const Places& places, const Settings& s, bool separate_uids) {
  const bool soft = s.module.empty();
  std::vector<std::string> environment = s.module_environment;
  if (soft) environment.push_back("SOFTHSM2_CONF=" + places.signer_state() + "/softhsm2.conf");
  const std::string text =
      "# Made anew by every `keyward-sim up` from sim.toml.\n"
      "[supervisor]\nrun_dir = " +
      quoted(places.run()) + "\nstate_root = " + quoted(places.state()) +
      "\nwatchdog = " + quoted(places.run() + "/watchdog") +
      "\nseparate_uids = " + (separate_uids ? "true" : "false") +
      "\nuid_base = " + std::to_string(uid_base(places)) +
      "\n\n[appliance]\nbase_url = " + quoted(base_url(s)) +
      "\nnames = " + array({kApplianceName, "127.0.0.1"}) +
      "\nsimulator = true\n\n[acme]\nlisten = \"127.0.0.1:" + std::to_string(s.port) +
      "\"\n\n[validation]\nhttp_port = " + std::to_string(s.http_port) +
      "\negress_allow = [\"127.0.0.0/8\"]\nresolver.hosts = " + array(s.hosts) +
      "\n\n[attestation]\nak_roots = " + array({places.manufacturer() + "/ca.pem"}) +
      "\n\n[signer]\nissuer_chain = " + quoted(places.issuer_chain()) +
      "\nkey_label = \"issuing\"\npermitted_dns = " + array(s.permitted) +
      "\nbudgets.account_per_hour = 1000000\nbudgets.overall_per_hour = "
      "1000000\n\n[pkcs11]\nmodule = " +
      quoted(soft ? kSoftHsm : s.module) + "\ntoken_label = " + quoted(kTokenLabel) +
      // p11-kit-client: one call at a time (docs/hal-pkcs11.md).
      (s.module.find("p11-kit-client") != std::string::npos ? "\nsessions_max = 1" : "") +
      "\nin_process = " + (soft ? "true" : "false") + "\nenvironment = " + array(environment) +
      "\n\n[tpm]\ntcti = " + quoted("swtpm:path=" + places.tpm_socket()) +
      "\nsealed_pin = " + quoted(places.sealed_pin()) + "\npcrs = [16]\n";
  return replace_file(places.installation(), view_of(text), 0644);
}

Status write_plan(const Places& places, const Settings& s) {
  const std::string text =
      "[root]\nkey_label = \"root\"\nalgorithm = \"ecdsa-p384\"\ncommon_name = \"Keyward Simulator "
      "Root CA\"\n"
      "organization = \"Keyward Simulator\"\nlifetime_days = 7305\npath_length = 1\n\n"
      "[issuing]\nkey_label = \"issuing\"\nalgorithm = \"ecdsa-p256\"\ncommon_name = \"Keyward "
      "Simulator Issuing CA 1\"\n"
      "organization = \"Keyward Simulator\"\nlifetime_days = 1826\npath_length = 0\npermitted_dns "
      "= " +
      array(s.permitted) + "\n";
  return replace_file(places.plan(), view_of(text), 0644);
}

std::optional<int> bindable_port(int port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.sin_port = ::htons(static_cast<std::uint16_t>(port));
  const int on = 1;  // a port in TIME_WAIT after `down` is free for a server
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return std::nullopt;
  if (::listen(fd.get(), 1) != 0) return std::nullopt;  // another listener with the same option
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return std::nullopt;
  return ::ntohs(address.sin_port);
}

}  // namespace keyward::simulator
