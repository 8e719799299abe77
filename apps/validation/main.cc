// keyward-validation: looks from outside whether an account controls a name, and tells the signer.
// Wiring alone; it must never have an inbound socket, a database or the HSM (DESIGN §1).
#include "apps/validation/peers.h"
#include "apps/validation/settings.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/verifier_relay.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

// Documents and mail: few, and never in the way of validations.
constexpr int kErrandWorkers = 2;
constexpr std::size_t kErrandQueueMax = 64;
constexpr std::int64_t kErrandWaitMs = 20'000;
constexpr std::int64_t kRelayWaitMs = 10'000;  // with a session below kPeerCallSlowMs

template <class T>
T take_or_die(const char* what, Result<T> result) {
  if (!result) {
    log::error(what, result.error());
    task::Task::exit(task::kExitConfig);
  }
  return std::move(*result);
}

// Runs `errand` in the pool and answers with what it returns.
template <class Errand>
void run_in(validate::Pool& pool, task::Responder responder, Errand errand,
            std::int64_t wait_ms = kErrandWaitMs) {
  auto shared = std::make_shared<task::Responder>(std::move(responder));
  const auto busy = [shared](std::string_view code) {
    shared->failure(
        wire::Failure::of(wire::FailureKind::kExhausted, code, "too many of these are waiting"));
  };
  const auto job = [shared, busy, errand](bool late) {
    late ? busy("validation-late") : shared->reply(errand());
  };
  if (!pool.add(job, Deadline::after_ms(wait_ms))) busy("validation-busy");
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, validation::peers())) return 0;
  task::Task task(TaskId::kValidation, validation::peers());
  auto settings = validation::read_settings_or_die(task);
  auto tokens =
      take_or_die("cannot open the challenge token key",
                  challenge::TokenMint::open(settings.state_dir + "/challenge-token.key"));
  validate::http01_global_init();
  auto name_servers =
      take_or_die("resolver", validate::make_name_servers(std::move(settings.resolver)));
  auto& names = *name_servers;
  if (settings.validator.always_valid)
    log::error("ALWAYS VALID: this simulator proves nothing and grants everything");
  if (settings.validator.caa_identities.empty())
    log::info("CAA is not consulted: caa_identities is empty");

  auto& signer = task.peer(TaskId::kSigner);
  validate::Validator validator(
      std::move(tokens), std::move(settings.validator), std::move(name_servers),
      [&](const wire::GrantName& grant) { return signer.call(grant); }, system_clock());
  validate::Pool errands(kErrandWorkers, kErrandQueueMax);
  // Of their own: a verifier that is slow is not to keep documents and mail waiting.
  validate::Pool relays(limits::kVerifierWorkers, kErrandQueueMax);
  auto& server = task.server();
  server.on<wire::NameTokenMint>(TaskId::kAcme,
                                 [&](const auto& request) { return validator.mint(request); });
  server.on<wire::ApplianceGrant>(
      TaskId::kAcme, [&](const auto& request) { return validator.grant_appliance(request); });
  server.on_deferred<wire::UrlFetch>(
      TaskId::kAcme, [&](const wire::UrlFetch& request, task::Responder responder) {
        run_in(errands, std::move(responder), [&settings, &names, url = request.url] {
          return validate::fetch_url(url, settings.fetch, *names.open());
        });
      });
  server.on_deferred<wire::MailSend>(TaskId::kAcme, [&](const wire::MailSend& request,
                                                        task::Responder responder) {
    run_in(errands, std::move(responder), [&settings, &names, request] {
      return validate::send_mail(request, settings.mail, *names.open(), system_clock().utc_ms());
    });
  });
  server.on_deferred<wire::NameValidate>(
      TaskId::kAcme, [&](const wire::NameValidate& request, task::Responder responder) {
        auto shared = std::make_shared<task::Responder>(std::move(responder));
        validator.validate(request, [shared](task::Answer<wire::NameValidateReply> answer) {
          answer ? shared->reply(*answer) : shared->failure(answer.error());
        });
      });
  server.on_deferred<wire::VerifierRelay>(
      TaskId::kAcme, [&](const wire::VerifierRelay& request, task::Responder responder) {
        run_in(
            relays, std::move(responder),
            [&settings, &names, request] {
              return validate::relay_evidence(request, settings.relay, *names.open());
            },
            kRelayWaitMs);
      });
  task.report_state("operational", "validates names");
  task::Task::exit(task.run());
}
