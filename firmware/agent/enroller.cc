// Owns a device's enrolment from an account to an installed certificate. Must not know HTTP or TCTI
// strings.
#include "firmware/agent/enroller.h"

#include <algorithm>

#include "firmware/agent/ak_enroller.h"
#include "firmware/attest/ak_certificate.h"
#include "firmware/attest/tpm_structures.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr std::int64_t kPollMs = 1'000;  // processing, without Retry-After

std::uint16_t tpm_hash_of(crypto::HashAlgorithm hash) {  // TPM_ALG_ID
  return hash == crypto::HashAlgorithm::kSha384 ? 0x000C : 0x000B;
}

// The attestation CA says how the device is called.
bool nameless(const EnrolOptions& options) {
  return options.identifier.empty() && options.hardware_module.empty() && options.mac.empty();
}

struct CsrSigner {
  hal::Tpm& tpm;
  hal::TpmObject& key;
  crypto::HashAlgorithm hash;
};

Result<Bytes> sign_csr(void* context, ByteView to_be_signed) {
  auto& signer = *static_cast<CsrSigner*>(context);
  return signer.tpm.sign_digest(signer.key, crypto::hash(signer.hash, to_be_signed),
                                tpm_hash_of(signer.hash));
}

std::string problem_text(const json::Value& error) {
  const std::string code(error.get("code").string());
  return std::string(error.get("type").string()) + ": " +
         std::string(error.get("detail").string()) + (code.empty() ? "" : " [" + code + "]");
}

Result<json::Document> json_of(const HttpReply& reply) {
  return json::Document::parse(reply.body, limits::kAgentReplyBytesMax);
}

}  // namespace

struct Enroller::Order {
  std::string status;
  std::vector<std::string> authorizations;
  std::string finalize_url;
  std::string certificate_url;
  std::string error;
  std::int64_t retry_after_ms = kPollMs;
};

void Enroller::step(std::string_view name, std::string_view detail) {
  if (seams_.on_step) seams_.on_step(name, detail);
}

Outcome<void> Enroller::save() {
  if (const auto saved = directory_.save(state_); !saved)
    return failed(FailureKind::kState, "saving the state", saved.error());
  return {};
}

std::vector<wire::Identifier> Enroller::names() const {
  std::vector<wire::Identifier> out;
  if (!state_.identifier.empty())
    out.push_back({wire::IdentifierType::kPermanentIdentifier, state_.identifier});
  if (!state_.hardware_module.empty())
    out.push_back({wire::IdentifierType::kHardwareModule, state_.hardware_module});
  if (!state_.mac.empty()) out.push_back({wire::IdentifierType::kMac, state_.mac});
  if (!state_.service_uri.empty()) out.push_back({wire::IdentifierType::kUri, state_.service_uri});
  return out;
}

Outcome<void> Enroller::load_state() {
  auto loaded = directory_.load();
  if (!loaded) return failed(FailureKind::kState, "reading the state", loaded.error());
  if (loaded->has_value()) {
    state_ = std::move(**loaded);
    const bool named_by_ca = nameless(options_);
    if (state_.directory_url != options_.directory_url ||
        (!named_by_ca && state_.identifier != options_.identifier) ||
        state_.hardware_module != options_.hardware_module || state_.mac != options_.mac ||
        state_.service_uri != options_.service_uri)
      return failed(FailureKind::kUsage, "this state directory is of \"" + device_text(state_) +
                                             "\" at " + state_.directory_url +
                                             "; use another --dir");
    if (!options_.profile.empty()) state_.profile = options_.profile;
    state_.settings = options_.settings;
    return save();
  }
  const auto account_key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  if (!account_key)
    return failed(FailureKind::kInternal, "making an account key", account_key.error());
  const auto pem = account_key->to_pem();
  if (!pem) return failed(FailureKind::kInternal, "writing the account key", pem.error());
  state_.directory_url = options_.directory_url;
  state_.identifier = options_.identifier;
  state_.hardware_module = options_.hardware_module;
  state_.mac = options_.mac;
  state_.service_uri = options_.service_uri;
  state_.profile = options_.profile;
  state_.settings = options_.settings;
  state_.account_key_pem = text_of(pem->view());
  return save();
}

