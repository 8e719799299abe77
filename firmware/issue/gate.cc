#include "firmware/issue/gate.h"

#include "firmware/log/log.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kNewOrderPath = "/acme/new-order", kOrderPath = "/acme/order/",
                           kFinalizePath = "/finalize";

Digest256 digest_of(const wire::ClientJws& jws) {
  Bytes text = to_bytes(jws.protected_b64);
  text.push_back('.');
  append(text, view_of(jws.payload_b64));
  text.push_back('.');
  append(text, jws.signature);
  return crypto::sha256(text);
}

// Which half of a refused JWS was wrong; only on the way out.
std::string_view code_of_refused_jws(const jose::FlattenedJws& jws, const crypto::PublicKey& key) {
  const auto header = jose::parse_protected(jws.protected_b64);
  if (!header) return "jws-malformed";
  const bool tried =
      header->alg && jose::is_accepted(*header->alg) && jose::fits(*header->alg, key);
  return tried ? "jws-signature" : "jws-algorithm";
}

// <base>/acme/order/<ticket>/finalize, nothing else.
std::optional<std::string_view> ticket_in(std::string_view url, const std::string& base_url) {
  const std::string prefix = base_url + std::string(kOrderPath);
  if (!url.starts_with(prefix) || !url.ends_with(kFinalizePath)) return std::nullopt;
  if (url.size() < prefix.size() + kFinalizePath.size()) return std::nullopt;
  return url.substr(prefix.size(), url.size() - prefix.size() - kFinalizePath.size());
}

tl::unexpected<wire::Failure> hsm_away(std::string_view detail) {
  return refuse_for_now("hsm-away", detail, limits::kHsmAwayRetryMs);
}

}  // namespace

Gate::Gate(GateConfig config, Issuer issuer, TicketKey ticket_key, hal::SigningToken& token,
           const Clock& clock)
    : config_(std::move(config)),
      issuer_(std::move(issuer)),
      profiles_(config_.profiles.empty() ? Profiles(config_.device_days, config_.server_days)
                                         : Profiles(config_.profiles)),
      ticket_key_(std::move(ticket_key)),
      token_(token),
      clock_(clock),
      grant_rules_{config_.names.appliance_names},
      budget_(config_.account_per_hour, config_.overall_per_hour) {}

Result<std::unique_ptr<Gate>> Gate::open(const std::string& state_dir, GateConfig config,
                                         Issuer issuer, hal::SigningToken& token,
                                         const Clock& clock) {
  KEYWARD_TRY(ticket_key, TicketKey::load_or_create(state_dir + "/ticket.key"));
  const Ledger::Options options{config.ledger_segment_bytes_max};
  std::unique_ptr<Gate> gate(
      new Gate(std::move(config), std::move(issuer), std::move(ticket_key), token, clock));
  auto grants = GrantBook::open(state_dir + "/grants.journal", clock);
  if (!grants) return fail(grants.error());
  gate->grants_ = std::move(*grants);
  if (gate->grants_->damaged_at_start())
    log::warning("the grant journal was damaged: some names must be proved again");
  auto ledger = Ledger::open(
      state_dir + "/ledger", clock,
      [&](const LedgerRow& row, const RowPlace& place) { return gate->note_row(row, place); },
      options);
  if (!ledger) return fail(ledger.error());
  gate->ledger_ = std::move(*ledger);
  if (gate->ledger_->torn_bytes_cut() > 0) {
    log::warning("a torn last row was cut off the ledger",
                 {{"bytes", gate->ledger_->torn_bytes_cut()}});
  }
  return gate;
}

// An intent without outcome counts as issued: serial, budget and order are used (DESIGN §2.7).
Status Gate::note_row(const LedgerRow& row, const RowPlace& place) {
  const auto now_ms = clock_.utc_ms();
  if (row.intent) {
    serials_.note(row.intent->serial);
    if (row.time_ms > now_ms - 3'600'000) budget_.note(row.intent->thumbprint, row.time_ms);
    const OrderKey key{row.intent->ticket_id, row.intent->thumbprint, row.intent->csr_sha256,
                       row.intent->ticket_expires_at_ms};
    issued_.note_intent(key, place, row.number, now_ms);
  }
  if (row.outcome)
    issued_.note_outcome(row.outcome->intent_row, row.outcome->result == OutcomeResult::kIssued,
                         place);
  if (row.outcome && row.outcome->result == OutcomeResult::kAbandoned) {
    log::warning("an intent without outcome was closed as abandoned",
                 {{"intent_row", row.outcome->intent_row}});
  }
  return {};
}

// ---- grants, from validation and attestation

