#include "firmware/manage/service.h"

#include <algorithm>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/log/log.h"
#include "firmware/manage/openmetrics.h"
#include "firmware/metrics/metrics.h"
#include "hal/base/file.h"

namespace keyward::manage {
namespace {

acme::HttpResponse text(int status, std::string_view type, std::string body) {
  acme::HttpResponse out;
  out.status = status;
  out.headers = {{"Content-Type", std::string(type)},
                 {"Cache-Control", "no-store"},
                 {"X-Content-Type-Options", "nosniff"}};
  out.body = std::move(body);
  return out;
}

// RFC 7807; `code` is stable, `detail` for people.
acme::HttpResponse problem(int status, std::string_view code, std::string_view detail) {
  json::Writer out;
  out.begin_object().member("type", "about:blank").member_int("status", status);
  out.member("code", code).member("detail", detail).end_object();
  return text(status, "application/problem+json", out.take() + "\n");
}

State state_of(const std::string& status_json) {
  const auto document = json::Document::parse(status_json, limits::kStatusFileBytesMax);
  if (!document) return kUnknown;
  const auto name = document->root().get("state").string();
  if (name == "starting") return kStarting;
  if (name == "operational") return kOperational;
  if (name == "degraded") return kDegraded;
  if (name == "failed") return kFailed;
  return name == "stopping" ? kStopping : kUnknown;
}

const Route* route_of(std::string_view path) {
  const auto found = std::ranges::find(kRoutes, path, &Route::path);
  return found == kRoutes.end() ? nullptr : &*found;
}

bool is_loopback(std::string_view address) {
  return address == "127.0.0.1" || address == "::1" || address == "::ffff:127.0.0.1";
}

int status_of(wire::FailureKind kind) {
  switch (kind) {
    case wire::FailureKind::kBadInput:
      return 400;
    case wire::FailureKind::kRefused:
      return 403;
    case wire::FailureKind::kUnavailable:
    case wire::FailureKind::kExhausted:
      return 503;
    default:
      return 500;
  }
}

std::string_view name_of(const Route* route) {
  return route == nullptr ? "none" : route->path.substr(route->path.rfind('/') + 1);
}

}  // namespace

std::uint8_t Service::roles_of(ByteView spki_der) const {
  const auto key = crypto::PublicKey::from_spki(spki_der);
  if (!key) return 0;
  std::uint8_t roles = config_.monitors.contains(hex_encode(key->spki_sha256())) ? kMonitor : 0;
  if (config_.operators.empty()) return roles;
  const auto file = read_text_file(config_.operators, limits::kOperatorsBytesMax);
  if (!file) return roles;
  const auto operators = operate::Operators::parse(*file);
  if (!operators) return roles;
  const auto jwk = jose::Jwk::from_public_key(*key);
  if (!jwk) return roles;
  const auto* who = operators->find(jwk->thumbprint_text());
  if (who == nullptr) return roles;
  const bool orders = std::ranges::any_of(who->roles, [](const auto& r) { return r != "audit"; });
  return static_cast<std::uint8_t>(roles | (orders ? kOperator : 0) |
                                   (who->has("audit") ? kAuditor : 0));
}

std::size_t Service::body_bytes_max(std::string_view method, std::string_view raw_path) const {
  const Route* route = route_of(raw_path);
  return route != nullptr && route->method == method ? route->body_bytes_max : 0;
}

acme::HttpResponse Service::refuse_transport(int status, std::string_view detail) {
  return problem(status, "transport", detail);
}

acme::HttpResponse Service::handle(const acme::HttpRequest& request) {
  const Route* route = route_of(request.raw_path);
  const auto respond = [&]() -> acme::HttpResponse {
    std::uint8_t roles = roles_of(request.client_key);
    if (request.client_key.empty() && config_.anonymous_on_loopback &&
        is_loopback(request.peer_address))
      roles = kAnonymous;
    // Who may nothing does not learn which paths there are.
    if (roles == 0) return problem(403, "nobody", "no known key in the client's certificate");
    if (route == nullptr) return problem(404, "path", "there is nothing at this path");
    if (route->method != request.method) {
      auto out = problem(405, "method", "this path takes another method");
      out.headers.emplace_back("Allow", std::string(route->method));
      return out;
    }
    if ((route->roles & roles) == 0) return problem(403, "role", "not with this key's role");
    const auto status =
        read_text_file(config_.run_dir + "/status.json", limits::kStatusFileBytesMax).value_or("");
    if ((route->states & state_of(status)) == 0)
      return problem(503, "state", "not in the appliance's present state");
    return answer(*route, request, status);
  };
  auto out = respond();
  metrics::count("keyward_admin_requests_total",
                 {{"route", name_of(route)}, {"status", std::to_string(out.status)}});
  return out;
}

acme::HttpResponse Service::answer(const Route& route, const acme::HttpRequest& request,
                                   const std::string& status_json) const {
  switch (route.resource) {
    case Resource::kHealth:
      return text(200, "text/plain", "ok\n");
    case Resource::kReady:
      return text(200, "text/plain", "ready\n");
    case Resource::kStatus:
      return text(200, "application/json", status_json);
    case Resource::kAuditHead:
      return audit_head();
    case Resource::kOrders:
      return order(request);
    case Resource::kMetrics:
      break;
  }
  const auto file = read_text_file(config_.run_dir + "/metrics.json", limits::kMetricsFileBytesMax);
  if (!file) return problem(503, "metrics", "the supervisor has written no metrics yet");
  auto rendered = open_metrics(*file);
  if (!rendered) return problem(500, "metrics", rendered.error().what);
  return text(200, kOpenMetricsType, std::move(*rendered));
}

// As the signer's audit key signed it: whoever keeps it needs to believe nobody on the way.
acme::HttpResponse Service::audit_head() const {
  const auto head = config_.newest_head();
  if (head) return text(200, "application/jose+json", head->line + "\n");
  const int status = head.error().code == "audit-head-none" ? 404 : status_of(head.error().kind);
  return problem(status, head.error().code, head.error().detail);
}

acme::HttpResponse Service::order(const acme::HttpRequest& request) const {
  if (request.body.empty()) return problem(400, "order.empty", "the body is the signed order");
  const auto done = config_.send_order(wire::OperatorOrder{request.body});
  if (done) return text(200, "application/json", done->answer);
  log::warning("an operator's order was not carried out", {{"code", done.error().code}});
  return problem(status_of(done.error().kind), done.error().code, done.error().detail);
}

}  // namespace keyward::manage
