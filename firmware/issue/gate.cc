#include "firmware/issue/gate.h"

#include <algorithm>

#include "firmware/issue/policy_text.h"
#include "firmware/issue/pseudonym.h"
#include "firmware/log/log.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kNewOrderPath = "/new-order", kOrderPath = "/order/",
                           kFinalizePath = "/finalize";

// /order/<ticket> and what follows it, nothing else.
std::optional<std::string_view> ticket_in(std::string_view path, std::string_view suffix) {
  if (!path.starts_with(kOrderPath) || !path.ends_with(suffix)) return std::nullopt;
  if (path.size() < kOrderPath.size() + suffix.size()) return std::nullopt;
  return path.substr(kOrderPath.size(), path.size() - kOrderPath.size() - suffix.size());
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
      time_guard_(config_.time, clock),
      grant_rules_{config_.names.appliance_names},
      budget_(config_.account_per_hour, config_.overall_per_hour),
      certificates_(config_.possession) {
  for (const auto& profile : config_.profiles) {
    if (profile.account_per_hour || profile.overall_per_hour)
      budget_.add(profile.name, profile.account_per_hour, profile.overall_per_hour);
  }
}

Result<std::unique_ptr<Gate>> Gate::open(const std::string& state_dir, GateConfig config,
                                         Issuer issuer, hal::SigningToken& token,
                                         const Clock& clock) {
  KEYWARD_TRY(ticket_key, TicketKey::load_or_create(state_dir + "/ticket.key"));
  const Ledger::Options options{config.ledger_segment_bytes_max, config.ledger_note};
  std::unique_ptr<Gate> gate(
      new Gate(std::move(config), std::move(issuer), std::move(ticket_key), token, clock));
  // Before the ledger: its rows are counted for the account, whichever key it had.
  auto links = KeyLinks::open(state_dir + "/key-changes");
  if (!links) return fail(links.error());
  gate->links_ = std::move(*links);
  auto accounts = AccountGrants::open(state_dir + "/admitted-accounts",
                                      gate->config_.external_account_required);
  if (!accounts) return fail(accounts.error());
  gate->accounts_ = std::move(*accounts);
  auto grants = GrantBook::open(state_dir + "/grants.journal", clock);
  if (!grants) return fail(grants.error());
  gate->grants_ = std::move(*grants);
  if (gate->grants_->damaged_at_start())
    log::warning("the grant journal was damaged: some names must be proved again");
  auto aks = AkBook::open(state_dir + "/ak-grants.journal", clock);
  if (!aks) return fail(aks.error());
  gate->aks_ = std::move(*aks);
  if (gate->aks_->damaged_at_start())
    log::warning("the journal of attestation keys was damaged: some must be activated again");
  gate->crl_ = std::make_unique<Crl>(
      CrlConfig{gate->config_.crl_validity_ms, state_dir + "/crl.der", gate->config_.key_label,
                limits::kCrlGatherMs, gate->config_.crl_entries_bytes_max, gate->config_.crl_delta,
                gate->config_.crl_shards, gate->config_.crl_long_validity_ms},
      gate->issuer_, gate->token_, gate->clock_);
  auto ledger = Ledger::open(
      state_dir + "/ledger", clock,
      [&](const LedgerRow& row, const RowPlace& place) { return gate->note_row(row, place); },
      options);
  if (!ledger) return fail(ledger.error());
  gate->ledger_ = std::move(*ledger);
  gate->policy_digest_ = issue::policy_digest(gate->config_, gate->issuer_);
  KEYWARD_CHECK(gate->record_operators());
  gate->finish_orders();
  KEYWARD_CHECK(gate->crl_->check_shards());
  gate->crl_->set_time_guard(gate->time_guard_);
  gate->crl_->start(*gate->ledger_);
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
    if (row.intent->list) crl_->note_shard(*row.intent->list);
    if (row.time_ms > now_ms - 3'600'000)
      budget_.note(row.intent->profile, links_->origin(row.intent->thumbprint), row.time_ms);
    certificates_.note_intent(row.number, *row.intent, place);
    if (row.intent->eab_kid) accounts_->note(*row.intent->eab_kid);
    const OrderKey key{row.intent->ticket_id, row.intent->thumbprint, row.intent->csr_sha256,
                       row.intent->ticket_expires_at_ms, row.intent->star_period};
    issued_.note_intent(key, place, row.number, now_ms);
  }
  if (row.outcome)
    issued_.note_outcome(row.outcome->intent_row, row.outcome->result == OutcomeResult::kIssued,
                         place);
  if (row.outcome) certificates_.note_outcome(*row.outcome, place);
  if (row.revocation) {
    certificates_.note_revocation(*row.revocation, row.time_ms);
    // Older rows do not say when their certificate ends: these stay in every list.
    crl_->note_revocation(*row.revocation, row.number, row.time_ms, INT64_MAX);
  }
  if (row.list_intent || row.list_outcome) crl_->note_list(row);
  if (row.operators || row.operator_order) KEYWARD_CHECK(book_.note_row(row));
  if (row.cancellation) issued_.note_cancellation(row.cancellation->ticket_id);
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
  ISSUE_CHECK(check_attester(grant));
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

Verdict<wire::GrantRemoteReply> Gate::grant_remote(const wire::GrantRemote& request) {
  ISSUE_TRY(grant, issue::admit(request, profiles_, clock_.utc_ms()));
  ISSUE_CHECK(check_attester(grant));
  if (const auto recorded = grants_->record(grant); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return wire::GrantRemoteReply{};
}

Verdict<wire::GrantAccountReply> Gate::grant_account(const wire::GrantAccount& request) {
  ISSUE_CHECK(accounts_->record(request, clock_.utc_ms()));
  return wire::GrantAccountReply{};
}

// ---- orders, from acme

Verdict<wire::IssuerGetReply> Gate::issuer_chain() const {
  wire::IssuerGetReply reply;
  reply.chain = issuer_.chain;
  reply.profiles = profiles_.infos();
  reply.external_account_required = config_.external_account_required;
  reply.alternates = config_.alternate_chains;
  return reply;
}

// Nothing is read of the signed payload before the signature is checked; no proof is needed to ask.
Verdict<wire::TicketMintReply> Gate::mint_ticket(const wire::TicketMint& request) {
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  ISSUE_CHECK(check_account_open(verified.account()->thumbprint()));
  ISSUE_TRY(place, place_of(verified.jws(), "newOrder's"));
  if (place.path != kNewOrderPath)
    return refuse("jws-url", "the client signed another URL than newOrder's");
  ISSUE_CHECK(check_delegated(place.tenant, verified.kid(), config_.base_url, config_.tenants));
  const auto now_ms = clock_.utc_ms();
  const OrderRules rules{
      profiles_, config_.names, issuer_, {config_.backdate_ms, config_.not_before_ahead_ms}};
  ISSUE_TRY(terms, read_new_order(verified.jws(), rules, now_ms));
  if (!place.tenant.empty()) terms.tenant = std::string(place.tenant);
  wire::TicketMintReply reply;
  reply.terms = wire::encode_body(terms);
  // A series is asked for by its first ticket until it ends, and a little longer, so that a late
  // client reads that it has ended.
  reply.expires_at_ms = terms.star ? terms.star->end_ms : now_ms + limits::kOrderLifetimeMs;
  const auto ticket_end_ms = reply.expires_at_ms + (terms.star ? limits::kStarTicketKeptMs : 0);
  reply.ticket =
      ticket_key_.mint(verified.account()->thumbprint(), reply.terms, ticket_end_ms).text;
  return reply;
}

Verdict<wire::CertificateIssueReply> Gate::issue(const wire::CertificateIssue& request) {
  ISSUE_CHECK(admit(request.account_jwk));
  ISSUE_TRY(verified, verify_signature(request.account_jwk, request.jws));
  ISSUE_TRY(order, open_order(std::move(verified), request.terms));
  ISSUE_CHECK(check_key_stands(order));
  ISSUE_TRY(wanted, wanted_of(order));
  const OrderKey key{order.ticket().id, order.verified().account()->thumbprint(),
                     order.csr_sha256(), order.ticket().expires_at_ms, wanted.star_period};
  ISSUE_TRY(seen, issued_.claim(key, clock_.utc_ms()));
  if (const auto* place = std::get_if<IssuedPlace>(&seen)) return replay(*place, order.terms());
  ISSUE_CHECK(check_account_open(order.verified().account()->thumbprint()));
  ISSUE_CHECK(check_issuing_allowed());
  auto& claim = std::get<OrderClaim>(seen);
  wanted.renews = claim.renews();
  ISSUE_TRY(checked, check(std::move(order), wanted));
  ISSUE_TRY(tbs, build(checked));
  ISSUE_TRY(intent, record_intent(checked, std::move(tbs), claim));
  ISSUE_TRY(certificate, sign(intent));
  return conclude(checked, intent, certificate, claim);
}

// RFC 8739 §3.1.2. The client's own word ends a series, for good: the ledger holds it before anybody
// is told.
Verdict<wire::OrderCancelReply> Gate::cancel_order(const wire::OrderCancel& request) {
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  ISSUE_TRY(place, place_of(verified.jws(), "an order's"));
  const auto text = ticket_in(place.path, "");
  if (!text) return refuse("jws-url", "the client signed another URL than an order's");
  const auto now_ms = clock_.utc_ms();
  ISSUE_TRY(ticket, open_ticket(*text, verified, request.terms));
  const auto terms = wire::decode_body<wire::OrderTerms>(request.terms);
  if (!terms) return refuse(terms.error(), "ticket-terms");
  ISSUE_CHECK(read_cancellation(verified.jws()));
  if (!terms->star) return refuse("star-cancel-invalid", "the order has no automatic renewal");
  ISSUE_CHECK(star_period(*terms->star, now_ms));
  ISSUE_TRY(claim, issued_.claim_to_cancel(ticket.id, now_ms));
  if (!claim) return wire::OrderCancelReply{};  // said before
  claim->canceled();
  const auto row = ledger_->append_cancellation(
      {ticket.id, verified.account()->thumbprint(), verified.jws_sha256()});
  if (!row) return refuse(row.error(), "ledger-unavailable");
  return wire::OrderCancelReply{};
}

// A few hash-table look-ups keep a flood of strangers away from the signature check. The thumbprint
// is the digest of the text (RFC 7638: verify() refuses a text that is not the canonical one).
Verdict<void> Gate::admit(std::string_view account_jwk) {
  const auto now_ms = clock_.utc_ms();
  for (const auto& thumbprint : links_->with_earlier(crypto::sha256(view_of(account_jwk)))) {
    if (grants_->table().any_live(thumbprint, now_ms) || issued_.any_of(thumbprint, now_ms))
      return {};
  }
  return refuse("no-grant", "nothing was proved for this account");
}

Verdict<VerifiedRequest> Gate::verify(std::string_view account_jwk, const wire::ClientJws& client) {
  ISSUE_TRY(request, verify_signature(account_jwk, client));
  if (links_->is_replaced(request.account()->thumbprint()))
    return refuse("key-replaced", "the account has another key by now");
  return std::move(request);
}

Verdict<VerifiedRequest> Gate::verify_signature(std::string_view account_jwk,
                                                const wire::ClientJws& client) {
  auto account = keys_.get(account_jwk);
  if (!account) return refuse(account.error(), "jwk-malformed");
  ISSUE_TRY(verified, verify_client_jws(client, (*account)->key()));
  // RFC 8555 §6.2: these requests name an account; one with an embedded key was meant for something
  // else.
  if (!verified.header().kid)
    return refuse("jws-malformed", "the request does not name an account (kid)");
  auto keys = links_->with_earlier((*account)->thumbprint());
  return VerifiedRequest(std::move(*account), std::move(verified), digest_of(client),
                         std::move(keys));
}

Verdict<SignedPlace> Gate::place_of(const jose::VerifiedJws& jws, std::string_view what) const {
  const auto place = place_in(jws.header().url, config_.base_url, config_.tenants);
  if (place) return *place;
  return refuse("jws-url", "the client signed another URL than " + std::string(what));
}

// A key that was replaced asks for nothing new. But what it ordered goes on (RFC 8555 §7.3.5): the
// same CSR of an order that has reached the ledger gets the same certificate, or the next of its
// series.
Verdict<void> Gate::check_key_stands(const TicketedRequest& order) {
  if (!links_->is_replaced(order.verified().account()->thumbprint())) return {};
  if (issued_.reached_ledger(order.ticket().id, order.csr_sha256())) return {};
  return refuse("key-replaced", "the account has another key by now");
}

Verdict<Ticket> Gate::open_ticket(std::string_view text, const VerifiedRequest& request,
                                  ByteView terms) const {
  const auto now_ms = clock_.utc_ms();
  auto ticket = ticket_key_.open(text, request.account()->thumbprint(), terms, now_ms);
  for (const auto& key : request.keys()) {
    if (ticket || ticket.error().code != "ticket-forged") break;
    ticket = ticket_key_.open(text, key, terms, now_ms);
  }
  return ticket;
}

Verdict<TicketedRequest> Gate::open_order(VerifiedRequest request, const Bytes& terms_der) {
  ISSUE_TRY(place, place_of(request.jws(), "an order's finalize"));
  const auto text = ticket_in(place.path, kFinalizePath);
  if (!text) return refuse("jws-url", "the client signed another URL than an order's finalize");
  ISSUE_TRY(ticket, open_ticket(*text, request, terms_der));
  auto terms = wire::decode_body<wire::OrderTerms>(terms_der);
  if (!terms) return refuse(terms.error(), "ticket-terms");
  // Again: a delegation may have been taken back.
  ISSUE_CHECK(check_delegated(terms->tenant.value_or(""), request.kid(), config_.base_url,
                              config_.tenants));
  ISSUE_TRY(csr_der, read_finalize(request.jws()));
  return TicketedRequest(std::move(request), std::move(ticket), std::move(*terms),
                         std::move(csr_der));
}

Verdict<Gate::Wanted> Gate::wanted_of(const TicketedRequest& order) const {
  const auto& star = order.terms().star;
  if (!star) return Wanted{};
  ISSUE_TRY(period, star_period(*star, clock_.utc_ms()));
  return Wanted{period, false};
}

Verdict<CheckedRequest> Gate::check(TicketedRequest order, const Wanted& wanted) {
  const auto& terms = order.terms();
  const Profile* profile = profiles_.find(terms.profile);
  if (profile == nullptr)
    return refuse("profile-unknown", "the order's profile is not offered any more");
  if (!takes(*profile, terms.identifiers))
    return refuse("profile-identifiers", "the order's identifiers do not fit its profile");
  ISSUE_CHECK(check_series(terms, *profile, wanted.renews, clock_.utc_ms()));
  ISSUE_TRY(csr, check_csr(order, *profile));
  ISSUE_TRY(grants, wanted.renews ? permitted_all(terms) : cover_all(order, *profile));
  ISSUE_CHECK(check_csr_key(csr.key, order.verified().account()->key(), *profile));
  // A renewal has the first one's CSR, and so its key.
  if (!wanted.renews) ISSUE_CHECK(check_attested_keys(*profile, grants, csr.key));
  if (certificates_.is_compromised(csr.key.spki_sha256()))
    return refuse("csr-key-compromised", "the CSR's key was reported as compromised");
  ISSUE_TRY(attested, wanted.renews ? Verdict<std::vector<Grant>>(std::vector<Grant>())
                                    : attest_all(order, *profile, csr.key));
  const auto& keys = order.verified().keys();
  ISSUE_TRY(quota, is_own_certificate(grants)
                       ? Verdict<QuotaHold>(QuotaHold())
                       : accounts_->reserve(keys, profile->name, clock_.utc_ms()));
  ISSUE_TRY(budget, budget_.reserve(profile->name, keys.back(), clock_.utc_ms()));
  grants.insert(grants.end(), attested.begin(), attested.end());
  // Again: it may have been revoked since it vouched.
  for (const auto& grant : grants) ISSUE_CHECK(check_attester(grant));
  ISSUE_TRY(validity, check_time(order, *profile, grants, wanted));
  ISSUE_CHECK(check_token_ready());
  auto names = certificate_names(csr, terms, *profile);
  return CheckedRequest(std::move(order), *profile, csr.key, std::move(names), std::move(grants),
                        std::move(budget), std::move(quota), validity, wanted.star_period);
}

// The first identifier stands for the device: identifiers of an order are sorted.
std::string Gate::pseudonym_for(const TicketedRequest& order) const {
  return pseudonym_of(ticket_key_, order.verified().keys().back(),
                      order.terms().identifiers.front());
}

Verdict<x509::CertificateRequest> Gate::check_csr(const TicketedRequest& order,
                                                  const Profile& profile) const {
  const auto& terms = order.terms();
  ISSUE_TRY(csr, read_csr(order.csr_der()));
  ISSUE_CHECK(check_csr_extensions(csr, terms));
  std::optional<std::string> own_name;
  if (profile.kind == ProfileKind::kSti)
    own_name = common_name_of(profile, issuer_, terms.identifiers);
  if (profile.for_devices() && profile.device_names != DeviceNames::kRequire)
    own_name = pseudonym_for(order);
  ISSUE_CHECK(check_csr_names(csr, terms, own_name));
  ISSUE_CHECK(check_csr_authority(csr, terms));
  return std::move(csr);
}

// The proofs of a series were checked when its first certificate was made; the installation's own
// rules hold for each.
Verdict<std::vector<Grant>> Gate::permitted_all(const wire::OrderTerms& terms) const {
  for (const auto& id : terms.identifiers) ISSUE_CHECK(check_permitted(id, config_.names));
  return std::vector<Grant>();
}

Verdict<std::vector<Grant>> Gate::cover_all(const TicketedRequest& order,
                                            const Profile& profile) const {
  std::vector<Grant> out;
  const auto now_ms = clock_.utc_ms();
  const CoverQuery query{order.verified().keys(), order.ticket().text, order.verified().kid(),
                         profile.methods};
  std::vector<wire::Identifier> macs;
  std::ranges::copy_if(order.terms().identifiers, std::back_inserter(macs),
                       [](const auto& id) { return id.type == wire::IdentifierType::kMac; });
  for (const auto& id : order.terms().identifiers) {
    // A hint is no name: what of it counts, attest_all() asks for.
    if (id.type == wire::IdentifierType::kRemoteAttestation) continue;
    // Again, since the installation may have been narrowed after the order was made.
    ISSUE_CHECK(check_permitted(id, config_.names));
    ISSUE_TRY(grant, id.type == wire::IdentifierType::kUri
                         ? grants_->table().cover_service(query, id, macs, now_ms)
                         : grants_->table().cover(query, id, now_ms));
    out.push_back(std::move(grant));
  }
  return out;
}

Verdict<std::vector<Grant>> Gate::attest_all(const TicketedRequest& order, const Profile& profile,
                                             const crypto::PublicKey& csr_key) const {
  std::vector<Grant> out;
  const AttestationQuery query{order.verified().keys(), order.ticket().text, profile.name,
                               csr_key.spki_sha256(), order.terms().identifiers};
  for (const auto& hint : wanted_attestations(order.terms(), profile)) {
    ISSUE_TRY(grant, find_attestation(query, hint, grants_->table(), clock_.utc_ms()));
    out.push_back(std::move(grant));
  }
  return out;
}

// By the serial alone: ours are 126 random bits, and whoever makes his own like a revoked one of ours
// refuses himself.
Verdict<void> Gate::check_attester(const Grant& grant) const {
  if (grant.ak_serial && certificates_.is_revoked(*grant.ak_serial))
    return refuse("ak-revoked", "the certificate of the attestation key was revoked");
  return {};
}

// The appliance's own TLS certificate: nobody admits its account, the installation names it.
bool is_own_certificate(const std::vector<Grant>& grants) {
  return !grants.empty() && std::ranges::all_of(grants, [](const Grant& grant) {
    return grant.method == wire::ValidationMethod::kAppliance;
  });
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

std::int64_t Gate::backdate_of(const Profile& profile) const {
  return profile.backdate_ms.value_or(config_.backdate_ms);
}

Verdict<void> Gate::check_clock() const { return time_guard_.check(ledger_->last_time_ms()); }

Verdict<Validity> Gate::check_time(const TicketedRequest& order, const Profile& profile,
                                   const std::vector<Grant>& grants, const Wanted& wanted) const {
  const auto now_ms = clock_.utc_ms();
  ISSUE_CHECK(check_clock());
  std::optional<std::int64_t> last_ms;
  for (const auto& grant : grants) {
    if (grant.not_after_max_ms)
      last_ms = std::min(last_ms.value_or(INT64_MAX), *grant.not_after_max_ms);
  }
  ISSUE_TRY(validity, certificate_validity(order.terms(), profile, issuer_, backdate_of(profile),
                                           last_ms, now_ms));
  return wanted.star_period ? star_validity(*order.terms().star, *wanted.star_period) : validity;
}

Verdict<void> Gate::check_token_ready() const {
  if (!key_ready_) return hsm_away("the CA key is not there yet");
  if (token_.status().state != hal::TokenState::kReady) return hsm_away("the HSM is away");
  return {};
}

Verdict<LintedTbs> Gate::build(const CheckedRequest& request) {
  const auto serial = serials_.next();
  if (!serial) return refuse(serial.error(), "ledger-unavailable");
  CertificatePlan plan{request.profile(),       issuer_, request.names(),
                       request.key(),           *serial, request.validity(),
                       &request.order().terms()};
  plan.list = crl_->shard_for(*serial);
  if (request.profile().for_devices() && request.names().empty())
    plan.pseudonym = pseudonym_for(request.order());
  auto tbs = build_profile_tbs(plan);
  if (!tbs) return refuse(tbs.error(), "lint-failed");
  return lint_tbs(std::move(*tbs), plan, backdate_of(request.profile()));
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
  row.star_period = request.star_period();
  row.list = tbs.list();
  row.eab_kid = request.quota_.kid();
  for (const auto& grant : request.grants()) {
    row.grants.push_back(
        {crypto::sha256(wire::encode_body(grant)), grant.method, grant.evidence_sha256});
  }
  auto recorded = append_intent(row, std::move(tbs), claim);
  // Also after a failure it may stand on the disk: the shares of budget and quota stay used.
  request.budget_.keep();
  request.quota_.keep();
  return recorded;
}

Verdict<IntentRecorded> Gate::append_intent(const IntentRow& row, LintedTbs tbs,
                                            OrderClaim& claim) {
  const auto appended = ledger_->append_intent(row);
  if (!appended) return refuse(appended.error(), "ledger-unavailable");
  certificates_.note_intent(appended->number, row, appended->place);
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
  const OutcomeRow row{intent.row().number, OutcomeResult::kFailed, std::nullopt, std::nullopt,
                       std::string(code)};
  const auto appended = ledger_->append_outcome(row);
  certificates_.note_outcome(row, {});
  if (!appended)
    log::error("an outcome could not be recorded", appended.error(),
               {{"intent_row", intent.row().number}});
}

Verdict<std::uint64_t> Gate::record_issued(const IntentRecorded& intent,
                                           const VerifiedCertificate& certificate,
                                           OrderClaim& claim) {
  const OutcomeRow row{intent.row().number, OutcomeResult::kIssued, certificate.signature(),
                       crypto::sha256(certificate.der()), std::nullopt};
  const auto outcome = ledger_->append_outcome(row);
  if (!outcome) return refuse(outcome.error(), "ledger-unavailable");  // the certificate stays here
  claim.issued(outcome->place);
  certificates_.note_outcome(row, outcome->place);
  return outcome->number;
}

Verdict<wire::CertificateIssueReply> Gate::conclude(const CheckedRequest& request,
                                                    const IntentRecorded& intent,
                                                    const VerifiedCertificate& certificate,
                                                    OrderClaim& claim) {
  ISSUE_TRY(outcome_row, record_issued(intent, certificate, claim));
  const auto& order = request.order();
  for (const auto& key : order.verified().keys())
    grants_->table().drop_order(key, order.ticket().text);
  return answer(certificate.der(), outcome_row, order.terms(), request.star_period());
}

Verdict<Gate::StoredCertificate> Gate::read_certificate(const IssuedPlace& place) const {
  auto intent = ledger_->read(place.intent);
  if (!intent) return refuse(intent.error(), "ledger-unavailable");
  const auto outcome = ledger_->read(place.outcome);
  if (!outcome) return refuse(outcome.error(), "ledger-unavailable");
  if (!intent->intent || !outcome->outcome || outcome->outcome->intent_row != intent->number) {
    return refuse(wire::FailureKind::kCorrupt, "ledger-unavailable",
                  "the ledger's rows do not belong together");
  }
  auto der = certificate_of(*intent->intent, *outcome->outcome);
  if (!der) return refuse(der.error(), "ledger-unavailable");
  return StoredCertificate{std::move(*intent->intent), intent->number, outcome->number,
                           std::move(*der)};
}

Verdict<wire::CertificateIssueReply> Gate::replay(const IssuedPlace& place,
                                                  const wire::OrderTerms& terms) const {
  ISSUE_TRY(stored, read_certificate(place));
  ISSUE_TRY(reply, answer(stored.der, stored.outcome_row, terms, place.star_period));
  reply.replayed = true;
  return std::move(reply);
}

Verdict<wire::CertificateIssueReply> Gate::answer(
    const Bytes& der, std::uint64_t ledger_row, const wire::OrderTerms& terms,
    const std::optional<std::uint64_t>& star_period) const {
  const auto certificate = x509::parse_certificate(der, x509::KeyReading::kSkip);
  if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
  wire::CertificateIssueReply reply;
  reply.serial = certificate->serial;
  reply.chain.push_back(der);
  reply.chain.insert(reply.chain.end(), issuer_.chain_to_send.begin(), issuer_.chain_to_send.end());
  reply.not_before_ms = certificate->not_before_ms;
  reply.not_after_ms = certificate->not_after_ms;
  reply.ledger_row = ledger_row;
  if (terms.star && star_period) reply.star_next_at_ms = star_due_ms(*terms.star, *star_period + 1);
  return reply;
}

}  // namespace keyward::issue
