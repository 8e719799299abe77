// Owns the gate: the only way from a client's signed request to a signature of the CA (DESIGN §2).
// Must not know sockets, files' formats, or PKCS#11.
//
// One function per step, in DESIGN §2's order; each takes what only the step before can make, so
// that no step can be left out or moved:
//   admit -> VerifiedRequest -> TicketedRequest -> (seen before?) -> CheckedRequest -> LintedTbs
//         -> IntentRecorded -> VerifiedCertificate -> reply
// Frame and field caps are the decoder's (firmware/wire); which socket may bring what is the peer
// table's (apps/signer/peers.h). Threads: all public methods may be called from any thread at the
// same time.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "firmware/issue/account_grants.h"
#include "firmware/issue/ak_grants.h"
#include "firmware/issue/budget.h"
#include "firmware/issue/certificate_index.h"
#include "firmware/issue/client_jws.h"
#include "firmware/issue/crl.h"
#include "firmware/issue/grant_journal.h"
#include "firmware/issue/issued.h"
#include "firmware/issue/key_cache.h"
#include "firmware/issue/key_links.h"
#include "firmware/issue/ledger.h"
#include "firmware/issue/lint.h"
#include "firmware/issue/ocsp.h"
#include "firmware/issue/operator_book.h"
#include "firmware/issue/order_policy.h"
#include "firmware/issue/remote_grants.h"
#include "firmware/issue/serial.h"
#include "firmware/issue/tenants.h"
#include "firmware/issue/ticket.h"
#include "firmware/issue/time_guard.h"
#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/certificate_issue.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/key_change.h"
#include "firmware/wire/messages/operator_order.h"
#include "firmware/wire/messages/order_cancel.h"
#include "firmware/wire/messages/possession_mint.h"
#include "firmware/wire/messages/possession_verify.h"
#include "firmware/wire/messages/ticket_mint.h"
#include "hal/signing_token.h"

namespace keyward::issue {

struct GateConfig {
  std::string base_url;  // no trailing slash; what clients sign in `url`
  std::string key_label;
  NamePolicy names;
  std::int64_t account_per_hour = 0;
  std::int64_t overall_per_hour = 0;
  std::int64_t backdate_ms = 60'000;
  std::int64_t device_days = 365;
  std::int64_t server_days = 90;
  std::vector<Profile> profiles;  // empty: the two built-in ones
  std::int64_t not_before_ahead_ms = 30LL * 86'400'000;
  Tenants tenants{};
  bool external_account_required = false;  // RFC 8555 §7.3.4: accounts need a credential
  bool possession = false;                 // proof-of-possession-01 is served
  std::vector<wire::AlternateChain> alternate_chains;  // checked: load_alternate_chain
  std::int64_t crl_validity_ms = 0;                    // of a revocation list; 0: none are made
  bool crl_delta = false;                              // crl.h
  std::uint64_t crl_shards = 0;
  std::int64_t crl_long_validity_ms = 0;
  std::optional<operate::Operators> operators{};  // whose orders count; absent: nobody's
  bool policy_approval_required = false;  // nothing is issued under a policy that none approved
  RowNote ledger_note;                    // hears of each row once it is on disk
  std::size_t ledger_segment_bytes_max = limits::kLedgerSegmentBytesMax;
  std::size_t crl_entries_bytes_max = limits::kCrlEntriesBytesMax;
  TimeRules time;  // when the clock is good enough to sign by
};

// The client's own signature was verified with the key whose thumbprint this is.
class VerifiedRequest {
 public:
  const std::shared_ptr<const jose::Jwk>& account() const { return account_; }
  const jose::VerifiedJws& jws() const { return jws_; }
  const Digest256& jws_sha256() const { return jws_sha256_; }
  // Thumbprints of the account's key, then of its earlier ones (RFC 8555 §7.3.5).
  const std::vector<Digest256>& keys() const { return keys_; }
  const std::string& kid() const { return *jws_.header().kid; }

 private:
  friend class Gate;
  VerifiedRequest(std::shared_ptr<const jose::Jwk> account, jose::VerifiedJws jws,
                  const Digest256& digest, std::vector<Digest256> keys)
      : account_(std::move(account)),
        jws_(std::move(jws)),
        jws_sha256_(digest),
        keys_(std::move(keys)) {}
  std::shared_ptr<const jose::Jwk> account_;
  jose::VerifiedJws jws_;
  Digest256 jws_sha256_;
  std::vector<Digest256> keys_;
};

// It belongs to an order that the signer made for this account, with these terms.
class TicketedRequest {
 public:
  const VerifiedRequest& verified() const { return verified_; }
  const Ticket& ticket() const { return ticket_; }
  const wire::OrderTerms& terms() const { return terms_; }
  const Bytes& csr_der() const { return csr_der_; }
  const Digest256& csr_sha256() const { return csr_sha256_; }

