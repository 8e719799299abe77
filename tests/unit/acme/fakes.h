// Owns stand-ins for the tasks that acme asks: a store in memory that keeps to the state machines,
// and validation, attestation and signer that answer as told. Must not know acme's inside. Threads:
// any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>

#include "firmware/acme/backend.h"
#include "firmware/acme/states.h"
#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/wire/messages/order_terms.h"
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
  std::int64_t utc_ms() const override { return x_utc_ms; }
  std::int64_t monotonic_ms() const override { return x_monotonic_ms; }
  void advance(std::int64_t ms) {
    x_utc_ms += ms;
    x_monotonic_ms += ms;
  }

 private:
  std::atomic<std::int64_t> x_utc_ms{1'795'000'000'000};
  std::atomic<std::int64_t> x_monotonic_ms{1'000};
};

// Counts asked messages by name and fails those it is told to.
class Gate {
 public:
  // Every message of this name fails so, until `heal`.
  void break_message(std::string_view name, wire::Failure answer) {
    const std::lock_guard lock(x_mutex);
    x_broken.insert_or_assign(std::string(name), std::move(answer));
  }
  void heal(std::string_view name) {
    const std::lock_guard lock(x_mutex);
    x_broken.erase(std::string(name));
  }
  int count(std::string_view name) {
    const std::lock_guard lock(x_mutex);
    return x_counts[std::string(name)];
  }
  // False: the deadline passed before the message was asked `times` times.
  bool wait_for(std::string_view name, int times, std::int64_t ms = 10'000) {
    std::unique_lock lock(x_mutex);
    return x_changed.wait_for(lock, std::chrono::milliseconds(ms),
                              [&] { return x_counts[std::string(name)] >= times; });
  }

 protected:
  template <class Request>
  std::optional<wire::Failure> pass() {
    const std::lock_guard lock(x_mutex);
    ++x_counts[std::string(Request::kName)];
    x_changed.notify_all();
    const auto at = x_broken.find(std::string(Request::kName));
    if (at == x_broken.end()) return std::nullopt;
    return at->second;
  }

 private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  std::map<std::string, int> x_counts;
  std::map<std::string, wire::Failure> x_broken;
};

#define KEYWARD_FAKE_PASS(Request) \
  if (auto broken = pass<Request>()) return tl::unexpected<wire::Failure>(*broken)

class FakeStore final : public StoreBackend, public Gate {
 public:
  explicit FakeStore(const Clock& clock) : x_clock(clock) {}
  using StoreBackend::ask;

