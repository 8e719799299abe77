#include "firmware/acme/service.h"

#include <algorithm>
#include <chrono>

#include "firmware/acme/account_desk.h"
#include "firmware/acme/account_resources.h"
#include "firmware/acme/attestation_ca.h"
#include "firmware/acme/authz_resources.h"
#include "firmware/acme/certificate_resources.h"
#include "firmware/acme/challenge_resources.h"
#include "firmware/acme/conditional.h"
#include "firmware/acme/crl.h"
#include "firmware/acme/issuing.h"
#include "firmware/acme/key_change.h"
#include "firmware/acme/mail.h"
#include "firmware/acme/methods.h"
#include "firmware/acme/ocsp.h"
#include "firmware/acme/order_resources.h"
#include "firmware/acme/recovery.h"
#include "firmware/acme/remote_attestation.h"
#include "firmware/acme/renewal_info.h"
#include "firmware/acme/request.h"
#include "firmware/acme/revocation.h"
#include "firmware/acme/star.h"
#include "firmware/acme/terms.h"
#include "firmware/acme/validating.h"
#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"

namespace keyward::acme {
namespace {

constexpr std::int64_t kCareRetryMs = 500;  // while the signer or the store is away

std::string allow_header(const Route& route) {
  std::string out;
  const auto add = [&](std::uint8_t bit, std::string_view name) {
    if ((route.methods & bit) == 0) return;
    out += (out.empty() ? "" : ", ");
    out += name;
  };
  add(kGet, "GET");
  add(kHead, "HEAD");
  add(kPost, "POST");
  return out;
}

Problem locked(ApplianceState state) {
  const bool broken = state == ApplianceState::kFailed || state == ApplianceState::kUnprovisioned;
  return Problem::of(ProblemType::kServerInternal, "appliance.state",
                     broken ? "the appliance does not serve"
                            : "the appliance is starting: its signer has not answered yet")
      .with_status(503)
      .retry_after_s(kRetryAfterDefaultS);
}

// `info` is null until the signer has answered.
DirectoryMeta directory_meta(const ServiceConfig& config, const wire::IssuerGetReply* info) {
  DirectoryMeta meta;
  meta.terms_of_service = config.terms_of_service;
  meta.website = config.website;
  if (info != nullptr) {
    for (const auto& profile : info->profiles) {
      if (!is_attestation_ca(profile)) meta.profiles.push_back(profile);
    }
    meta.attestation_ca = meta.profiles.size() != info->profiles.size();
  }
  meta.external_account_required = info != nullptr && info->external_account_required;
  meta.recovery = config.recovery;
  meta.new_authz = takes_names(meta.profiles);
  meta.caa_identities = config.caa_identities;
  meta.subdomain_auth = config.subdomain_auth;
  meta.persist_issuers = config.persist_issuers;
  meta.account_hash_prefix = config.account_hash_prefix;
  return meta;
}

// A browser asks first, since our media type is none that a form can send (fetch.spec.whatwg.org,
// "CORS-preflight request").
HttpResponse preflight(const Route& route) {
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", allow_header(route)},
                      {"Access-Control-Allow-Headers", "content-type"},
                      {"Access-Control-Max-Age", "86400"}};
  return response;
}

// What makes something new is for those alone who agreed to the terms as they are.
bool wants_terms(Resource resource) {
  return resource == Resource::kNewOrder || resource == Resource::kNewAuthz ||
         resource == Resource::kFinalize || resource == Resource::kAkBegin ||
         resource == Resource::kAkActivate;
}

// By the route's first words, never by what the client wrote. "/acme/order/{}/finalize" is
// "order.finalize".
std::string metric_label(const Route* route) {
  if (route == nullptr) return "none";
  std::string out;
  std::string_view rest = route->pattern;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const auto part = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    if (part.empty() || part == "acme" || part.starts_with("{")) continue;
    out += (out.empty() ? "" : ".") + std::string(part);
  }
  return out;
}

void count_request(const Route* route, int status, std::chrono::steady_clock::time_point began) {
  const std::string label = metric_label(route);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  metrics::count("keyward_acme_requests_total",
                 {{"route", label}, {"status", std::to_string(status)}});
  metrics::observe("keyward_acme_request_duration_seconds", {{"route", label}},
                   static_cast<std::uint64_t>(took.count()));
}

