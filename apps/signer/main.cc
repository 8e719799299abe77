// keyward-signer: owns the HSM session and everything that decides what it signs. Wiring alone; the
// gate is firmware/issue. It must never have a network, nor read a client's bytes before their
// signature (DESIGN §1).
#include <algorithm>

#include "apps/signer/loop.h"
#include "apps/signer/peers.h"
#include "board/compose.h"
#include "firmware/identifier/identifier.h"
#include "firmware/issue/profile_config.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/wire/messages/key_change.h"
#include "firmware/wire/messages/order_cancel.h"
#include "firmware/wire/messages/possession_mint.h"
#include "firmware/wire/messages/possession_verify.h"
#include "hal/base/file.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::size_t kNamesMax = 64;
constexpr std::size_t kEnvironmentMax = 16;
constexpr std::int64_t kDrainMs = 3'000;  // below the supervisor's patience (stop_ms)

struct Configuration {
  issue::GateConfig gate;
  board::TokenSpec token;
  std::string issuer_chain;
  std::vector<std::string> alternate_chains;
  bool simulator = false;
  bool test_keys = false;  // the CA's keys are known to others on purpose
  std::string state_dir;
  std::vector<std::string> appliance_names;
  std::vector<std::string> environment;
  std::vector<std::string> permitted_ip;
  std::string problem;  // with the profiles; else empty
};

[[noreturn]] void die(const char* what, const Error& error, int code) {
  log::error(what, error);
  task::Task::exit(code);
}

