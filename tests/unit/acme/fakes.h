// Owns stand-ins for the tasks that acme asks: a store in memory that keeps to the state machines,
// and validation, attestation and signer that answer as told. Must not know acme's inside. Threads:
// any.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "firmware/acme/backend.h"
#include "firmware/acme/states.h"
#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "firmware/x509/tbs.h"
#include "hal/base/clock.h"
#include "hal/base/rng.h"

namespace keyward::acme::test {

inline tl::unexpected<wire::Failure> failure(wire::FailureKind kind, std::string_view code,
                                             std::uint64_t retry_ms = 0) {
  auto out = wire::Failure::of(kind, code, std::string("fake: ") + std::string(code));
  if (retry_ms != 0) out.retry_after_ms = retry_ms;
  return tl::unexpected<wire::Failure>(out);
}

class TestClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return utc_ms_; }
  std::int64_t monotonic_ms() const override { return monotonic_ms_; }
  void advance(std::int64_t ms) {
    utc_ms_ += ms;
    monotonic_ms_ += ms;
  }

 private:
  std::atomic<std::int64_t> utc_ms_{1'795'000'000'000};
  std::atomic<std::int64_t> monotonic_ms_{1'000};
};

// Counts asked messages by name and fails those it is told to.
class Gate {
 public:
  // Every message of this name fails so, until `heal`.
  void break_message(std::string_view name, wire::Failure answer) {
    const std::lock_guard lock(mutex_);
    broken_.insert_or_assign(std::string(name), std::move(answer));
  }
  void heal(std::string_view name) {
    const std::lock_guard lock(mutex_);
    broken_.erase(std::string(name));
  }
  int count(std::string_view name) {
    const std::lock_guard lock(mutex_);
    return counts_[std::string(name)];
  }
  // False: the deadline passed before the message was asked `times` times.
  bool wait_for(std::string_view name, int times, std::int64_t ms = 10'000) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(ms),
                             [&] { return counts_[std::string(name)] >= times; });
  }

 protected:
  template <class Request>
  std::optional<wire::Failure> pass() {
    const std::lock_guard lock(mutex_);
    ++counts_[std::string(Request::kName)];
    changed_.notify_all();
    const auto at = broken_.find(std::string(Request::kName));
    if (at == broken_.end()) return std::nullopt;
    return at->second;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> counts_;
  std::map<std::string, wire::Failure> broken_;
};

#define KEYWARD_FAKE_PASS(Request) \
  if (auto broken = pass<Request>()) return tl::unexpected<wire::Failure>(*broken)

class FakeStore final : public StoreBackend, public Gate {
 public:
  explicit FakeStore(const Clock& clock) : clock_(clock) {}
  using StoreBackend::ask;

