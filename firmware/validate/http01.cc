#include "firmware/validate/http01.h"

#include <memory>

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace keyward::validate {
namespace {

constexpr std::size_t kHeaderBytesMax = 16'384;  // of one response; more is not read
constexpr std::size_t kShownBytesMax = 200;      // of a URL in a detail
constexpr std::int64_t kConnectMs = 10'000;

struct CurlDelete {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
  void operator()(CURLU* handle) const { ::curl_url_cleanup(handle); }
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
  void operator()(char* text) const { ::curl_free(text); }
};

struct Target {
  std::string scheme;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string url;
};

struct Hop {
  const EgressPolicy* egress = nullptr;
  std::string body;
  std::size_t header_bytes = 0;
  bool too_large = false;
  bool refused = false;
};

wire::ChallengeProblem problem(std::string_view type, std::string_view code, std::string detail) {
  if (detail.size() > limits::kDetailBytesMax) detail.resize(limits::kDetailBytesMax);
  return {std::string(type), std::string(code), std::move(detail)};
}

// A URL may come from the client's server: only plain characters, and not all of it.
std::string shown(const std::string& url) {
  std::string out;
  for (const char c : url) {
    if (out.size() == kShownBytesMax) return out + "...";
    out += c > 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '?';
  }
  return out;
}

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (::curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  const std::unique_ptr<char, CurlDelete> held(text);
  return text;
}

// Takes a URL apart; empty when http-01 must not go there.
std::optional<Target> parse_target(const std::string& text, const Http01Options& options) {
  if (text.size() > limits::kUrlBytesMax * 4) return std::nullopt;
  const std::unique_ptr<CURLU, CurlDelete> url(::curl_url());
  if (!url ||
      ::curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK)
    return std::nullopt;
  Target target;
  target.scheme = url_part(url.get(), CURLUPART_SCHEME);
  if (target.scheme != "http" && target.scheme != "https") return std::nullopt;
  if (!url_part(url.get(), CURLUPART_ZONEID).empty()) return std::nullopt;
  const unsigned long port =
      std::strtoul(url_part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT).c_str(), nullptr, 10);
  if (port != 80 && port != 443 && port != options.port) return std::nullopt;
  target.port = static_cast<std::uint16_t>(port);
  target.host = url_part(url.get(), CURLUPART_HOST);
  if (target.host.size() > 2 && target.host.front() == '[')
    target.host = target.host.substr(1, target.host.size() - 2);
  if (target.host.empty() || target.host.size() > limits::kIdentifierBytesMax) return std::nullopt;
  ::curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  target.url = url_part(url.get(), CURLUPART_URL);
  if (target.url.empty()) return std::nullopt;
  return target;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& hop = *static_cast<Hop*>(user);
  const std::size_t bytes = size * count;
  if (hop.body.size() + bytes > limits::kHttp01BodyBytesMax) {
    hop.too_large = true;
    return 0;  // ends the transfer
  }
  hop.body.append(data, bytes);
  return bytes;
}

std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) {
  auto& hop = *static_cast<Hop*>(user);
  hop.header_bytes += size * count;
  if (hop.header_bytes > kHeaderBytesMax) {
    hop.too_large = true;
    return 0;
  }
  return size * count;
}

