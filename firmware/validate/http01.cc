#include "firmware/validate/http01.h"

#include "firmware/validate/curl.h"
#include "firmware/validate/locate.h"

namespace keyward::validate {
namespace {

// Empty when http-01 must not go there (RFC 8555 §8.3, §10.4).
std::optional<Target> http_target(const std::string& text, const Http01Options& options) {
  auto target = parse_target(text, {"http", "https"});
  if (target && target->port != 80 && target->port != 443 && target->port != options.port)
    return std::nullopt;
  return target;
}

wire::ChallengeProblem problem_of(CURLcode code, const Guard& hop, const Target& target) {
  const auto where = shown(target.url);
  if (hop.too_large)
    return problem("incorrectResponse", "http.too-large",
                   "the response of " + where + " is too large");
  if (hop.refused)
    return problem("connection", "egress.refused",
                   "this appliance does not connect to the address of " + where);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return problem("connection", "http.timeout", "no complete response in time from " + where);
    case CURLE_COULDNT_CONNECT:
      return problem("connection", "http.connect", "cannot connect to " + where);
    case CURLE_SSL_CONNECT_ERROR:
      return problem("connection", "http.tls", "no TLS connection with " + where);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return problem("connection", "http.cut",
                     "the connection ended before the response of " + where + " did");
    default:
      return problem("connection", "http.protocol", "no HTTP response from " + where);
  }
}

class Look {
 public:
  Look(const Http01Options& options, Resolver& resolver)
      : options_(options), resolver_(resolver), deadline_(Deadline::after_ms(options.total_ms)) {}

  LookOutcome run(const std::string& first_url, const std::string& expected) {
    auto target = http_target(first_url, options_);
    if (!target) return end(problem("connection", "http.target", "the identifier makes no URL"));
    for (int hops = 0; hops <= limits::kHttp01RedirectsMax; ++hops) {
      outcome_.what = target->url;
      std::string next;
      if (auto failed = fetch(*target, next)) return end(std::move(*failed));
      if (next.empty()) return end(judge(*target, expected));
      target = http_target(next, options_);
      if (!target)
        return end(
            problem("connection", "http.redirect-target",
                    "redirected to " + shown(next) +
                        ", which is not allowed: http or https on the ports 80 and 443 alone"));
    }
    return end(problem("connection", "http.redirects",
                       "redirected too many times, last to " + shown(target->url)));
  }

 private:
  LookOutcome end(std::optional<wire::ChallengeProblem> found) {
    outcome_.problem = std::move(found);
    return std::move(outcome_);
  }

  std::optional<wire::ChallengeProblem> judge(const Target& target, const std::string& expected) {
    if (status_ != 200) {
      return problem("unauthorized", "http.status",
                     "status " + std::to_string(status_) + " from " + shown(target.url));
    }
    if (!body_matches(hop_.body, expected)) {
      return problem("incorrectResponse", "http.content",
                     "what stands at " + shown(target.url) +
                         " is not the key authorization of this account and challenge");
    }
    return std::nullopt;
  }

  std::optional<wire::ChallengeProblem> fetch(const Target& target, std::string& next) {
    std::vector<IpAddress> addresses;
    if (auto failed = locate(target.host, options_.egress, resolver_, deadline_, addresses))
      return failed;
    outcome_.where = addresses.front().text();
    hop_ = Guard{&options_.egress, limits::kHttp01BodyBytesMax};
    const CurlPtr handle(::curl_easy_init());
    const CurlListPtr pin = pin_to(target, addresses);
    if (!handle || !pin || deadline_.passed())
      return problem("connection", "http.timeout", "no time left for " + shown(target.url));
    set_common_options(handle.get(), target, pin.get(), hop_, deadline_.remaining_ms());
    ::curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, "keyward-validation");
    ::curl_easy_setopt(handle.get(), CURLOPT_HTTP_VERSION,
                       static_cast<long>(CURL_HTTP_VERSION_1_1));
    ::curl_easy_setopt(handle.get(), CURLOPT_SSL_VERIFYPEER, 0L);
    ::curl_easy_setopt(handle.get(), CURLOPT_SSL_VERIFYHOST, 0L);
    const CURLcode code = ::curl_easy_perform(handle.get());
    if (code != CURLE_OK) return problem_of(code, hop_, target);
    ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status_);
    const bool redirects =
        status_ == 301 || status_ == 302 || status_ == 303 || status_ == 307 || status_ == 308;
    char* location = nullptr;
    if (redirects) ::curl_easy_getinfo(handle.get(), CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) next = location;
    return std::nullopt;
  }

  const Http01Options& options_;
  Resolver& resolver_;
  Deadline deadline_;
  LookOutcome outcome_;
  Guard hop_;
  long status_ = 0;
};

}  // namespace

bool body_matches(std::string_view body, const std::string& key_authorization) {
  const auto last = body.find_last_not_of(" \t\r\n\v\f");
  if (last == std::string_view::npos || key_authorization.empty()) return false;
  return equal_constant_time(view_of(body.substr(0, last + 1)), view_of(key_authorization));
}

void http01_global_init() { ::curl_global_init(CURL_GLOBAL_DEFAULT); }

LookOutcome http01_look(const LookRequest& request, const Http01Options& options,
                        Resolver& resolver) {
  const auto& host = request.identifier.value;
  const bool brackets = host.find(':') != std::string::npos;
  std::string url = "http://" + (brackets ? "[" + host + "]" : host);
  if (options.port != 80) url += ":" + std::to_string(options.port);
  url += "/.well-known/acme-challenge/" + request.token;
  return Look(options, resolver).run(url, key_authorization(request.token, request.thumbprint));
}

}  // namespace keyward::validate
