#include "firmware/validate/relay.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "firmware/json/json.h"
#include "firmware/validate/curl.h"
#include "firmware/validate/issue_value.h"
#include "firmware/validate/locate.h"

namespace keyward::validate {
namespace {

using Problem = std::optional<wire::ChallengeProblem>;

// The session as it was named first, as it is named today, and by servers that only say JSON.
constexpr std::array<std::string_view, 3> kSessionTypes = {
    "application/vnd.veraison.challenge-response-session+json",
    "application/rats-challenge-response-session+json", "application/json"};
constexpr std::int64_t kGoodbyeMs = 2'000;  // for the DELETE, whatever is left of the time

wire::ChallengeProblem ours(std::string_view code, std::string detail) {
  return problem("serverInternal", code, std::move(detail));
}
wire::ChallengeProblem away(std::string detail) {
  return problem("connection", "relay.unavailable", std::move(detail));
}
wire::ChallengeProblem theirs(std::string_view code, std::string detail) {
  return problem("badAttestationStatement", code, std::move(detail));
}

// Before its parameters, in lower case.
std::string essence(std::string_view media_type) {
  auto text = media_type.substr(0, media_type.find(';'));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return ascii_lower(std::string(text));
}

bool fits_header(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMediaTypeBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::vector<std::string_view> schemes_of(const VerifierOptions& options) {
  if (options.url.starts_with("http:")) return {"http"};  // check_verifier_options let it pass
  return {"https"};
}

// One request of the session and what came back.
struct Exchange {
  long status = 0;
  std::string body;
  std::string content_type;
  std::string location;
};

class Relay {
 public:
  Relay(const wire::VerifierRelay& request, const VerifierOptions& verifier,
        const RelayOptions& options, Resolver& resolver)
      : request_(request),
        verifier_(verifier),
        options_(options),
        resolver_(resolver),
        deadline_(Deadline::after_ms(verifier.total_ms)) {}

  wire::VerifierRelayReply run() {
    wire::VerifierRelayReply reply;
    reply.problem = find_host();
    if (!reply.problem) reply.problem = begin();
    if (reply.problem) return reply;
    reply.problem = submit();
    while (!reply.problem && !done_) {
      // A pause that leaves no time for another look is not taken.
      if (deadline_.remaining_ms() <= options_.poll_ms) {
        reply.problem = away("the verifier did not come to a result in time");
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(options_.poll_ms));
      reply.problem = look();
    }
    end();
    if (!reply.problem) reply.result = std::move(result_);
    return reply;
  }

 private:
  Problem find_host() {
    const auto target = parse_target(verifier_.url + "/newSession", schemes_of(verifier_));
    if (!target) return ours("relay.not-configured", "the verifier's URL is none");
    base_ = *target;
    auto failed = locate(base_.host, options_.egress, resolver_, deadline_, addresses_);
    if (!failed) return std::nullopt;
    if (failed->code == "egress.refused")
      return ours("relay.egress", "this appliance does not connect to the verifier's address");
    return away("the verifier's name: " + failed->detail);
  }

  // POST newSession?nonce=: the nonce is the client's freshness, so that the verifier's result
  // carries it. base64url with its padding, as Veraison reads it.
  Problem begin() {
    auto nonce = request_.nonce;
    for (auto at = nonce.size(); at % 4 != 0; ++at) nonce += "%3D";
    Target target = base_;
    target.url += "?nonce=" + nonce;
    Exchange exchange;
    if (auto failed = transfer(target, "POST", {}, {}, exchange)) return failed;
    if (exchange.status != 201) return wrong_status(exchange, "a session");
    if (auto failed = read_session(exchange)) return failed;
    return find_session(exchange.location);
  }

  // The session's URL, of the same host: evidence goes nowhere else.
  Problem find_session(const std::string& location) {
    const std::unique_ptr<CURLU, CurlDelete> url(::curl_url());
    char* text = nullptr;
    const bool whole =
        !location.empty() && url &&
        ::curl_url_set(url.get(), CURLUPART_URL, base_.url.c_str(), 0) == CURLUE_OK &&
        ::curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) == CURLUE_OK &&
        ::curl_url_get(url.get(), CURLUPART_URL, &text, 0) == CURLUE_OK;
    const std::unique_ptr<char, CurlDelete> held(text);
    if (!whole) return ours("relay.answer", "the verifier names no session");
    auto target = parse_target(held.get(), {base_.scheme});
    const bool same = target && ascii_lower(target->host) == ascii_lower(base_.host) &&
                      target->port == base_.port;
    if (!same) return ours("relay.redirect", "the verifier's session is at another place");
    session_ = std::move(*target);
    return std::nullopt;
  }

  Problem submit() {
    Exchange exchange;
    if (auto failed = transfer(*session_, "POST", request_.media_type, request_.evidence, exchange))
      return failed;
    if (exchange.status != 200 && exchange.status != 202) return wrong_status(exchange, "evidence");
    return read_session(exchange);
  }

  Problem look() {
    Exchange exchange;
    if (auto failed = transfer(*session_, "GET", {}, {}, exchange)) return failed;
    if (exchange.status != 200 && exchange.status != 202)
      return wrong_status(exchange, "the session");
    return read_session(exchange);
  }

  // Nobody needs the session any more; the verifier forgets it by itself if this is lost.
  void end() {
    if (!session_) return;
    deadline_ = Deadline::after_ms(kGoodbyeMs);
    Exchange ignored;
    static_cast<void>(transfer(*session_, "DELETE", {}, {}, ignored));
  }

  Problem wrong_status(const Exchange& exchange, std::string_view what) const {
    const auto status = std::to_string(exchange.status);
    if (exchange.status >= 300 && exchange.status < 400)
      return ours("relay.redirect", "the verifier points elsewhere: status " + status);
    if (exchange.status >= 500 || exchange.status == 429)
      return away("the verifier answers " + status);
    if (exchange.status >= 400) {
      return theirs("relay.refused",
                    "the verifier refuses " + std::string(what) + ": status " + status);
    }
    return ours("relay.answer", "the verifier answers " + status);
  }

  // {"status": waiting | processing | complete | failed, "result": text}
  Problem read_session(const Exchange& exchange) {
    const auto type = essence(exchange.content_type);
    if (std::find(kSessionTypes.begin(), kSessionTypes.end(), type) == kSessionTypes.end())
      return ours("relay.answer", "the verifier's answer is of another media type");
    const auto document = json::Document::parse(exchange.body, limits::kVerifierBodyBytesMax);
    if (!document || !document->root().is_object())
      return ours("relay.answer", "the verifier's answer is no JSON object");
    auto status = document->root().get("status").string();
    if (status.empty()) status = document->root().get("state").string();  // older servers
    if (status == "waiting" || status == "processing") return std::nullopt;
    if (status == "failed") return theirs("relay.failed", "the verifier could not judge it");
    const auto result = document->root().get("result").string();
    if (status != "complete" || result.empty() || !session_)
      return ours("relay.answer", "the verifier's answer has neither a status nor a result");
    if (result.size() > limits::kRelayedResultBytesMax)
      return ours("relay.too-large", "the verifier's result is too large");
    result_ = to_bytes(result);
    done_ = true;
    return std::nullopt;
  }

  Problem transfer(const Target& target, const char* method, const std::string& media_type,
                   const Bytes& body, Exchange& out) {
    Guard guard{&options_.egress, limits::kVerifierBodyBytesMax};
    const CurlPtr handle(::curl_easy_init());
    const CurlListPtr pin = pin_to(target, addresses_);
    CurlListPtr headers(
        ::curl_slist_append(nullptr, ("Accept: " + std::string(kSessionTypes[0])).c_str()));
    const auto add = [&](const std::string& line) {
      if (auto* more = ::curl_slist_append(headers.get(), line.c_str())) {
        static_cast<void>(headers.release());
        headers.reset(more);
      }
    };
    add("Expect:");
    add(media_type.empty() ? "Content-Type:" : "Content-Type: " + media_type);
    if (!handle || !pin || !headers || deadline_.passed())
      return away("no time left for the verifier");
    set_common_options(handle.get(), target, pin.get(), guard, deadline_.remaining_ms());
    ::curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, "keyward-validation");
    ::curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
    if (!verifier_.ca_file.empty()) {
      ::curl_easy_setopt(handle.get(), CURLOPT_CAINFO, verifier_.ca_file.c_str());
      ::curl_easy_setopt(handle.get(), CURLOPT_CAPATH, nullptr);
    }
    if (std::string_view(method) == "POST") {
      ::curl_easy_setopt(handle.get(), CURLOPT_POST, 1L);
      ::curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS,
                         body.empty() ? "" : reinterpret_cast<const char*>(body.data()));
      ::curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    } else if (std::string_view(method) == "DELETE") {
      ::curl_easy_setopt(handle.get(), CURLOPT_CUSTOMREQUEST, method);
    }
    return finish(handle.get(), ::curl_easy_perform(handle.get()), guard, out);
  }