  Answer<wire::AccountPutReply> ask(const wire::AccountPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountPut);
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : accounts_) {
      if (record.thumbprint == m.account.thumbprint) return wire::AccountPutReply{record, false};
    }
    accounts_[m.account.id] = m.account;
    return wire::AccountPutReply{m.account, true};
  }
  Answer<wire::AccountGetReply> ask(const wire::AccountGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountGet);
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : accounts_) {
      if (!m.id && id == hidden_) continue;
      if (m.id ? id == *m.id : record.thumbprint == *m.thumbprint)
        return wire::AccountGetReply{record};
    }
    return wire::AccountGetReply{};
  }
  Answer<wire::AccountUpdateReply> ask(const wire::AccountUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountUpdate);
    const std::lock_guard lock(mutex_);
    const auto at = accounts_.find(m.id);
    if (at == accounts_.end()) return wire::AccountUpdateReply{};
    if (m.contacts) at->second.contacts = *m.contacts;
    if (m.status) at->second.status = *m.status;
    if (m.terms_url) {
      at->second.terms_url = *m.terms_url;
      at->second.terms_agreed = true;
    }
    return wire::AccountUpdateReply{at->second};
  }
  Answer<wire::AccountRekeyReply> ask(const wire::AccountRekey& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountRekey);
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : accounts_) {
      if (record.thumbprint == m.thumbprint) return wire::AccountRekeyReply{false, id, record};
    }
    const auto at = accounts_.find(m.id);
    if (at == accounts_.end()) return wire::AccountRekeyReply{};
    if (at->second.thumbprint != m.expected) return wire::AccountRekeyReply{false, {}, at->second};
    at->second.earlier_keys.push_back({m.expected});
    at->second.thumbprint = m.thumbprint;
    at->second.jwk = m.jwk;
    if (m.end_orders) ended_orders_of_.push_back(m.id);
    return wire::AccountRekeyReply{true, {}, at->second};
  }
  Answer<wire::RecoveryPutReply> ask(const wire::RecoveryPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::RecoveryPut);
    const std::lock_guard lock(mutex_);
    std::size_t open = 0;
    for (const auto& [id, record] : recoveries_)
      if (record.account_id == m.recovery.account_id && !is_final(record.status)) ++open;
    if (open >= limits::kRecoveriesPerAccountMax)
      return failure(wire::FailureKind::kExhausted, "recovery-limit");
    recoveries_[m.recovery.id] = m.recovery;
    return wire::RecoveryPutReply{};
  }
  Answer<wire::RecoveryGetReply> ask(const wire::RecoveryGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::RecoveryGet);
    const std::lock_guard lock(mutex_);
    wire::RecoveryGetReply reply;
    for (const auto& [id, record] : recoveries_) {
      if (m.id ? id == *m.id : record.account_id == *m.account_id && !is_final(record.status))
        reply.recoveries.push_back(record);
    }
    return reply;
  }
  Answer<wire::RecoveryUpdateReply> ask(const wire::RecoveryUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::RecoveryUpdate);
    const std::lock_guard lock(mutex_);
    const auto at = recoveries_.find(m.id);
    if (at == recoveries_.end()) return wire::RecoveryUpdateReply{};
    if (at->second.status != m.expected) return wire::RecoveryUpdateReply{false, at->second};
    if (!may_change(m.expected, m.status))
      return failure(wire::FailureKind::kRefused, "edge-not-allowed");
    at->second.status = m.status;
    if (m.ready_at_ms) at->second.ready_at_ms = *m.ready_at_ms;
    if (m.error_json) at->second.error_json = m.error_json;
    return wire::RecoveryUpdateReply{true, at->second};
  }
  Answer<wire::MailPutReply> ask(const wire::MailPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::MailPut);
    const std::lock_guard lock(mutex_);
    mails_[m.mail.id] = m.mail;
    return wire::MailPutReply{};
  }
  Answer<wire::MailTakeReply> ask(const wire::MailTake&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::MailTake);
    const std::lock_guard lock(mutex_);
    wire::MailTakeReply reply;
    for (const auto& [id, mail] : mails_)
      if (mail.due_at_ms <= clock_.utc_ms() && reply.mails.size() < 16) reply.mails.push_back(mail);
    return reply;
  }
  Answer<wire::MailDoneReply> ask(const wire::MailDone& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::MailDone);
    const std::lock_guard lock(mutex_);
    if (!m.again_at_ms) {
      mails_.erase(m.id);
    } else if (const auto at = mails_.find(m.id); at != mails_.end()) {
      at->second.due_at_ms = *m.again_at_ms;
      ++at->second.attempts;
    }
    return wire::MailDoneReply{};
  }
  Answer<wire::OrderPutReply> ask(const wire::OrderPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderPut);
    const std::lock_guard lock(mutex_);
    orders_[m.order.ticket] = m.order;
    sequence_.push_back(m.order.ticket);
    for (const auto& authz : m.authorizations) {
      authzs_[authz.id] = authz;
      authz_ids_[m.order.ticket].push_back(authz.id);
    }
    for (const auto& id : m.reused_ids) authz_ids_[m.order.ticket].push_back(id);
    return wire::OrderPutReply{};
  }
  Answer<wire::AuthzPutReply> ask(const wire::AuthzPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzPut);
    const std::lock_guard lock(mutex_);
    authzs_[m.authz.id] = m.authz;
    return wire::AuthzPutReply{};
  }
  Answer<wire::AuthzFindReply> ask(const wire::AuthzFind& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzFind);
    const std::lock_guard lock(mutex_);
    wire::AuthzFindReply reply;
    for (const auto& wanted : m.identifiers) {
      for (const auto& [id, authz] : authzs_) {
        if (authz.account_id != m.account_id || !authz.ticket.empty()) continue;
        if (at_time(authz.status, authz.expires_at_ms, clock_.utc_ms()) != AuthzStatus::kValid)
          continue;
        if (authz.identifier != identifier::without_wildcard(wanted)) continue;
        if (authz.wildcard != identifier::is_wildcard(wanted)) continue;
        reply.authorizations.push_back(authz);
        break;
      }
    }
    return reply;
  }
  Answer<wire::OrderGetReply> ask(const wire::OrderGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderGet);
    const std::lock_guard lock(mutex_);
    const auto at = orders_.find(m.ticket);
    if (at == orders_.end() || at->second.account_id != m.account_id) return wire::OrderGetReply{};
    if (m.ticket == lost_order_) return wire::OrderGetReply{};
    return wire::OrderGetReply{at->second, authz_ids_[m.ticket]};
  }
  Answer<wire::OrderListReply> ask(const wire::OrderList& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderList);
    const std::lock_guard lock(mutex_);
    wire::OrderListReply reply;
    std::size_t after = m.cursor ? std::stoul(*m.cursor) : 0;
    for (; after < sequence_.size(); ++after) {
      const auto& order = orders_[sequence_[after]];
      if (order.account_id != m.account_id || order.status == OrderStatus::kInvalid) continue;
      if (reply.tickets.size() == limits::kOrdersPageMax) {
        reply.next = std::to_string(after);
        return reply;
      }
      reply.tickets.push_back(order.ticket);
    }
    return reply;
  }
  Answer<wire::OrderUpdateReply> ask(const wire::OrderUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderUpdate);
    const std::lock_guard lock(mutex_);
    auto& order = orders_.at(m.ticket);
    if (order.status != m.expected) return wire::OrderUpdateReply{false, order};
    const bool renews = m.expected == OrderStatus::kValid && m.status == OrderStatus::kValid &&
                        order.star_next_at_ms && m.certificate;
    if (!renews && !may_change(m.expected, m.status))
      return failure(wire::FailureKind::kRefused, "edge-not-allowed");
    order.status = m.status;
    order.finalize = m.finalize;
    order.error_json = m.error_json;
    if (m.certificate) {
      order.star_next_at_ms = m.star_next_at_ms;
      certificates_[m.certificate->id] = *m.certificate;
      order.certificate_id = m.certificate->id;
    }
    return wire::OrderUpdateReply{true, order};
  }
  Answer<wire::AuthzGetReply> ask(const wire::AuthzGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzGet);
    const std::lock_guard lock(mutex_);
    const auto at = authzs_.find(m.id);
    if (at == authzs_.end() || at->second.account_id != m.account_id) return wire::AuthzGetReply{};
    return wire::AuthzGetReply{at->second};
  }
  Answer<wire::AuthzUpdateReply> ask(const wire::AuthzUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzUpdate);
    const std::lock_guard lock(mutex_);
    const auto at = authzs_.find(m.id);
    if (at == authzs_.end() || at->second.account_id != m.account_id)
      return wire::AuthzUpdateReply{};
    if (!may_change(at->second.status, m.status))
      return failure(wire::FailureKind::kRefused, "edge-not-allowed");
    at->second.status = m.status;
    settle(m.id);
    return wire::AuthzUpdateReply{at->second};
  }
  Answer<wire::ChallengeUpdateReply> ask(const wire::ChallengeUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::ChallengeUpdate);
    const std::lock_guard lock(mutex_);
    for (auto& [id, authz] : authzs_) {
      for (auto& challenge : authz.challenges) {
        if (challenge.id != m.id) continue;
        if (challenge.status != m.expected) return wire::ChallengeUpdateReply{false, authz};
        challenge.status = m.status;
        challenge.validated_at_ms = m.validated_at_ms;
        challenge.error_json = m.error_json;
        challenge.answer = m.answer;
        authz.status = authz_after(authz.status, m.status);
        if (m.authz_expires_at_ms) authz.expires_at_ms = *m.authz_expires_at_ms;
        settle(id);
        return wire::ChallengeUpdateReply{true, authz};
      }
    }
    return wire::ChallengeUpdateReply{};
  }
  Answer<wire::CertificateGetReply> ask(const wire::CertificateGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateGet);
    const std::lock_guard lock(mutex_);
    if (m.ticket) return certificate_of_order(*m.ticket, m.account_id);
    const auto at = certificates_.find(m.id);
    if (at == certificates_.end() || at->second.account_id != m.account_id)
      return wire::CertificateGetReply{};
    return wire::CertificateGetReply{at->second};
  }
  Answer<wire::CertificateFindReply> ask(const wire::CertificateFind& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateFind);
    const std::lock_guard lock(mutex_);
    for (const auto& [id, certificate] : certificates_)
      if (certificate.serial == m.serial) return wire::CertificateFindReply{certificate};
    return wire::CertificateFindReply{};
  }
  Answer<wire::CertificateMarkReply> ask(const wire::CertificateMark& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateMark);
    const std::lock_guard lock(mutex_);
    for (auto& [id, certificate] : certificates_) {
      if (certificate.serial != m.serial || certificate.revoked_at_ms) continue;
      certificate.revoked_at_ms = m.revoked_at_ms;
      certificate.revocation_reason = m.reason;
      return wire::CertificateMarkReply{true};
    }
    return wire::CertificateMarkReply{};
  }
  Answer<wire::WorkListReply> ask(const wire::WorkList&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::WorkList);
    const std::lock_guard lock(mutex_);
    wire::WorkListReply reply;
    for (const auto& [ticket, order] : orders_) {
      if (order.status == OrderStatus::kProcessing)
        reply.orders.push_back({ticket, order.account_id});
      if (order.status == OrderStatus::kValid && order.star_next_at_ms &&
          *order.star_next_at_ms <= clock_.utc_ms())
        reply.renewals.push_back({ticket, order.account_id});
    }
    for (const auto& [id, authz] : authzs_) {
      for (const auto& c : authz.challenges) {
        if (c.status == ChallengeStatus::kProcessing)
          reply.challenges.push_back({c.id, id, authz.account_id});
      }
    }
    return reply;
  }

  wire::OrderRecord order(const std::string& ticket) {
    const std::lock_guard lock(mutex_);
    return orders_.at(ticket);
  }
  void change_account(const std::string& id,
                      const std::function<void(wire::AccountRecord&)>& change) {
    const std::lock_guard lock(mutex_);
    change(accounts_.at(id));
  }
  void change_certificate(const Bytes& serial,
                          const std::function<void(wire::CertificateRecord&)>& change) {
    const std::lock_guard lock(mutex_);
    for (auto& [id, certificate] : certificates_)
      if (certificate.serial == serial) change(certificate);
  }
  void change_order(const std::string& ticket,
                    const std::function<void(wire::OrderRecord&)>& change) {
    const std::lock_guard lock(mutex_);
    change(orders_.at(ticket));
  }
  std::size_t orders() {
    const std::lock_guard lock(mutex_);
    return orders_.size();
  }
  wire::AccountRecord account(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return accounts_.at(id);
  }
  // As if it were deleted; what belongs to it stays.
  void lose_order(const std::string& ticket) {
    const std::lock_guard lock(mutex_);
    lost_order_ = ticket;
  }
  // Not found by its key until it is looked for by its id: as if it were made just afterwards.
  void hide_from_search(const std::string& id) {
    const std::lock_guard lock(mutex_);
    hidden_ = id;
  }
  std::size_t accounts() {
    const std::lock_guard lock(mutex_);
    return accounts_.size();
  }
  void keep_certificate(const wire::CertificateRecord& record) {
    const std::lock_guard lock(mutex_);
    certificates_[record.id] = record;
  }
  std::map<std::string, wire::RecoveryRecord> recoveries() {
    const std::lock_guard lock(mutex_);
    return recoveries_;
  }
  std::map<std::string, wire::MailRecord> mails() {
    const std::lock_guard lock(mutex_);
    return mails_;
  }
  bool ended_orders_of(const std::string& account_id) {
    const std::lock_guard lock(mutex_);
    return std::count(ended_orders_of_.begin(), ended_orders_of_.end(), account_id) > 0;
  }
  wire::AuthzRecord authz(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return authzs_.at(id);
  }
  void change_authz(const std::string& id, const std::function<void(wire::AuthzRecord&)>& change) {
    const std::lock_guard lock(mutex_);
    change(authzs_.at(id));
  }
  std::size_t authorizations() {
    const std::lock_guard lock(mutex_);
    return authzs_.size();
  }

 private:
  // What one authorization's new status means for every order that relies on it.
  wire::CertificateGetReply certificate_of_order(const std::string& ticket,
                                                 const std::string& account_id) {
    const auto at = orders_.find(ticket);
    if (at == orders_.end()) return {};
    const auto& order = at->second;
    const auto terms = wire::decode_body<wire::OrderTerms>(order.terms);
    const bool mine =
        account_id.empty() ? order.certificate_get.value_or(false) : order.account_id == account_id;
    if (!mine || !terms || !terms->star || !order.certificate_id) return {};
    return {certificates_.at(*order.certificate_id), order.status, terms->star->end_ms};
  }
  void settle(const std::string& authz_id) {
    for (auto& [ticket, order] : orders_) {
      const auto& ids = authz_ids_[ticket];
      if (std::find(ids.begin(), ids.end(), authz_id) == ids.end()) continue;
      std::vector<AuthzStatus> statuses;
      for (const auto& id : ids) statuses.push_back(authzs_.at(id).status);
      order.status = order_after(order.status, statuses);
    }
  }
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, wire::AccountRecord> accounts_;
  std::map<std::string, wire::OrderRecord> orders_;
  std::vector<std::string> sequence_;
  std::map<std::string, std::vector<std::string>> authz_ids_;
  std::map<std::string, wire::AuthzRecord> authzs_;
  std::map<std::string, wire::CertificateRecord> certificates_;
  std::map<std::string, wire::RecoveryRecord> recoveries_;
  std::map<std::string, wire::MailRecord> mails_;
  std::vector<std::string> ended_orders_of_;
  std::string hidden_;
  std::string lost_order_;
};