  Answer<wire::AccountPutReply> ask(const wire::AccountPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountPut);
    const std::lock_guard lock(x_mutex);
    for (const auto& [id, record] : x_accounts) {
      if (record.thumbprint == m.account.thumbprint) return wire::AccountPutReply{record, false};
    }
    x_accounts[m.account.id] = m.account;
    return wire::AccountPutReply{m.account, true};
  }
  Answer<wire::AccountGetReply> ask(const wire::AccountGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountGet);
    const std::lock_guard lock(x_mutex);
    for (const auto& [id, record] : x_accounts) {
      if (m.id ? id == *m.id : record.thumbprint == *m.thumbprint)
        return wire::AccountGetReply{record};
    }
    return wire::AccountGetReply{};
  }
  Answer<wire::AccountUpdateReply> ask(const wire::AccountUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AccountUpdate);
    const std::lock_guard lock(x_mutex);
    const auto at = x_accounts.find(m.id);
    if (at == x_accounts.end()) return wire::AccountUpdateReply{};
    if (m.contacts) at->second.contacts = *m.contacts;
    if (m.status) at->second.status = *m.status;
    return wire::AccountUpdateReply{at->second};
  }
  Answer<wire::OrderPutReply> ask(const wire::OrderPut& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderPut);
    const std::lock_guard lock(x_mutex);
    x_orders[m.order.ticket] = m.order;
    x_sequence.push_back(m.order.ticket);
    for (const auto& authz : m.authorizations) {
      x_authzs[authz.id] = authz;
      x_authz_ids[m.order.ticket].push_back(authz.id);
    }
    return wire::OrderPutReply{};
  }
  Answer<wire::OrderGetReply> ask(const wire::OrderGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderGet);
    const std::lock_guard lock(x_mutex);
    const auto at = x_orders.find(m.ticket);
    if (at == x_orders.end() || at->second.account_id != m.account_id) return wire::OrderGetReply{};
    return wire::OrderGetReply{at->second, x_authz_ids[m.ticket]};
  }
  Answer<wire::OrderListReply> ask(const wire::OrderList& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::OrderList);
    const std::lock_guard lock(x_mutex);
    wire::OrderListReply reply;
    std::size_t after = m.cursor ? std::stoul(*m.cursor) : 0;
    for (; after < x_sequence.size(); ++after) {
      const auto& order = x_orders[x_sequence[after]];
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
    const std::lock_guard lock(x_mutex);
    auto& order = x_orders.at(m.ticket);
    if (order.status != m.expected) return wire::OrderUpdateReply{false, order};
    if (!may_change(m.expected, m.status))
      return failure(wire::FailureKind::kRefused, "edge-not-allowed");
    order.status = m.status;
    order.finalize = m.finalize;
    order.error_json = m.error_json;
    if (m.certificate) {
      x_certificates[m.certificate->id] = *m.certificate;
      order.certificate_id = m.certificate->id;
    }
    return wire::OrderUpdateReply{true, order};
  }
  Answer<wire::AuthzGetReply> ask(const wire::AuthzGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzGet);
    const std::lock_guard lock(x_mutex);
    const auto at = x_authzs.find(m.id);
    if (at == x_authzs.end() || at->second.account_id != m.account_id) return wire::AuthzGetReply{};
    return wire::AuthzGetReply{at->second};
  }
  Answer<wire::AuthzUpdateReply> ask(const wire::AuthzUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::AuthzUpdate);
    const std::lock_guard lock(x_mutex);
    const auto at = x_authzs.find(m.id);
    if (at == x_authzs.end() || at->second.account_id != m.account_id)
      return wire::AuthzUpdateReply{};
    if (!may_change(at->second.status, m.status))
      return failure(wire::FailureKind::kRefused, "edge-not-allowed");
    at->second.status = m.status;
    settle(at->second.ticket);
    return wire::AuthzUpdateReply{at->second};
  }
  Answer<wire::ChallengeUpdateReply> ask(const wire::ChallengeUpdate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::ChallengeUpdate);
    const std::lock_guard lock(x_mutex);
    for (auto& [id, authz] : x_authzs) {
      for (auto& challenge : authz.challenges) {
        if (challenge.id != m.id) continue;
        if (challenge.status != m.expected) return wire::ChallengeUpdateReply{false, authz};
        challenge.status = m.status;
        challenge.validated_at_ms = m.validated_at_ms;
        challenge.error_json = m.error_json;
        authz.status = authz_after(authz.status, m.status);
        settle(authz.ticket);
        return wire::ChallengeUpdateReply{true, authz};
      }
    }
    return wire::ChallengeUpdateReply{};
  }
  Answer<wire::CertificateGetReply> ask(const wire::CertificateGet& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateGet);
    const std::lock_guard lock(x_mutex);
    const auto at = x_certificates.find(m.id);
    if (at == x_certificates.end() || at->second.account_id != m.account_id)
      return wire::CertificateGetReply{};
    return wire::CertificateGetReply{at->second};
  }
  Answer<wire::WorkListReply> ask(const wire::WorkList&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::WorkList);
    const std::lock_guard lock(x_mutex);
    wire::WorkListReply reply;
    for (const auto& [ticket, order] : x_orders) {
      if (order.status == OrderStatus::kProcessing)
        reply.orders.push_back({ticket, order.account_id});
    }
    for (const auto& [id, authz] : x_authzs) {
      for (const auto& c : authz.challenges) {
        if (c.status == ChallengeStatus::kProcessing)
          reply.challenges.push_back({c.id, id, authz.account_id});
      }
    }
    return reply;
  }

  wire::OrderRecord order(const std::string& ticket) {
    const std::lock_guard lock(x_mutex);
    return x_orders.at(ticket);
  }
  void change_account(const std::string& id,
                      const std::function<void(wire::AccountRecord&)>& change) {
    const std::lock_guard lock(x_mutex);
    change(x_accounts.at(id));
  }
  void change_order(const std::string& ticket,
                    const std::function<void(wire::OrderRecord&)>& change) {
    const std::lock_guard lock(x_mutex);
    change(x_orders.at(ticket));
  }
  std::size_t orders() {
    const std::lock_guard lock(x_mutex);
    return x_orders.size();
  }

 private:
  void settle(const std::string& ticket) {
    std::vector<AuthzStatus> statuses;
    for (const auto& id : x_authz_ids[ticket]) statuses.push_back(x_authzs.at(id).status);
    auto& order = x_orders.at(ticket);
    order.status = order_after(order.status, statuses);
  }
  const Clock& x_clock;
  std::mutex x_mutex;
  std::map<std::string, wire::AccountRecord> x_accounts;
  std::map<std::string, wire::OrderRecord> x_orders;
  std::vector<std::string> x_sequence;
  std::map<std::string, std::vector<std::string>> x_authz_ids;
  std::map<std::string, wire::AuthzRecord> x_authzs;
  std::map<std::string, wire::CertificateRecord> x_certificates;
};