Configuration read(task::Task& task) {
  Configuration out;
  auto own = task.config();
  out.state_dir = task.state_dir();
  out.issuer_chain = own.string("issuer_chain");
  out.alternate_chains = own.strings_or_empty("alternate_chains", limits::kAlternateChainsMax);
  out.gate.external_account_required = own.boolean_or("external_account_required", false);
  out.gate.possession = own.boolean_or("possession", false);
  out.gate.key_label = own.string_or("key_label", "issuing");
  out.test_keys = own.boolean_or("test_keys", false);
  out.gate.names.permitted_dns = own.strings_or_empty("permitted_dns", kNamesMax);
  out.permitted_ip = own.strings_or_empty("permitted_ip", kNamesMax);
  out.gate.not_before_ahead_ms = own.integer_or("not_before_ahead_days", 0, 365, 30) * 86'400'000;
  out.gate.account_per_hour =
      own.integer_or("budgets.account_per_hour", 1, limits::kIssuancesPerHourMax, 1'000);
  out.gate.overall_per_hour =
      own.integer_or("budgets.overall_per_hour", 1, limits::kIssuancesPerHourMax, 20'000);
  out.gate.backdate_ms = own.integer_or("backdate_s", 0, 86'400, 60) * 1'000;
  out.gate.device_days = own.integer_or("device_days", 1, 3'650, 365);
  out.gate.server_days = own.integer_or("server_days", 1, 825, 90);
  auto profiles = issue::read_profiles(own, out.gate.device_days, out.gate.server_days);
  out.gate.profiles = std::move(profiles.profiles);
  out.problem = std::move(profiles.problem);
  auto appliance = own.table("appliance");
  out.gate.base_url = appliance.string("base_url");
  out.appliance_names = appliance.strings_or_empty("names", kNamesMax);
  out.simulator = appliance.boolean_or("simulator", false);
  auto pkcs11 = own.table("pkcs11");
  out.token.module_path = pkcs11.string("module");
  out.token.token_label = pkcs11.string("token_label");
  out.token.sessions_max =
      static_cast<int>(pkcs11.integer_or("sessions_max", 1, limits::kTokenSessionsMax, 8));
  out.token.session_open_stagger_ms =
      static_cast<int>(pkcs11.integer_or("session_open_stagger_ms", 0, 60'000, 0));
  out.token.recover_by_finalize = pkcs11.boolean_or("recover_by_finalize", true);
  out.token.in_process = pkcs11.boolean_or("in_process", false);
  out.token.health_interval_ms = pkcs11.integer_or("health_interval_ms", 0, 3'600'000, 0);
  out.token.refused_pins_path = out.state_dir + "/refused-pins";
  out.environment = pkcs11.strings_or_empty("environment", kEnvironmentMax);
  task.finish_config_or_die();
  return out;
}

// What a config reader cannot know: forms of names and of NAME=VALUE.
Status complete(Configuration& config) {
  if (config.test_keys && !config.simulator)
    return fail(ErrorKind::kRefused, "test_keys is for simulators alone");
  if (!config.problem.empty()) {
    log::error(config.problem);
    return fail(ErrorKind::kBadInput, "a profile cannot be used");
  }
  for (const auto& name : config.appliance_names) {
    auto id = identifier::canonical(wire::IdentifierType::kDns, name);
    if (!id) id = identifier::canonical(wire::IdentifierType::kIp, name);
    if (!id) return fail(id.error());
    config.gate.names.appliance_names.push_back(std::move(*id));
  }
  for (const auto& line : config.environment) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorKind::kBadInput, "pkcs11.environment holds no NAME=VALUE");
    config.token.environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  for (auto& name : config.gate.names.permitted_dns) {
    KEYWARD_TRY(id, identifier::canonical(wire::IdentifierType::kDns, name, true));
    name = id.value;
  }
  for (const auto& text : config.permitted_ip) {
    KEYWARD_TRY(tree, issue::IpSubtree::parse(text));
    config.gate.names.permitted_ip.push_back(std::move(tree));
  }
  for (const auto& profile : config.gate.profiles) {
    const auto& methods = profile.methods;
    if (!config.gate.possession &&
        std::find(methods.begin(), methods.end(), wire::ValidationMethod::kPossession01) !=
            methods.end())
      return fail(ErrorKind::kBadInput, "a profile wants possession, which is off");
  }
  if (!config.gate.base_url.starts_with("https://") || config.gate.base_url.ends_with('/')) {
    return fail(ErrorKind::kBadInput,
                "appliance.base_url must begin with https:// and end without a slash");
  }
  return {};
}

std::string chain_file(const std::string& path) {
  constexpr std::size_t kChainFileBytesMax = 131'072;
  auto pem = read_text_file(path, kChainFileBytesMax);
  if (!pem) die("cannot read a chain of the issuing CA", pem.error(), task::kExitConfig);
  return std::move(*pem);
}

// And the alternate chains, which must be this issuer's.
issue::Issuer load_chains(Configuration& config) {
  const auto now_ms = system_clock().utc_ms();
  auto issuer = issue::load_issuer(chain_file(config.issuer_chain), now_ms);
  if (!issuer) die("issuer_chain cannot be used", issuer.error(), task::kExitConfig);
  for (const auto& path : config.alternate_chains) {
    auto chain = issue::load_alternate_chain(chain_file(path), *issuer, now_ms);
    if (!chain) die("an alternate chain cannot be used", chain.error(), task::kExitConfig);
    config.gate.alternate_chains.push_back({std::move(*chain)});
  }
  return std::move(*issuer);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, signer::peers())) return 0;
  task::Task task(TaskId::kSigner, signer::peers());
  auto config = read(task);
  if (const auto completed = complete(config); !completed)
    die("configuration", completed.error(), task::kExitConfig);
  // Before any thread: it sets the module's environment.
  auto token = board::make_signing_token(config.token);
  if (!token) die("the PKCS#11 configuration cannot be used", token.error(), task::kExitConfig);
  auto issuer = load_chains(config);
  auto gate =
      issue::Gate::open(config.state_dir, config.gate, std::move(issuer), **token, system_clock());
  if (!gate)
    die("the signer's state cannot be used", gate.error(),
        gate.error().kind == ErrorKind::kCorrupt ? task::kExitConfig : 1);

  signer::InFlight in_flight;
  auto& server = task.server();
  server.on<wire::TicketMint>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->mint_ticket(r); });
  });
  server.on<wire::CertificateIssue>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->issue(r); });
  });
  server.on<wire::IssuerGet>(TaskId::kAcme, [&](const auto&) {
    return in_flight.run([&] { return (*gate)->issuer_chain(); });
  });
  server.on<wire::GrantName>(TaskId::kValidation, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->grant_name(r); });
  });
  server.on<wire::GrantDevice>(TaskId::kAttestation, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->grant_device(r); });
  });

  server.on<wire::KeyChange>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->change_key(r); });
  });
  server.on<wire::CertificateRevoke>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->revoke(r); });
  });
  server.on<wire::OrderCancel>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->cancel_order(r); });
  });
  server.on<wire::GrantWithdraw>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->withdraw_grants(r); });
  });
  server.on<wire::PossessionMint>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->mint_possession(r); });
  });
  server.on<wire::PossessionVerify>(TaskId::kAcme, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->verify_possession(r); });
  });
  server.on<wire::GrantAccount>(TaskId::kAttestation, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->grant_account(r); });
  });
  server.on<wire::GrantAuthority>(TaskId::kAttestation, [&](const auto& r) {
    return in_flight.run([&] { return (*gate)->grant_authority(r); });
  });

  signer::KeyKeeper keeper(task, **gate, **token, config.gate.key_label,
                           config.test_keys ? issue::KeyOrigin::kTest : issue::KeyOrigin::kToken);
  keeper.start();
  const int code = task.run();
  keeper.stop();
  // Sessions closed and module finalized, in order; with a call stuck in the HSM the process just
  // ends, and its intent is closed as abandoned at the next start.
  if (in_flight.drained_within(kDrainMs)) token->reset();
  task::Task::exit(code);
}