Outcome<void> Enroller::open_account() {
  auto key = crypto::PrivateKey::from_pem(state_.account_key_pem);
  if (!key) return failed(FailureKind::kState, "reading the account key", key.error());
  client_.emplace(
      seams_.transport, seams_.clock,
      ClientSettings{options_.directory_url, options_.patience_ms, seams_.sleep_ms, seams_.note},
      std::move(*key));
  if (const auto directory = client_->directory(); !directory) return failed(directory.error());
  step("directory", options_.directory_url);
  if (!state_.account_url.empty()) {
    client_->use_account(state_.account_url);
    step("account", state_.account_url + " (known)");
    return {};
  }
  auto url = client_->open_account(options_.agree_to_terms);
  if (!url) return failed(url.error());
  state_.account_url = std::move(*url);
  if (auto saved = save(); !saved) return saved;
  step("account", state_.account_url);
  return {};
}

Outcome<void> Enroller::open_ak() {
  auto ak = seams_.tpm.open_persistent(options_.ak_handle);
  if (!ak) return failed(FailureKind::kTpm, "opening the attestation key", ak.error());
  ak_ = std::move(*ak);
  const auto algorithm = algorithm_of_ak(ak_->public_area());
  if (!algorithm)
    return failed(FailureKind::kTpm, "reading the attestation key", algorithm.error());
  algorithm_ = *algorithm;
  // Said here rather than by the CA: the certificate is of this key.
  const auto certificate = x509::parse_certificate(options_.ak_chain.front());
  if (!certificate)
    return failed(FailureKind::kUsage, "reading the attestation key's certificate",
                  certificate.error());
  const auto area = attest::parse_public_area(ak_->public_area());
  if (!area || !area->key)
    return failed(FailureKind::kTpm, "the attestation key is of a kind that is not used here");
  if (!equal(area->key->spki_der(), certificate->spki_der))
    return failed(FailureKind::kUsage,
                  "the attestation key's certificate is of another key than the one in the TPM");
  step("attestation key", "in this TPM, certified");
  return {};
}

// The chain that the attestation CA gave in an earlier run, while it is good for long enough.
Outcome<void> Enroller::read_ak_chain() {
  constexpr std::int64_t kEnoughMs = 3'600'000;  // for this enrolment
  if (!options_.ak_chain.empty() || !file_exists(directory_.ak_chain_path())) return {};
  const auto pem = read_text_file(directory_.ak_chain_path(), limits::kAgentReplyBytesMax);
  if (!pem) return failed(FailureKind::kState, "reading the attestation key's chain", pem.error());
  auto chain = x509::certificates_from_pem(*pem, limits::kChainCertificatesMax);
  if (!chain || chain->empty()) return {};
  const auto leaf = x509::parse_certificate(chain->front());
  if (leaf && leaf->not_after_ms > seams_.clock.utc_ms() + kEnoughMs)
    options_.ak_chain = std::move(*chain);
  return {};
}

// With a chain that is there, or with one that the CA gives now.
Outcome<void> Enroller::ensure_ak() {
  if (ak_) return {};
  if (options_.ak_chain.empty()) {
    const AkRequest request{options_.ak_handle, options_.ek_chain};
    auto pem = enroll_attestation_key(
        request, {seams_.tpm, *client_,
                  [this](std::string_view name, std::string_view detail) { step(name, detail); }});
    if (!pem) return failed(pem.error());
    if (const auto written = replace_file(directory_.ak_chain_path(), view_of(*pem), 0644);
        !written)
      return failed(FailureKind::kState, "writing the attestation key's chain", written.error());
    auto chain = x509::certificates_from_pem(*pem, limits::kChainCertificatesMax);
    if (!chain) return failed(FailureKind::kRefused, "reading the chain", chain.error());
    options_.ak_chain = std::move(*chain);
  }
  return open_ak();
}

