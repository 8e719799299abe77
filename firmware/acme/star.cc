#include "firmware/acme/star.h"

#include <algorithm>

#include "firmware/acme/certificate_resources.h"
#include "firmware/acme/states.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/x509/certificate.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

constexpr std::int64_t kCachedSMax = 3'600;
constexpr std::int64_t kCachedPart = 8;

std::optional<wire::StarTerms> star_terms(const wire::OrderRecord& order) {
  auto terms = wire::decode_body<wire::OrderTerms>(order.terms);
  return terms ? terms->star : std::nullopt;
}

// Canceled and ended orders have their own errors (RFC 8739 §3.1.2, §6.6).
Outcome<void> check_fetchable(const wire::CertificateGetReply& found, std::int64_t now_ms) {
  if (found.order_status == OrderStatus::kCanceled)
    return refuse(ProblemType::kAutoRenewalCanceled, "star.canceled",
                  "the renewals of this order were canceled");
  if (!found.certificate || !found.star_end_ms) return refuse(not_found());
  if (now_ms >= *found.star_end_ms)
    return refuse(ProblemType::kAutoRenewalExpired, "star.ended",
                  "the renewals of this order have come to their end");
  return {};
}

struct Fetched {
  HttpResponse response;
  std::int64_t not_after_ms = 0;
};
Outcome<Fetched> fetch(Context& context, const wire::CertificateGetReply& found,
                       std::string_view accept) {
  if (auto ok = check_fetchable(found, context.clock.utc_ms()); !ok) return refuse(ok.error());
  const auto& chain = found.certificate->chain;
  const auto leaf = x509::parse_certificate(chain.at(0), x509::KeyReading::kSkip);
  if (!leaf)
    return refuse(ProblemType::kServerInternal, "certificate.corrupt",
                  "the stored certificate cannot be read");
  auto response = chain_response(context, chain, accept);
  if (!response) return refuse(response.error());
  response->headers.emplace_back("Cert-Not-Before", http_date(leaf->not_before_ms));  // §3.3
  response->headers.emplace_back("Cert-Not-After", http_date(leaf->not_after_ms));
  return Fetched{std::move(*response), leaf->not_after_ms};
}

// GET is not for this resource, whether it is there or not.
Problem get_not_allowed() {
  return Problem::of(ProblemType::kMalformed, "http.method",
                     "this resource does not take this method")
      .with_status(405)
      .with_header("Allow", "POST");
}

Outcome<void> store_canceled(Context& context, const wire::OrderRecord& order) {
  wire::OrderUpdate update;
  update.ticket = order.ticket;
  update.expected = OrderStatus::kValid;
  update.status = OrderStatus::kCanceled;
  auto reply = context.backend.store.ask(update);
  // The signer has canceled: it makes no further certificate. The client asks again.
  if (!reply) return refuse(problem_from(reply.error()));
  return {};
}

Outcome<void> check_cancel_payload(const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto status = document->root().get("status");
  if (!status.exists()) return require_read(request);
  if (status.string() == "canceled") return {};
  return refuse(ProblemType::kMalformed, "order.form", "an order's \"status\" may become canceled");
}

// What becomes of a renewal that the signer refused: the time until the next try, or none.
std::optional<std::int64_t> after_refusal(Context& context, const wire::OrderRecord& order,
                                          const wire::Failure& failure, int attempt) {
  if (failure.code == "star-canceled") {  // the signer knows, the store was not told
    const auto done = store_canceled(context, order);
    return done ? std::nullopt : std::optional(backoff_ms(attempt));
  }
  if (failure.code == "star-expired") return std::nullopt;
  const bool comes_back = fate_of(failure) == OrderFate::kProcessing;
  log::warning("renewal waits", {{"code", failure.code}, {"detail", failure.detail}});
  const auto asked_ms = static_cast<std::int64_t>(std::min<std::uint64_t>(
      failure.retry_after_ms.value_or(0), static_cast<std::uint64_t>(limits::kRenewalRetryMs)));
  return std::max(asked_ms, comes_back ? backoff_ms(attempt) : limits::kRenewalRetryMs);
}

// The signer gave the certificate that is in force: to its mind the next one is not due yet.
bool is_current(Context& context, const wire::OrderRecord& order, const Bytes& serial) {
  if (!order.certificate_id) return false;
  const auto reply = context.backend.store.ask(
      wire::CertificateGet{*order.certificate_id, order.account_id, std::nullopt});
  return reply && reply->certificate && equal(reply->certificate->serial, serial);
}