  static Problem finish(CURL* handle, CURLcode code, Guard& guard, Exchange& out) {
    if (guard.too_large) return ours("relay.too-large", "the verifier's answer is too large");
    if (guard.refused)
      return ours("relay.egress", "this appliance does not connect to the verifier's address");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR)
      return ours("relay.tls", "the verifier's certificate does not verify");
    if (code != CURLE_OK) return away("no complete answer of the verifier");
    ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &out.status);
    const char* type = nullptr;
    ::curl_easy_getinfo(handle, CURLINFO_CONTENT_TYPE, &type);
    if (type != nullptr) out.content_type = type;
    curl_header* location = nullptr;
    if (::curl_easy_header(handle, "Location", 0, CURLH_HEADER, -1, &location) == CURLHE_OK)
      out.location = location->value;
    out.body = std::move(guard.body);
    return std::nullopt;
  }

  const wire::VerifierRelay& request_;
  const VerifierOptions& verifier_;
  const RelayOptions& options_;
  Resolver& resolver_;
  Deadline deadline_;
  Target base_;
  std::vector<IpAddress> addresses_;
  std::optional<Target> session_;
  bool done_ = false;
  Bytes result_;
};

Problem fault_of(const wire::VerifierRelay& request, const VerifierOptions& verifier) {
  const auto& types = verifier.media_types;
  if (!fits_header(request.media_type) ||
      std::find(types.begin(), types.end(), essence(request.media_type)) == types.end())
    return theirs("relay.media-type", "the verifier is not given evidence of this media type");
  const auto nonce = base64url_decode(request.nonce);
  if (!nonce || nonce->empty() || request.evidence.empty())
    return theirs("relay.refused", "there is no nonce or no evidence to relay");
  return std::nullopt;
}

}  // namespace