class FakeValidation final : public ValidationBackend, public Gate {
 public:
  using ValidationBackend::ask;
  Answer<wire::NameTokenMintReply> ask(const wire::NameTokenMint&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::NameTokenMint);
    return wire::NameTokenMintReply{random_id(32)};
  }
  Answer<wire::NameValidateReply> ask(const wire::NameValidate& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::NameValidate);
    std::unique_lock lock(x_mutex);
    x_last = m;
    x_open.wait(lock, [this] { return !x_held; });
    return wire::NameValidateReply{x_problem, 1'795'000'000'500, 1'795'000'900'000};
  }
  Answer<wire::ApplianceGrantReply> ask(const wire::ApplianceGrant& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::ApplianceGrant);
    const std::lock_guard lock(x_mutex);
    x_names = m.names;
    return wire::ApplianceGrantReply{};
  }
  void answer(std::optional<wire::ChallengeProblem> problem) {
    const std::lock_guard lock(x_mutex);
    x_problem = std::move(problem);
  }
  void hold() {
    const std::lock_guard lock(x_mutex);
    x_held = true;
  }
  void release() {
    const std::lock_guard lock(x_mutex);
    x_held = false;
    x_open.notify_all();
  }
  wire::NameValidate last() {
    const std::lock_guard lock(x_mutex);
    return x_last;
  }
  std::vector<wire::Identifier> names() {
    const std::lock_guard lock(x_mutex);
    return x_names;
  }

 private:
  std::mutex x_mutex;
  std::condition_variable x_open;
  bool x_held = false;
  std::optional<wire::ChallengeProblem> x_problem;
  wire::NameValidate x_last;
  std::vector<wire::Identifier> x_names;
};