std::optional<std::int64_t> keep_renewed(Context& context, const wire::OrderRecord& order,
                                         wire::CertificateIssueReply made, int attempt) {
  wire::OrderUpdate update;
  update.ticket = order.ticket;
  update.expected = OrderStatus::kValid;
  update.status = OrderStatus::kValid;
  update.finalize = order.finalize;
  update.star_next_at_ms = made.star_next_at_ms;
  update.certificate = wire::CertificateRecord{
      random_id(),       order.account_id,      order.ticket, std::move(made.serial),
      made.not_after_ms, std::move(made.chain), std::nullopt, std::nullopt,
      std::nullopt};
  const auto reply = context.backend.store.ask(update);
  if (!reply) return backoff_ms(attempt);  // the signer gives the same certificate again
  if (reply->applied) log::info("certificate renewed", {{"serial_of", order.ticket.substr(0, 12)}});
  return std::nullopt;
}

std::optional<std::int64_t> renew(Context& context, const std::string& ticket,
                                  const std::string& account_id, int attempt) {
  const auto guard = context.in_flight.enter(ticket);
  if (!guard) return limits::kJobBackoffMsMin;
  auto found = context.backend.store.ask(wire::OrderGet{ticket, account_id});
  if (!found) return backoff_ms(attempt);
  auto& order = found->order;
  const auto now_ms = context.clock.utc_ms();
  const bool due = order && order->status == OrderStatus::kValid && order->finalize &&
                   order->star_next_at_ms && *order->star_next_at_ms <= now_ms;
  if (!due) return std::nullopt;
  auto account = load_account(context, account_id);
  if (!account) return backoff_ms(attempt);
  // RFC 8555 §7.3.6: nothing more is made for an account that is no longer valid.
  if (!*account || (*account)->record.status != wire::AccountStatus::kValid) return std::nullopt;
  auto made = context.backend.signer.ask(
      wire::CertificateIssue{(*account)->record.jwk, *order->finalize, order->terms},
      limits::kPeerCallSlowMs);
  if (!made) return after_refusal(context, *order, made.error(), attempt);
  if (is_current(context, *order, made->serial)) return limits::kRenewalRetryMs;
  return keep_renewed(context, *order, std::move(*made), attempt);
}

}  // namespace

Outcome<HttpResponse> star_certificate(Context& context, const SignedRequest& request) {
  if (auto ok = require_read(request); !ok) return refuse(ok.error());
  auto reply = context.backend.store.ask(
      wire::CertificateGet{{}, request.account->record.id, std::string(request.match.segments[0])});
  if (!reply) return refuse(problem_from(reply.error()));
  auto fetched = fetch(context, *reply, request.accept);
  if (!fetched) return refuse(fetched.error());
  return std::move(fetched->response);
}

Outcome<HttpResponse> star_certificate_unsigned(Context& context, std::string_view ticket,
                                                std::string_view accept) {
  auto reply = context.backend.store.ask(wire::CertificateGet{{}, {}, std::string(ticket)});
  if (!reply) return refuse(problem_from(reply.error()));
  // The store finds nothing where GET was not negotiated.
  if (!reply->order_status) return refuse(get_not_allowed());
  auto fetched = fetch(context, *reply, accept);
  if (!fetched) return refuse(fetched.error());
  // Not for longer than a part of what is left: the next one comes while this one has half.
  const auto part_s = (fetched->not_after_ms - context.clock.utc_ms()) / 1'000 / kCachedPart;
  fetched->response.headers.emplace_back(
      "Cache-Control",
      "public, max-age=" + std::to_string(std::clamp<std::int64_t>(part_s, 0, kCachedSMax)));
  return std::move(fetched->response);
}

Outcome<void> cancel_order(Context& context, const SignedRequest& request) {
  if (auto ok = check_cancel_payload(request); !ok) return refuse(ok.error());
  auto found = context.backend.store.ask(
      wire::OrderGet{std::string(request.match.segments[0]), request.account->record.id});
  if (!found) return refuse(problem_from(found.error()));
  if (!found->order) return refuse(not_found());
  auto& order = *found->order;
  if (order.status != OrderStatus::kValid || !star_terms(order))
    return refuse(ProblemType::kAutoRenewalCancellationInvalid, "star.not-cancelable",
                  "only a valid order that renews itself can be canceled");
  auto canceled = context.backend.signer.ask(
      wire::OrderCancel{request.account->record.jwk, request.original, order.terms});
  if (!canceled) return refuse(problem_from(canceled.error()));
  return store_canceled(context, order);
}

void post_renewal(Context& context, const std::string& ticket, const std::string& account_id) {
  const auto key = "star:" + ticket;
  if (context.in_flight.has(ticket) || context.issuances.has(key)) return;
  const auto posted = context.issuances.post(
      key,
      [&context, ticket, account_id](int attempt) {
        return renew(context, ticket, account_id, attempt);
      },
      0, account_id);
  // Full: the next look at the store takes it up.
  if (!posted) log::warning("renewal not queued", {{"why", posted.error().what}});
}

}  // namespace keyward::acme
