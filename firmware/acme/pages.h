// Owns the few HTML pages that people open from a mail or a client's message, and the key that binds
// their addresses. Must not know what a page is about.
//
// A page has no script, no style, no frame and no cookie; what its address holds is its credential.
// Threads: pure functions, but for `open_page_key`, once at start.
#pragma once

#include <string>
#include <string_view>

#include "firmware/acme/http.h"
#include "firmware/acme/problem.h"

namespace keyward::acme {

// Kept in `path`; made anew when it is missing or damaged (earlier addresses are then no good). If
// it cannot be written it lasts as long as the process.
SecretBytes open_page_key(const std::string& path);

// A code of 128 bits for `purpose` and `about`, base64url; the same again for the same key.
std::string page_code(ByteView page_key, std::string_view purpose, std::string_view about);

std::string escape_html(std::string_view text);
// `body` is HTML. `title` is text.
HttpResponse html_page(int status, std::string_view title, std::string_view body);
bool is_html(const HttpResponse& response);

// A form as our pages send it: media type, size, and exactly `wanted` as the body.
Outcome<void> check_form(const HttpRequest& request, std::size_t bytes_max,
                         std::string_view wanted);

}  // namespace keyward::acme