bool is_answer_to_relying_party(const std::optional<RouteMatch>& match,
                                const HttpResponse& response) {
  return match && (response.status == 200 || response.status == 304) &&
         (match->route->resource == Resource::kOcsp ||
          match->route->resource == Resource::kOcspInPath);
}

}  // namespace

Answer<IssuerInfo::Ptr> issuer_info(Context& context) {
  if (auto known = context.issuer.get()) return known;
  auto reply = context.backend.signer.ask(wire::IssuerGet{});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  context.issuer.set(std::move(*reply));
  return context.issuer.get();
}

Service::Service(ServiceConfig config, Backend backend, const Clock& clock,
                 std::unique_ptr<Nonces> nonces)
    : context_(std::move(config), backend, clock), nonces_(std::move(nonces)) {
  write_directories();
}

Service::~Service() {
  stop();
  if (caretaker_.joinable()) caretaker_.join();
}

void Service::start() {
  caretaker_ = std::thread([this] { take_care(); });
}

void Service::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  context_.validations.stop();
  context_.issuances.stop();
}

// Null: no such path, or of no tenant here.
std::optional<RouteMatch> Service::find_route(std::string_view raw_path) const {
  auto match = match_route(raw_path);
  const bool known =
      match && (match->tenant.empty() || context_.config.tenants.contains(match->tenant));
  return known ? match : std::nullopt;
}

// Resources that an installation has or has not.
bool Service::is_offered(Resource resource) const {
  switch (resource) {
    case Resource::kRecoverAccount:
    case Resource::kRecovery:
    case Resource::kVeto:
      return context_.config.recovery;
    case Resource::kAkBegin:
    case Resource::kAkActivate: {
      const auto info = context_.issuer.get();  // null: not known yet, which another answer says
      return !info || std::any_of(info->profiles.begin(), info->profiles.end(), is_attestation_ca);
    }
    default:
      return true;
  }
}

HttpResponse Service::handle(const HttpRequest& request) {
  const auto began = std::chrono::steady_clock::now();
  const bool alias = !context_.config.directory_alias.empty() &&
                     request.raw_path == context_.config.directory_alias;
  const auto match = find_route(alias ? std::string_view(route_of(Resource::kDirectory).pattern)
                                      : std::string_view(request.raw_path));
  HttpResponse response;
  if (!match || !is_offered(match->route->resource)) {
    response = not_found().response();
  } else if (request.method == "OPTIONS" && context_.config.cors) {
    response = preflight(*match->route);
  } else {
    auto outcome = dispatch(request, *match);
    response = outcome ? std::move(*outcome) : outcome.error().response();
    answer_conditionally(request, response);
  }
  count_request(match ? match->route : nullptr, response.status, began);
  if (is_answer_to_relying_party(match, response)) {  // no part of ACME: neither nonce nor index
    if (request.method == "HEAD") response.clear_body();
    return response;
  }
  if (is_html(response)) {  // for people: no nonce, and nothing for scripts of other origins
    if (request.method == "HEAD") response.clear_body();
    return response;
  }
  const bool is_directory = match && match->route->resource == Resource::kDirectory;
  const bool is_nonce = match && match->route->resource == Resource::kNewNonce;
  finish(response, request.method == "POST" || is_nonce || response.status >= 400, !is_directory,
         match ? match->tenant : std::string_view{});
  if (request.method == "HEAD") response.clear_body();
  return response;
}

Outcome<HttpResponse> Service::read_public(const HttpRequest& request, const RouteMatch& match) {
  if (!is_public(*match.route)) return refuse(not_found());
  auto outcome = dispatch(request, match);
  if (outcome) answer_conditionally(request, *outcome);
  return outcome;
}

std::size_t Service::body_bytes_max(std::string_view method, std::string_view raw_path) const {
  if (method != "POST") return 0;
  const auto match = find_route(raw_path);
  if (!match || (match->route->methods & kPost) == 0) return 0;
  return match->route->body_bytes_max;
}

