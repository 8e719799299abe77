// Owns the client side of RFC 8555's transport. Must not know TPMs or what is enrolled.
#include "firmware/agent/acme_client.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr std::string_view kErrorPrefix = "urn:ietf:params:acme:error:";

struct Problem {
  std::string type;  // without prefix
  std::string detail;
  std::string code;  // this CA's own, beside the type: stable
};

Problem problem_of(const HttpReply& reply) {
  Problem out;
  const auto document = json::Document::parse(reply.body, limits::kAgentReplyBytesMax);
  if (!document) return out;
  std::string_view type = document->root().get("type").string();
  if (type.starts_with(kErrorPrefix)) type.remove_prefix(kErrorPrefix.size());
  out.type = type;
  out.detail = document->root().get("detail").string();
  out.code = document->root().get("code").string();
  return out;
}

std::string in_words(const HttpReply& reply, const Problem& problem) {
  std::string out = "HTTP " + std::to_string(reply.status);
  if (!problem.type.empty()) out += " " + problem.type;
  if (!problem.detail.empty()) out += ": " + problem.detail;
  if (!problem.code.empty()) out += " [" + problem.code + "]";
  return out;
}

bool comes_back(int status) { return status == 429 || status >= 500; }

}  // namespace

AcmeClient::AcmeClient(HttpTransport& transport, Clock& clock, ClientSettings settings,
                       crypto::PrivateKey account_key)
    : transport_(transport),
      clock_(clock),
      settings_(std::move(settings)),
      key_(std::move(account_key)) {}