// What the attestation CA calls this device.
Outcome<void> Enroller::take_certified_name() {
  const auto leaf = x509::parse_certificate(options_.ak_chain.front());
  const auto* names = leaf ? leaf->extension("2.5.29.17") : nullptr;
  const auto subject = names ? attest::parse_ak_subject(names->value) : Result<attest::AkSubject>();
  if (!subject || subject->permanent_identifiers.empty())
    return failed(FailureKind::kUsage,
                  "the attestation key's certificate names no device: give --identifier");
  const auto& name = subject->permanent_identifiers.front();
  state_.identifier = name.value + (name.assigner ? "/" + *name.assigner : "");
  step("identifier", state_.identifier + " (as the attestation CA certified)");
  return save();
}

// A tenant's newOrder may be another directory's than the account's (docs/third-party.md).
Outcome<std::string> Enroller::new_order_url() {
  if (options_.order_directory_url.empty()) {
    const auto directory = client_->directory();
    if (!directory) return failed(directory.error());
    return directory->new_order;
  }
  const auto reply = client_->fetch(options_.order_directory_url);
  if (!reply) return failed(reply.error());
  const auto document = json_of(*reply);
  std::string url(document ? document->root().get("newOrder").string() : std::string_view());
  if (url.empty())
    return failed(FailureKind::kRefused, "the directory of the order has no newOrder");
  return url;
}

Outcome<void> Enroller::prepare_key() {
  const bool fresh = !state_.pending;
  if (fresh) {
    PendingEnrolment pending;
    if (options_.renew && options_.reuse_key && state_.key) {
      pending.key = *state_.key;
    } else {
      hal::TpmKeyTemplate wanted;
      wanted.type = options_.key_type;
      auto made = seams_.tpm.create_key(wanted);
      if (!made) return failed(FailureKind::kTpm, "making the device key", made.error());
      pending.key = std::move(*made);
    }
    state_.pending = std::move(pending);
    if (auto saved = save(); !saved) return saved;
  }
  auto loaded = seams_.tpm.load(state_.pending->key);
  if (!loaded)
    return failed(FailureKind::kTpm, "loading the device key (is it of this TPM?)", loaded.error());
  key_ = std::move(*loaded);
  const auto area = attest::parse_public_area(key_->public_area());
  if (!area || !area->key)
    return failed(FailureKind::kTpm, "the device key is of a kind that is not used here");
  public_key_ = *area->key;
  const bool reused = options_.renew && options_.reuse_key && state_.key;
  const char* how = !fresh ? " (of the interrupted run)" : reused ? " (reused)" : " (new)";
  step("key", "SPKI SHA-256 " + hex_encode(public_key_->spki_sha256()).substr(0, 16) + how);
  return {};
}

Outcome<void> Enroller::ensure_order() {
  if (!state_.pending->order_url.empty()) {
    step("order", state_.pending->order_url + " (of the interrupted run)");
    resumed_ = true;
    return {};
  }
  const auto url = new_order_url();
  if (!url) return failed(url.error());
  json::Writer writer;
  writer.begin_object().key("identifiers").begin_array();
  for (const auto& name : names()) {
    writer.begin_object().member("type", identifier::to_string(name.type));
    writer.member("value", name.value).end_object();
  }
  writer.end_array();
  if (!state_.profile.empty()) writer.member("profile", state_.profile);
  writer.end_object();
  auto reply = client_->post(*url, writer.take());
  if (!reply) {
    // The CA does not know the account any more (its database was replaced): open it again, once.
    if (reply.error().problem_type != "accountDoesNotExist" ||
        std::exchange(account_reopened_, true))
      return failed(reply.error());
    state_.account_url.clear();
    if (auto opened = open_account(); !opened) return opened;
    return ensure_order();
  }
  if (reply->location.empty())
    return failed(FailureKind::kRefused, "newOrder answered without a Location");
  state_.pending->order_url = reply->location;
  if (auto saved = save(); !saved) return saved;
  step("order", state_.pending->order_url);
  return {};
}