HttpResponse Service::refuse_transport(int status, std::string_view detail) {
  const auto type = status == 429   ? ProblemType::kRateLimited
                    : status >= 500 ? ProblemType::kServerInternal
                                    : ProblemType::kMalformed;
  auto problem = Problem::of(type, "http.refused", detail).with_status(status);
  if (status == 429 || status == 503)
    problem = std::move(problem).retry_after_s(kRetryAfterDefaultS);
  auto response = problem.response();
  finish(response, true, true);
  return response;
}

void Service::finish(HttpResponse& response, bool with_nonce, bool with_index,
                     std::string_view tenant) {
  auto& headers = response.headers;
  if (with_nonce) {
    headers.emplace_back("Replay-Nonce", nonces_->issue());
    headers.emplace_back("Cache-Control", "no-store");
  }
  if (with_index)
    headers.emplace_back("Link", "<" + context_.urls.of(tenant).directory() + ">;rel=\"index\"");
  if (!context_.config.cors) return;
  headers.emplace_back("Access-Control-Allow-Origin", "*");
  headers.emplace_back("Access-Control-Expose-Headers",
                       "Link, Location, Replay-Nonce, Retry-After");
}

Outcome<HttpResponse> Service::dispatch(const HttpRequest& request, const RouteMatch& match) {
  const Route& route = *match.route;
  const auto method = method_bit(request.method);
  if ((route.methods & method) == 0) {
    return refuse(Problem::of(ProblemType::kMalformed, "http.method",
                              "this resource does not take this method")
                      .with_status(405)
                      .with_header("Allow", allow_header(route)));
  }
  const auto state = state_.load();
  if ((route.states & static_cast<std::uint8_t>(state)) == 0) return refuse(locked(state));
  if (route.resource == Resource::kTerms) return terms_page(context_, request, match);
  if (route.resource == Resource::kVeto) return veto_page(context_, request, match);
  if (route.resource == Resource::kOcsp) return ocsp_by_post(context_, request);
  if (route.resource == Resource::kOcspInPath) return ocsp_by_get(context_, match.segments[0]);
  return method == kPost ? signed_request(request, match) : unsigned_read(match, request);
}

Outcome<HttpResponse> Service::unsigned_read(const RouteMatch& match, const HttpRequest& request) {
  const auto resource = match.route->resource;
  if (resource == Resource::kDirectory) return directory(match.tenant);
  if (resource == Resource::kCrl) return revocation_list(context_);
  if (resource == Resource::kCrlOfName) return revocation_list(context_, match.segments[0]);
  if (resource == Resource::kIssuer) return issuer_certificate(context_, match.segments[0]);
  if (resource == Resource::kRenewalInfo) return renewal_info(context_, match);
  if (resource == Resource::kEvidenceKey) return evidence_key(context_, match.segments[0]);
  if (resource == Resource::kStarCertificate)
    return star_certificate_unsigned(context_, match.segments[0], request.accept);
  HttpResponse response;
  response.status = request.method == "HEAD" ? 200 : 204;  // RFC 8555 §7.2
  return response;
}

HttpResponse Service::directory(std::string_view tenant) {
  std::shared_ptr<const std::string> body;
  {
    const std::lock_guard lock(mutex_);
    body = directories_.find(tenant)->second;
  }
  return json_response(200, *body);
}

