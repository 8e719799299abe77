#include "firmware/acme/mail.h"

#include <algorithm>

#include "firmware/log/log.h"

namespace keyward::acme {
namespace {

// Absent: forget the notice.
std::optional<std::int64_t> again_at_ms(Context& context, const wire::MailRecord& mail) {
  if (mail.attempts + 1 >= limits::kMailAttemptsMax) return std::nullopt;
  return context.clock.utc_ms() + mail_backoff_ms(mail.attempts);
}

// False: the relay's task is away; the others are not tried now.
bool send(Context& context, const wire::MailRecord& mail) {
  auto sent = context.backend.validation.ask(wire::MailSend{mail.to, mail.subject, mail.text},
                                             limits::kPeerCallSlowMs);
  wire::MailDone done{mail.id, std::nullopt};
  const bool later = !sent || (sent->problem && sent->again);
  if (later) done.again_at_ms = again_at_ms(context, mail);
  if (sent && !sent->problem) {
    log::info("a notice was sent", {{"notice", mail.id}});
  } else if (!done.again_at_ms) {
    log::warning("a notice was given up",
                 {{"notice", mail.id},
                  {"why", sent ? sent->problem->code : std::string(sent.error().code)}});
  }
  // Should this fail, the notice stays due and is sent again.
  static_cast<void>(context.backend.store.ask(done));
  return sent.has_value();
}

}  // namespace

std::int64_t mail_backoff_ms(std::uint64_t attempts) {
  const auto doublings = std::min<std::uint64_t>(attempts, 16);
  return std::min(limits::kMailBackoffMsMin << doublings, limits::kMailBackoffMsMax);
}

Answer<void> queue_notice(Context& context, const wire::AccountRecord& account,
                          const Notice& notice) {
  constexpr std::string_view kMailto = "mailto:";
  std::size_t number = 0;
  for (const auto& contact : account.contacts) {
    wire::MailPut put;
    put.mail.id = notice.key + "-" + std::to_string(number++);
    put.mail.to = contact.substr(std::min(contact.size(), kMailto.size()));
    put.mail.subject = notice.subject;
    put.mail.text = notice.text;
    put.mail.created_at_ms = context.clock.utc_ms();
    put.mail.due_at_ms = put.mail.created_at_ms;
    if (auto kept = context.backend.store.ask(put); !kept)
      return tl::unexpected<wire::Failure>(std::move(kept.error()));
  }
  return {};
}

void post_mails(Context& context) {
  const auto posted = context.validations.post("mails", [&context](int) {
    auto due = context.backend.store.ask(wire::MailTake{});
    if (!due) return std::optional<std::int64_t>();  // the caretaker comes again
    for (const auto& mail : due->mails) {
      if (!send(context, mail)) break;
    }
    return std::optional<std::int64_t>();
  });
  if (!posted) log::debug("notices wait: the job queue is full");
}

}  // namespace keyward::acme
