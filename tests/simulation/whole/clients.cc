#include "clients.h"

#include "firmware/jose/jwk.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"

namespace keyward::simulation {
namespace {

std::string header_of(const acme::HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

json::Document document_of(const acme::HttpResponse& response) {
  auto document = json::Document::parse(response.body);
  return document ? std::move(*document) : *json::Document::parse("{}");
}

std::string text_at(const acme::HttpResponse& response, std::string_view key) {
  return std::string(document_of(response).root().get(key).string());
}

}  // namespace

Client::Client(World& world, int index)
    : world_(world),
      index_(index),
      name_("client-" + std::to_string(index) + ".sim.example"),
      key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)) {
  world_.names.insert(name_);
}

std::string Client::state() const { return std::to_string(static_cast<int>(stage_)); }

void Client::want_certificate() {
  if (!gone_ && !kid_.empty()) stage_ = Stage::kOrder;
}

std::optional<acme::HttpResponse> Client::send(const crypto::PrivateKey& key, bool by_key,
                                               const std::string& url, std::string payload) {
  acme::HttpRequest ask;
  ask.method = "HEAD";
  ask.raw_path = "/acme/new-nonce";
  const auto fresh = world_.http(ask);
  if (!fresh) return std::nullopt;
  jose::SignRequest sign;
  sign.url = url.starts_with(kBase) ? url : std::string(kBase) + url;
  sign.nonce = header_of(*fresh, "Replay-Nonce");
  if (!by_key) sign.kid = kid_;
  sign.payload = std::move(payload);
  acme::HttpRequest request;
  request.method = "POST";
  request.raw_path = sign.url.substr(kBase.size());
  request.content_type = "application/jose+json";
  request.body = to_bytes(jose::to_json(*jose::sign(key, sign)));
  auto response = world_.http(request);
  if (world_.faulty(20)) (void)world_.http(request);  // a client, or something between, sends again
  world_.note(
      name_ + " " + state() + " " +
      (response ? std::to_string(response->status) + " " + text_at(*response, "code") : "-"));
  return response;
}

std::optional<acme::HttpResponse> Client::post(const std::string& url, std::string payload) {
  auto response = send(key_, false, url, std::move(payload));
  if (!response) return response;
  const auto type = text_at(*response, "type");
  if (type.ends_with(":accountDoesNotExist"))
    world_.violate(name_ + ": the account that was acknowledged is gone");
  return response;
}

void Client::step() {
  if (gone_) return leave();
  if (next_key_) return change_key();
  switch (stage_) {
    case Stage::kAccount:
      return make_account();
    case Stage::kOrder:
      return make_order();
    case Stage::kProve:
      return prove();
    case Stage::kFinalize:
      return finalize();
    case Stage::kPoll:
      return poll();
    case Stage::kDownload:
      return download();
    case Stage::kDone:
      return live_on();
  }
}

void Client::make_account() {
  const auto made = send(key_, true, "/acme/new-account", R"({"termsOfServiceAgreed":true})");
  if (!made || (made->status != 200 && made->status != 201)) return;
  kid_ = header_of(*made, "Location");
  stage_ = Stage::kOrder;
}

void Client::make_order() {
  const auto cuts = world_.figures.power_cuts;  // before: the power may fail during the call
  const auto made =
      post("/acme/new-order", R"({"identifiers":[{"type":"dns","value":")" + name_ + "\"}]}");
  if (!made || made->status != 201) return;
  order_url_ = header_of(*made, "Location");
  finalize_url_ = text_at(*made, "finalize");
  order_kept_ = false;
  cuts_at_order_ = cuts;
  certificate_key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  stage_ = Stage::kProve;
}

// What the order says is what is done next.
void Client::follow(const acme::HttpResponse& order) {
  if (order.status == 404) {
    if (order_kept_) world_.violate(name_ + ": the order that was acknowledged is gone");
    stage_ = Stage::kOrder;
    return;
  }
  if (order.status != 200) return;
  const auto status = text_at(order, "status");
  if (status == "invalid") stage_ = Stage::kOrder;
  if (status == "ready") stage_ = Stage::kFinalize;
  if (status == "processing") stage_ = Stage::kPoll;
  if (status == "valid") {
    certificate_url_ = text_at(order, "certificate");
    stage_ = Stage::kDownload;
  }
}

void Client::prove() {
  const auto order = post(order_url_, "");
  if (!order) return;
  follow(*order);
  if (stage_ != Stage::kProve || order->status != 200) return;
  const auto document = document_of(*order);
  for (const auto& url : document.root().get("authorizations").items()) {
    const auto authz = post(std::string(url.string()), "");
    if (!authz || authz->status != 200 || text_at(*authz, "status") != "pending") continue;
    const auto proof = document_of(*authz);
    for (const auto& challenge : proof.root().get("challenges").items()) {
      if (challenge.get("type").string() == "http-01")
        (void)post(std::string(challenge.get("url").string()), "{}");
    }
  }
}

