#include "firmware/acme/ocsp.h"

#include <algorithm>
#include <optional>
#include <string>

#include "firmware/acme/context.h"
#include "firmware/acme/render.h"
#include "firmware/acme/request.h"
#include "firmware/crypto/crypto.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kRequestType = "application/ocsp-request",
                           kResponseType = "application/ocsp-response";
constexpr std::size_t kETagBytes = 16;

Outcome<HttpResponse> ask(Context& context, Bytes request, bool cacheable) {
  auto answer = context.backend.signer.ask(wire::OcspGet{std::move(request)});
  if (!answer) {
    const auto& code = answer.error().code;
    if (code == "not-served" || code == "ocsp-not-offered") return refuse(not_found());
    return refuse(problem_from(answer.error()));
  }
  HttpResponse response;
  response.status = 200;
  response.headers = {{"Content-Type", std::string(kResponseType)}};
  response.body = text_of(answer->response);
  const bool keeps = cacheable && answer->this_update_ms && answer->next_update_ms;
  if (!keeps) {
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
  }
  // A shared cache asks again at half of its time, as the signer makes another one then.
  const auto left_s = (*answer->next_update_ms - context.clock.utc_ms()) / 2'000;
  const auto digest = crypto::sha256(view_of(response.body));
  response.headers.emplace_back("ETag",
                                "\"" + base64url_encode(ByteView(digest).first(kETagBytes)) + "\"");
  response.headers.emplace_back("Last-Modified", http_date(*answer->this_update_ms));
  response.headers.emplace_back("Expires", http_date(*answer->next_update_ms));
  response.headers.emplace_back("Cache-Control",
                                "public, no-transform, must-revalidate, max-age=" +
                                    std::to_string(std::max<std::int64_t>(0, left_s)));
  return response;
}

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// Percent-decoded, then base64 as base64url without padding.
std::optional<Bytes> decode(std::string_view encoded) {
  std::string text;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    char c = encoded[i];
    if (c == '%') {
      if (i + 2 >= encoded.size()) return std::nullopt;
      const auto high = hex_value(encoded[i + 1]), low = hex_value(encoded[i + 2]);
      if (!high || !low) return std::nullopt;
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    text.push_back(c == '+' ? '-' : c == '/' ? '_' : c);
  }
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.pop_back();
  auto out = base64url_decode(text);
  if (!out) return std::nullopt;
  return std::move(*out);
}

}  // namespace

Outcome<HttpResponse> ocsp_by_post(Context& context, const HttpRequest& request) {
  if (request.content_type != kRequestType)
    return refuse(Problem::of(ProblemType::kMalformed, "ocsp.media-type",
                              "an OCSP request is application/ocsp-request")
                      .with_status(415));
  return ask(context, request.body, false);
}

Outcome<HttpResponse> ocsp_by_get(Context& context, std::string_view encoded) {
  auto request = decode(encoded);
  if (!request)
    return refuse(Problem::of(ProblemType::kMalformed, "ocsp.path",
                              "the path holds no OCSP request in base64")
                      .with_status(400));
  return ask(context, std::move(*request), true);
}

}  // namespace keyward::acme
