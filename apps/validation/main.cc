// keyward-validation: looks from outside whether an account controls a name, and tells the signer.
// Wiring alone; it must never have an inbound socket, a database or the HSM (DESIGN §1).
#include "apps/validation/peers.h"
#include "firmware/log/log.h"
#include "firmware/validate/validator.h"
#include "firmware/wire/messages/mail_send.h"
#include "firmware/wire/messages/url_fetch.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone
using wire::TaskId;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kGrantHoursMax = limits::kGrantLifetimeMsMax / kHourMs;
constexpr std::size_t kListMax = 256;

[[noreturn]] void die(const char* what, const Error& error) {
  log::error(what, error);
  task::Task::exit(task::kExitConfig);
}

template <class T>
T take_or_die(const char* what, Result<T> result) {
  if (!result) die(what, result.error());
  return std::move(*result);
}

validate::EgressPolicy egress_from(const std::vector<std::string>& lines) {
  std::vector<validate::Prefix> allow;
  for (const auto& line : lines)
    allow.push_back(take_or_die("egress_allow", validate::Prefix::parse(line)));
  return validate::EgressPolicy(std::move(allow));
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, validation::peers())) return 0;
  task::Task task(TaskId::kValidation, validation::peers());
  auto config = task.config();
  validate::ValidatorOptions options;
  options.http01.port = static_cast<std::uint16_t>(config.integer_or("http_port", 1, 65'535, 80));
  options.http01.total_ms = config.integer_or("http_total_ms", 100, 60'000, limits::kHttp01TotalMs);
  options.grant_lifetime_ms =
      config.integer_or("grant_lifetime_h", 1, kGrantHoursMax, 24) * kHourMs;
  const auto hosts = config.strings_or_empty("resolver.hosts", kListMax);
  validate::ResolverOptions resolver_options;
  resolver_options.forward = config.strings_or_empty("resolver.forward", 8);
  resolver_options.trust_anchor = config.string_or("resolver.trust_anchor", "");
  const auto egress_allow = config.strings_or_empty("egress_allow", kListMax);
  const auto names = config.strings_or_empty("appliance.names", 16);
  const auto state_dir = task.state_dir();
  (void)config.table("appliance").text();  // the rest of it is for others
  task.finish_config_or_die();

  options.http01.egress = egress_from(egress_allow);
  options.appliance_names = take_or_die("appliance.names", validate::parse_appliance_names(names));
  resolver_options.hosts = take_or_die("resolver.hosts", validate::parse_hosts(hosts));
  auto tokens = take_or_die("cannot open the challenge token key",
                            challenge::TokenMint::open(state_dir + "/challenge-token.key"));
  validate::http01_global_init();
  auto resolver = take_or_die("resolver", validate::make_resolver(std::move(resolver_options)));

  auto& signer = task.peer(TaskId::kSigner);
  validate::Validator validator(
      std::move(tokens), std::move(options), std::move(resolver),
      [&](const wire::GrantName& grant) { return signer.call(grant); }, system_clock());
  auto& server = task.server();
  server.on<wire::NameTokenMint>(TaskId::kAcme,
                                 [&](const auto& request) { return validator.mint(request); });
  server.on<wire::ApplianceGrant>(
      TaskId::kAcme, [&](const auto& request) { return validator.grant_appliance(request); });
  server.on<wire::UrlFetch>(TaskId::kAcme, [](const auto&) -> task::Answer<wire::UrlFetchReply> {
    return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
  });
  server.on<wire::MailSend>(TaskId::kAcme, [](const auto&) -> task::Answer<wire::MailSendReply> {
    return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
  });
  server.on_deferred<wire::NameValidate>(
      TaskId::kAcme, [&](const wire::NameValidate& request, task::Responder responder) {
        auto shared = std::make_shared<task::Responder>(std::move(responder));
        validator.validate(request, [shared](task::Answer<wire::NameValidateReply> answer) {
          answer ? shared->reply(*answer) : shared->failure(answer.error());
        });
      });
  task.report_state("operational", "validates names by http-01");
  task::Task::exit(task.run());
}
