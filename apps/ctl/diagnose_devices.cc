// Owns the checks of `keywardctl diagnose` that look at the HSM, the TPM, the clock and the network, without
// logging in, asking a name server, or disturbing the tasks that hold the devices. Must not know files of
// tasks nor how results are shown.
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/ctl/diagnose_command.h"
#include "apps/ctl/in_child.h"
#include "apps/ctl/time_command.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace keyward::ctl {
namespace {

constexpr std::int64_t kTokenMs = 10'000;
constexpr int kConnectMs = 3'000, kLookMs = 50;

Result<Bytes> look_at_token(const std::string& folder, board::TokenSpec spec) {
  KEYWARD_CHECK(take_user_of(folder));
  spec.replicas.clear();
  auto token = board::make_signing_token(spec);
  if (!token) return fail(token.error());
  const auto deadline = Deadline::after_ms(kTokenMs);
  auto status = (*token)->status();
  while (status.state != hal::TokenState::kLocked && !deadline.passed()) {
    ::poll(nullptr, 0, kLookMs);
    status = (*token)->status();
  }
  return to_bytes(std::string(status.state == hal::TokenState::kLocked ? "+" : "-") +
                  status.detail);
}

std::optional<std::pair<std::string, std::string>> split_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  auto host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host.empty() || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  return std::pair(host, listen.substr(colon + 1));
}

bool connects(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
  const UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int begun = ::connect(fd.get(), found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  if (begun == 0) return true;
  pollfd waiting{fd.get(), POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  return ::poll(&waiting, 1, kConnectMs) == 1 &&
         ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

}  // namespace

void check_token(const UnitPlaces& places, const UnitSettings& settings, Checks& out) {
  const auto& spec = settings.token;
  if (spec.module_path.empty() || spec.token_label.empty())
    return finding(out, "hsm", "[pkcs11] names no module or no token_label",
                   "the vendor's PKCS#11 module and the label that the ceremony gave the token");
  if (!file_exists(spec.module_path))
    return finding(out, "hsm", spec.module_path + " is not there",
                   "install the vendor's PKCS#11 module, or correct pkcs11.module");
  const auto seen = in_child([&] { return look_at_token(places.state_of("signer"), spec); });
  if (!seen)
    return finding(out, "hsm", spec.module_path + ": " + seen.error().what,
                   "look at the HSM with its vendor's tools");
  const std::string text(text_of(*seen));
  if (text.starts_with("+"))
    return ok(out, "hsm", "the module loads and has the token \"" + spec.token_label + "\"");
  finding(out, "hsm", "no token \"" + spec.token_label + "\": " + text.substr(1),
          "power, network and label of the HSM (docs/operations/hsm.md)");
}

void check_tpm(const UnitPlaces& places, Checks& out) {
  // A TPM simulator serves one connection, the platform task's.
  if (unit_runs(places))
    return not_looked(out, "tpm", "the platform task has it: see task-platform");
  const auto seen = in_child([&]() -> Result<Bytes> {
    KEYWARD_TRY(tpm, board::make_tpm(places.tcti));
    return tpm->random(8);
  });
  if (seen) return ok(out, "tpm", places.tcti + " answers");
  finding(out, "tpm", places.tcti + ": " + seen.error().what,
          "is /dev/tpmrm0 there, and the TPM turned on in the firmware setup?");
}

void check_clock(const UnitPlaces& places, Checks& out) {
  const auto judged = judge_unit_clock(places.state_of("platform"));
  const std::string words = judged.words + " (" + judged.level + ")";
  if (judged.trusted) return ok(out, "clock", words);
  finding(out, "clock", words,
          "let NTP or PTP set it, or give your word: keywardctl time set " +
              places.state_of("platform"));
}

void check_network(const UnitPlaces& places, const UnitSettings& settings, Checks& out) {
  if (settings.forwarders.empty())
    ok(out, "name-servers", "none configured: validation asks the root servers itself");
  else
    ok(out, "name-servers",
       std::to_string(settings.forwarders.size()) + " configured, first " +
           settings.forwarders.front());
  if (!settings.resolver_trust_anchor.empty() && !file_exists(settings.resolver_trust_anchor))
    finding(out, "name-servers", settings.resolver_trust_anchor + " is not there",
            "put the DNSSEC trust anchor there, or take resolver.trust_anchor out");
  const auto place = split_listen(settings.listen);
  if (!place)
    return finding(out, "listening", "acme.listen is no address and port",
                   "for example \"0.0.0.0:443\"");
  if (!unit_runs(places)) return not_looked(out, "listening", "the unit does not run");
  if (connects(place->first, place->second))
    return ok(out, "listening", settings.listen + " takes connections");
  finding(out, "listening", settings.listen + " takes no connection",
          "see task-acme; a port below 1024 needs net.ipv4.ip_unprivileged_port_start");
}

}  // namespace keyward::ctl
