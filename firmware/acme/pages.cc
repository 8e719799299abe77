#include "firmware/acme/pages.h"

#include <algorithm>

#include "firmware/crypto/crypto.h"
#include "firmware/log/log.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

constexpr std::size_t kKeyBytes = 32, kCodeBytes = 16;
constexpr std::string_view kHtml = "text/html; charset=utf-8";

bool is_form(std::string_view content_type) {
  constexpr std::string_view kWanted = "application/x-www-form-urlencoded";
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  const auto same = [](char a, char b) {
    return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
  };
  return std::equal(type.begin(), type.end(), kWanted.begin(), kWanted.end(), same);
}

}  // namespace

SecretBytes open_page_key(const std::string& path) {
  if (auto content = read_file(path, kKeyBytes); content && content->size() == kKeyBytes) {
    SecretBytes key(*content);
    std::fill(content->begin(), content->end(), std::uint8_t{0});
    return key;
  }
  SecretBytes key(kKeyBytes);
  random_fill({key.data(), key.size()});
  if (auto ok = replace_file(path, key.view(), 0600); !ok)
    log::warning("the key of page addresses could not be kept", {{"file", path}});
  return key;
}

std::string page_code(ByteView page_key, std::string_view purpose, std::string_view about) {
  Bytes message = to_bytes(purpose);
  message.push_back(0);
  append(message, view_of(about));
  const auto tag = crypto::hmac_sha256(page_key, message);
  return base64url_encode(ByteView(tag).first(kCodeBytes));
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

HttpResponse html_page(int status, std::string_view title, std::string_view body) {
  HttpResponse response;
  response.status = status;
  response.headers = {
      {"Content-Type", std::string(kHtml)},
      {"Content-Security-Policy",
       "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cache-Control", "no-store"},
  };
  const auto name = escape_html(title);
  response.body = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                  name + "</title></head><body><h1>" + name + "</h1>" + std::string(body) +
                  "</body></html>\n";
  return response;
}

bool is_html(const HttpResponse& response) {
  return !response.headers.empty() && response.headers.front().second == kHtml;
}

Outcome<void> check_form(const HttpRequest& request, std::size_t bytes_max,
                         std::string_view wanted) {
  if (!is_form(request.content_type)) {
    return refuse(Problem::of(ProblemType::kMalformed, "http.content-type",
                              "this page takes application/x-www-form-urlencoded")
                      .with_status(415));
  }
  if (request.body.size() > bytes_max) {
    return refuse(Problem::of(ProblemType::kMalformed, "http.too-large",
                              "the body is larger than this resource takes")
                      .with_status(413));
  }
  if (text_of(request.body) != wanted)
    return refuse(ProblemType::kMalformed, "page.form", "the form is not this page's");
  return {};
}

}  // namespace keyward::acme