 private:
  friend class Gate;
  TicketedRequest(VerifiedRequest verified, Ticket ticket, wire::OrderTerms terms, Bytes csr_der)
      : verified_(std::move(verified)),
        ticket_(std::move(ticket)),
        terms_(std::move(terms)),
        csr_der_(std::move(csr_der)),
        csr_sha256_(crypto::sha256(csr_der_)) {}
  VerifiedRequest verified_;
  Ticket ticket_;
  wire::OrderTerms terms_;
  Bytes csr_der_;
  Digest256 csr_sha256_;
};

// CSR, names, grants, keys and budgets are in order; time can be trusted and the HSM is there.
class CheckedRequest {
 public:
  const TicketedRequest& order() const { return order_; }
  const Profile& profile() const { return profile_; }
  const crypto::PublicKey& key() const { return key_; }
  const std::vector<Grant>& grants() const { return grants_; }
  const Validity& validity() const { return validity_; }
  const std::optional<std::uint64_t>& star_period() const { return star_period_; }
  // Of the order's identifiers those that the certificate holds; none: the pseudonym instead.
  const std::vector<wire::Identifier>& names() const { return names_; }

 private:
  friend class Gate;
  CheckedRequest(TicketedRequest order, const Profile& profile, crypto::PublicKey key,
                 std::vector<wire::Identifier> names, std::vector<Grant> grants, BudgetHolds budget,
                 QuotaHold quota, Validity validity, std::optional<std::uint64_t> star_period)
      : order_(std::move(order)),
        profile_(profile),
        key_(std::move(key)),
        names_(std::move(names)),
        grants_(std::move(grants)),
        budget_(std::move(budget)),
        quota_(std::move(quota)),
        validity_(validity),
        star_period_(star_period) {}
  TicketedRequest order_;
  const Profile& profile_;
  crypto::PublicKey key_;
  std::vector<wire::Identifier> names_;
  std::vector<Grant> grants_;
  BudgetHolds budget_;
  QuotaHold quota_;
  Validity validity_;
  std::optional<std::uint64_t> star_period_;
};

// The ledger holds the intent, durably: only this may be signed.
class IntentRecorded {
 public:
  const LintedTbs& tbs() const { return tbs_; }
  const AppendedRow& row() const { return row_; }

 private:
  friend class Gate;
  IntentRecorded(LintedTbs tbs, const AppendedRow& row) : tbs_(std::move(tbs)), row_(row) {}
  LintedTbs tbs_;
  AppendedRow row_;
};

// The signature is the CA key's over exactly the intended TBS.
class VerifiedCertificate {
 public:
  const Bytes& der() const { return der_; }
  const Bytes& signature() const { return signature_; }

 private:
  friend class Gate;
  VerifiedCertificate(Bytes der, Bytes signature)
      : der_(std::move(der)), signature_(std::move(signature)) {}
  Bytes der_;
  Bytes signature_;
};

class Gate {
 public:
  // Opens ledger, grants and ticket key in `state_dir` and rebuilds what it remembers. Errors:
  // those of Ledger::open, GrantBook::open, TicketKey::load_or_create.
  static Result<std::unique_ptr<Gate>> open(const std::string& state_dir, GateConfig config,
                                            Issuer issuer, hal::SigningToken& token,
                                            const Clock& clock);

  Verdict<wire::TicketMintReply> mint_ticket(const wire::TicketMint& request);
  Verdict<wire::CertificateIssueReply> issue(const wire::CertificateIssue& request);
  Verdict<wire::IssuerGetReply> issuer_chain() const;
  Verdict<wire::OrderCancelReply> cancel_order(const wire::OrderCancel& request);
  Verdict<wire::GrantNameReply> grant_name(const wire::GrantName& request);
  Verdict<wire::GrantDeviceReply> grant_device(const wire::GrantDevice& request);
  Verdict<wire::GrantAuthorityReply> grant_authority(const wire::GrantAuthority& request);
  Verdict<wire::GrantRemoteReply> grant_remote(const wire::GrantRemote& request);
  Verdict<wire::GrantAccountReply> grant_account(const wire::GrantAccount& request);
  // gate_account.cc
  Verdict<wire::KeyChangeReply> change_key(const wire::KeyChange& request);
  Verdict<wire::GrantWithdrawReply> withdraw_grants(const wire::GrantWithdraw& request);
  // gate_revoke.cc
  Verdict<wire::CertificateRevokeReply> revoke(const wire::CertificateRevoke& request);
  // gate_operators.cc: what an operator orders, by his signature alone. Codes: those of
  // firmware/operate/order.h; "operators-none", "order-replayed", "order-not-here", "policy-digest",
  // "accounts-full", and those of what is ordered.
  Verdict<wire::OperatorOrderReply> carry_out(const wire::OperatorOrder& request);
  // Empty: orders do not keep it from issuing. Else why not, in words.
  std::string why_not_issuing() const;
  const Digest256& policy_digest() const { return policy_digest_; }
  // gate_ak.cc
  Verdict<wire::GrantAkReply> grant_ak(const wire::GrantAk& request);
  Verdict<wire::AkIssueReply> issue_ak(const wire::AkIssue& request);
  // gate_possession.cc
  Verdict<wire::PossessionMintReply> mint_possession(const wire::PossessionMint& request) const;
  Verdict<wire::PossessionVerifyReply> verify_possession(const wire::PossessionVerify& request);

