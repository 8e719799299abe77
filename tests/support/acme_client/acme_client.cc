#include "tests/support/acme_client/acme_client.h"

#include <chrono>

#include <poll.h>

#include "firmware/x509/csr.h"
#include "hal/base/clock.h"

namespace keyward::test {
namespace {

constexpr int kNonceRetriesMax = 3;
constexpr int kPollMs = 50;

std::string origin_of(const std::string& url) { return url.substr(0, url.find('/', 8)); }

EnrolFailure failed(std::string step, const Result<HttpReply>& reply) {
  if (!reply) return {std::move(step), 0, reply.error().what};
  return {std::move(step), reply->status, reply->body};
}

Result<json::Document> body_of(const HttpReply& reply) { return json::Document::parse(reply.body); }

// Polls until `status` is none of pending/processing, or patience ends.
Result<HttpReply> poll_until_final(AcmeClient& client, const std::string& url, Deadline deadline) {
  while (true) {
    auto reply = client.post(url, "");
    if (!reply || reply->status != 200) return reply;
    const auto document = body_of(*reply);
    const auto status = document ? document->root().get("status").string() : std::string_view();
    if ((status != "processing" && status != "pending") || deadline.passed()) return reply;
    ::poll(nullptr, 0, kPollMs);
  }
}

}  // namespace

AcmeClient::AcmeClient(const std::string& directory_url, const std::string& ca_file,
                       crypto::PrivateKey account_key, const std::string& source)
    : origin_(origin_of(directory_url)),
      directory_path_(directory_url.substr(origin_.size())),
      http_(origin_.substr(8), ca_file, source),
      key_(std::move(account_key)) {}

std::string AcmeClient::path_of(const std::string& url) const {
  return url.starts_with(origin_) ? url.substr(origin_.size()) : url;
}

std::string AcmeClient::url_of(const std::string& resource) const {
  const auto found = directory_.find(resource);
  return found == directory_.end() ? std::string() : found->second;
}

Digest256 AcmeClient::thumbprint() const {
  return jose::Jwk::from_public_key(key_.public_key())->thumbprint();
}

void AcmeClient::keep_nonce(const HttpReply& reply) {
  const auto fresh = reply.header("replay-nonce");
  if (!fresh.empty()) nonce_ = fresh;
}

Result<HttpReply> AcmeClient::timed(std::string_view method, const std::string& path,
                                    std::string_view content_type, const std::string& body) {
  const auto begin = std::chrono::steady_clock::now();
  auto reply = http_.request(method, path, content_type, body);
  if (observer_) {
    const auto took = std::chrono::steady_clock::now() - begin;
    observer_(path, reply ? reply->status : 0,
              std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }
  return reply;
}

Result<std::string> AcmeClient::nonce() {
  if (nonce_.empty()) {
    KEYWARD_TRY(reply, timed("HEAD", path_of(url_of("newNonce")), "", ""));
    keep_nonce(reply);
  }
  if (nonce_.empty()) return fail(ErrorKind::kUnavailable, "the server gave no nonce");
  return std::exchange(nonce_, {});
}

Result<HttpReply> AcmeClient::post_raw(const std::string& url, const std::string& body,
                                       std::string_view content_type) {
  KEYWARD_TRY(reply, timed("POST", path_of(url), content_type, body));
  keep_nonce(reply);
  return reply;
}

Result<HttpReply> AcmeClient::post(const std::string& url, const std::string& payload) {
  for (int attempt = 0;; ++attempt) {
    KEYWARD_TRY(fresh, nonce());
    jose::SignRequest request{url, fresh, std::nullopt, payload};
    if (!kid_.empty()) request.kid = kid_;
    KEYWARD_TRY(jws, jose::sign(key_, request));
    KEYWARD_TRY(reply, post_raw(url, jose::to_json(jws)));
    if (reply.status == 400 && reply.body.find(":badNonce\"") != std::string::npos &&
        attempt < kNonceRetriesMax)
      continue;
    return reply;
  }
}

Status AcmeClient::start() {
  KEYWARD_TRY(reply, http_.request("GET", directory_path_, "", ""));
  KEYWARD_TRY(document, body_of(reply));
  for (const auto key : document.root().keys()) {
    const auto value = document.root().get(key);
    if (value.is_string()) directory_.emplace(key, value.string());
  }
  KEYWARD_TRY(account, post(url_of("newAccount"), R"({"termsOfServiceAgreed":true})"));
  if (account.status != 201 && account.status != 200)
    return fail(ErrorKind::kRefused, "newAccount failed", account.status);
  kid_ = account.header("location");
  return {};
}

tl::expected<EnrolledChain, EnrolFailure> enrol_device(
    AcmeClient& client, const std::string& permanent_identifier, const crypto::PrivateKey& csr_key,
    const std::function<Bytes(const std::string&)>& statement, std::int64_t patience_ms) {
  const auto csr = x509::build_csr(
      csr_key, {{wire::IdentifierType::kPermanentIdentifier, permanent_identifier}});
  if (!csr) return tl::unexpected<EnrolFailure>(EnrolFailure{"csr", 0, csr.error().what});
  return enrol_device(client, permanent_identifier, *csr, statement, patience_ms);
}

tl::expected<EnrolledChain, EnrolFailure> enrol_device(
    AcmeClient& client, const std::string& permanent_identifier, const Bytes& csr_der,
    const std::function<Bytes(const std::string&)>& statement, std::int64_t patience_ms) {
  const auto deadline = Deadline::after_ms(patience_ms);
  const auto fail_with = [](std::string step, const Result<HttpReply>& reply) {
    return tl::unexpected<EnrolFailure>(failed(std::move(step), reply));
  };
  json::Writer order_payload;
  order_payload.begin_object()
      .key("identifiers")
      .begin_array()
      .begin_object()
      .member("type", "permanent-identifier")
      .member("value", permanent_identifier);
  order_payload.end_object().end_array().end_object();
  const auto order = client.post(client.url_of("newOrder"), order_payload.take());
  if (!order || order->status != 201) return fail_with("newOrder", order);
  const auto order_body = body_of(*order);
  const std::string order_url = order->header("location");
  const std::string finalize_url(order_body->root().get("finalize").string());
  const auto authz =
      client.post(std::string(order_body->root().get("authorizations").items().at(0).string()), "");
  if (!authz || authz->status != 200) return fail_with("authorization", authz);
  const auto authz_body = body_of(*authz);
  const auto challenge = authz_body->root().get("challenges").items().at(0);
  const auto key_authorization =
      jose::key_authorization(challenge.get("token").string(), client.thumbprint());
  const auto answer =
      client.post(std::string(challenge.get("url").string()),
                  R"({"attObj":")" + base64url_encode(statement(key_authorization)) + R"("})");
  if (!answer || answer->status != 200) return fail_with("challenge", answer);
  auto finalized = client.post(finalize_url, R"({"csr":")" + base64url_encode(csr_der) + R"("})");
  if (!finalized || finalized->status != 200) return fail_with("finalize", finalized);
  if (finalized->body.find("\"processing\"") != std::string::npos)
    finalized = poll_until_final(client, order_url, deadline);
  if (!finalized || finalized->status != 200) return fail_with("order", finalized);
  const auto final_body = body_of(*finalized);
  const std::string certificate_url(final_body ? final_body->root().get("certificate").string()
                                               : std::string_view());
  if (certificate_url.empty()) return fail_with("order", finalized);
  const auto chain = client.post(certificate_url, "");
  if (!chain || chain->status != 200) return fail_with("certificate", chain);
  return EnrolledChain{chain->body, order_url};
}

}  // namespace keyward::test