class FakeValidation final : public ValidationBackend, public Gate {
 public:
  using ValidationBackend::ask;
  Answer<wire::NameTokenMintReply> ask(const wire::NameTokenMint& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::NameTokenMint);
    const std::lock_guard lock(mutex_);
    if (switched_off_.contains(m.method))
      return failure(wire::FailureKind::kRefused, "method-unsupported");
    minted_.push_back(m);
    return wire::NameTokenMintReply{random_id(32)};
  }
  Answer<wire::NameValidateReply> ask(const wire::NameValidate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::NameValidate);
    std::unique_lock lock(mutex_);
    last_ = m;
    open_.wait(lock, [this] { return !held_; });
    const auto problem = problem_;
    if (problem_ && failing_looks_ > 0 && --failing_looks_ == 0) problem_.reset();
    return wire::NameValidateReply{problem, 1'795'000'000'500, grant_expires_at_ms};
  }
  Answer<wire::UrlFetchReply> ask(const wire::UrlFetch& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::UrlFetch);
    const std::lock_guard lock(mutex_);
    fetched_ = m.url;
    return wire::UrlFetchReply{fetch_problem, to_bytes("what stands there")};
  }
  Answer<wire::ApplianceGrantReply> ask(const wire::ApplianceGrant& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::ApplianceGrant);
    const std::lock_guard lock(mutex_);
    names_ = m.names;
    return wire::ApplianceGrantReply{};
  }
  Answer<wire::VerifierRelayReply> ask(const wire::VerifierRelay& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::VerifierRelay);
    std::unique_lock lock(mutex_);
    relayed_ = m;
    open_.wait(lock, [this] { return !held_; });
    const auto problem = relay_problem_;
    if (relay_problem_ && failing_relays_ > 0 && --failing_relays_ == 0) relay_problem_.reset();
    return wire::VerifierRelayReply{problem, to_bytes("what the verifier says")};
  }
  // `times`: so many relays fail, later ones do not; 0: all of them.
  void answer_relay(std::optional<wire::ChallengeProblem> problem, int times = 0) {
    const std::lock_guard lock(mutex_);
    relay_problem_ = std::move(problem);
    failing_relays_ = times;
  }
  wire::VerifierRelay relayed() {
    const std::lock_guard lock(mutex_);
    return relayed_;
  }
  Answer<wire::MailSendReply> ask(const wire::MailSend& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::MailSend);
    const std::lock_guard lock(mutex_);
    if (mail_problem_) return wire::MailSendReply{mail_problem_, true};
    sent_.push_back(m);
    return wire::MailSendReply{};
  }
  void answer_mails(std::optional<wire::ChallengeProblem> problem) {
    const std::lock_guard lock(mutex_);
    mail_problem_ = std::move(problem);
  }
  std::vector<wire::MailSend> sent() {
    const std::lock_guard lock(mutex_);
    return sent_;
  }
  // `looks`: so many of them fail, later ones do not; 0: all of them.
  void answer(std::optional<wire::ChallengeProblem> problem, int looks = 0) {
    const std::lock_guard lock(mutex_);
    problem_ = std::move(problem);
    failing_looks_ = looks;
  }
  void switch_off(wire::ValidationMethod method) {
    const std::lock_guard lock(mutex_);
    switched_off_.insert(method);
  }
  std::vector<wire::NameTokenMint> minted() {
    const std::lock_guard lock(mutex_);
    return minted_;
  }
  std::string fetched_url() {
    const std::lock_guard lock(mutex_);
    return fetched_;
  }
  std::atomic<std::int64_t> grant_expires_at_ms{1'795'000'900'000};
  std::optional<wire::ChallengeProblem> fetch_problem;  // to be set before it is asked
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    open_.notify_all();
  }
  wire::NameValidate last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  std::vector<wire::Identifier> names() {
    const std::lock_guard lock(mutex_);
    return names_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable open_;
  bool held_ = false;
  std::optional<wire::ChallengeProblem> problem_;
  int failing_looks_ = 0;
  std::set<wire::ValidationMethod> switched_off_;
  std::vector<wire::NameTokenMint> minted_;
  std::string fetched_;
  wire::NameValidate last_;
  std::vector<wire::Identifier> names_;
  wire::VerifierRelay relayed_;
  std::optional<wire::ChallengeProblem> relay_problem_;
  int failing_relays_ = 0;
  std::optional<wire::ChallengeProblem> mail_problem_;
  std::vector<wire::MailSend> sent_;
};