  // Whoever unlocks the token finds the key and checks it (check_token_key) before it says so here.
  void set_key_ready(bool ready) {
    key_ready_ = ready;
    crl_->set_key_ready(ready);
  }
  const Issuer& issuer() const { return issuer_; }
  Ledger& ledger() { return *ledger_; }
  GrantBook& grants() { return *grants_; }
  Crl& crl() { return *crl_; }
  TimeGuard& time_guard() { return time_guard_; }
  // What OCSP says of a serial of this issuer: the ledger's certificate of exactly that serial.
  // "ledger-unavailable".
  Verdict<CertificateStatus> status_of(ByteView serial) const;
  // Whether what is signed now may bear the time and the ledger's state. "hsm-away", and the time
  // guard's codes.
  Verdict<void> may_say_status();
  Verdict<wire::CrlGetReply> crl_part(const wire::CrlGet& request) { return crl_->get(request); }

 private:
  Gate(GateConfig config, Issuer issuer, TicketKey ticket_key, hal::SigningToken& token,
       const Clock& clock);
  Status note_row(const LedgerRow& row, const RowPlace& place);

  // gate_operators.cc
  struct PlannedRevocation;
  struct OrderPlan;
  Status record_operators();
  void finish_orders();
  Verdict<std::optional<PlannedRevocation>> plan_revocation(ByteView serial,
                                                            const operate::RevokeArguments& wanted);
  Verdict<void> plan_revocations(const operate::PermittedOrder& order, OrderPlan& plan);
  Verdict<OrderPlan> plan_order(const operate::PermittedOrder& order);
  Verdict<void> apply_order(const OrderPlan& plan, std::uint64_t order_row,
                            const Digest256& signatory, const Digest256& jws_sha256);
  Verdict<void> write_revocation(RevocationRow row, std::uint64_t order_row,
                                 const Digest256& signatory, const Digest256& jws_sha256);
  std::string order_answer(const operate::PermittedOrder& order, const OrderPlan& plan,
                           const AppendedRow& row) const;
  bool is_closed(const Digest256& thumbprint) const;
  // "account-revoked": an operator closed it, under whichever of its keys.
  Verdict<void> check_account_open(const Digest256& thumbprint) const;
  // "issuance-held", "policy-not-approved", "crl-full".
  Verdict<void> check_issuing_allowed() const;

