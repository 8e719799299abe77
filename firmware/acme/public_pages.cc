#include "firmware/acme/public_pages.h"

#include <algorithm>

#include "firmware/acme/request.h"
#include "firmware/metrics/metrics.h"

namespace keyward::acme {
namespace {

// Headers that leave; what else the service adds is for ACME's clients.
constexpr std::string_view kHeaders[] = {
    "Content-Type", "Cache-Control", "ETag", "Last-Modified", "Expires", "Allow", "Retry-After"};

std::optional<RouteMatch> public_route(std::string_view raw_path) {
  auto match = match_route(raw_path);
  if (!match || !match->tenant.empty() || !is_public(*match->route)) return std::nullopt;
  return match;
}

HttpResponse plain(int status, std::string_view words) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}};
  response.body = std::string(words) + "\n";
  return response;
}

HttpResponse plain(const Problem& problem) {
  auto response = plain(problem.status, problem.code + ": " + problem.detail);
  response.headers.insert(response.headers.end(), problem.headers.begin(), problem.headers.end());
  return response;
}

void count(const std::optional<RouteMatch>& match, int status) {
  auto label = match ? match->route->pattern.substr(kRoot.size() + 1) : std::string_view("none");
  label = label.substr(0, label.find('/'));
  metrics::count("keyward_acme_public_requests_total",
                 {{"route", std::string(label)}, {"status", std::to_string(status)}});
}

}  // namespace

HttpResponse PublicPages::handle(const HttpRequest& request) {
  const auto match = public_route(request.raw_path);
  auto outcome =
      match ? service_.read_public(request, *match) : Outcome<HttpResponse>(refuse(not_found()));
  auto response = outcome ? std::move(*outcome) : plain(outcome.error());
  std::erase_if(response.headers, [](const auto& header) {
    return std::ranges::find(kHeaders, header.first) == std::end(kHeaders);
  });
  count(match, response.status);
  if (request.method == "HEAD") response.clear_body();
  return response;
}

std::size_t PublicPages::body_bytes_max(std::string_view method, std::string_view raw_path) const {
  const auto match = public_route(raw_path);
  return match && method == "POST" ? match->route->body_bytes_max : 0;
}

HttpResponse PublicPages::refuse_transport(int status, std::string_view detail) {
  auto response = plain(status, detail);
  if (status == 429 || status == 503)
    response.headers.emplace_back("Retry-After", std::to_string(kRetryAfterDefaultS));
  count(std::nullopt, status);
  return response;
}

}  // namespace keyward::acme