class FakeAttestation final : public AttestationBackend, public Gate {
 public:
  using AttestationBackend::ask;
  Answer<wire::EabVerifyReply> ask(const wire::EabVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::EabVerify);
    const std::lock_guard lock(mutex_);
    last_binding_ = m;
    return binding_reply_;
  }
  void answer_binding(wire::EabVerifyReply reply) {
    const std::lock_guard lock(mutex_);
    binding_reply_ = std::move(reply);
  }
  wire::EabVerify last_binding() {
    const std::lock_guard lock(mutex_);
    return last_binding_;
  }
  Answer<wire::DeviceTokenMintReply> ask(const wire::DeviceTokenMint& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::DeviceTokenMint);
    const std::lock_guard lock(mutex_);
    if (m.identifier.value == unserved_hint)
      return failure(wire::FailureKind::kRefused, "hint-not-served");
    minted_.push_back(m);
    wire::DeviceTokenMintReply reply{random_id(32)};
    if (m.method != wire::ValidationMethod::kRemoteAttest01) return reply;
    reply.claims_hint = claims_hint;
    if (!evidence_kid.empty()) reply.evidence_kid = evidence_kid;
    return reply;
  }
  std::string unserved_hint = "unserved";  // these to be set before it is asked
  std::vector<std::string> claims_hint;
  std::string evidence_kid;
  Answer<wire::EvidenceKeyGetReply> ask(const wire::EvidenceKeyGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::EvidenceKeyGet);
    if (m.kid != evidence_kid) return wire::EvidenceKeyGetReply{};
    return wire::EvidenceKeyGetReply{R"({"kty":"EC","kid":")" + m.kid + "\"}"};
  }
  // A relay is wanted until its result comes, where `remote_relay` names one.
  Answer<wire::RemoteVerifyReply> ask(const wire::RemoteVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::RemoteVerify);
    const std::lock_guard lock(mutex_);
    remote_ = m;
    wire::RemoteVerifyReply reply;
    if (!remote_relay.empty() && (!m.relayed || relay_again)) {
      reply.relay = wire::RelayOrder{remote_relay, m.token, "application/eat+cwt", Bytes{1, 2, 3}};
      return reply;
    }
    reply.problem = problem_;
    reply.validated_at_ms = 1'795'000'000'500;
    reply.grant_expires_at_ms = 1'795'000'900'000;
    return reply;
  }
  std::string remote_relay;  // to be set before it is asked
  bool relay_again = false;
  wire::RemoteVerify remote() {
    const std::lock_guard lock(mutex_);
    return remote_;
  }
  Answer<wire::DeviceVerifyReply> ask(const wire::DeviceVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::DeviceVerify);
    const std::lock_guard lock(mutex_);
    last_ = m;
    return wire::DeviceVerifyReply{problem_, 1'795'000'000'500, 1'795'000'900'000};
  }
  Answer<wire::AuthorityVerifyReply> ask(const wire::AuthorityVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthorityVerify);
    const std::lock_guard lock(mutex_);
    authority_ = m;
    wire::AuthorityVerifyReply reply{problem_, std::nullopt, 1'795'000'000'500, 1'795'000'900'000};
    if (!fetch_url.empty() && (!m.fetched || fetch_again)) reply.fetch_url = fetch_url;
    return reply;
  }
  Answer<wire::AkBeginReply> ask(const wire::AkBegin& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AkBegin);
    const std::lock_guard lock(mutex_);
    ak_begin_ = m;
    return wire::AkBeginReply{problem_, R"({"session":"c2Vzc2lvbg"})"};
  }
  Answer<wire::AkActivateReply> ask(const wire::AkActivate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AkActivate);
    const std::lock_guard lock(mutex_);
    ak_activate_ = m;
    return wire::AkActivateReply{problem_, 1'795'000'900'000};
  }
  wire::AkBegin ak_begin() {
    const std::lock_guard lock(mutex_);
    return ak_begin_;
  }
  wire::AkActivate ak_activate() {
    const std::lock_guard lock(mutex_);
    return ak_activate_;
  }
  std::string fetch_url;     // to be set before it is asked; empty: nothing is to be fetched
  bool fetch_again = false;  // wants it even with what was fetched
  wire::AuthorityVerify authority() {
    const std::lock_guard lock(mutex_);
    return authority_;
  }
  std::vector<wire::DeviceTokenMint> minted() {
    const std::lock_guard lock(mutex_);
    return minted_;
  }
  void answer(std::optional<wire::ChallengeProblem> problem) {
    const std::lock_guard lock(mutex_);
    problem_ = std::move(problem);
  }
  wire::DeviceVerify last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;
  std::optional<wire::ChallengeProblem> problem_;
  wire::EabVerify last_binding_;
  wire::EabVerifyReply binding_reply_;
  wire::DeviceVerify last_;
  wire::AuthorityVerify authority_;
  wire::AkBegin ak_begin_;
  wire::AkActivate ak_activate_;
  wire::RemoteVerify remote_;
  std::vector<wire::DeviceTokenMint> minted_;
};