Outcome<HttpResponse> Service::signed_request(const HttpRequest& request, const RouteMatch& match) {
  auto authentic = authenticate(context_, *nonces_, request, match);
  if (!authentic) return refuse(std::move(authentic.error()));
  if (wants_terms(match.route->resource)) {
    if (auto ok = require_terms(context_, *authentic->account); !ok) return refuse(ok.error());
  }
  switch (match.route->resource) {
    case Resource::kDirectory:
      if (auto ok = require_read(*authentic); !ok) return refuse(ok.error());
      return directory(match.tenant);
    case Resource::kNewNonce: {
      if (auto ok = require_read(*authentic); !ok) return refuse(ok.error());
      HttpResponse response;
      response.status = 204;
      return response;
    }
    case Resource::kNewAccount:
      return new_account(context_, *authentic);
    case Resource::kNewOrder:
      return new_order(context_, *authentic);
    case Resource::kNewAuthz:
      return new_authz(context_, *authentic);
    case Resource::kAccount:
      return account(context_, *authentic);
    case Resource::kOrders:
      return orders(context_, *authentic);
    case Resource::kOrder:
      return order(context_, *authentic);
    case Resource::kFinalize:
      return finalize(context_, *authentic);
    case Resource::kAuthz:
      return authorization(context_, *authentic);
    case Resource::kChallenge:
      return challenge(context_, *authentic);
    case Resource::kCertificate:
      return certificate(context_, *authentic);
    case Resource::kAlternate:
      return alternate_certificate(context_, *authentic);
    case Resource::kStarCertificate:
      return star_certificate(context_, *authentic);
    case Resource::kRevokeCert:
      return revoke_certificate(context_, *authentic);
    case Resource::kKeyChange:
      return key_change(context_, *authentic);
    case Resource::kRecoverAccount:
      return recover_account(context_, *authentic);
    case Resource::kRecovery:
      return recovery(context_, *authentic);
    case Resource::kAkBegin:
      return ak_begin(context_, *authentic);
    case Resource::kAkActivate:
      return ak_activate(context_, *authentic);
    case Resource::kTerms:
    case Resource::kVeto:
    case Resource::kIssuer:
    case Resource::kRenewalInfo:
    case Resource::kEvidenceKey:
    case Resource::kCrl:
    case Resource::kCrlOfName:
    case Resource::kOcsp:
    case Resource::kOcspInPath:
      break;  // pages, not signed
  }
  return refuse(not_found());
}

void Service::take_care() {
  AccountDesk desk(context_);
  std::int64_t sweep_at_ms = 0;
  for (;;) {
    const auto now_ms = system_clock().monotonic_ms();
    if (now_ms >= sweep_at_ms) {
      const bool profiles = refresh_profiles();
      const bool work = resume_work();
      if (context_.config.recovery) post_mails(context_);
      sweep_at_ms = now_ms + (profiles && work ? limits::kWorkSweepMs : kCareRetryMs);
    }
    desk.look();
    const auto pause = std::min(limits::kDeskLookMs, kCareRetryMs);
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, std::chrono::milliseconds(pause), [this] { return stopped_; })) return;
  }
}

void Service::write_directories() {
  const auto info = context_.issuer.get();
  const auto meta = directory_meta(context_.config, info.get());
  decltype(directories_) fresh;
  const auto write = [&](const std::string& tenant) {
    fresh[tenant] = std::make_shared<const std::string>(
        directory_json(context_.urls.of(std::string_view(tenant)), meta));
  };
  write("");
  for (const auto& [tenant, delegates] : context_.config.tenants) write(tenant);
  const std::lock_guard lock(mutex_);
  directories_ = std::move(fresh);
}

bool Service::refresh_profiles() {
  auto reply = context_.backend.signer.ask(wire::IssuerGet{});
  if (!reply && reply.error().code == "unprovisioned") state_ = ApplianceState::kUnprovisioned;
  if (!reply) return false;
  context_.issuer.set(std::move(*reply));
  write_directories();
  if (state_ == ApplianceState::kUnprovisioned) state_ = ApplianceState::kLocked;
  auto locked_state = ApplianceState::kLocked;
  if (state_.compare_exchange_strong(locked_state, ApplianceState::kOperational)) {
    log::info("operational: the signer has answered");
  }
  return true;
}

bool Service::turn(std::uint64_t choice) {
  if (choice % 2 == 0)
    return context_.validations.turn(choice / 2) || context_.issuances.turn(choice / 2);
  return context_.issuances.turn(choice / 2) || context_.validations.turn(choice / 2);
}

bool Service::resume_work() {
  auto reply = context_.backend.store.ask(wire::WorkList{});
  if (!reply) return false;
  for (const auto& pending : reply->challenges) {
    resume_validation(context_, pending.authz_id, pending.challenge_id, pending.account_id);
  }
  for (const auto& pending : reply->orders)
    resume_issuance(context_, pending.ticket, pending.account_id);
  for (const auto& due : reply->renewals) post_renewal(context_, due.ticket, due.account_id);
  return true;
}

}  // namespace keyward::acme