Status check_verifier_options(const VerifierOptions& options, bool allow_http) {
  const auto target = parse_target(options.url, {"https", "http"});
  if (!target || options.url.ends_with('/') || options.url.find('?') != std::string::npos)
    return fail(ErrorKind::kBadInput,
                "url: an https URL without a user, a query or '/' at its end");
  if (target->scheme == "http") {
    const auto address = IpAddress::parse(target->host);
    const bool loopback =
        address && (address->text() == "::1" || address->text().starts_with("127."));
    if (!allow_http || !loopback)
      return fail(ErrorKind::kBadInput, "url: http is for a simulator's own host alone");
  }
  if (options.media_types.empty())
    return fail(ErrorKind::kBadInput, "media_types: a verifier is given nothing without them");
  for (const auto& type : options.media_types) {
    if (!fits_header(type) || essence(type) != type || type.find('/') == std::string::npos)
      return fail(ErrorKind::kBadInput, "media_types: lower case, without parameters");
  }
  return {};
}

wire::VerifierRelayReply relay_evidence(const wire::VerifierRelay& request,
                                        const RelayOptions& options, Resolver& resolver) {
  wire::VerifierRelayReply reply;
  const auto at = options.verifiers.find(request.verifier);
  if (at == options.verifiers.end()) {
    reply.problem = ours("relay.not-configured", "this installation has no verifier of that name");
    return reply;
  }
  reply.problem = fault_of(request, at->second);
  if (reply.problem) return reply;
  return Relay(request, at->second, options, resolver).run();
}

}  // namespace keyward::validate
