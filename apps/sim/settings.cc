#include "apps/sim/settings.h"

#include <algorithm>
#include <iostream>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "firmware/config/config.h"
#include "firmware/config/toml_text.h"
#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/unique_fd.h"

namespace keyward::simulator {
namespace {

using config::quoted;
using config::quoted_list;

constexpr std::size_t kListMax = 64;
constexpr const char* kEvidenceKeyLabel = "evidence";  // in the issuing CA's token

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

constexpr std::size_t kPemBytesMax = 65'536;
constexpr std::size_t kChainMax = 8;
constexpr std::string_view kSections[] = {
    "supervisor", "appliance", "acme", "store",       "validation", "attestation", "signer",
    "platform",   "pkcs11",    "tpm",  "rate_limits", "tenants",    "admin",       "syslog"};

struct Addition {
  std::string section, key, value;
};

std::optional<Addition> split_addition(const std::string& line) {
  const auto dot = line.find('.');
  const auto equals = line.find('=');
  if (dot == std::string::npos || equals == std::string::npos || dot > equals) return std::nullopt;
  if (dot + 1 == equals || equals + 1 == line.size()) return std::nullopt;
  if (line.find('\n') != std::string::npos) return std::nullopt;
  Addition out{line.substr(0, dot), line.substr(dot + 1, equals - dot - 1),
               line.substr(equals + 1)};
  if (std::ranges::find(kSections, out.section) == std::end(kSections)) return std::nullopt;
  return out;
}

// The lines of one section; an addition takes the place of a line with its key.
std::string section(const Settings& settings, const std::string& name,
                    std::vector<std::pair<std::string, std::string>> lines) {
  for (const auto& text : settings.additions) {
    const auto addition = split_addition(text);
    if (!addition || addition->section != name) continue;
    std::erase_if(lines, [&](const auto& line) { return line.first == addition->key; });
    lines.emplace_back(addition->key, addition->value);
  }
  if (lines.empty()) return {};
  std::string out = "[" + name + "]\n";
  for (const auto& [key, value] : lines) out += key + " = " + value + "\n";
  return out + "\n";
}

std::vector<std::string> default_permitted() { return {"plant.example", "sim.keyward.example"}; }

// swtpm's own CA: what a TPM's vendor is to a real one.
Status gather_ek_roots(const Places& places) {
  std::string all;
  for (const char* name : {"/swtpm-localca-rootca-cert.pem", "/issuercert.pem"}) {
    KEYWARD_TRY(pem, read_text_file(places.tpm_ca() + name, kPemBytesMax));
    all += pem;
  }
  return replace_file(places.ek_roots(), view_of(all), 0644);
}

// Simulators of before have no such key in their token: what the ceremony made, its plan says.
bool has_evidence_key(const Places& places) {
  if (!file_exists(places.plan())) return false;  // a test CA was adopted
  auto document = config::Document::load(places.plan());
  return document.root().table("evidence").string_or("key_label", "") == kEvidenceKeyLabel;
}

// This CA certifies attestation keys of the TPMs that it made, and believes them.
using Lines = std::vector<std::pair<std::string, std::string>>;
Lines attestation_lines(const Places& places) {
  return {{"ak_roots", quoted_list({places.manufacturer() + "/ca.pem", places.root_certificate()})},
          {"attestation_ca.enabled", "true"},
          {"attestation_ca.ek_roots", quoted_list({places.ek_roots()})}};
}

bool is_added(const Settings& settings, std::string_view key) {
  return std::ranges::any_of(settings.additions, [&](const std::string& line) {
    return line.starts_with(std::string(key) + "=");
  });
}

// All clients of a simulator have one address: its share is most of what there is.
Lines acme_lines(const Settings& settings) {
  Lines out{{"listen", quoted("127.0.0.1:" + std::to_string(settings.port))},
            {"connections_per_address", std::to_string(limits::kHttpConnectionsMax * 3 / 4)},
            {"connects_per_address_s", "0"},
            {"requests_per_address_s", "0"}};
  if (!public_url(settings).empty())
    out.emplace_back("public_http", quoted("127.0.0.1:" + std::to_string(settings.public_port)));
  return out;
}

// Certificates name the list, the responder and the issuer where there are any.
void add_public_urls(const Places& places, const Settings& settings, Lines& signer) {
  const auto url = public_url(settings);
  if (url.empty() || !settings.test_ca.empty()) return;
  if (!is_added(settings, "signer.crl_hours")) {
    signer.emplace_back("crl_url", quoted(url + "/acme/crl"));
    signer.emplace_back("crl_delta", "true");
  }
  if (file_exists(places.ocsp_certificate()))
    signer.emplace_back("ocsp_url", quoted(url + "/acme/ocsp"));
  const auto pem = read_text_file(places.issuer_chain(), kPemBytesMax);
  const auto chain = pem ? x509::certificates_from_pem(*pem, kChainMax) : fail(pem.error());
  if (chain && !chain->empty())
    signer.emplace_back("ca_issuers_url", quoted(url + "/acme/issuer/" +
                                                 base64url_encode(crypto::sha256(chain->front()))));
}

}  // namespace

Status check_addition(const std::string& line) {
  if (split_addition(line)) return {};
  return fail(
      ErrorKind::kBadInput,
      "an addition is written SECTION.KEY=VALUE, with a section of keyward.toml and a TOML value");
}

Result<Settings> load_settings(const Places& places) {
  Settings out;
  out.permitted = default_permitted();
  if (!file_exists(places.settings())) return out;
  auto document = config::Document::load(places.settings());
  auto root = document.root();
  out.port = static_cast<int>(root.integer("port", 1, 65'535));
  out.http_port = static_cast<int>(root.integer("http_port", 1, 65'535));
  out.public_port = static_cast<int>(root.integer_or("public_port", 0, 65'535, 0));
  out.hosts = root.strings_or_empty("hosts", kListMax);
  out.permitted = root.strings_or_empty("permitted", kListMax);
  out.module = root.string_or("module", "");
  out.module_environment = root.strings_or_empty("module_environment", kListMax);
  out.test_ca = root.string_or("test_ca", "");
  out.additions = root.strings_or_empty("additions", kListMax);
  const auto problems = document.finish();
  for (const auto& problem : problems) std::cerr << "keyward-sim: " << problem << "\n";
  if (!problems.empty()) return fail(ErrorKind::kBadInput, "the simulator's settings are wrong");
  return out;
}

Status save_settings(const Places& places, const Settings& s) {
  const std::string text =
      "# What this simulator remembers; change it by `keyward-sim up` options.\nport = " +
      std::to_string(s.port) + "\nhttp_port = " + std::to_string(s.http_port) +
      "\npublic_port = " + std::to_string(s.public_port) + "\nhosts = " + quoted_list(s.hosts) +
      "\npermitted = " + quoted_list(s.permitted) + "\nmodule = " + quoted(s.module) +
      "\nmodule_environment = " + quoted_list(s.module_environment) +
      "\ntest_ca = " + quoted(s.test_ca) + "\nadditions = " + quoted_list(s.additions) + "\n";
  return replace_file(places.settings(), view_of(text), 0644);
}

std::string base_url(const Settings& settings) {
  return "https://127.0.0.1:" + std::to_string(settings.port);
}

std::string public_url(const Settings& settings) {
  if (settings.public_port == 0 || is_added(settings, "acme.public_http")) return {};
  return "http://127.0.0.1:" + std::to_string(settings.public_port);
}

Status write_installation(const Places& places, const Settings& s, bool separate_uids) {
  KEYWARD_CHECK(gather_ek_roots(places));
  const bool soft = s.module.empty();
  std::vector<std::string> environment = s.module_environment;
  if (soft) environment.push_back("SOFTHSM2_CONF=" + places.signer_state() + "/softhsm2.conf");
  const auto number = [](auto value) { return std::to_string(value); };
  const bool one_call = s.module.find("p11-kit-client") != std::string::npos;
  std::vector<std::pair<std::string, std::string>> pkcs11 = {
      {"module", quoted(soft ? kSoftHsm : s.module)},
      {"token_label", quoted(kTokenLabel)},
      {"in_process", soft ? "true" : "false"},
      {"environment", quoted_list(environment)}};
  std::vector<std::pair<std::string, std::string>> signer = {
      {"issuer_chain", quoted(places.issuer_chain())},
      {"key_label", quoted("issuing")},
      {"permitted_dns", quoted_list(s.permitted)},
      {"profiles.attestation-key.kind", quoted("attestation-key")},
      {"budgets.account_per_hour", "1000000"},
      {"budgets.overall_per_hour", "1000000"}};
  if (!s.test_ca.empty()) signer.emplace_back("test_keys", "true");
  if (has_evidence_key(places))
    signer.emplace_back("evidence_key_label", quoted(kEvidenceKeyLabel));
  if (file_exists(places.audit_certificate())) {  // not with test keys, nor in older folders
    signer.emplace_back("audit_key_label", quoted("audit"));
    signer.emplace_back("audit_certificate", quoted(places.audit_certificate()));
    signer.emplace_back("audit_anchor", quoted("tpm"));
  }
  if (file_exists(places.ocsp_certificate())) {  // as above
    signer.emplace_back("ocsp_key_label", quoted("ocsp"));
    signer.emplace_back("ocsp_certificate", quoted(places.ocsp_certificate()));
  }
  add_public_urls(places, s, signer);
  if (one_call) pkcs11.emplace_back("sessions_max", "1");  // docs/hal-pkcs11.md
  const std::string text = "# Made anew by every `keyward-sim up` from sim.toml.\n" +
                           section(s, "supervisor",
                                   {{"run_dir", quoted(places.run())},
                                    {"state_root", quoted(places.state())},
                                    {"watchdog", quoted(places.run() + "/watchdog")},
                                    {"sandbox", quoted(own_directory() + "/sandbox-sim.toml")},
                                    {"separate_uids", separate_uids ? "true" : "false"},
                                    {"uid_base", number(uid_base(places))}}) +
                           section(s, "appliance",
                                   {{"base_url", quoted(base_url(s))},
                                    {"names", quoted_list({kApplianceName, "127.0.0.1"})},
                                    {"simulator", "true"}}) +
                           section(s, "acme", acme_lines(s)) + section(s, "store", {}) +
                           section(s, "validation",
                                   {{"http_port", number(s.http_port)},
                                    {"egress_allow", quoted_list({"127.0.0.0/8"})},
                                    {"resolver.hosts", quoted_list(s.hosts)}}) +
                           section(s, "attestation", attestation_lines(places)) +
                           section(s, "signer", std::move(signer)) + section(s, "platform", {}) +
                           section(s, "admin", {}) + section(s, "syslog", {}) +
                           section(s, "pkcs11", std::move(pkcs11)) +
                           section(s, "tpm",
                                   {{"tcti", quoted("swtpm:path=" + places.tpm_socket())},
                                    {"sealed_pin", quoted(places.sealed_pin())},
                                    {"anchor_index", "0x01800100"},
                                    {"pcrs", "[16]"}}) +
                           section(s, "rate_limits", {}) + section(s, "tenants", {});
  return replace_file(places.installation(), view_of(text), 0644);
}

bool own_tls(const Settings& settings) { return is_added(settings, "acme.tls_chain"); }

Status write_plan(const Places& places, const Settings& s) {
  const std::string text =
      "[root]\nkey_label = \"root\"\nalgorithm = \"ecdsa-p384\"\ncommon_name = \"Keyward Simulator "
      "Root CA\"\n"
      "organization = \"Keyward Simulator\"\nlifetime_days = 7305\npath_length = 1\n\n"
      "[issuing]\nkey_label = \"issuing\"\nalgorithm = \"ecdsa-p256\"\ncommon_name = \"Keyward "
      "Simulator Issuing CA 1\"\n"
      "organization = \"Keyward Simulator\"\nlifetime_days = 1826\npath_length = 0\npermitted_dns "
      "= " +
      quoted_list(s.permitted) + "\n\n[evidence]\nkey_label = " + quoted(kEvidenceKeyLabel) +
      "\n\n[audit]\nkey_label = \"audit\"\ncommon_name = \"Keyward Simulator Ledger\"\n"
      "\n[ocsp]\nkey_label = \"ocsp\"\ncommon_name = \"Keyward Simulator OCSP\"\n";
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