// Mints tickets and makes real certificates with a software key; checks nothing, as the real one
// does.
class FakeSigner final : public SignerBackend, public Gate {
 public:
  explicit FakeSigner(const Clock& clock) : clock_(clock) {}
  using SignerBackend::ask;

  Answer<wire::TicketMintReply> ask(const wire::TicketMint& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::TicketMint);
    const auto payload = base64url_decode(m.jws.payload_b64);
    const auto document = json::Document::parse(text_of(*payload));
    wire::OrderTerms terms;
    for (const auto& item : document->root().get("identifiers").items()) {
      const auto type = identifier::type_from(item.get("type").string());
      if (!type) return failure(wire::FailureKind::kRefused, "identifier-unsupported");
      auto value = item.get("value").string();
      const bool wildcard = value.starts_with("*.");
      auto canonical = identifier::canonical(*type, value);
      if (!canonical) return failure(wire::FailureKind::kBadInput, "identifier-malformed");
      static_cast<void>(wildcard);
      terms.identifiers.push_back(*canonical);
    }
    if (const auto star = document->root().get("auto-renewal"); star.exists())
      terms.star = wire::StarTerms{0, clock_.utc_ms() + star.get("lifetime").integer() * 10'000,
                                   star.get("lifetime").integer() * 1'000, 0,
                                   star.get("allow-certificate-get").boolean()};
    const auto profile = document->root().get("profile").string();
    terms.profile = profile.empty() ? "server" : std::string(profile);
    const auto header = jose::parse_protected(m.jws.protected_b64);
    const auto at = header->url.find("/acme/t/");
    if (at != std::string::npos && !blind_to_tenants) {
      const auto rest = header->url.substr(at + 8);
      terms.tenant = rest.substr(0, rest.find('/'));
    }
    return wire::TicketMintReply{random_id(56), clock_.utc_ms() + limits::kOrderLifetimeMs,
                                 wire::encode_body(terms)};
  }
  Answer<wire::CertificateIssueReply> ask(const wire::CertificateIssue& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateIssue);
    const std::lock_guard lock(mutex_);
    const auto known = made_.find(m.jws.payload_b64);
    const bool due = known != made_.end() && known->second.star_next_at_ms &&
                     *known->second.star_next_at_ms <= clock_.utc_ms();
    if (known != made_.end() && !due) {
      auto again = known->second;
      again.replayed = true;
      return again;
    }
    const auto payload = base64url_decode(m.jws.payload_b64);
    const auto document = json::Document::parse(text_of(*payload));
    const auto csr = x509::parse_csr(*base64url_decode(document->root().get("csr").string()));
    if (!csr) return failure(wire::FailureKind::kBadInput, "csr-malformed");
    const auto terms = wire::decode_body<wire::OrderTerms>(m.terms);
    ++signatures_;
    if (terms->star) life_ms = terms->star->lifetime_ms;
    auto made = make(csr->key.spki_der(), terms->identifiers);
    if (terms->star && made.not_after_ms < terms->star->end_ms)
      made.star_next_at_ms = made.not_before_ms + life_ms / 2;
    made_[m.jws.payload_b64] = made;
    return made;
  }
  bool blind_to_tenants = false;  // to be set before it is asked
  // One certificate for each session, whatever stands in it.
  Answer<wire::AkIssueReply> ask(const wire::AkIssue& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AkIssue);
    const std::lock_guard lock(mutex_);
    ak_issue_ = m;
    auto& made = ak_made_[m.jws.payload_b64];
    if (made.empty())
      made = certificate(key_.public_key().spki_der(), x509::name_der({{"2.5.4.3", "an AK"}}), {});
    return wire::AkIssueReply{{0x11}, {made, issuer_}, clock_.utc_ms() + life_ms, false};
  }
  wire::AkIssue ak_issue() {
    const std::lock_guard lock(mutex_);
    return ak_issue_;
  }
  // Parts of limits::kCrlPartBytesMax, as the real one gives them; `crl_replaced` more lists come
  // into force, each while the first part of the one before is under way.
  Answer<wire::CrlGetReply> ask(const wire::CrlGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CrlGet);
    const std::lock_guard lock(mutex_);
    if (m.list && !crl_names.contains(*m.list))
      return failure(wire::FailureKind::kRefused, "crl-not-offered");
    if (m.number && *m.number != crl.number)
      return failure(wire::FailureKind::kRefused, "crl-replaced");
    auto reply = crl;
    const auto rest = ByteView(crl_der).subspan(m.offset);
    reply.part = to_bytes(rest.first(std::min(rest.size(), limits::kCrlPartBytesMax)));
    if (!m.number && crl_replaced > 0) {
      --crl_replaced;
      ++crl.number;
    }
    return reply;
  }
  Answer<wire::OcspGetReply> ask(const wire::OcspGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OcspGet);
    const std::lock_guard lock(mutex_);
    ocsp_asked = m.request;
    if (!ocsp) return failure(wire::FailureKind::kRefused, "ocsp-not-offered");
    return *ocsp;
  }
  std::optional<wire::OcspGetReply> ocsp;  // to be set before it is asked
  Bytes ocsp_asked;
  wire::CrlGetReply crl;  // these to be set before it is asked; without `part`
  Bytes crl_der;
  int crl_replaced = 0;
  std::set<std::string> crl_names;  // lists beside the whole one
  Answer<wire::IssuerGetReply> ask(const wire::IssuerGet&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::IssuerGet);
    const std::lock_guard lock(mutex_);
    wire::IssuerGetReply reply;
    reply.chain = {issuer_};
    for (const auto& other : cross_) reply.alternates.push_back({{other, issuer_}});
    reply.external_account_required = external_account_required_;
    reply.profiles = profiles_;
    return reply;
  }
  Answer<wire::GrantWithdrawReply> ask(const wire::GrantWithdraw& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::GrantWithdraw);
    const std::lock_guard lock(mutex_);
    withdrawn_ = m;
    return wire::GrantWithdrawReply{};
  }
  Answer<wire::PossessionMintReply> ask(const wire::PossessionMint& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::PossessionMint);
    return wire::PossessionMintReply{"possession-token-" + m.identifier.value};
  }
  Answer<wire::PossessionVerifyReply> ask(const wire::PossessionVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::PossessionVerify);
    const std::lock_guard lock(mutex_);
    possession_ = m;
    return wire::PossessionVerifyReply{possession_problem, 1'795'000'000'500, 1'795'000'900'000};
  }
  std::optional<wire::ChallengeProblem> possession_problem;  // to be set before it is asked
  wire::GrantWithdraw withdrawn() {
    const std::lock_guard lock(mutex_);
    return withdrawn_;
  }
  wire::PossessionVerify possession() {
    const std::lock_guard lock(mutex_);
    return possession_;
  }
  void set_profiles(std::vector<wire::ProfileInfo> profiles) {
    const std::lock_guard lock(mutex_);
    profiles_ = std::move(profiles);
  }
  // Believes the inner header: what is wrong with it acme has refused before.
  Answer<wire::KeyChangeReply> ask(const wire::KeyChange& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::KeyChange);
    const std::lock_guard lock(mutex_);
    last_key_change_ = m;
    const auto payload = base64url_decode(m.jws.payload_b64);
    const auto inner = jose::FlattenedJws::parse(text_of(*payload));
    if (lies_) return wire::KeyChangeReply{};
    return wire::KeyChangeReply{jose::parse_protected(inner->protected_b64)->jwk->thumbprint()};
  }
  Bytes certificate_of(const crypto::PublicKey& key) {
    const std::lock_guard lock(mutex_);
    return certificate(key.spki_der(), x509::name_der({{"2.5.4.3", "a device"}}), {});
  }
  void lie_about_key_change() {
    const std::lock_guard lock(mutex_);
    lies_ = true;
  }
  wire::KeyChange last_key_change() {
    const std::lock_guard lock(mutex_);
    return last_key_change_;
  }
  void require_external_account() {
    const std::lock_guard lock(mutex_);
    external_account_required_ = true;
  }
  int signatures() {
    const std::lock_guard lock(mutex_);
    return signatures_;
  }
  // One more certificate of the same CA key, as another root would give.
  void add_alternate() {
    const std::lock_guard lock(mutex_);
    cross_.push_back(self_signed("fake CA"));
  }
  wire::CertificateRevoke last_revoke() {
    const std::lock_guard lock(mutex_);
    return last_revoke_;
  }
  Answer<wire::CertificateRevokeReply> ask(const wire::CertificateRevoke& m,
                                           std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateRevoke);
    const std::lock_guard lock(mutex_);
    last_revoke_ = m;
    const auto document = json::Document::parse(text_of(*base64url_decode(m.jws.payload_b64)));
    const auto leaf =
        x509::parse_certificate(*base64url_decode(document->root().get("certificate").string()));
    if (!leaf) return failure(wire::FailureKind::kBadInput, "payload-malformed");
    if (!revoked_.insert(leaf->serial).second)
      return failure(wire::FailureKind::kRefused, "revocation-already");
    return wire::CertificateRevokeReply{leaf->serial, clock_.utc_ms(), std::nullopt};
  }
  Answer<wire::OrderCancelReply> ask(const wire::OrderCancel&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderCancel);
    return wire::OrderCancelReply{};
  }
  void change_issuer() {
    const std::lock_guard lock(mutex_);
    issuer_ = self_signed("other CA");
  }
  std::int64_t life_ms = 90LL * 24 * 3'600'000;

 private:
  Bytes self_signed(std::string_view name) {
    return certificate(key_.public_key().spki_der(),
                       x509::name_der({{"2.5.4.3", std::string(name)}}),
                       {x509::ext_basic_constraints(true, 0)});
  }
  Bytes certificate(ByteView spki, Bytes subject, std::vector<Bytes> extensions) {
    x509::TbsSpec spec;
    spec.serial = random_bytes(16);
    spec.serial[0] = 0x11;
    spec.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
    spec.issuer_name_der = x509::name_der({{"2.5.4.3", "fake CA"}});
    spec.subject_name_der = std::move(subject);
    spec.not_before_ms = clock_.utc_ms() / 1000 * 1000;
    spec.not_after_ms = spec.not_before_ms + life_ms;
    spec.spki_der = to_bytes(spki);
    spec.extensions = std::move(extensions);
    const Bytes tbs = x509::build_tbs(spec);
    const auto signature =
        key_.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, tbs);
    return x509::join_certificate(tbs, spec.signature_algorithm, *signature);
  }
  wire::CertificateIssueReply make(ByteView spki, const std::vector<wire::Identifier>& names) {
    wire::CertificateIssueReply reply;
    reply.not_before_ms = clock_.utc_ms();
    reply.not_after_ms = reply.not_before_ms + life_ms;
    reply.chain = {
        certificate(
            spki, x509::name_der({}),
            {*x509::ext_subject_alt_name(names, true),
             x509::ext_authority_key_id(ByteView(key_.public_key().spki_sha256()).first(20))}),
        issuer_};
    reply.serial = x509::parse_certificate(reply.chain[0])->serial;
    return reply;
  }
  const Clock& clock_;
  std::mutex mutex_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  Bytes issuer_ = self_signed("fake CA");
  std::map<std::string, wire::CertificateIssueReply> made_;
  wire::GrantWithdraw withdrawn_;
  wire::PossessionVerify possession_;
  std::vector<wire::ProfileInfo> profiles_ = {
      {"device", "an attested device", {"permanent-identifier"}, {"device-attest-01"}, {}, {}},
      {"server",
       "a server",
       {"dns", "ip", "permanent-identifier"},
       {"http-01", "device-attest-01"},
       {},
       {}}};
  wire::AkIssue ak_issue_;
  std::map<std::string, Bytes> ak_made_;
  int signatures_ = 0;
  std::vector<Bytes> cross_;
  std::set<Bytes> revoked_;
  wire::CertificateRevoke last_revoke_;
  bool external_account_required_ = false;
  wire::KeyChange last_key_change_;
  bool lies_ = false;
};

#undef KEYWARD_FAKE_PASS

}  // namespace keyward::acme::test
