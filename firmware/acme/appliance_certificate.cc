#include "firmware/acme/appliance_certificate.h"

#include <algorithm>
#include <chrono>

#include "firmware/acme/problem.h"
#include "firmware/identifier/identifier.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kAccountFile = "/appliance-account.pem";
constexpr std::string_view kIdentityFile = "/appliance-identity.pem";
constexpr std::string_view kNamesLabel = "names: ";  // first line of the identity file
constexpr std::string_view kProfile = "server";
constexpr std::int64_t kLookMs = 60'000;  // the wall clock may jump: looked at this often
constexpr std::int64_t kRenewalRetryMsMax =
    300'000;  // a certificate that still works needs no hurry

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

Result<std::vector<wire::Identifier>> identifiers_of(const std::vector<std::string>& names) {
  std::vector<wire::Identifier> out;
  for (const auto& name : names) {
    auto address = identifier::canonical(wire::IdentifierType::kIp, name);
    if (address) {
      out.push_back(std::move(*address));
      continue;
    }
    KEYWARD_TRY(dns, identifier::canonical(wire::IdentifierType::kDns, name));
    out.push_back(std::move(dns));
  }
  if (out.empty()) return fail(ErrorKind::kBadInput, "the appliance has no name");
  return out;
}

std::string new_order_payload(const std::vector<wire::Identifier>& identifiers) {
  json::Writer out;
  out.begin_object().key("identifiers").begin_array();
  for (const auto& identifier : identifiers) {
    out.begin_object();
    out.member("type", identifier::to_string(identifier.type)).member("value", identifier.value);
    out.end_object();
  }
  out.end_array().member("profile", kProfile).end_object();
  return out.take();
}

Result<wire::ClientJws> sign(const crypto::PrivateKey& key, const Urls& urls, std::string url,
                             std::string payload) {
  jose::SignRequest request;
  request.url = std::move(url);
  request.nonce = random_id();  // nobody asks for one here; the form is that of every client
  request.kid = urls.account("appliance");
  request.payload = std::move(payload);
  KEYWARD_TRY(jws, jose::sign(key, request));
  return wire::ClientJws{std::move(jws.protected_b64), std::move(jws.payload_b64),
                         std::move(jws.signature)};
}

wire::Failure own_failure(const Error& error) {
  return wire::failure_from(error, "appliance-certificate");
}

}  // namespace

struct ApplianceCertificate::Order {
  crypto::PrivateKey tls_key;
  std::vector<wire::Identifier> names;
  std::string ticket;
  Bytes terms;
  wire::ClientJws finalize;
};

ApplianceCertificate::ApplianceCertificate(ApplianceOptions options, Backend backend,
                                           const Clock& clock, Publish publish, Report report)
    : options_(std::move(options)),
      urls_(options_.base_url),
      backend_(backend),
      clock_(clock),
      publish_(std::move(publish)),
      report_(std::move(report)) {}

ApplianceCertificate::~ApplianceCertificate() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void ApplianceCertificate::start() {
  thread_ = std::thread([this] { run(); });
}

void ApplianceCertificate::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
}

void ApplianceCertificate::run() {
  for (;;) {
    const auto wait_ms = round();
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopped_; }))
      return;
  }
}

std::int64_t ApplianceCertificate::round() {
  const auto present = load();
  if (present) publish(*present);
  if (present && !is_due(*present)) return kLookMs;
  const auto made = renew();
  if (made) {
    order_.reset();
    failures_ = 0;
    publish(*made);
    return kLookMs;
  }
  const auto& failure = made.error();
  // What came back as refused is not repeated as it is: the next round begins a new order.
  if (fate_of(failure) != OrderFate::kProcessing) order_.reset();
  log::warning("no new TLS certificate for the appliance yet",
               {{"code", failure.code}, {"detail", failure.detail}});
  report_(published_pem_.empty() ? "starting" : "degraded", "TLS certificate: " + failure.code);
  const auto max_ms = published_pem_.empty() ? limits::kJobBackoffMsMax : kRenewalRetryMsMax;
  return std::min(options_.retry_ms_min << std::min(failures_++, 16), max_ms);
}

void ApplianceCertificate::publish(const ApplianceIdentity& identity) {
  if (identity.tls.chain_pem == published_pem_) return;
  publish_(identity.tls);
  published_pem_ = identity.tls.chain_pem;
  report_("operational", "answers at " + options_.base_url + ", TLS certificate until " +
                             rfc3339(identity.not_after_ms));
}

Answer<ApplianceIdentity> ApplianceCertificate::renew() {
  auto made = obtain();
  if (!made) return tl::unexpected<wire::Failure>(made.error());
  if (const auto kept = keep(*made); !kept)
    return tl::unexpected<wire::Failure>(own_failure(kept.error()));
  // From the disk, as every start does it: what cannot be read back is not put to use.
  auto identity = load();
  if (!identity) return tl::unexpected<wire::Failure>(own_failure(identity.error()));
  if (const auto issuer = backend_.signer.ask(wire::IssuerGet{});
      issuer && !issuer->chain.empty()) {
    issuer_of_renewal_ = issuer->chain[0];
  }
  return std::move(*identity);
}