// The last word on where a connection goes, for the address itself.
curl_socket_t on_open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& hop = *static_cast<Hop*>(user);
  const auto ip = IpAddress::from(address->addr);
  if (!ip || !hop.egress->allows(*ip)) {
    hop.refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

wire::ChallengeProblem problem_of(CURLcode code, const Hop& hop, const Target& target) {
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

  Http01Outcome run(const std::string& first_url, const std::string& expected) {
    auto target = parse_target(first_url, options_);
    if (!target) return end(problem("connection", "http.target", "the identifier makes no URL"));
    for (int hops = 0; hops <= limits::kHttp01RedirectsMax; ++hops) {
      outcome_.final_url = target->url;
      std::string next;
      if (auto failed = fetch(*target, next)) return end(std::move(*failed));
      if (next.empty()) return end(judge(*target, expected));
      target = parse_target(next, options_);
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
  Http01Outcome end(std::optional<wire::ChallengeProblem> found) {
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

  // Where the host is, as far as the policy lets us go there; IPv6 first.
  std::optional<wire::ChallengeProblem> locate(const Target& target, std::vector<IpAddress>& out) {
    Resolution found;
    if (const auto literal = IpAddress::parse(target.host)) {
      found.addresses.push_back(*literal);
    } else {
      found = resolver_.resolve(target.host, deadline_);
      if (!found.code.empty())
        return problem("dns", found.code, shown(target.host) + ": " + found.detail);
    }
    for (const auto& address : found.addresses) {
      if (options_.egress.allows(address)) out.push_back(address);
    }
    if (!out.empty()) return std::nullopt;
    return problem("connection", "egress.refused",
                   shown(target.host) + " is at " + found.addresses.front().text() +
                       ", and this appliance connects to no such address");
  }

  std::optional<wire::ChallengeProblem> fetch(const Target& target, std::string& next) {
    std::vector<IpAddress> addresses;
    if (auto failed = locate(target, addresses)) return failed;
    outcome_.address = addresses.front().text();
    hop_ = Hop{};
    hop_.egress = &options_.egress;
    const std::unique_ptr<CURL, CurlDelete> handle(::curl_easy_init());
    const std::unique_ptr<curl_slist, CurlDelete> pin(
        ::curl_slist_append(nullptr, pin_text(target, addresses).c_str()));
    if (!handle || !pin || deadline_.passed())
      return problem("connection", "http.timeout", "no time left for " + shown(target.url));
    set_options(handle.get(), target, pin.get());
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

  static std::string pin_text(const Target& target, const std::vector<IpAddress>& addresses) {
    const bool literal = target.host.find(':') != std::string::npos;
    std::string pin =
        (literal ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port) + ":";
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (i > 0) pin += ",";
      pin += addresses[i].is_v6() ? "[" + addresses[i].text() + "]" : addresses[i].text();
    }
    return pin;
  }

  void set_options(CURL* handle, const Target& target, curl_slist* pin) {
    ::curl_easy_setopt(handle, CURLOPT_URL, target.url.c_str());
    ::curl_easy_setopt(handle, CURLOPT_RESOLVE, pin);
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    ::curl_easy_setopt(handle, CURLOPT_PROXY, "");  // also ignores proxies of the environment
    ::curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "keyward-validation");
    ::curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    ::curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
    ::curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    ::curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                       static_cast<long>(std::max<std::int64_t>(1, deadline_.remaining_ms())));
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectMs));
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &hop_);
    ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &hop_);
    ::curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    ::curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &hop_);
  }

  const Http01Options& options_;
  Resolver& resolver_;
  Deadline deadline_;
  Http01Outcome outcome_;
  Hop hop_;
  long status_ = 0;
};

}  // namespace

std::string key_authorization(const std::string& token, const Digest256& thumbprint) {
  return token + "." + base64url_encode(thumbprint);
}

bool body_matches(std::string_view body, const std::string& key_authorization) {
  const auto last = body.find_last_not_of(" \t\r\n\v\f");
  if (last == std::string_view::npos || key_authorization.empty()) return false;
  return equal_constant_time(view_of(body.substr(0, last + 1)), view_of(key_authorization));
}

void http01_global_init() { ::curl_global_init(CURL_GLOBAL_DEFAULT); }

Http01Outcome http01_look(const wire::Identifier& identifier, const std::string& token,
                          const Digest256& thumbprint, const Http01Options& options,
                          Resolver& resolver) {
  const bool brackets = identifier.value.find(':') != std::string::npos;
  std::string url = "http://" + (brackets ? "[" + identifier.value + "]" : identifier.value);
  if (options.port != 80) url += ":" + std::to_string(options.port);
  url += "/.well-known/acme-challenge/" + token;
  return Look(options, resolver).run(url, key_authorization(token, thumbprint));
}

}  // namespace keyward::validate