  Verdict<void> admit(std::string_view account_jwk);
  // Signed by an account's key that is still its key: "key-replaced".
  Verdict<VerifiedRequest> verify(std::string_view account_jwk, const wire::ClientJws& jws);
  Verdict<VerifiedRequest> verify_signature(std::string_view account_jwk,
                                            const wire::ClientJws& jws);
  // What the client signed, below the base URL: "jws-url", naming `what`.
  Verdict<SignedPlace> place_of(const jose::VerifiedJws& jws, std::string_view what) const;
  Verdict<void> check_key_stands(const TicketedRequest& order);
  // The ticket may have been minted for an earlier key of the account.
  Verdict<Ticket> open_ticket(std::string_view text, const VerifiedRequest& request,
                              ByteView terms) const;
  struct StoredCertificate {
    IntentRow intent;
    std::uint64_t intent_row = 0;
    std::uint64_t outcome_row = 0;
    Bytes der;
  };
  Verdict<StoredCertificate> read_certificate(const IssuedPlace& place) const;
  struct Revoker;
  Verdict<Revoker> verify_revoker(const wire::CertificateRevoke& request);
  Verdict<StoredCertificate> find_certificate(ByteView der) const;
  Verdict<RevocationAuthority> authority_of(const Revoker& revoker, const StoredCertificate& stored,
                                            const x509::Certificate& certificate) const;
  Verdict<Digest256> find_proof(const wire::PossessionVerify& request, const jose::Jwk& key) const;
  Verdict<TicketedRequest> open_order(VerifiedRequest request, const Bytes& terms);
  // What was asked for, and how the present lies to it.
  struct Wanted {
    std::optional<std::uint64_t> star_period;  // automatic renewal
    bool renews = false;  // not the first of its series: the first one's proofs stand for it
  };
  Verdict<Wanted> wanted_of(const TicketedRequest& order) const;
  Verdict<CheckedRequest> check(TicketedRequest order, const Wanted& wanted);
  Verdict<std::vector<Grant>> cover_all(const TicketedRequest& order, const Profile& profile) const;
  // One for each remote attestation that is asked for.
  Verdict<std::vector<Grant>> attest_all(const TicketedRequest& order, const Profile& profile,
                                         const crypto::PublicKey& csr_key) const;
  // A key whose certificate was issued here and revoked vouches for nothing any more: "ak-revoked".
  Verdict<void> check_attester(const Grant& grant) const;
  Verdict<std::vector<Grant>> permitted_all(const wire::OrderTerms& terms) const;
  std::string pseudonym_for(const TicketedRequest& order) const;
  Verdict<x509::CertificateRequest> check_csr(const TicketedRequest& order,
                                              const Profile& profile) const;
  Verdict<Validity> check_time(const TicketedRequest& order, const Profile& profile,
                               const std::vector<Grant>& grants, const Wanted& wanted) const;
  Verdict<void> check_clock() const;
  Verdict<void> check_token_ready() const;
  struct AkRequest;
  struct CheckedAk;
  Verdict<void> admit_ak(std::string_view account_jwk);
  Verdict<AkRequest> open_ak(const wire::AkIssue& request);
  Verdict<CheckedAk> check_ak(const AkRequest& request);
  Verdict<IntentRecorded> record_ak(CheckedAk& checked, OrderClaim& claim);
  Verdict<wire::AkIssueReply> ak_answer(const Bytes& certificate_der) const;
  Verdict<wire::AkIssueReply> conclude_ak(const AkRequest& request, const IntentRecorded& intent,
                                          const VerifiedCertificate& certificate,
                                          OrderClaim& claim);
  std::int64_t backdate_of(const Profile& profile) const;
  Verdict<LintedTbs> build(const CheckedRequest& request);
  Verdict<IntentRecorded> append_intent(const IntentRow& row, LintedTbs tbs, OrderClaim& claim);
  Verdict<std::uint64_t> record_issued(const IntentRecorded& intent,
                                       const VerifiedCertificate& certificate, OrderClaim& claim);
  Verdict<IntentRecorded> record_intent(CheckedRequest& request, LintedTbs tbs, OrderClaim& claim);
  Verdict<VerifiedCertificate> sign(const IntentRecorded& intent);
  Verdict<wire::CertificateIssueReply> conclude(const CheckedRequest& request,
                                                const IntentRecorded& intent,
                                                const VerifiedCertificate& certificate,
                                                OrderClaim& claim);
  Verdict<wire::CertificateIssueReply> replay(const IssuedPlace& place,
                                              const wire::OrderTerms& terms) const;
  Verdict<wire::CertificateIssueReply> answer(
      const Bytes& certificate_der, std::uint64_t ledger_row, const wire::OrderTerms& terms,
      const std::optional<std::uint64_t>& star_period) const;
  void record_failure(const IntentRecorded& intent, std::string_view code);

  GateConfig config_;
  Issuer issuer_;
  Profiles profiles_;
  TicketKey ticket_key_;
  hal::SigningToken& token_;
  const Clock& clock_;
  mutable TimeGuard time_guard_;
  GrantRules grant_rules_;
  KeyCache keys_;
  Serials serials_;
  Budgets budget_;
  IssuedOrders issued_;
  std::unique_ptr<KeyLinks> links_;
  std::unique_ptr<AccountGrants> accounts_;
  CertificateIndex certificates_;
  std::unique_ptr<GrantBook> grants_;
  std::unique_ptr<AkBook> aks_;
  OperatorBook book_;
  Digest256 policy_digest_{};
  std::mutex order_mutex_;  // one operator's order at a time; before revoke_mutex_
  std::mutex revoke_mutex_;
  std::unique_ptr<Crl> crl_;
  std::unique_ptr<Ledger> ledger_;
  std::atomic<bool> key_ready_ = false;
};

// Each name was proved as the appliance's own; false for none.
bool is_own_certificate(const std::vector<Grant>& grants);

// Every device grant names an attested key, and the CSR's is it (DESIGN §2.6, D-D12):
// "attested-key-missing", "attested-key-mismatch".
Verdict<void> check_attested_keys(const Profile& profile, const std::vector<Grant>& grants,
                                  const crypto::PublicKey& csr_key);

}  // namespace keyward::issue