Outcome<Enroller::Order> Enroller::read_order() {
  auto reply = client_->post(state_.pending->order_url, "");
  if (!reply) return failed(reply.error());
  const auto document = json_of(*reply);
  if (!document) return failed(FailureKind::kRefused, "the order is not JSON");
  const json::Value root = document->root();
  Order out;
  out.status = root.get("status").string();
  for (const json::Value& url : root.get("authorizations").items())
    out.authorizations.emplace_back(url.string());
  out.finalize_url = root.get("finalize").string();
  out.certificate_url = root.get("certificate").string();
  if (root.get("error").exists()) out.error = problem_text(root.get("error"));
  if (reply->retry_after_ms) out.retry_after_ms = *reply->retry_after_ms;
  return out;
}

Outcome<Bytes> Enroller::statement(const std::string& key_authorization) {
  // WebAuthn §8.3: extraData is the hash of what is to be signed, with the hash of `alg`.
  const Bytes extra_data = crypto::hash(algorithm_.hash, view_of(key_authorization));
  const auto certified = seams_.tpm.certify(*key_, *ak_, extra_data);
  if (!certified) return failed(FailureKind::kTpm, "certifying the device key", certified.error());
  auto signature = plain_signature(certified->signature);
  if (!signature)
    return failed(FailureKind::kTpm, "reading the TPM's signature", signature.error());
  if (!(signature->algorithm == algorithm_))
    return failed(FailureKind::kTpm,
                  "the TPM signed with another algorithm than the attestation key's");
  TpmStatementParts parts;
  parts.alg = algorithm_.cose_alg;
  parts.x5c = options_.ak_chain;
  parts.sig = std::move(signature->signature);
  parts.cert_info = certified->attest;
  parts.pub_area = to_bytes(key_->public_area());
  return build_attestation_object(parts);
}

Outcome<void> Enroller::attest(const Order& order) {
  for (const bool but_macs : {true, false}) {
    if (!but_macs && state_.mac.empty()) break;  // everything was answered
    for (const std::string& url : order.authorizations) {
      auto done = answer_one_of(url, but_macs);
      if (!done) return failed(done.error());
    }
  }
  return {};
}

Outcome<void> Enroller::finalize(const Order& order) {
  const bool is_p384 = public_key_->kind() == crypto::KeyKind::kEcP384;
  CsrSigner signer{seams_.tpm, *key_,
                   is_p384 ? crypto::HashAlgorithm::kSha384 : crypto::HashAlgorithm::kSha256};
  const auto csr = x509::build_csr(*public_key_, names(), sign_csr, &signer);
  if (!csr) return failed(FailureKind::kTpm, "signing the certificate request", csr.error());
  json::Writer writer;
  writer.begin_object().member("csr", base64url_encode(*csr)).end_object();
  auto reply = client_->post(order.finalize_url, writer.take());
  // An earlier try may have got through although its answer was lost: the order tells.
  if (!reply && reply.error().problem_type != "orderNotReady") return failed(reply.error());
  step("finalize", "certificate request signed by the TPM");
  return {};
}

Outcome<void> Enroller::download(const Order& order) {
  auto reply = client_->post(order.certificate_url, "");
  if (!reply) return failed(reply.error());
  const auto chain = x509::certificates_from_pem(reply->body, limits::kChainCertificatesMax);
  if (!chain || chain->empty())
    return failed(FailureKind::kRefused, "the CA sent no certificate chain");
  const auto leaf = x509::parse_certificate(chain->front());
  if (!leaf) return failed(FailureKind::kRefused, "reading the certificate", leaf.error());
  if (!equal(leaf->spki_der, public_key_->spki_der()))
    return failed(FailureKind::kRefused, "the CA certified another key than ours");
  state_.pending->certificate_pem = reply->body;
  if (auto saved = save(); !saved) return saved;
  step("certificate", "serial " + hex_encode(leaf->serial) + ", " + std::to_string(chain->size()) +
                          " in the chain");
  return {};
}