Result<ApplianceIdentity> ApplianceCertificate::load() const {
  constexpr std::size_t kFileBytesMax = 4 * limits::kCertificateBytesMax;
  KEYWARD_TRY(text, read_text_file(options_.state_dir + std::string(kIdentityFile), kFileBytesMax));
  const std::string names_line = std::string(kNamesLabel) + join(options_.names) + "\n";
  if (!text.starts_with(names_line)) return fail(ErrorKind::kCorrupt, "identity: for other names");
  const std::string_view pem = std::string_view(text).substr(names_line.size());
  const auto chain_at = pem.find("-----BEGIN CERTIFICATE-----");
  if (chain_at == std::string_view::npos)
    return fail(ErrorKind::kCorrupt, "identity: no certificate");
  KEYWARD_TRY(key, crypto::PrivateKey::from_pem(pem.substr(0, chain_at)));
  KEYWARD_TRY(chain,
              x509::certificates_from_pem(pem.substr(chain_at), limits::kChainCertificatesMax));
  if (chain.empty()) return fail(ErrorKind::kCorrupt, "identity: no certificate");
  KEYWARD_TRY(leaf, x509::parse_certificate(chain[0]));
  if (!equal(leaf.spki_der, key.public_key().spki_der())) {
    return fail(ErrorKind::kCorrupt, "identity: key and certificate do not belong together");
  }
  ApplianceIdentity identity;
  identity.tls = {std::string(pem.substr(chain_at)), std::string(pem.substr(0, chain_at))};
  identity.not_before_ms = leaf.not_before_ms;
  identity.not_after_ms = leaf.not_after_ms;
  if (chain.size() > 1) identity.issuer_der = chain[1];
  return identity;
}

bool ApplianceCertificate::is_due(const ApplianceIdentity& identity) {
  const auto life_ms = identity.not_after_ms - identity.not_before_ms;
  if (clock_.utc_ms() >= identity.not_before_ms + life_ms / 3 * 2) return true;
  if (identity.issuer_der.empty()) return false;
  // Another ceremony, another CA: clients that trust the new root alone could not connect.
  const auto issuer = backend_.signer.ask(wire::IssuerGet{});
  if (!issuer || issuer->chain.empty()) return false;
  return issuer->chain[0] != identity.issuer_der && issuer->chain[0] != issuer_of_renewal_;
}

Result<jose::Jwk> ApplianceCertificate::account() {
  const std::string path = options_.state_dir + std::string(kAccountFile);
  if (!account_key_) {
    const auto pem = read_text_file(path, limits::kCertificateBytesMax);
    if (!pem && pem.error().kind == ErrorKind::kInternal) return fail(pem.error());
    auto key =
        pem ? crypto::PrivateKey::from_pem(*pem) : Result<crypto::PrivateKey>(fail(pem.error()));
    if (!key || key->public_key().kind() != crypto::KeyKind::kEcP256) {
      KEYWARD_TRY(fresh, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
      KEYWARD_TRY(text, fresh.to_pem());
      KEYWARD_CHECK(replace_file(path, text.view(), 0600));
      key = std::move(fresh);
    }
    account_key_ = std::move(*key);
  }
  return jose::Jwk::from_public_key(account_key_->public_key());
}

Answer<wire::CertificateIssueReply> ApplianceCertificate::obtain() {
  const auto jwk = account();
  if (!jwk) return tl::unexpected<wire::Failure>(own_failure(jwk.error()));
  if (!order_) {
    auto names = identifiers_of(options_.names);
    if (!names) return tl::unexpected<wire::Failure>(own_failure(names.error()));
    auto jws = sign(*account_key_, urls_, urls_.new_order(), new_order_payload(*names));
    if (!jws) return tl::unexpected<wire::Failure>(own_failure(jws.error()));
    auto minted = backend_.signer.ask(wire::TicketMint{jwk->canonical(), std::move(*jws)});
    if (!minted) return tl::unexpected<wire::Failure>(minted.error());
    auto opened = open_order(*names, std::move(*minted));
    if (!opened) return tl::unexpected<wire::Failure>(own_failure(opened.error()));
  }
  // Asked each time: the signer may have lost the grant, and giving it twice does no harm.
  auto granted = backend_.validation.ask(
      wire::ApplianceGrant{jwk->thumbprint(), order_->ticket, order_->names});
  if (!granted) return tl::unexpected<wire::Failure>(granted.error());
  return backend_.signer.ask(
      wire::CertificateIssue{jwk->canonical(), order_->finalize, order_->terms},
      limits::kPeerCallSlowMs);
}

Status ApplianceCertificate::open_order(const std::vector<wire::Identifier>& names,
                                        wire::TicketMintReply minted) {
  KEYWARD_TRY(terms, wire::decode_body<wire::OrderTerms>(minted.terms));
  KEYWARD_TRY(tls_key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  KEYWARD_TRY(csr, x509::build_csr(tls_key, terms.identifiers));
  json::Writer payload;
  payload.begin_object().member("csr", base64url_encode(csr)).end_object();
  KEYWARD_TRY(finalize, sign(*account_key_, urls_, urls_.finalize(minted.ticket), payload.take()));
  order_ = std::make_unique<Order>(Order{std::move(tls_key), names, std::move(minted.ticket),
                                         std::move(minted.terms), std::move(finalize)});
  return {};
}

Status ApplianceCertificate::keep(const wire::CertificateIssueReply& made) {
  if (made.chain.empty()) return fail(ErrorKind::kCorrupt, "appliance certificate: an empty chain");
  KEYWARD_TRY(leaf, x509::parse_certificate(made.chain[0]));
  if (!equal(leaf.spki_der, order_->tls_key.public_key().spki_der())) {
    return fail(ErrorKind::kCorrupt, "appliance certificate: for another key");
  }
  KEYWARD_TRY(key_pem, order_->tls_key.to_pem());
  SecretBytes content(view_of(std::string(kNamesLabel) + join(options_.names) + "\n" +
                              std::string(text_of(key_pem.view())) + chain_pem(made.chain)));
  return replace_file(options_.state_dir + std::string(kIdentityFile), content.view(), 0600);
}

}  // namespace keyward::acme
