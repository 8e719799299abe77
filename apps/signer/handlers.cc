#include "apps/signer/handlers.h"

#include <atomic>
#include <memory>

#include "apps/signer/peers.h"
#include "firmware/issue/verdict.h"
#include "hal/base/limits.h"

namespace keyward::signer {
namespace {

using wire::TaskId;

// Requests of one peer, each a method of the gate.
class Registrar {
 public:
  Registrar(task::Server& server, InFlight& in_flight, issue::Gate& gate)
      : server_(server), in_flight_(in_flight), gate_(gate) {}

  template <class Request, class Method>
  void on(TaskId from, Method method) {
    server_.on<Request>(from, [&in_flight = in_flight_, &gate = gate_, method](const Request& r) {
      return in_flight.run([&] { return (gate.*method)(r); });
    });
  }

 private:
  task::Server& server_;
  InFlight& in_flight_;
  issue::Gate& gate_;
};

// Lets so many issuances in and sends the others away for a while: a module that answers nothing must
// not hold all the threads that serve acme.
class Turnstile {
 public:
  bool enter() {
    if (under_way_.fetch_add(1) < kIssuancesAtOnceMax) return true;
    leave();
    return false;
  }
  void leave() { under_way_.fetch_sub(1); }

 private:
  std::atomic<int> under_way_ = 0;
};

template <class Request, class Method>
void serve_issuance(task::Server& server, InFlight& in_flight, issue::Gate& gate,
                    std::shared_ptr<Turnstile> turnstile, Method method) {
  server.on<Request>(TaskId::kAcme,
                     [&in_flight, &gate, turnstile,
                      method](const Request& r) -> task::Answer<typename Request::Reply> {
                       if (!turnstile->enter())
                         return issue::refuse_for_now("hsm-away",
                                                      "the HSM has more to do than it can",
                                                      limits::kHsmAwayRetryMs);
                       auto answer = in_flight.run([&] { return (gate.*method)(r); });
                       turnstile->leave();
                       return answer;
                     });
}

}  // namespace

void serve_gate(task::Server& server, InFlight& in_flight, issue::Gate& gate) {
  Registrar gates(server, in_flight, gate);
  using issue::Gate;
  gates.on<wire::TicketMint>(TaskId::kAcme, &Gate::mint_ticket);
  const auto turnstile = std::make_shared<Turnstile>();
  serve_issuance<wire::CertificateIssue>(server, in_flight, gate, turnstile, &Gate::issue);
  server.on<wire::IssuerGet>(TaskId::kAcme, [&](const auto&) {
    return in_flight.run([&] { return gate.issuer_chain(); });
  });
  gates.on<wire::KeyChange>(TaskId::kAcme, &Gate::change_key);
  gates.on<wire::CertificateRevoke>(TaskId::kAcme, &Gate::revoke);
  gates.on<wire::OrderCancel>(TaskId::kAcme, &Gate::cancel_order);
  gates.on<wire::GrantWithdraw>(TaskId::kAcme, &Gate::withdraw_grants);
  gates.on<wire::PossessionMint>(TaskId::kAcme, &Gate::mint_possession);
  gates.on<wire::PossessionVerify>(TaskId::kAcme, &Gate::verify_possession);
  serve_issuance<wire::AkIssue>(server, in_flight, gate, turnstile, &Gate::issue_ak);
  gates.on<wire::CrlGet>(TaskId::kAcme, &Gate::crl_part);

  gates.on<wire::OperatorOrder>(TaskId::kAdmin, &Gate::carry_out);

  gates.on<wire::GrantName>(TaskId::kValidation, &Gate::grant_name);

  gates.on<wire::GrantDevice>(TaskId::kAttestation, &Gate::grant_device);
  gates.on<wire::GrantAccount>(TaskId::kAttestation, &Gate::grant_account);
  gates.on<wire::GrantAuthority>(TaskId::kAttestation, &Gate::grant_authority);
  gates.on<wire::GrantRemote>(TaskId::kAttestation, &Gate::grant_remote);
  gates.on<wire::GrantAk>(TaskId::kAttestation, &Gate::grant_ak);
}

void serve_ocsp(task::Server& server, InFlight& in_flight, issue::OcspResponder* responder) {
  server.on<wire::OcspGet>(
      TaskId::kAcme, [&in_flight, responder](const auto& r) -> task::Answer<wire::OcspGetReply> {
        if (responder == nullptr)
          return issue::refuse("ocsp-not-offered", "no OCSP responder is configured");
        return in_flight.run([&] { return responder->answer(r); });
      });
}

}  // namespace keyward::signer
