// Owns the second look at what civetweb parsed: everything its parser lets through and RFC 9112 or
// this product does not. Must not know civetweb's types, sockets or routes.
//
// civetweb parses in place: it writes NULs over the separators and keeps pointers. So the octets
// between the pointers still tell what was there: a bare LF, a folded line, a space before the
// colon, headers dropped after the 64th. `fence` refuses all of them (field notes, civetweb; RFC
// 9112 §2.2, §5.1, §5.2, §6.1, §6.3). Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/acme/http.h"
#include "hal/base/limits.h"

namespace keyward::https {

struct RawHeader {
  const char* name;
  const char* value;
};

// Pointers into civetweb's one buffer, each ended by a NUL; behind the last value it still holds what
// the empty line left, three octets at least.
struct RawRequest {
  const char* method;
  const char* target;   // up to the '?'
  const char* query;    // behind the '?'; null: there was none
  const char* version;  // behind "HTTP/"
  std::vector<RawHeader> headers;
};

// Which Host headers name this appliance.
struct Authority {
  std::vector<std::string> hosts;  // lower case; IPv6 in brackets
  std::uint16_t port = 443;        // the port of the public URL
  // Whatever host is named, and HTTP/1.0, where none need be: for answers that are the same to
  // everybody.
  bool any = false;
};

struct Refusal {
  int status;
  const char* detail;  // static; shown to the client
};

struct FencedRequest {
  acme::HttpRequest request;                          // body still empty
  std::optional<std::uint64_t> content_length_bytes;  // absent: no such header
  bool expects_continue = false;
  bool is_http_1_0 = false;  // its connection is closed after the answer (RFC 9112 §9.3)
};

// Exactly one of `request` and `refusal` is there.
struct FenceResult {
  std::optional<FencedRequest> request;
  Refusal refusal{};
};
FenceResult fence(const RawRequest& raw, const Authority& authority);

// True if the Host header's value names `authority` (RFC 9110 §7.2; the port may be left out if it
// is 443).
bool host_matches(std::string_view host, const Authority& authority);

}  // namespace keyward::https
