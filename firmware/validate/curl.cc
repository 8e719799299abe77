#include "firmware/validate/curl.h"

#include <algorithm>

#include <sys/socket.h>
#include <unistd.h>

#include "hal/base/limits.h"

namespace keyward::validate {
namespace {

constexpr std::size_t kHeaderBytesMax = 16'384;  // of one response; more is not read
constexpr std::int64_t kConnectMs = 10'000;

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (::curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  const std::unique_ptr<char, CurlDelete> held(text);
  return text;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& guard = *static_cast<Guard*>(user);
  const std::size_t bytes = size * count;
  if (guard.body.size() + bytes > guard.body_bytes_max) {
    guard.too_large = true;
    return 0;  // ends the transfer
  }
  guard.body.append(data, bytes);
  return bytes;
}

std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) {
  auto& guard = *static_cast<Guard*>(user);
  guard.header_bytes += size * count;
  if (guard.header_bytes > kHeaderBytesMax) {
    guard.too_large = true;
    return 0;
  }
  return size * count;
}

// The last word on where a connection goes, for the address itself.
curl_socket_t on_open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& guard = *static_cast<Guard*>(user);
  const auto ip = IpAddress::from(address->addr);
  if (!ip || (guard.egress != nullptr && !guard.egress->allows(*ip))) {
    guard.refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

}  // namespace

std::optional<Target> parse_target(const std::string& text,
                                   const std::vector<std::string_view>& schemes) {
  if (text.size() > limits::kUrlBytesMax * 4) return std::nullopt;
  const std::unique_ptr<CURLU, CurlDelete> url(::curl_url());
  if (!url ||
      ::curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK)
    return std::nullopt;
  Target target;
  target.scheme = url_part(url.get(), CURLUPART_SCHEME);
  if (std::find(schemes.begin(), schemes.end(), target.scheme) == schemes.end())
    return std::nullopt;
  if (!url_part(url.get(), CURLUPART_ZONEID).empty()) return std::nullopt;
  const unsigned long port =
      std::strtoul(url_part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT).c_str(), nullptr, 10);
  if (port == 0 || port > 65'535) return std::nullopt;
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

CurlListPtr pin_to(const Target& target, const std::vector<IpAddress>& addresses) {
  const bool literal = target.host.find(':') != std::string::npos;
  std::string pin =
      (literal ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port) + ":";
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (i > 0) pin += ",";
    pin += addresses[i].is_v6() ? "[" + addresses[i].text() + "]" : addresses[i].text();
  }
  return CurlListPtr(::curl_slist_append(nullptr, pin.c_str()));
}

void set_common_options(CURL* handle, const Target& target, curl_slist* pin, Guard& guard,
                        std::int64_t timeout_ms) {
  ::curl_easy_setopt(handle, CURLOPT_URL, target.url.c_str());
  ::curl_easy_setopt(handle, CURLOPT_RESOLVE, pin);
  ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, target.scheme.c_str());
  ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(handle, CURLOPT_PROXY, "");  // also ignores proxies of the environment
  ::curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
  ::curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
  ::curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<std::int64_t>(1, timeout_ms)));
  ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectMs));
  ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &guard);
  ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &guard);
  ::curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  ::curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &guard);
}

}  // namespace keyward::validate