void AcmeClient::wait_ms(std::int64_t ms) {
  if (settings_.sleep_ms)
    settings_.sleep_ms(ms);
  else
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

std::string AcmeClient::key_authorization(std::string_view token) const {
  const auto jwk = jose::Jwk::from_public_key(key_.public_key());
  return jwk ? jose::key_authorization(token, jwk->thumbprint()) : std::string();
}

Outcome<void> AcmeClient::before_retry(std::int64_t give_up_at_ms, int tries,
                                       std::optional<std::int64_t> retry_after_ms,
                                       const std::string& why) {
  const std::int64_t backoff =
      std::min(limits::kAgentBackoffMsMax, limits::kAgentBackoffMsMin << std::min(tries, 10));
  const std::int64_t wait = std::max(retry_after_ms.value_or(0), backoff);
  if (now_ms() + wait > give_up_at_ms) return failed(FailureKind::kUnreachable, why);
  if (settings_.note) settings_.note(why + "; again in " + std::to_string(wait) + " ms");
  wait_ms(wait);
  return {};
}

Outcome<HttpReply> AcmeClient::get(const std::string& method, const std::string& url) {
  const std::int64_t give_up_at = now_ms() + settings_.patience_ms;
  for (int tries = 0;; ++tries) {
    auto reply = transport_.exchange(method, url, "");
    std::string why;
    std::optional<std::int64_t> retry_after;
    if (!reply) {
      if (reply.error().kind != ErrorKind::kUnavailable)
        return failed(FailureKind::kUsage, method + " " + url, reply.error());
      why = method + " " + url + ": " + transport_.last_error_text();
    } else {
      if (!reply->replay_nonce.empty()) nonce_ = reply->replay_nonce;
      if (reply->status / 100 == 2) return std::move(*reply);
      const Problem problem = problem_of(*reply);
      why = method + " " + url + ": " + in_words(*reply, problem);
      if (!comes_back(reply->status)) return failed(FailureKind::kRefused, why, problem.type);
      retry_after = reply->retry_after_ms;
    }
    if (auto waited = before_retry(give_up_at, tries, retry_after, why); !waited)
      return failed(waited.error());
  }
}

Outcome<Directory> AcmeClient::directory() {
  if (directory_) return *directory_;
  auto reply = get("GET", settings_.directory_url);
  if (!reply) return failed(reply.error());
  const auto document = json::Document::parse(reply->body, limits::kAgentReplyBytesMax);
  if (!document)
    return failed(FailureKind::kRefused, "the directory is not JSON: is this an ACME server?");
  const json::Value root = document->root();
  Directory found;
  found.new_nonce = root.get("newNonce").string();
  found.new_account = root.get("newAccount").string();
  found.new_order = root.get("newOrder").string();
  found.terms_of_service = root.get("meta").get("termsOfService").string();
  found.revoke_cert = root.get("revokeCert").string();
  const json::Value attestation_ca = root.get("meta").get("attestationCa");
  found.ak_begin = attestation_ca.get("begin").string();
  found.ak_activate = attestation_ca.get("activate").string();
  if (found.new_nonce.empty() || found.new_account.empty() || found.new_order.empty())
    return failed(FailureKind::kRefused, "the directory lacks newNonce, newAccount or newOrder");
  directory_ = found;
  return found;
}

Outcome<std::string> AcmeClient::take_nonce() {
  if (nonce_.empty()) {
    const auto where = directory();
    if (!where) return failed(where.error());
    if (const auto reply = get("HEAD", where->new_nonce); !reply) return failed(reply.error());
    if (nonce_.empty()) return failed(FailureKind::kRefused, "the server gave no Replay-Nonce");
  }
  return std::exchange(nonce_, {});
}

Outcome<std::string> AcmeClient::signed_body(const std::string& url, const std::string& payload,
                                             bool with_jwk, std::string nonce) {
  jose::SignRequest request;
  request.url = url;
  request.nonce = std::move(nonce);
  if (!with_jwk) request.kid = kid_;
  request.payload = payload;
  const auto jws = jose::sign(key_, request);
  if (!jws) return failed(FailureKind::kInternal, "signing a request", jws.error());
  return jose::to_json(*jws);
}

Outcome<HttpReply> AcmeClient::post_signed(const std::string& url, const std::string& payload,
                                           bool with_jwk) {
  const std::int64_t give_up_at = now_ms() + settings_.patience_ms;
  int bad_nonces = 0;
  for (int tries = 0;; ++tries) {
    auto nonce = take_nonce();
    if (!nonce) return failed(nonce.error());
    const auto body = signed_body(url, payload, with_jwk, std::move(*nonce));
    if (!body) return failed(body.error());
    auto reply = transport_.exchange("POST", url, *body);
    std::string why;
    std::optional<std::int64_t> retry_after;
    if (!reply) {
      if (reply.error().kind != ErrorKind::kUnavailable)
        return failed(FailureKind::kUsage, "POST " + url, reply.error());
      why = "POST " + url + ": " + transport_.last_error_text();
    } else {
      nonce_ = reply->replay_nonce;
      if (reply->status / 100 == 2) return std::move(*reply);
      const Problem problem = problem_of(*reply);
      why = "POST " + url + ": " + in_words(*reply, problem);
      // RFC 8555 §6.5: the error carries a nonce that is good for the retry.
      if (problem.type == "badNonce" && ++bad_nonces <= limits::kAgentNonceRetriesMax) continue;
      if (!comes_back(reply->status)) return failed(FailureKind::kRefused, why, problem.type);
      retry_after = reply->retry_after_ms;
    }
    if (auto waited = before_retry(give_up_at, tries, retry_after, why); !waited)
      return failed(waited.error());
  }
}

Outcome<HttpReply> AcmeClient::post(const std::string& url, const std::string& payload) {
  return post_signed(url, payload, false);
}

Outcome<std::string> AcmeClient::open_account(bool agree_to_terms) {
  const auto where = directory();
  if (!where) return failed(where.error());
  if (!where->terms_of_service.empty() && !agree_to_terms)
    return failed(FailureKind::kUsage, "the CA has terms of service: read " +
                                           where->terms_of_service +
                                           " and run again with --agree-to-terms");
  json::Writer writer;
  writer.begin_object();
  if (agree_to_terms) writer.member_bool("termsOfServiceAgreed", true);
  writer.end_object();
  auto reply = post_signed(where->new_account, writer.take(), true);
  if (!reply) return failed(reply.error());
  if (reply->location.empty())
    return failed(FailureKind::kRefused, "newAccount answered without a Location");
  kid_ = reply->location;
  return kid_;
}

}  // namespace keyward::agent