class FakeAttestation final : public AttestationBackend, public Gate {
 public:
  using AttestationBackend::ask;
  Answer<wire::DeviceTokenMintReply> ask(const wire::DeviceTokenMint&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::DeviceTokenMint);
    return wire::DeviceTokenMintReply{random_id(32)};
  }
  Answer<wire::DeviceVerifyReply> ask(const wire::DeviceVerify& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::DeviceVerify);
    const std::lock_guard lock(x_mutex);
    x_last = m;
    return wire::DeviceVerifyReply{x_problem, 1'795'000'000'500, 1'795'000'900'000};
  }
  void answer(std::optional<wire::ChallengeProblem> problem) {
    const std::lock_guard lock(x_mutex);
    x_problem = std::move(problem);
  }
  wire::DeviceVerify last() {
    const std::lock_guard lock(x_mutex);
    return x_last;
  }

 private:
  std::mutex x_mutex;
  std::optional<wire::ChallengeProblem> x_problem;
  wire::DeviceVerify x_last;
};

// Mints tickets and makes real certificates with a software key; checks nothing, as the real one
// does.
class FakeSigner final : public SignerBackend, public Gate {
 public:
  explicit FakeSigner(const Clock& clock) : x_clock(clock) {}
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
    const auto profile = document->root().get("profile").string();
    terms.profile = profile.empty() ? "server" : std::string(profile);
    return wire::TicketMintReply{random_id(56), x_clock.utc_ms() + limits::kOrderLifetimeMs,
                                 wire::encode_body(terms)};
  }
  Answer<wire::CertificateIssueReply> ask(const wire::CertificateIssue& m, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::CertificateIssue);
    const std::lock_guard lock(x_mutex);
    const auto known = x_made.find(m.jws.payload_b64);
    if (known != x_made.end()) {
      auto again = known->second;
      again.replayed = true;
      return again;
    }
    const auto payload = base64url_decode(m.jws.payload_b64);
    const auto document = json::Document::parse(text_of(*payload));
    const auto csr = x509::parse_csr(*base64url_decode(document->root().get("csr").string()));
    if (!csr) return failure(wire::FailureKind::kBadInput, "csr-malformed");
    const auto terms = wire::decode_body<wire::OrderTerms>(m.terms);
    ++x_signatures;
    const auto made = make(csr->key.spki_der(), terms->identifiers);
    x_made[m.jws.payload_b64] = made;
    return made;
  }
  Answer<wire::IssuerGetReply> ask(const wire::IssuerGet&, std::int64_t) override {
    KEYWARD_FAKE_PASS(wire::IssuerGet);
    const std::lock_guard lock(x_mutex);
    return wire::IssuerGetReply{{x_issuer}, {"device", "server"}};
  }
  int signatures() {
    const std::lock_guard lock(x_mutex);
    return x_signatures;
  }
  void change_issuer() {
    const std::lock_guard lock(x_mutex);
    x_issuer = self_signed("other CA");
  }
  std::int64_t life_ms = 90LL * 24 * 3'600'000;

 private:
  Bytes self_signed(std::string_view name) {
    return certificate(x_key.public_key().spki_der(),
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
    spec.not_before_ms = x_clock.utc_ms() / 1000 * 1000;
    spec.not_after_ms = spec.not_before_ms + life_ms;
    spec.spki_der = to_bytes(spki);
    spec.extensions = std::move(extensions);
    const Bytes tbs = x509::build_tbs(spec);
    const auto signature =
        x_key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, tbs);
    return x509::join_certificate(tbs, spec.signature_algorithm, *signature);
  }
  wire::CertificateIssueReply make(ByteView spki, const std::vector<wire::Identifier>& names) {
    wire::CertificateIssueReply reply;
    reply.serial = random_bytes(16);
    reply.not_before_ms = x_clock.utc_ms();
    reply.not_after_ms = reply.not_before_ms + life_ms;
    reply.chain = {
        certificate(spki, x509::name_der({}), {*x509::ext_subject_alt_name(names, true)}),
        x_issuer};
    return reply;
  }
  const Clock& x_clock;
  std::mutex x_mutex;
  crypto::PrivateKey x_key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  Bytes x_issuer = self_signed("fake CA");
  std::map<std::string, wire::CertificateIssueReply> x_made;
  int x_signatures = 0;
};

#undef KEYWARD_FAKE_PASS

}  // namespace keyward::acme::test
