#include "apps/pebble/appliance.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/config/toml_text.h"
#include "firmware/eab/credentials.h"
#include "firmware/operate/operator_file.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::pebble {
namespace {

using config::quoted;
using config::quoted_list;

constexpr std::size_t kFileBytesMax = 131'072;
constexpr int kLookMs = 100;
constexpr int kSleepSecondsMax = 15;  // validation takes no longer one
constexpr std::int64_t kStopMs = 60'000;
constexpr std::uint8_t kDnsTag = 0x82, kIpTag = 0x87;  // GeneralName, RFC 5280 §4.2.1.6
constexpr const char* kTerms = "data:text/plain,These%20are%20test%20keys";

std::string ip_text(ByteView octets) {
  std::string out;
  for (const auto octet : octets) out += (out.empty() ? "" : ".") + std::to_string(octet);
  return out;
}

// "address:port" as libunbound wants it.
std::string forward_of(const std::string& server) {
  const auto colon = server.rfind(':');
  return server.substr(0, colon) + "@" + server.substr(colon + 1);
}

std::vector<std::string> system_resolvers() {
  std::vector<std::string> out;
  std::ifstream file("/etc/resolv.conf");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word, address;
    if (words >> word >> address && word == "nameserver") out.push_back(address);
  }
  return out;
}

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& words) {
  std::vector<char*> list{const_cast<char*>(program.c_str())};
  for (const auto& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  ::execv(program.c_str(), list.data());
  ::_exit(127);
}

void to_null(int descriptor) {
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, descriptor);
}

}  // namespace

Result<std::vector<std::string>> names_of_certificate(const std::string& pem_path) {
  KEYWARD_TRY(pem, read_text_file(pem_path, kFileBytesMax));
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax));
  KEYWARD_TRY(leaf, x509::parse_certificate(ders.front(), x509::KeyReading::kSkip));
  const auto* extension = leaf.extension("2.5.29.17");
  if (extension == nullptr)
    return fail(ErrorKind::kBadInput, "the server's certificate has no names");
  x509::DerReader outer(extension->value);
  KEYWARD_TRY(general, outer.sequence());
  std::vector<std::string> names;
  while (!general.at_end()) {
    KEYWARD_TRY(name, general.any());
    if (name.tag == kDnsTag) names.emplace_back(text_of(name.content));
    if (name.tag == kIpTag && name.content.size() == 4) names.push_back(ip_text(name.content));
  }
  return names;
}

Result<std::string> base_url_of(const Options& options) {
  if (!options.base_url.empty()) return options.base_url;
  KEYWARD_TRY(names, names_of_certificate(options.certificate));
  if (names.empty()) return fail(ErrorKind::kBadInput, "the server's certificate has no names");
  const auto& name = names.front();
  const bool six = name.find(':') != std::string::npos;
  return "https://" + (six ? "[" + name + "]" : name) + ":" + std::to_string(options.acme.port);
}

