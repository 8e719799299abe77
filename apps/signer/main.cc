// keyward-signer: owns the HSM session and everything that decides what it signs. Wiring alone; the
// gate is firmware/issue. It must never have a network, nor read a client's bytes before their
// signature (DESIGN §1).
#include "apps/signer/audit.h"
#include "apps/signer/configuration.h"
#include "apps/signer/evidence_key.h"
#include "apps/signer/handlers.h"
#include "apps/signer/loop.h"
#include "apps/signer/orders.h"
#include "apps/signer/peers.h"
#include "apps/signer/unprovisioned.h"
#include "firmware/log/log.h"
#include "firmware/metrics/measured_token.h"
#include "hal/base/file.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::int64_t kDrainMs = 3'000;  // below the supervisor's patience (stop_ms)

[[noreturn]] void die(const char* what, const Error& error, int code) {
  log::error(what, error);
  task::Task::exit(code);
}

std::string chain_file(const std::string& path) {
  constexpr std::size_t kChainFileBytesMax = 131'072;
  auto pem = read_text_file(path, kChainFileBytesMax);
  if (!pem) die("cannot read a chain of the issuing CA", pem.error(), task::kExitConfig);
  return std::move(*pem);
}

// And the alternate chains, which must be this issuer's.
issue::Issuer load_chains(signer::Configuration& config) {
  const auto now_ms = system_clock().utc_ms();
  auto issuer = issue::load_issuer(chain_file(config.issuer_chain), now_ms);
  if (!issuer) die("issuer_chain cannot be used", issuer.error(), task::kExitConfig);
  for (const auto& path : config.alternate_chains) {
    auto chain = issue::load_alternate_chain(chain_file(path), *issuer, now_ms);
    if (!chain) die("an alternate chain cannot be used", chain.error(), task::kExitConfig);
    config.gate.alternate_chains.push_back({std::move(*chain)});
  }
  issuer->crl_url = config.crl_url;
  issuer->ocsp_url = config.ocsp_url;
  issuer->ca_issuers_url = config.ca_issuers_url;
  return std::move(*issuer);
}

void load_operators(signer::Configuration& config) {
  if (config.operators.empty()) return;
  auto text = read_text_file(config.operators, limits::kOperatorsBytesMax);
  if (!text) die("cannot read the operators file", text.error(), task::kExitConfig);
  auto operators = operate::Operators::parse(*text);
  if (!operators) die("the operators file cannot be used", operators.error(), task::kExitConfig);
  config.gate.operators = std::move(*operators);
}

// Null: none is configured.
std::unique_ptr<issue::OcspResponder> open_responder(const signer::Configuration& config,
                                                     issue::Gate& gate, hal::SigningToken& token) {
  if (config.ocsp_key_label.empty()) return nullptr;
  const auto pem = chain_file(config.ocsp_certificate);
  auto ders = x509::certificates_from_pem(pem, limits::kChainCertificatesMax);
  if (!ders || ders->empty())
    die("no certificate in ocsp_certificate", ders ? Error{} : ders.error(), task::kExitConfig);
  auto responder = issue::OcspResponder::open(
      {config.ocsp_key_label, std::move(ders->front()), config.ocsp_validity_ms}, gate.issuer(),
      token, system_clock(), [&gate](ByteView serial) { return gate.status_of(serial); },
      [&gate] { return gate.may_say_status(); });
  if (!responder) die("ocsp_certificate cannot be used", responder.error(), task::kExitConfig);
  return std::move(*responder);
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, signer::peers())) return 0;
  task::Task task(TaskId::kSigner, signer::peers());
  auto config = signer::read_configuration(task);
  if (const auto completed = signer::complete(config); !completed)
    die("configuration", completed.error(), task::kExitConfig);
  signer::wait_until_provisioned(task, config.state_dir, {config.issuer_chain, config.operators});
  load_operators(config);
  // Before any thread: it sets the module's environment.
  auto token = board::make_signing_token(config.token);
  if (!token) die("the PKCS#11 configuration cannot be used", token.error(), task::kExitConfig);
  metrics::MeasuredToken measured(**token);
  auto issuer = load_chains(config);
  auto gate =
      issue::Gate::open(config.state_dir, config.gate, std::move(issuer), measured, system_clock());
  if (!gate)
    die("the signer's state cannot be used", gate.error(),
        gate.error().kind == ErrorKind::kCorrupt ? task::kExitConfig : 1);

  signer::InFlight in_flight;
  auto& server = task.server();
  signer::serve_gate(server, in_flight, **gate);
  const signer::EvidenceKey evidence(measured, config.evidence_key_label);
  server.on<wire::EvidenceKeyFind>(TaskId::kAttestation, [&](const auto&) {
    return in_flight.run([&] { return evidence.find(); });
  });
  server.on<wire::EvidenceAgree>(TaskId::kAttestation, [&](const auto& r) {
    return in_flight.run([&] { return evidence.agree(r); });
  });
  const auto responder = open_responder(config, **gate, measured);
  signer::serve_ocsp(server, in_flight, responder.get());
  auto audit = signer::AuditKeeper::open(config, task, (*gate)->ledger(), measured, in_flight);
  if (!audit) die("the audit state cannot be used", audit.error(), task::kExitConfig);
  server.on<wire::AuditHeadGet>(TaskId::kAdmin, [&](const auto&) { return (*audit)->newest(); });
  signer::KeyKeeper keeper(task, **gate, measured, config.gate.key_label,
                           config.test_keys ? issue::KeyOrigin::kTest : issue::KeyOrigin::kToken,
                           **audit, signer::Figures(**gate, config.state_dir),
                           config.stuck_exit_ms);
  keeper.start();
  signer::CrlKeeper lists(**gate, in_flight);
  lists.start();
  (*audit)->start();
  signer::OrderInbox inbox(**gate, in_flight, config.state_dir);
  if (config.gate.operators) {
    if (const auto begun = inbox.start(); !begun)
      die("the inbox of orders cannot be made", begun.error(), 1);
  }
  const int code = task.run();
  inbox.end();
  keeper.stop();
  lists.end();
  (*audit)->end();
  // Sessions closed and module finalized, in order; with a call stuck in the HSM the process just
  // ends, and its intent is closed as abandoned at the next start.
  if (in_flight.drained_within(kDrainMs)) {
    lists.join();
    (*audit)->make_last();
    token->reset();
  }
  task::Task::exit(code);
}
