// Owns the owner types of libcurl and what every transfer of this task has in common: pinned
// addresses that the egress policy is asked about again, and no proxy, netrc or cookie. Never
// included outside firmware/validate. Threads: any.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <curl/curl.h>

#include "firmware/validate/address.h"

namespace keyward::validate {

struct CurlDelete {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
  void operator()(CURLU* handle) const { ::curl_url_cleanup(handle); }
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
  void operator()(char* text) const { ::curl_free(text); }
};
using CurlPtr = std::unique_ptr<CURL, CurlDelete>;
using CurlListPtr = std::unique_ptr<curl_slist, CurlDelete>;

struct Target {
  std::string scheme;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string url;  // without a fragment
};

// One transfer's guard; outlives its handle.
struct Guard {
  const EgressPolicy* egress = nullptr;
  std::size_t body_bytes_max = 0;
  std::string body = {};
  std::size_t header_bytes = 0;
  bool too_large = false;
  bool refused = false;
};

// Takes a URL apart. Empty: too long, no URL, with a user or a zone, or of a scheme that is not one
// of `schemes` ("http", "https", "smtp", "smtps").
std::optional<Target> parse_target(const std::string& text,
                                   const std::vector<std::string_view>& schemes);

// Connections go to `addresses` alone; bodies and headers end at their limits.
CurlListPtr pin_to(const Target& target, const std::vector<IpAddress>& addresses);
void set_common_options(CURL* handle, const Target& target, curl_slist* pin, Guard& guard,
                        std::int64_t timeout_ms);

}  // namespace keyward::validate
