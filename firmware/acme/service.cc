#include "firmware/acme/service.h"

#include <chrono>

#include "firmware/acme/account_resources.h"
#include "firmware/acme/challenge_resources.h"
#include "firmware/acme/issuing.h"
#include "firmware/acme/order_resources.h"
#include "firmware/acme/request.h"
#include "firmware/log/log.h"

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
  if (info != nullptr) meta.profiles = info->profiles;
  return meta;
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
    : context_(std::move(config), backend, clock),
      nonces_(std::move(nonces)),
      directory_(std::make_shared<const std::string>(
          directory_json(context_.urls, directory_meta(context_.config, nullptr)))) {}

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

HttpResponse Service::handle(const HttpRequest& request) {
  const auto match = match_route(request.raw_path);
  HttpResponse response;
  if (!match) {
    response = not_found().response();
  } else {
    auto outcome = dispatch(request, *match);
    response = outcome ? std::move(*outcome) : outcome.error().response();
  }
  const bool is_directory = match && match->route->resource == Resource::kDirectory;
  const bool is_nonce = match && match->route->resource == Resource::kNewNonce;
  finish(response, request.method == "POST" || is_nonce || response.status >= 400, !is_directory);
  if (request.method == "HEAD") response.body.clear();
  return response;
}

std::size_t Service::body_bytes_max(std::string_view method, std::string_view raw_path) const {
  if (method != "POST") return 0;
  const auto match = match_route(raw_path);
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

void Service::finish(HttpResponse& response, bool with_nonce, bool with_index) {
  auto& headers = response.headers;
  if (with_nonce) {
    headers.emplace_back("Replay-Nonce", nonces_->issue());
    headers.emplace_back("Cache-Control", "no-store");
  }
  if (with_index) headers.emplace_back("Link", "<" + context_.urls.directory() + ">;rel=\"index\"");
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
  return method == kPost ? signed_request(request, match) : unsigned_read(match, request);
}

Outcome<HttpResponse> Service::unsigned_read(const RouteMatch& match, const HttpRequest& request) {
  if (match.route->resource == Resource::kDirectory) return directory();
  HttpResponse response;
  response.status = request.method == "HEAD" ? 200 : 204;  // RFC 8555 §7.2
  return response;
}

HttpResponse Service::directory() {
  std::shared_ptr<const std::string> body;
  {
    const std::lock_guard lock(mutex_);
    body = directory_;
  }
  return json_response(200, *body);
}

Outcome<HttpResponse> Service::signed_request(const HttpRequest& request, const RouteMatch& match) {
  auto authentic = authenticate(context_, *nonces_, request, match);
  if (!authentic) return refuse(std::move(authentic.error()));
  switch (match.route->resource) {
    case Resource::kDirectory:
      if (auto ok = require_read(*authentic); !ok) return refuse(ok.error());
      return directory();
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
  }
  return refuse(not_found());
}

void Service::take_care() {
  for (;;) {
    const bool profiles = refresh_profiles();
    const bool work = resume_work();
    std::unique_lock lock(mutex_);
    const auto pause =
        std::chrono::milliseconds(profiles && work ? limits::kWorkSweepMs : kCareRetryMs);
    if (stop_.wait_for(lock, pause, [this] { return stopped_; })) return;
  }
}

bool Service::refresh_profiles() {
  auto reply = context_.backend.signer.ask(wire::IssuerGet{});
  if (!reply) return false;
  context_.issuer.set(std::move(*reply));
  auto body = std::make_shared<const std::string>(
      directory_json(context_.urls, directory_meta(context_.config, context_.issuer.get().get())));
  {
    const std::lock_guard lock(mutex_);
    directory_ = std::move(body);
  }
  auto locked_state = ApplianceState::kLocked;
  if (state_.compare_exchange_strong(locked_state, ApplianceState::kOperational)) {
    log::info("operational: the signer has answered");
  }
  return true;
}

bool Service::resume_work() {
  auto reply = context_.backend.store.ask(wire::WorkList{});
  if (!reply) return false;
  for (const auto& pending : reply->challenges) {
    resume_validation(context_, pending.authz_id, pending.challenge_id, pending.account_id);
  }
  for (const auto& pending : reply->orders)
    resume_issuance(context_, pending.ticket, pending.account_id);
  return true;
}

}  // namespace keyward::acme