Verdict<wire::GrantNameReply> Gate::grant_name(const wire::GrantName& request) {
  ISSUE_TRY(grant, issue::admit(request, grant_rules_, clock_.utc_ms()));
  if (const auto recorded = grants_->record(grant); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return wire::GrantNameReply{};
}

Verdict<wire::GrantDeviceReply> Gate::grant_device(const wire::GrantDevice& request) {
  ISSUE_TRY(grant, issue::admit(request, clock_.utc_ms()));
  if (const auto recorded = grants_->record(grant); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return wire::GrantDeviceReply{};
}

Verdict<wire::GrantAuthorityReply> Gate::grant_authority(const wire::GrantAuthority& request) {
  ISSUE_TRY(grant, issue::admit(request, clock_.utc_ms()));
  if (const auto recorded = grants_->record(grant); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return wire::GrantAuthorityReply{};
}

// ---- orders, from acme

Verdict<wire::IssuerGetReply> Gate::issuer_chain() const {
  wire::IssuerGetReply reply;
  reply.chain = issuer_.chain;
  reply.profiles = profiles_.infos();
  return reply;
}

// Nothing is read of the signed payload before the signature is checked; no proof is needed to ask.
Verdict<wire::TicketMintReply> Gate::mint_ticket(const wire::TicketMint& request) {
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  if (verified.jws().header().url != config_.base_url + std::string(kNewOrderPath)) {
    return refuse("jws-url", "the client signed another URL than newOrder's");
  }
  ISSUE_TRY(terms, read_new_order(verified.jws(), profiles_, config_.names));
  wire::TicketMintReply reply;
  reply.terms = wire::encode_body(terms);
  reply.expires_at_ms = clock_.utc_ms() + limits::kOrderLifetimeMs;
  reply.ticket =
      ticket_key_.mint(verified.account()->thumbprint(), reply.terms, reply.expires_at_ms).text;
  return reply;
}

Verdict<wire::CertificateIssueReply> Gate::issue(const wire::CertificateIssue& request) {
  ISSUE_CHECK(admit(request.account_jwk));
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  ISSUE_TRY(order, open_order(std::move(verified), request.terms));
  const OrderKey key{order.ticket().id, order.verified().account()->thumbprint(),
                     order.csr_sha256(), order.ticket().expires_at_ms};
  ISSUE_TRY(seen, issued_.claim(key, clock_.utc_ms()));
  if (const auto* place = std::get_if<IssuedPlace>(&seen)) return replay(*place);
  auto& claim = std::get<OrderClaim>(seen);
  ISSUE_TRY(checked, check(std::move(order)));
  ISSUE_TRY(tbs, build(checked));
  ISSUE_TRY(intent, record_intent(checked, std::move(tbs), claim));
  ISSUE_TRY(certificate, sign(intent));
  return conclude(checked, intent, certificate, claim);
}

// Two hash-table look-ups keep a flood of strangers away from the signature check. The thumbprint
// is the digest of the text (RFC 7638: verify() refuses a text that is not the canonical one).
Verdict<void> Gate::admit(std::string_view account_jwk) {
  const Digest256 thumbprint = crypto::sha256(view_of(account_jwk));
  const auto now_ms = clock_.utc_ms();
  if (grants_->table().any_live(thumbprint, now_ms) || issued_.any_of(thumbprint, now_ms))
    return {};
  return refuse("no-grant", "nothing was proved for this account");
}

Verdict<VerifiedRequest> Gate::verify(std::string_view account_jwk, const wire::ClientJws& client) {
  auto account = keys_.get(account_jwk);
  if (!account) return refuse(account.error(), "jwk-malformed");
  const jose::FlattenedJws jws{client.protected_b64, client.payload_b64, client.signature};
  auto verified = jose::verify(jws, (*account)->key());
  if (!verified) {
    const bool refused = verified.error().kind == ErrorKind::kRefused;
    return refuse(verified.error(),
                  refused ? code_of_refused_jws(jws, (*account)->key()) : "jws-malformed");
  }
  // RFC 8555 §6.2: these requests name an account; one with an embedded key was meant for something
  // else.
  if (!verified->header().kid)
    return refuse("jws-malformed", "the request does not name an account (kid)");
  return VerifiedRequest(std::move(*account), std::move(*verified), digest_of(client));
}

Verdict<TicketedRequest> Gate::open_order(VerifiedRequest request, const Bytes& terms_der) {
  const auto text = ticket_in(request.jws().header().url, config_.base_url);
  if (!text) return refuse("jws-url", "the client signed another URL than an order's finalize");
  ISSUE_TRY(ticket,
            ticket_key_.open(*text, request.account()->thumbprint(), terms_der, clock_.utc_ms()));
  auto terms = wire::decode_body<wire::OrderTerms>(terms_der);
  if (!terms) return refuse(terms.error(), "ticket-terms");
  ISSUE_TRY(csr_der, read_finalize(request.jws()));
  return TicketedRequest(std::move(request), std::move(ticket), std::move(*terms),
                         std::move(csr_der));
}

Verdict<CheckedRequest> Gate::check(TicketedRequest order) {
  const auto& terms = order.terms();
  const Profile* profile = profiles_.find(terms.profile);
  if (profile == nullptr)
    return refuse("profile-unknown", "the order's profile is not offered any more");
  if (!takes(*profile, terms.identifiers))
    return refuse("profile-identifiers", "the order's identifiers do not fit its profile");
  ISSUE_TRY(csr, read_csr(order.csr_der()));
  ISSUE_CHECK(check_csr_extensions(csr));
  ISSUE_CHECK(check_csr_names(csr, terms));
  ISSUE_TRY(grants, cover_all(order, *profile));
  ISSUE_CHECK(check_csr_key(csr.key, order.verified().account()->key()));
  ISSUE_CHECK(check_attested_keys(*profile, grants, csr.key));
  ISSUE_TRY(budget, budget_.reserve(order.verified().account()->thumbprint(), clock_.utc_ms()));
  ISSUE_TRY(validity, check_time(*profile));
  ISSUE_CHECK(check_token_ready());
  return CheckedRequest(std::move(order), *profile, csr.key, std::move(grants), std::move(budget),
                        validity);
}

Verdict<std::vector<Grant>> Gate::cover_all(const TicketedRequest& order,
                                            const Profile& profile) const {
  std::vector<Grant> out;
  const auto now_ms = clock_.utc_ms();
  const std::vector<Digest256> thumbprints{order.verified().account()->thumbprint()};
  const CoverQuery query{thumbprints, order.ticket().text, *order.verified().jws().header().kid,
                         profile.methods};
  for (const auto& id : order.terms().identifiers) {
    // Again, since the installation may have been narrowed after the order was made.
    ISSUE_CHECK(check_permitted(id, config_.names));
    ISSUE_TRY(grant, grants_->table().cover(query, id, now_ms));
    out.push_back(std::move(grant));
  }
  return out;
}

Verdict<void> check_attested_keys(const Profile& profile, const std::vector<Grant>& grants,
                                  const crypto::PublicKey& csr_key) {
  bool compared = false;
  for (const auto& grant : grants) {
    if (!is_device_type(grant.identifier.type)) continue;
    if (!grant.spki_sha256 || *grant.spki_sha256 == Digest256{})
      return refuse("attested-key-missing", "a device's proof names no key");
    if (*grant.spki_sha256 != csr_key.spki_sha256())
      return refuse("attested-key-mismatch", "the CSR's key is not the attested one");
    compared = true;
  }
  if (profile.for_devices() && !compared)
    return refuse("attested-key-missing", "no attested key to compare with");
  return {};
}

// The floor of trusted time is the ledger's last row: a clock that was set back would hide an
// issuance.
Verdict<Validity> Gate::check_time(const Profile& profile) const {
  const auto now_ms = clock_.utc_ms();
  if (now_ms + limits::kClockStepBackMsMax < ledger_->last_time_ms()) {
    return refuse_for_now("clock-behind-ledger", "the clock is behind the ledger's last entry",
                          60'000);
  }
  const auto validity = validity_of(profile, issuer_, config_.backdate_ms, now_ms);
  if (!validity)
    return refuse("issuer-expired", "the issuing CA's own validity does not cover the present");
  return *validity;
}

Verdict<void> Gate::check_token_ready() const {
  if (!key_ready_) return hsm_away("the CA key is not there yet");
  if (token_.status().state != hal::TokenState::kReady) return hsm_away("the HSM is away");
  return {};
}

Verdict<LintedTbs> Gate::build(const CheckedRequest& request) {
  const auto serial = serials_.next();
  if (!serial) return refuse(serial.error(), "ledger-unavailable");
  const CertificatePlan plan{request.profile(), issuer_, request.order().terms().identifiers,
                             request.key(),     *serial, request.validity()};
  auto tbs = build_profile_tbs(plan);
  if (!tbs) return refuse(tbs.error(), "lint-failed");
  return lint_tbs(std::move(*tbs), plan, config_.backdate_ms);
}

Verdict<IntentRecorded> Gate::record_intent(CheckedRequest& request, LintedTbs tbs,
                                            OrderClaim& claim) {
  const auto& order = request.order();
  IntentRow row;
  row.serial = tbs.serial();
  row.tbs_der = tbs.tbs_der();
  row.ticket_id = order.ticket().id;
  row.ticket_expires_at_ms = order.ticket().expires_at_ms;
  row.thumbprint = order.verified().account()->thumbprint();
  row.jws_sha256 = order.verified().jws_sha256();
  row.csr_sha256 = order.csr_sha256();
  row.profile = request.profile().name;
  for (const auto& grant : request.grants()) {
    row.grants.push_back(
        {crypto::sha256(wire::encode_body(grant)), grant.method, grant.evidence_sha256});
  }
  const auto appended = ledger_->append_intent(row);
  if (!appended) {
    // It may stand on the disk all the same: the share of the budget stays used.
    request.budget_.keep();
    return refuse(appended.error(), "ledger-unavailable");
  }
  request.budget_.keep();
  claim.intent_written(appended->place);
  return IntentRecorded(std::move(tbs), *appended);
}

// The HAL verified the signature with the token key's public half before it gave it out
// (hal/signing_token.h), and check_token_key() found that half equal to the CA certificate's, octet
// by octet, when the key was loaded. So it is not verified once more here (51 µs of 0.45 ms). What
// is checked here is that the signed octets are the intended ones: the certificate is read back,
// its TBS and algorithm compared.
Verdict<VerifiedCertificate> Gate::sign(const IntentRecorded& intent) {
  auto signature =
      token_.sign(config_.key_label, intent.tbs().tbs_der(),
                  Deadline::after_ms(limits::kSignDeadlineMs), hal::SignPriority::kIssuance);
  if (!signature) {
    const bool wrong = signature.error().kind == ErrorKind::kCorrupt;
    log::error("no signature from the token", signature.error());
    record_failure(intent, wrong ? "hsm-signature" : "hsm-away");
    if (wrong) return refuse(signature.error(), "hsm-signature");
    return hsm_away("the HSM gave no signature");
  }
  Bytes der =
      x509::join_certificate(intent.tbs().tbs_der(), issuer_.signature_algorithm_der, *signature);
  const auto certificate = x509::parse_certificate(der, x509::KeyReading::kSkip);
  const bool intended =
      certificate && equal(certificate->tbs_der, intent.tbs().tbs_der()) &&
      equal(certificate->signature_algorithm_der, issuer_.signature_algorithm_der) &&
      equal(certificate->signature, *signature);
  if (!intended) {
    record_failure(intent, "hsm-signature");
    return refuse(wire::FailureKind::kCorrupt, "hsm-signature",
                  "the signed certificate is not the intended one");
  }
  return VerifiedCertificate(std::move(der), std::move(*signature));
}

void Gate::record_failure(const IntentRecorded& intent, std::string_view code) {
  const auto appended = ledger_->append_outcome(
      {intent.row().number, OutcomeResult::kFailed, std::nullopt, std::nullopt, std::string(code)});
  if (!appended)
    log::error("an outcome could not be recorded", appended.error(),
               {{"intent_row", intent.row().number}});
}

Verdict<wire::CertificateIssueReply> Gate::conclude(const CheckedRequest& request,
                                                    const IntentRecorded& intent,
                                                    const VerifiedCertificate& certificate,
                                                    OrderClaim& claim) {
  const auto outcome =
      ledger_->append_outcome({intent.row().number, OutcomeResult::kIssued, certificate.signature(),
                               crypto::sha256(certificate.der()), std::nullopt});
  if (!outcome) return refuse(outcome.error(), "ledger-unavailable");  // the certificate stays here
  claim.issued(outcome->place);
  const auto& order = request.order();
  grants_->table().drop_order(order.verified().account()->thumbprint(), order.ticket().text);
  return answer(certificate.der(), outcome->number, false);
}

Verdict<wire::CertificateIssueReply> Gate::replay(const IssuedPlace& place) const {
  const auto intent = ledger_->read(place.intent);
  if (!intent) return refuse(intent.error(), "ledger-unavailable");
  const auto outcome = ledger_->read(place.outcome);
  if (!outcome) return refuse(outcome.error(), "ledger-unavailable");
  if (!intent->intent || !outcome->outcome || outcome->outcome->intent_row != intent->number) {
    return refuse(wire::FailureKind::kCorrupt, "ledger-unavailable",
                  "the ledger's rows do not belong together");
  }
  const auto der = certificate_of(*intent->intent, *outcome->outcome);
  if (!der) return refuse(der.error(), "ledger-unavailable");
  return answer(*der, outcome->number, true);
}

Verdict<wire::CertificateIssueReply> Gate::answer(const Bytes& der, std::uint64_t ledger_row,
                                                  bool replayed) const {
  const auto certificate = x509::parse_certificate(der, x509::KeyReading::kSkip);
  if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
  wire::CertificateIssueReply reply;
  reply.serial = certificate->serial;
  reply.chain.push_back(der);
  reply.chain.insert(reply.chain.end(), issuer_.chain_to_send.begin(), issuer_.chain_to_send.end());
  reply.not_before_ms = certificate->not_before_ms;
  reply.not_after_ms = certificate->not_after_ms;
  reply.ledger_row = ledger_row;
  reply.replayed = replayed;
  return reply;
}

}  // namespace keyward::issue
