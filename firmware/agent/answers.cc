// Owns the answers to challenges: which one of an authorization this device can answer, and how.
// Must not know orders or keys' files.
#include <algorithm>

#include "firmware/agent/enroller.h"
#include "firmware/agent/evidence.h"
#include "firmware/identifier/identifier.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

std::string problem_text(const json::Value& error) {
  const std::string code(error.get("code").string());
  return std::string(error.get("type").string()) + ": " +
         std::string(error.get("detail").string()) + (code.empty() ? "" : " [" + code + "]");
}

Result<json::Document> json_of(const HttpReply& reply) {
  return json::Document::parse(reply.body, limits::kAgentReplyBytesMax);
}

// "-" and "_" are equal in hints (draft-ietf-acme-rats, D-R1).
std::string canonical_hint(std::string_view hint) {
  std::string out(hint);
  std::ranges::replace(out, '-', '_');
  return out;
}

}  // namespace

struct Enroller::Challenge {
  std::string type;
  std::string url;
  std::string token;
  std::string hint;        // remote-attest-01: the authorization's property
  std::string encryption;  // remote-attest-01: where the key for encrypted evidence stands
};

// False: there is none to be answered any more, or none yet: a vendor's token serves once, so that
// `but_macs` leaves it until nothing else is missing.
Outcome<bool> Enroller::answer_one_of(const std::string& authz_url, bool but_macs) {
  auto reply = client_->post(authz_url, "");
  if (!reply) return failed(reply.error());
  const auto document = json_of(*reply);
  if (!document) return failed(FailureKind::kRefused, "the authorization is not JSON");
  const json::Value root = document->root();
  if (root.get("status").string() != "pending") return false;
  const auto type = root.get("identifier").get("type").string();
  if (but_macs && type == identifier::to_string(wire::IdentifierType::kMac)) return false;
  if (!state_.service_uri.empty() && type == identifier::to_string(wire::IdentifierType::kDns))
    return failed(
        FailureKind::kUsage,
        "the service needs a proof of \"" +
            std::string(root.get("identifier").get("value").string()) +
            "\" by this account, which is the customer's to give; the order waits for it");
  std::string offered;
  for (const json::Value& item : root.get("challenges").items()) {
    Challenge challenge;
    challenge.type = item.get("type").string();
    challenge.url = item.get("url").string();
    challenge.token = item.get("token").string();
    challenge.hint = canonical_hint(root.get("identifier").get("value").string());
    challenge.encryption = item.get("verifierEncryptionCredential").string();
    offered += (offered.empty() ? "" : ", ") + challenge.type;
    const bool known = challenge.type == "device-attest-01" ||
                       challenge.type == "remote-attest-01" || challenge.type == "vendor-jwt-01";
    const auto status = item.get("status").string();
    if (known && status == "processing") return true;
    if (!known || status != "pending") continue;
    if (challenge.token.empty()) return failed(FailureKind::kRefused, "the challenge has no token");
    if (auto done = answer(challenge); !done) return failed(done.error());
    return true;
  }
  return failed(FailureKind::kRefused,
                "the CA offers no challenge for " +
                    std::string(root.get("identifier").get("type").string()) + " \"" +
                    std::string(root.get("identifier").get("value").string()) +
                    "\" that this device can answer (device-attest-01, remote-attest-01, "
                    "vendor-jwt-01); offered: " +
                    (offered.empty() ? "none" : offered));
}

Outcome<void> Enroller::answer(const Challenge& challenge) {
  if (challenge.type == "device-attest-01") return answer_device(challenge);
  if (challenge.type == "remote-attest-01") return answer_remote(challenge);
  return answer_vendor(challenge);
}

Outcome<void> Enroller::send_answer(const Challenge& challenge, const std::string& payload) {
  auto reply = client_->post(challenge.url, payload);
  if (!reply) return failed(reply.error());
  const auto document = json_of(*reply);
  const json::Value root = document ? document->root() : json::Value();
  const auto status = root.get("status").string();
  if (status == "invalid")
    return failed(FailureKind::kRefused,
                  "the CA refused the attestation: " + problem_text(root.get("error")),
                  "badAttestationStatement");
  step("challenge", status == "processing" ? "being appraised" : "accepted");
  return {};
}

Outcome<void> Enroller::answer_device(const Challenge& challenge) {
  if (auto done = ensure_ak(); !done) return done;
  const auto object = statement(client_->key_authorization(challenge.token));
  if (!object) return failed(object.error());
  step("attestation", std::to_string(object->size()) + " octets, format tpm");
  json::Writer writer;
  writer.begin_object().member("attObj", base64url_encode(*object)).end_object();
  return send_answer(challenge, writer.take());
}

Outcome<void> Enroller::answer_vendor(const Challenge& challenge) {
  if (options_.vendor_jwt.empty())
    return failed(FailureKind::kUsage, "the CA wants the vendor's token for " + state_.mac +
                                           ", made for the account's key " +
                                           client_->key_authorization("").substr(1) +
                                           ": give --vendor-jwt, and the order goes on");
  json::Writer writer;
  writer.begin_object().member("jwt", options_.vendor_jwt).end_object();
  return send_answer(challenge, writer.take());
}

// A record, JSON: what the operator gave for this hint, else a quote.
Outcome<std::string> Enroller::evidence_for(const Challenge& challenge) {
  if (const auto given = options_.evidence.find(challenge.hint); given != options_.evidence.end()) {
    step("evidence", "for " + challenge.hint + ", as given");
    return given->second;
  }
  if (options_.registers.registers.empty())
    return failed(FailureKind::kUsage, "the CA asks for evidence of \"" + challenge.hint +
                                           "\": give --evidence " + challenge.hint +
                                           "=FILE, or --pcrs for a quote of the TPM");
  if (auto done = ensure_ak(); !done) return failed(done.error());
  // Not the nonce alone: bound to the account, the quote is of no use to anybody else.
  const auto authorization = client_->key_authorization(challenge.token);
  QuoteRequest request{options_.registers, {}, options_.ak_chain, options_.event_log};
  request.qualifying_data = to_bytes(crypto::sha256(view_of(authorization)));
  const auto record = make_quote_record(seams_.tpm, *ak_, request);
  if (!record) return failed(FailureKind::kTpm, "quoting the platform's state", record.error());
  step("evidence", "for " + challenge.hint + ", quote of " +
                       std::to_string(options_.registers.registers.size()) + " registers, " +
                       std::to_string(record->size()) + " octets");
  return cmw_record(kQuoteMediaType, *record, kCmwEvidence);
}

Outcome<std::string> Enroller::encrypted(const Challenge& challenge, const std::string& cmw) {
  const auto reply = client_->fetch(challenge.encryption);
  if (!reply) return failed(reply.error());
  auto jwe = seams_.encrypt(reply->body, cmw);
  if (!jwe)
    return failed(FailureKind::kRefused, "encrypting evidence for the CA's key", jwe.error());
  step("evidence", "encrypted for the CA's verifier");
  return std::move(*jwe);
}

Outcome<void> Enroller::answer_remote(const Challenge& challenge) {
  const auto cmw = evidence_for(challenge);
  if (!cmw) return failed(cmw.error());
  json::Writer writer;
  writer.begin_object();
  if (seams_.encrypt && !challenge.encryption.empty()) {
    const auto jwe = encrypted(challenge, *cmw);
    if (!jwe) return failed(jwe.error());
    writer.member("jwe", *jwe);
  } else {
    writer.key("cmw").raw(*cmw);
  }
  writer.end_object();
  return send_answer(challenge, writer.take());
}

}  // namespace keyward::agent
