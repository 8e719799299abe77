// Owns an ACME CA in memory and a make-believe manufacturer. Must not know the agent's inside.
#include "fake_ca.h"

#include <cstdlib>

#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/x509/csr.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/clock.h"
#include "hal/base/rng.h"

namespace keyward::agent::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
const std::string kBase = "https://ca.test/acme/";

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

Bytes issue(const crypto::PrivateKey& issuer, const Bytes& issuer_name,
            const crypto::PublicKey& key, Bytes subject, std::vector<Bytes> extensions) {
  const std::int64_t now = system_clock().utc_ms();
  x509::TbsSpec tbs;
  tbs.serial = random_bytes(8);
  tbs.serial[0] = static_cast<std::uint8_t>((tbs.serial[0] & 0x7f) | 1);
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = issuer_name;
  tbs.subject_name_der = std::move(subject);
  tbs.not_before_ms = now - kHourMs;
  tbs.not_after_ms = now + 30 * 24 * kHourMs;
  tbs.spki_der = key.spki_der();
  tbs.extensions = std::move(extensions);
  const Bytes der = x509::build_tbs(tbs);
  return x509::join_certificate(
      der, tbs.signature_algorithm,
      must(issuer.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, der)));
}

Bytes tcg_attribute(std::string_view oid, std::string_view value) {
  return x509::tlv(
      x509::tag::kSet,
      x509::der_sequence({x509::der_oid(oid), x509::tlv(x509::tag::kUtf8String, view_of(value))}));
}

Bytes ak_subject_alt_name(const std::string& permanent_identifier) {
  Bytes rdns = tcg_attribute("2.23.133.2.1", "id:00000000");
  append(rdns, tcg_attribute("2.23.133.2.2", "test"));
  append(rdns, tcg_attribute("2.23.133.2.3", "id:00000001"));
  Bytes names = x509::tlv(x509::tag::context_constructed(4), x509::tlv(x509::tag::kSequence, rdns));
  const Bytes body = x509::tlv(x509::tag::kSequence,
                               x509::tlv(x509::tag::kUtf8String, view_of(permanent_identifier)));
  append(names, x509::tlv(x509::tag::context_constructed(0),
                          {x509::der_oid("1.3.6.1.5.5.7.8.3"),
                           x509::tlv(x509::tag::context_constructed(0), body)}));
  return x509::tlv(x509::tag::kSequence, names);
}

HttpReply json_reply(int status, std::string body) {
  HttpReply out;
  out.status = status;
  out.content_type = "application/json";
  out.body = std::move(body);
  return out;
}

json::Document parsed(const Bytes& payload) {
  return must(json::Document::parse(text_of(payload)));
}

}  // namespace

Manufacturer::Manufacturer() : key_(must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256))) {
  const Bytes name = x509::name_der({{"2.5.4.3", "Make-believe manufacturer"}});
  anchor_ = must(x509::parse_certificate(
      issue(*key_, name, key_->public_key(), name,
            {x509::ext_basic_constraints(true, 0), x509::ext_key_usage({x509::kKeyCertSign})})));
}

Bytes Manufacturer::certify_ak(const crypto::PublicKey& ak,
                               const std::string& permanent_identifier) const {
  return issue(*key_, anchor_->subject_der, ak, x509::name_der({}),
               {x509::ext_basic_constraints(false, std::nullopt),
                x509::ext_extended_key_usage({"2.23.133.8.3"}),
                x509::extension_der("2.5.29.17", true, ak_subject_alt_name(permanent_identifier))});
}

FakeCa::FakeCa(const Manufacturer& manufacturer)
    : manufacturer_(manufacturer),
      key_(must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256))) {}

void FakeCa::trouble_at(int at, Trouble trouble) {
  trouble_at_ = exchanges_ + at;
  trouble_ = trouble;
}

void FakeCa::forget_everything() {
  accounts_.clear();
  orders_.clear();
}

HttpReply FakeCa::problem(int status, const std::string& type, const std::string& detail) const {
  json::Writer writer;
  writer.begin_object()
      .member("type", "urn:ietf:params:acme:error:" + type)
      .member("detail", detail)
      .end_object();
  return json_reply(status, writer.take());
}

Result<HttpReply> FakeCa::exchange(const std::string& method, const std::string& url,
                                   const std::string& body) {
  const Trouble trouble = exchanges_++ == trouble_at_ ? trouble_ : Trouble::kNone;
  if (trouble == Trouble::kNotConnected) return fail(ErrorKind::kUnavailable, "no connection");
  HttpReply reply;
  if (trouble == Trouble::kUnavailable503) {
    reply = problem(503, "serverInternal", "busy");
    reply.retry_after_ms = 7'000;
  } else if (trouble == Trouble::kBadNonce && method == "POST") {
    reply = problem(400, "badNonce", "not this one");
  } else {
    reply = answer(method, url, body);
  }
  if (trouble == Trouble::kAnswerLost) return fail(ErrorKind::kUnavailable, "the answer was lost");
  if (method != "GET") {
    reply.replay_nonce = "n" + std::to_string(++serial_);
    nonces_.insert(reply.replay_nonce);
  }
  return reply;
}

HttpReply FakeCa::answer(const std::string& method, const std::string& url,
                         const std::string& body) {
  if (url == kDirectoryUrl) {
    json::Writer writer;
    writer.begin_object()
        .member("newNonce", kBase + "new-nonce")
        .member("newAccount", kBase + "new-account");
    writer.member("newOrder", kBase + "new-order").key("meta").begin_object();
    if (!terms.empty()) writer.member("termsOfService", terms);
    return json_reply(200, writer.end_object().end_object().take());
  }
  if (method == "HEAD") return json_reply(200, "");
  return post(url, body);
}

