#include "firmware/acme/account_desk.h"

#include <algorithm>

#include "firmware/acme/recovery.h"
#include "firmware/log/log.h"
#include "firmware/operate/order.h"
#include "hal/base/file.h"

namespace keyward::acme {
namespace {

AccountResult refused(const AccountRequest& request, std::string_view code,
                      std::string_view detail) {
  AccountResult result;
  result.id = request.id;
  result.code = code;
  result.detail = detail;
  return result;
}

// Of a task that is away: nothing was decided, the request stays.
bool comes_back(const wire::Failure& failure) {
  return failure.kind == wire::FailureKind::kUnavailable;
}
constexpr std::string_view kAway = "away";

AccountResult refused(const AccountRequest& request, const wire::Failure& failure) {
  return refused(request, comes_back(failure) ? kAway : std::string_view(failure.code),
                 failure.detail);
}

// What an operator wants to know; more than the client is shown.
std::string account_text(const Urls& urls, const wire::AccountRecord& account) {
  json::Writer out;
  out.begin_object().member("url", urls.account(account.id));
  out.member("status", to_string(account.status));
  out.member("created", rfc3339(account.created_at_ms));
  out.member("thumbprint", base64url_encode(account.thumbprint));
  out.key("contact").begin_array();
  for (const auto& contact : account.contacts) out.string(contact);
  out.end_array().member_bool("termsOfServiceAgreed", account.terms_agreed);
  if (account.terms_url) out.member("termsOfService", *account.terms_url);
  if (account.eab_kid) out.member("externalAccountKid", *account.eab_kid);
  out.member_int("earlierKeys", static_cast<std::int64_t>(account.earlier_keys.size()));
  out.end_object();
  return out.take();
}

AccountResult done(const Context& context, const AccountRequest& request,
                   const wire::AccountRecord& account) {
  AccountResult result;
  result.id = request.id;
  result.done = true;
  result.account_json = account_text(context.urls.of(account.tenant), account);
  return result;
}

}  // namespace

AccountDesk::AccountDesk(Context& context)
    : context_(context),
      folder_(context.config.state_dir + "/" + std::string(kAccountsFolder)),
      requests_(folder_ + "/" + std::string(kRequestsFile), limits::kAccountRequestsBytesMax,
                parse_requests) {
  const auto text =
      read_file(folder_ + "/" + std::string(kResultsFile), limits::kAccountRequestsBytesMax);
  if (!text) return;
  if (auto known = parse_results(*text)) results_ = std::move(*known);
}

void AccountDesk::look() {
  const bool fresh = requests_.refresh();
  if (!fresh && !unfinished_) return;
  const auto requests = requests_.current();
  if (!requests) return;
  unfinished_ = false;
  for (const auto& request : *requests) {
    const bool known = std::any_of(results_.begin(), results_.end(),
                                   [&](const AccountResult& r) { return r.id == request.id; });
    if (known) continue;
    auto result = carry_out(request);
    if (result.code == kAway) {
      unfinished_ = true;
      continue;
    }
    log::info("the operator's request for an account", {{"action", to_string(request.action)},
                                                        {"account", request.account_id},
                                                        {"done", result.done ? "yes" : "no"},
                                                        {"code", result.code}});
    results_.push_back(std::move(result));
    if (results_.size() > limits::kAccountRequestsMax) results_.erase(results_.begin());
    if (!save()) log::warning("the result could not be written", {{"folder", folder_}});
  }
}

bool AccountDesk::save() const {
  return replace_file(folder_ + "/" + std::string(kResultsFile), to_bytes(results_json(results_)),
                      0600)
      .has_value();
}

std::optional<AccountResult> AccountDesk::check_order(const AccountRequest& request,
                                                      const wire::AccountRecord& account) const {
  const auto& operators = context_.config.operators;
  if (!operators || request.action == AccountAction::kShow) return std::nullopt;
  if (request.order.empty())
    return refused(request, "order-required",
                   "operators are configured: keywardctl order sign, then --order FILE");
  const auto verified = operate::verify_order(view_of(request.order), *operators);
  if (!verified) return refused(request, verified.error());
  const auto order = operate::permit(*verified, *operators, context_.clock.utc_ms());
  if (!order) return refused(request, order.error());
  const bool revokes = request.action == AccountAction::kRevoke;
  if (order->head().order != (revokes ? "account-revoke" : "account-rekey"))
    return refused(request, "order-not-here", "the order is for something else");
  const auto other = [&] {
    return refused(request, "order-account",
                   "the order names another account's key, or another "
                   "new key");
  };
  if (revokes) {
    const auto thumbprint = operate::read_account(*order);
    if (!thumbprint) return refused(request, thumbprint.error());
    if (*thumbprint != account.thumbprint) return other();
    return std::nullopt;
  }
  const auto rekey = operate::read_rekey(*order);
  if (!rekey) return refused(request, rekey.error());
  const auto document = json::Document::parse(request.jwk, limits::kJwkBytesMax);
  const auto jwk =
      document ? jose::Jwk::from_json(document->root()) : Result<jose::Jwk>(fail(document.error()));
  if (!jwk || jwk->thumbprint() != rekey->to.thumbprint() ||
      (account.thumbprint != rekey->from && account.thumbprint != rekey->to.thumbprint()))
    return other();
  return std::nullopt;
}

AccountResult AccountDesk::carry_out(const AccountRequest& request) {
  auto found = context_.backend.store.ask(wire::AccountGet{request.account_id, std::nullopt});
  if (!found) return refused(request, found.error());
  if (!found->account) return refused(request, "account-unknown", "there is no such account");
  if (auto refusal = check_order(request, *found->account)) return std::move(*refusal);
  switch (request.action) {
    case AccountAction::kShow:
      return done(context_, request, *found->account);
    case AccountAction::kRevoke:
      return revoke(request);
    case AccountAction::kRekey:
      return rekey(request, *found->account);
  }
  return refused(request, "action-unknown", "this is not known here");
}

AccountResult AccountDesk::revoke(const AccountRequest& request) {
  wire::AccountUpdate update;
  update.id = request.account_id;
  update.status = wire::AccountStatus::kRevoked;
  auto reply = context_.backend.store.ask(update);
  context_.accounts.forget(update.id);
  if (!reply) return refused(request, reply.error());
  if (!reply->account) return refused(request, "account-unknown", "there is no such account");
  return done(context_, request, *reply->account);
}

AccountResult AccountDesk::rekey(const AccountRequest& request,
                                 const wire::AccountRecord& account) {
  auto document = json::Document::parse(request.jwk, limits::kJwkBytesMax);
  const auto jwk =
      document ? jose::Jwk::from_json(document->root()) : Result<jose::Jwk>(fail(document.error()));
  if (!jwk) return refused(request, "jwk", jwk.error().what);
  if (account.thumbprint == jwk->thumbprint()) return done(context_, request, account);
  if (auto ended = end_recoveries(context_, account.id); !ended)
    return refused(request, ended.error().status == 503 ? kAway : "recoveries",
                   ended.error().detail);
  wire::AccountRekey rekey;
  rekey.id = account.id;
  rekey.expected = account.thumbprint;
  rekey.thumbprint = jwk->thumbprint();
  rekey.jwk = jwk->canonical();
  rekey.end_orders = true;
  auto reply = context_.backend.store.ask(rekey);
  context_.accounts.forget(rekey.id);
  if (!reply) return refused(request, reply.error());
  if (reply->holder_id)
    return refused(request, "key-in-use", "the account " + *reply->holder_id + " has this key");
  if (!reply->applied || !reply->account)
    return refused(request, "changed-meanwhile", "the account's key has just changed");
  return done(context_, request, *reply->account);
}

}  // namespace keyward::acme