void Client::finalize() {
  const auto csr = x509::build_csr(*certificate_key_, {{wire::IdentifierType::kDns, name_}});
  const auto answer = post(finalize_url_, R"({"csr":")" + base64url_encode(*csr) + "\"}");
  stage_ = Stage::kPoll;
  if (answer && answer->status == 200) follow(*answer);
}

void Client::poll() {
  const auto order = post(order_url_, "");
  if (order) follow(*order);
}

void Client::download() {
  const auto answer = post(certificate_url_, "");
  if (!answer) return;
  if (answer->status == 404) world_.violate(name_ + ": the certificate of a valid order is gone");
  if (answer->status != 200) return;
  const auto chain = x509::certificates_from_pem(answer->body, 6);
  if (!chain || chain->empty()) return world_.violate(name_ + ": the answer holds no certificate");
  const auto certificate = x509::parse_certificate(chain->at(0));
  if (!certificate) return world_.violate(name_ + ": the certificate cannot be read");
  held.push_back(
      std::make_unique<Held>(Held{chain->at(0), certificate->serial, certificate_url_, false}));
  world_.held.push_back(held.back().get());
  ++world_.figures.certificates;
  stage_ = Stage::kDone;
}

// With a certificate: renews, revokes, changes its key, gives a proof back, leaves.
void Client::live_on() {
  if (!world_.faults) return;  // at the end each is left with what it has
  const auto choice = world_.random.below(100);
  if (choice < 30) return want_certificate();
  if (choice < 50) return revoke();
  if (choice < 65) return change_key();
  if (choice < 80) return give_proof_back();
  if (choice < 83) return leave();
  check_certificates();
}

void Client::revoke() {
  auto& certificate = *held[world_.random.below(held.size())];
  const auto answer =
      post("/acme/revoke-cert", R"({"certificate":")" + base64url_encode(certificate.leaf) + "\"}");
  if (!answer) return;
  const bool before = text_at(*answer, "type").ends_with(":alreadyRevoked");
  if (answer->status != 200 && !before) return;
  if (certificate.revoked && answer->status == 200)
    world_.violate(name_ + ": a certificate was revoked twice");
  if (!certificate.revoked) ++world_.figures.revocations;
  certificate.revoked = true;
}

void Client::change_key() {
  if (!next_key_) next_key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto old_jwk = jose::Jwk::from_public_key(key_.public_key())->canonical();
  jose::SignRequest inner;
  inner.url = std::string(kBase) + "/acme/key-change";
  inner.payload = R"({"account":")" + kid_ + R"(","oldKey":)" + old_jwk + "}";
  const auto answer = send(key_, false, inner.url, jose::to_json(*jose::sign(*next_key_, inner)));
  if (answer && answer->status == 200) {
    key_ = std::move(*next_key_);
    next_key_.reset();
    return;
  }
  // It may have been done: the new key tells.
  const auto look = send(*next_key_, false, kid_, "");
  if (look && look->status == 200) {
    key_ = std::move(*next_key_);
    next_key_.reset();
  }
}

// What was signed before goes on its way: a finalize that was held back must come to nothing.
void Client::give_proof_back() {
  const auto made =
      post("/acme/new-order", R"({"identifiers":[{"type":"dns","value":")" + name_ + "\"}]}");
  if (!made || made->status != 201) return;
  const auto document = document_of(*made);
  const auto order_url = header_of(*made, "Location");
  std::string authz_url;
  for (const auto& url : document.root().get("authorizations").items())
    authz_url = std::string(url.string());
  const auto authz = post(authz_url, "");
  if (!authz || text_at(*authz, "status") != "valid") return;  // not reused: nothing to give back
  const auto csr_key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto csr = x509::build_csr(csr_key, {{wire::IdentifierType::kDns, name_}});
  const auto back = post(authz_url, R"({"status":"deactivated"})");
  if (!back || back->status != 200) return;
  // Past the front end, which would refuse: a broken one would not.
  jose::SignRequest sign;
  sign.url = text_at(*made, "finalize");
  sign.kid = kid_;
  sign.nonce = "held-back";
  sign.payload = R"({"csr":")" + base64url_encode(*csr) + "\"}";
  const auto signature = *jose::sign(key_, sign);
  world_.hold_back(jose::Jwk::from_public_key(key_.public_key())->canonical(), signature,
                   order_url);
}

void Client::leave() {
  gone_ = true;
  (void)send(key_, false, kid_, R"({"status":"deactivated"})");
}

void Client::check_certificates() {
  if (gone_) return;
  for (const auto& certificate : held) {
    const auto answer = post(certificate->url, "");
    if (!answer || answer->status >= 500) continue;
    const auto chain = x509::certificates_from_pem(answer->body, 6);
    if (answer->status != 200 || !chain || chain->at(0) != certificate->leaf)
      world_.violate(name_ + ": an acknowledged certificate is gone or another");
  }
}

}  // namespace keyward::simulation