HttpReply FakeCa::post(const std::string& url, const std::string& body) {
  const auto jws = must(jose::FlattenedJws::parse(body));
  const auto header = must(jose::parse_protected(jws.protected_b64));
  if (header.url != url) return problem(403, "unauthorized", "url");
  if (nonces_.erase(header.nonce.value_or("")) != 1) {
    ++not_fresh_nonces;
    return problem(400, "badNonce", "unknown nonce");
  }
  if (bad_nonces > 0) {
    --bad_nonces;
    return problem(400, "badNonce", "try again");
  }
  if (header.jwk) {
    const auto verified = jose::verify(jws, header.jwk->key());
    if (!verified) std::abort();
    return new_account(header.jwk->key(), verified->payload());
  }
  const auto account = accounts_.find(header.kid.value_or(""));
  if (account == accounts_.end()) return problem(400, "accountDoesNotExist", "no such account");
  const auto verified = jose::verify(jws, account->second);
  if (!verified) std::abort();
  const std::string path = url.substr(kBase.size());
  if (path == "new-order") return new_order(account->first, verified->payload());
  const std::string id = path.substr(path.find('/') + 1);
  const auto found = orders_.find(id);
  if (found == orders_.end() || found->second.kid != account->first)
    return problem(404, "malformed", "no such resource");
  Order& order = found->second;
  if (path.starts_with("order/")) {
    if (order.status == "processing" && order.polls_left-- <= 0) order.status = "valid";
    return show(order, id);
  }
  if (path.starts_with("challenge/")) return challenge(order, id, verified->payload());
  if (path.starts_with("finalize/")) return finalize(order, id, verified->payload());
  if (path.starts_with("certificate/")) return json_reply(200, order.certificate_pem);
  json::Writer writer;  // authorization
  writer.begin_object()
      .member("status", order.status == "pending" ? "pending" : "valid")
      .key("challenges")
      .begin_array();
  writer.begin_object().member("type", offers_device_attest ? "device-attest-01" : "http-01");
  writer.member("url", kBase + "challenge/" + id)
      .member("status", "pending")
      .member("token", order.token);
  writer.end_object().end_array().end_object();
  return json_reply(200, writer.take());
}

HttpReply FakeCa::new_account(const crypto::PublicKey& key, const Bytes& payload) {
  if (!terms.empty() && !parsed(payload).root().get("termsOfServiceAgreed").boolean())
    return problem(403, "userActionRequired", "terms");
  const std::string url = kBase + "account/" + hex_encode(key.spki_sha256());
  const bool known = accounts_.count(url) != 0;
  if (!known) ++accounts_made;
  accounts_.insert_or_assign(url, key);
  HttpReply out = json_reply(known ? 200 : 201, "{}");
  out.location = url;
  return out;
}

HttpReply FakeCa::new_order(const std::string& kid, const Bytes& payload) {
  const auto document = parsed(payload);
  const std::string id = "o" + std::to_string(++orders_made);
  Order order;
  order.kid = kid;
  order.identifier = document.root().get("identifiers").items().at(0).get("value").string();
  order.token = base64url_encode(random_bytes(32));
  orders_.emplace(id, order);
  HttpReply out = show(order, id);
  out.status = 201;
  out.location = kBase + "order/" + id;
  return out;
}

HttpReply FakeCa::show(const Order& order, const std::string& id) const {
  json::Writer writer;
  writer.begin_object().member("status", order.status).key("authorizations").begin_array();
  writer.string(kBase + "authz/" + id).end_array().member("finalize", kBase + "finalize/" + id);
  if (order.status == "valid") writer.member("certificate", kBase + "certificate/" + id);
  return json_reply(200, writer.end_object().take());
}

HttpReply FakeCa::challenge(Order& order, const std::string&, const Bytes& payload) {
  if (order.status != "pending") return problem(400, "malformed", "the challenge is not pending");
  const auto object = must(base64url_decode(parsed(payload).root().get("attObj").string()));
  const auto jwk = must(jose::Jwk::from_public_key(accounts_.at(order.kid)));
  attest::DeviceAttestPolicy policy;
  policy.ak_anchors = {manufacturer_.anchor()};
  const auto appraised = attest::appraise_device(
      object, {wire::IdentifierType::kPermanentIdentifier, order.identifier},
      jose::key_authorization(order.token, jwk.thumbprint()), policy, system_clock().utc_ms());
  if (!appraised) {
    last_refusal_code = appraised.error().code;
    order.status = "invalid";
    return problem(400, "badAttestationStatement", appraised.error().detail);
  }
  order.status = "ready";
  order.spki = text_of(appraised->key.spki_der());
  return json_reply(200, R"({"type":"device-attest-01","status":"valid"})");
}

HttpReply FakeCa::finalize(Order& order, const std::string& id, const Bytes& payload) {
  if (order.status != "ready") return problem(403, "orderNotReady", "not ready");
  const auto csr =
      x509::parse_csr(must(base64url_decode(parsed(payload).root().get("csr").string())));
  if (!csr || text_of(csr->key.spki_der()) != order.spki)
    return problem(400, "badCSR", "not the attested key");
  if (csr->permanent_identifiers != std::vector<std::string>{order.identifier})
    return problem(400, "badCSR", "names");
  const crypto::PublicKey& key = certifies_other_key ? key_.public_key() : csr->key;
  order.certificate_pem =
      x509::to_pem("CERTIFICATE", issue(key_, x509::name_der({{"2.5.4.3", "Fake CA"}}), key,
                                        x509::name_der({{"2.5.4.3", order.identifier}}), {}));
  order.status = "processing";
  order.polls_left = processing_polls;
  ++certificates_issued;
  issued_keys.push_back(csr->key);
  return show(order, id);
}

}  // namespace keyward::agent::test
