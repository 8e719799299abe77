#include "firmware/acme/terms.h"

#include <algorithm>

#include "firmware/acme/pages.h"
#include "firmware/crypto/crypto.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kLabel = "keyward-terms-1";
constexpr std::string_view kForm = "agree=yes";
constexpr std::size_t kTimeBytes = 6, kTagBytes = 16;  // milliseconds until the year 10,000

Bytes tag_of(const Context& context, ByteView head) {
  Bytes message = to_bytes(kLabel);
  append(message, head);
  message.push_back(0);
  append(message, view_of(context.config.terms_of_service));
  const auto full = crypto::hmac_sha256(context.page_key.view(), message);
  return to_bytes(ByteView(full).first(kTagBytes));
}

// time, account id, tag.
std::string token_of(const Context& context, std::string_view account_id,
                     std::int64_t expires_at_ms) {
  Bytes head;
  for (int i = kTimeBytes - 1; i >= 0; --i)
    head.push_back(static_cast<std::uint8_t>(expires_at_ms >> (8 * i)));
  append(head, view_of(account_id));
  Bytes token = head;
  append(token, tag_of(context, head));
  return base64url_encode(token);
}

// The account that a token names; nothing: it is not ours, of other terms, or too old.
std::optional<std::string> account_of(const Context& context, std::string_view text) {
  const auto token = base64url_decode(text);
  if (!token || token->size() <= kTimeBytes + kTagBytes) return std::nullopt;
  const ByteView view(*token);
  const auto head = view.first(view.size() - kTagBytes);
  if (!equal_constant_time(tag_of(context, head), view.last(kTagBytes))) return std::nullopt;
  std::int64_t expires_at_ms = 0;
  for (const auto byte : head.first(kTimeBytes)) expires_at_ms = expires_at_ms << 8 | byte;
  if (context.clock.utc_ms() >= expires_at_ms) return std::nullopt;
  return std::string(text_of(head.subspan(kTimeBytes)));
}

// One answer for whatever is wrong with an address.
HttpResponse no_such_page() {
  return html_page(404, "Not found",
                   "<p>This address is not, or no longer, good. Let your ACME client try again: it "
                   "is told a new one.</p>");
}

}  // namespace

Outcome<void> require_terms(const Context& context, const Account& account) {
  const auto& config = context.config;
  const auto& record = account.record;
  if (config.terms_of_service.empty() || config.terms_change != "ask") return {};
  if (record.terms_url && *record.terms_url == config.terms_of_service) return {};
  // An account of a release that did not record which terms: it agreed to what stood then, and is
  // not asked for what cannot be known.
  if (!record.terms_url && record.terms_agreed) return {};
  auto problem = Problem::of(ProblemType::kUserActionRequired, "terms.changed",
                             "the terms of service have changed; agree to them at \"instance\"");
  const auto token = token_of(context, record.id, context.clock.utc_ms() + limits::kTermsTokenMs);
  problem.instance = context.urls.of_path("/acme/terms/" + token);
  return refuse(std::move(problem).with_header(
      "Link", "<" + config.terms_of_service + ">;rel=\"terms-of-service\""));
}

Outcome<HttpResponse> terms_page(Context& context, const HttpRequest& request,
                                 const RouteMatch& match) {
  const bool agrees = request.method == "POST";
  if (agrees) {
    if (auto ok = check_form(request, match.route->body_bytes_max, kForm); !ok)
      return refuse(ok.error());
  }
  const auto account_id = account_of(context, match.segments[0]);
  if (!account_id) return no_such_page();
  const auto terms = escape_html(context.config.terms_of_service);
  if (!agrees) {
    return html_page(200, "Terms of service",
                     "<p>The terms of service of this certificate authority are at <a href=\"" +
                         terms + "\">" + terms +
                         "</a>.</p><form method=\"post\"><button name=\"agree\" value=\"yes\">I "
                         "agree to these terms</button></form>");
  }
  wire::AccountUpdate update;
  update.id = *account_id;
  update.terms_url = context.config.terms_of_service;
  auto reply = context.backend.store.ask(update);
  context.accounts.forget(update.id);
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->account || reply->account->status != wire::AccountStatus::kValid)
    return no_such_page();
  return html_page(200, "Thank you",
                   "<p>You have agreed to <a href=\"" + terms + "\">" + terms +
                       "</a>. Your ACME client can go on.</p>");
}

}  // namespace keyward::acme
