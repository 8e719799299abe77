#include "firmware/acme/conditional.h"

#include <algorithm>

namespace keyward::acme {
namespace {

// entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE, in a list (RFC 9110 §8.8.3); compared weakly.
bool names(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const auto open = list.find('"');
    if (open == std::string_view::npos) return false;
    const auto close = list.find('"', open + 1);
    if (close == std::string_view::npos) return false;
    if (list.substr(open, close - open + 1) == etag) return true;
    list.remove_prefix(close + 1);
  }
  return false;
}

}  // namespace

void answer_conditionally(const HttpRequest& request, HttpResponse& response) {
  if (request.if_none_match.empty() || response.status != 200) return;
  if (request.method != "GET" && request.method != "HEAD") return;
  const auto is = [](std::string_view name) {
    return [name](const auto& header) { return header.first == name; };
  };
  const auto etag = std::ranges::find_if(response.headers, is("ETag"));
  if (etag == response.headers.end()) return;
  if (request.if_none_match != "*" && !names(request.if_none_match, etag->second)) return;
  response.status = 304;
  response.clear_body();
  std::erase_if(response.headers, is("Content-Type"));
}

}  // namespace keyward::acme
