#include "firmware/validate/fetch.h"

#include <algorithm>

#include "firmware/validate/curl.h"
#include "firmware/validate/issue_value.h"
#include "firmware/validate/locate.h"

namespace keyward::validate {
namespace {

wire::ChallengeProblem problem_of(CURLcode code, const Guard& guard, const std::string& where) {
  if (guard.too_large)
    return problem("incorrectResponse", "fetch-too-large",
                   "the document at " + where + " is too large");
  if (guard.refused)
    return problem("connection", "egress.refused",
                   "this appliance does not connect to the address of " + where);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return problem("connection", "fetch-timeout", "no complete document in time from " + where);
    case CURLE_COULDNT_CONNECT:
      return problem("connection", "fetch-connect", "cannot connect to " + where);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return problem("tls", "fetch-tls", "no TLS connection that verifies with " + where);
    default:
      return problem("connection", "fetch-failed", "no document from " + where);
  }
}

class Fetch {
 public:
  Fetch(const FetchOptions& options, Resolver& resolver)
      : options_(options), resolver_(resolver), deadline_(Deadline::after_ms(options.total_ms)) {}

  wire::UrlFetchReply run(std::string url) {
    wire::UrlFetchReply reply;
    for (int hops = 0; hops <= limits::kUrlFetchRedirectsMax; ++hops) {
      std::string next;
      reply.problem = hop(url, next);
      if (reply.problem) return reply;
      if (next.empty()) {
        reply.body = to_bytes(view_of(guard_.body));
        return reply;
      }
      url = std::move(next);
    }
    reply.problem = problem("connection", "fetch-redirects",
                            "redirected too many times, last to " + shown(url));
    return reply;
  }

 private:
  // A redirect is held to the same rules as the first URL.
  std::optional<wire::ChallengeProblem> hop(const std::string& url, std::string& next) {
    std::vector<std::string_view> schemes{"https"};
    if (options_.allow_http) schemes.push_back("http");
    const auto target = parse_target(url, schemes);
    if (!target) return problem("connection", "fetch-url", "not a URL to fetch: " + shown(url));
    const auto& hosts = options_.hosts;
    if (std::find(hosts.begin(), hosts.end(), ascii_lower(target->host)) == hosts.end())
      return problem("unauthorized", "fetch-host",
                     "the installation does not list the host of " + shown(url));
    std::vector<IpAddress> addresses;
    if (auto failed = locate(target->host, options_.egress, resolver_, deadline_, addresses))
      return failed;
    return transfer(*target, addresses, next);
  }

  std::optional<wire::ChallengeProblem> transfer(const Target& target,
                                                 const std::vector<IpAddress>& addresses,
                                                 std::string& next) {
    const auto where = shown(target.url);
    guard_ = Guard{&options_.egress, limits::kFetchedBytesMax};
    const CurlPtr handle(::curl_easy_init());
    const CurlListPtr pin = pin_to(target, addresses);
    if (!handle || !pin || deadline_.passed())
      return problem("connection", "fetch-timeout", "no time left for " + where);
    set_common_options(handle.get(), target, pin.get(), guard_, deadline_.remaining_ms());
    ::curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, "keyward-validation");
    if (!options_.ca_file.empty()) {
      ::curl_easy_setopt(handle.get(), CURLOPT_CAINFO, options_.ca_file.c_str());
      ::curl_easy_setopt(handle.get(), CURLOPT_CAPATH, nullptr);
    }
    const CURLcode code = ::curl_easy_perform(handle.get());
    if (code != CURLE_OK) return problem_of(code, guard_, where);
    long status = 0;
    ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    char* location = nullptr;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
      ::curl_easy_getinfo(handle.get(), CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) {
      next = location;
      return std::nullopt;
    }
    if (status != 200)
      return problem("incorrectResponse", "fetch-status",
                     "status " + std::to_string(status) + " from " + where);
    if (guard_.body.empty())
      return problem("incorrectResponse", "fetch-empty", "nothing stands at " + where);
    return std::nullopt;
  }

  const FetchOptions& options_;
  Resolver& resolver_;
  Deadline deadline_;
  Guard guard_;
};

}  // namespace

wire::UrlFetchReply fetch_url(const std::string& url, const FetchOptions& options,
                              Resolver& resolver) {
  if (options.hosts.empty()) {
    wire::UrlFetchReply reply;
    reply.problem =
        problem("connection", "fetch-not-configured", "this installation fetches no documents");
    return reply;
  }
  return Fetch(options, resolver).run(url);
}

}  // namespace keyward::validate