Outcome<void> Enroller::drive_order() {
  const std::int64_t give_up_at = client_->now_ms() + options_.patience_ms;
  bool finalized = false;
  bool attested = false;
  while (true) {
    const auto order = read_order();
    const bool gone = !order && order.error().kind == FailureKind::kRefused;
    if ((gone || (order && order->status == "invalid"))) {
      const Failure failure =
          order ? Failure{FailureKind::kRefused, "the order became invalid. " + order->error, ""}
                : order.error();
      state_.pending->order_url.clear();  // the next run, or the next round, makes another
      if (auto saved = save(); !saved) return saved;
      if (!std::exchange(resumed_, false)) return failed(failure);
      if (auto made = ensure_order(); !made) return made;
      continue;
    }
    if (!order) return failed(order.error());
    if (order->status == "valid") return download(*order);
    if (order->status == "pending" && !std::exchange(attested, true)) {
      if (auto done = attest(*order); !done) {
        if (done.error().kind != FailureKind::kRefused) return done;
        // The answer to an accepted statement may have been lost, and the repeated one refused.
        const auto now = read_order();
        if (now &&
            (now->status == "ready" || now->status == "processing" || now->status == "valid"))
          continue;
        state_.pending->order_url.clear();
        if (auto saved = save(); !saved) return saved;
        return done;
      }
      continue;
    }
    if (order->status == "ready" && !std::exchange(finalized, true)) {
      if (auto done = finalize(*order); !done) return done;
      continue;
    }
    if (client_->now_ms() + order->retry_after_ms > give_up_at)
      return failed(FailureKind::kUnreachable,
                    "the order is still " + order->status + "; run again to go on");
    if (seams_.note)
      seams_.note("order is " + order->status + "; again in " +
                  std::to_string(order->retry_after_ms) + " ms");
    client_->wait_ms(order->retry_after_ms);
  }
}

Outcome<void> Enroller::install() {
  const PendingEnrolment& pending = *state_.pending;
  // Key first: a certificate without its key would be worse than the reverse. Dying in between is
  // repaired by the next run, which finds the pending certificate and writes both again.
  if (const auto written = seams_.write_key_file(directory_.key_path(), pending.key); !written)
    return failed(FailureKind::kState, "writing the key file", written.error());
  if (const auto written =
          replace_file(directory_.certificate_path(), view_of(pending.certificate_pem), 0644);
      !written)
    return failed(FailureKind::kState, "writing the certificate", written.error());
  state_.key = pending.key;
  state_.pending.reset();
  if (auto saved = save(); !saved) return saved;
  step("installed", directory_.certificate_path() + " and " + directory_.key_path());
  return {};
}

Outcome<Enroled> Enroller::run() {
  if (auto loaded = load_state(); !loaded) return failed(loaded.error());
  std::string pem;
  if (state_.pending && !state_.pending->certificate_pem.empty()) {
    pem = state_.pending
              ->certificate_pem;  // issued in an earlier run, which died before it was installed
    if (auto done = install(); !done) return failed(done.error());
    return Enroled{false, std::move(pem)};
  }
  if (state_.key && !state_.pending && !options_.renew) return Enroled{true, {}};
  if (auto done = read_ak_chain(); !done) return failed(done.error());
  // What is wrong with a given chain is said before the CA is asked.
  if (state_.mac.empty() && !options_.ak_chain.empty()) {
    if (auto done = open_ak(); !done) return failed(done.error());
  }
  if (auto done = prepare_key(); !done) return failed(done.error());
  if (auto done = open_account(); !done) return failed(done.error());
  if (state_.mac.empty()) {
    if (auto done = ensure_ak(); !done) return failed(done.error());
  }
  if (names().empty()) {
    if (auto done = take_certified_name(); !done) return failed(done.error());
  }
  if (auto done = ensure_order(); !done) return failed(done.error());
  if (auto done = drive_order(); !done) return failed(done.error());
  pem = state_.pending->certificate_pem;
  if (auto done = install(); !done) return failed(done.error());
  return Enroled{false, std::move(pem)};
}

}  // namespace keyward::agent