std::vector<std::string> up_words(const Options& o, const TestCa& ca, const std::string& ca_folder,
                                  const std::string& base_url,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> words{"up",          "--foreground",
                                 "--port",      std::to_string(o.acme.port),
                                 "--http-port", std::to_string(o.http_port),
                                 "--test-ca",   ca_folder};
  const auto set = [&](const std::string& key, const std::string& value) {
    words.insert(words.end(), {"--set", key + "=" + value});
  };
  set("appliance.base_url", quoted(base_url));
  set("appliance.names",
      quoted_list({"127.0.0.1"}));  // where the simulator asks whether it is ready
  set("acme.hosts", quoted_list(names));
  set("acme.listen", quoted(o.acme.address + ":" + std::to_string(o.acme.port)));
  set("acme.tls_chain", quoted(o.certificate));
  set("acme.tls_key", quoted(o.private_key));
  set("acme.terms_of_service", quoted(kTerms));
  set("acme.order_poll_s", std::to_string(o.retry_after_order_s));
  set("acme.simulation.directory_alias", quoted("/dir"));
  set("acme.simulation.nonce_reject_percent", std::to_string(o.nonce_reject_percent));
  set("acme.simulation.orders_page", std::to_string(o.orders_page));
  set("acme.simulation.authz_reuse_percent", std::to_string(o.authz_reuse_percent));
  set("rate_limits.enabled", "false");
  set("validation.tls_port", std::to_string(o.tls_port));
  set("validation.egress_allow", quoted_list({"0.0.0.0/0", "::/0"}));
  const bool given = !o.dns_server.empty();
  set("validation.resolver.forward",
      quoted_list(given ? std::vector{forward_of(o.dns_server)} : system_resolvers()));
  if (o.always_valid) set("validation.always_valid", "true");
  if (!o.no_sleep && !o.always_valid && o.sleep_s > 0)
    set("validation.sleep_s_max", std::to_string(std::min(o.sleep_s, kSleepSecondsMax)));
  set("signer.permitted_dns", "[]");
  set("signer.external_account_required", o.binding_required ? "true" : "false");
  if (!o.blocked_domains.empty()) set("signer.denied_dns", quoted_list(o.blocked_domains));
  std::vector<std::string> alternates;
  for (std::size_t i = 1; i < ca.hierarchies.size(); ++i)
    alternates.push_back(ca.hierarchies[i].chain_file);
  if (!alternates.empty()) set("signer.alternate_chains", quoted_list(alternates));
  return words;
}

int Appliance::run(const std::vector<std::string>& words, bool silent) const {
  const pid_t child = ::fork();
  if (child == 0) {
    if (silent) {
      to_null(1);
      to_null(2);
    }
    become(programs_dir_ + "/" + words.front(), {words.begin() + 1, words.end()});
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A kept state has it from an earlier start; the credential then stands as it was.
bool Appliance::has_binding_key(const std::string& kid) const {
  const auto folder =
      operate::OperatorDirectory::open(dir_ + "/state/attestation", std::string(eab::kFolder));
  if (!folder) return false;
  const auto content =
      folder->read(std::string(eab::kCredentialsFile), limits::kEabCredentialsBytesMax);
  if (!content) return false;
  const auto book = eab::CredentialBook::parse(*content);
  return book && book->find(kid) != nullptr;
}

Status Appliance::add_binding_key(const std::string& kid, const std::string& key) {
  if (has_binding_key(kid)) return {};
  const int code = run({"keywardctl", "eab", "add", dir_ + "/state/attestation", "--accounts", "0",
                        "--kid", kid, "--key", key},
                       true);
  if (code == 0) return {};
  return fail(ErrorKind::kUnavailable, "an external account key was not taken", code);
}

Status Appliance::start(const std::vector<std::string>& words, bool quiet) {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return fail(ErrorKind::kExhausted, "cannot fork", errno);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (quiet) to_null(1);
    auto whole = words;
    whole.insert(whole.end(), {"--dir", dir_});
    become(programs_dir_ + "/keyward-sim", whole);
  }
  return {};
}

bool Appliance::ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ <= 0;
}

Status Appliance::wait_until_ready(std::int64_t patience_ms) {
  const auto deadline = Deadline::after_ms(patience_ms);
  while (!deadline.passed()) {
    if (ended()) return fail(ErrorKind::kUnavailable, "the simulator ended while starting");
    if (run({"keyward-sim", "status", "--dir", dir_}, true) == 0) return {};
    ::poll(nullptr, 0, kLookMs);
  }
  return fail(ErrorKind::kUnavailable, "the simulator is not ready in time");
}

Appliance::~Appliance() {
  if (ended()) return;
  ::kill(pid_, SIGTERM);
  const auto deadline = Deadline::after_ms(kStopMs);
  while (!ended() && !deadline.passed()) ::poll(nullptr, 0, kLookMs);
  if (!ended()) ::kill(pid_, SIGKILL);
}

}  // namespace keyward::pebble
