// Owns a store in a directory of its own and records to fill it with.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/store/store.h"

namespace keyward::store {

inline constexpr std::int64_t kNowMs = 1'790'000'000'000;
inline constexpr std::int64_t kDayMs = 24LL * 3'600'000;

class SetClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return now_ms; }
  std::int64_t monotonic_ms() const override { return now_ms; }
  std::atomic<std::int64_t> now_ms{kNowMs};
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "keyward-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline wire::AccountRecord account(const std::string& id) {
  wire::AccountRecord record;
  record.id = id;
  record.thumbprint.fill(0);
  for (std::size_t i = 0; i < id.size() && i < record.thumbprint.size(); ++i)
    record.thumbprint[i] = static_cast<std::uint8_t>(id[i]);
  record.jwk = R"({"crv":"P-256","kty":"EC","x":"x","y":")" + id + "\"}";
  record.status = wire::AccountStatus::kValid;
  record.contacts = {"mailto:operator@plant.example"};
  record.terms_agreed = true;
  record.created_at_ms = kNowMs;
  return record;
}

// Authorizations are TICKET-a0, TICKET-a1 ...; their challenges TICKET-a0-c0, TICKET-a0-c1.
inline wire::OrderPut order(const std::string& account_id, const std::string& ticket,
                            int names = 1) {
  wire::OrderPut put;
  put.order.ticket = ticket;
  put.order.account_id = account_id;
  put.order.status = wire::OrderStatus::kPending;
  put.order.expires_at_ms = kNowMs + kDayMs;
  put.order.terms = to_bytes("terms of " + ticket);
  for (int i = 0; i < names; ++i) {
    const wire::Identifier name{wire::IdentifierType::kDns,
                                "host" + std::to_string(i) + ".plant.example"};
    put.order.identifiers.push_back(name);
    wire::AuthzRecord authz;
    authz.id = ticket + "-a" + std::to_string(i);
    authz.account_id = account_id;
    authz.ticket = ticket;
    authz.identifier = name;
    authz.status = wire::AuthzStatus::kPending;
    authz.expires_at_ms = kNowMs + kDayMs;
    for (int c = 0; c < 2; ++c) {
      wire::ChallengeRecord challenge;
      challenge.id = authz.id + "-c" + std::to_string(c);
      challenge.authz_id = authz.id;
      challenge.method = c == 0 ? wire::ValidationMethod::kHttp01 : wire::ValidationMethod::kDns01;
      challenge.status = wire::ChallengeStatus::kPending;
      challenge.token = "token-of-" + challenge.id;
      authz.challenges.push_back(challenge);
    }
    put.authorizations.push_back(authz);
  }
  return put;
}

// Whose authorizations serve further orders as well (their ticket is empty).
inline wire::OrderPut shared_order(const std::string& account_id, const std::string& ticket,
                                   int names = 1) {
  auto put = order(account_id, ticket, names);
  for (auto& authz : put.authorizations) authz.ticket.clear();
  return put;
}

// One that relies on authorizations which are there, and on no other.
inline wire::OrderPut relying_order(const std::string& account_id, const std::string& ticket,
                                    std::vector<std::string> reused_ids) {
  auto put = order(account_id, ticket);
  put.authorizations.clear();
  put.reused_ids = std::move(reused_ids);
  put.order.status = wire::OrderStatus::kReady;
  return put;
}

// Begun without an order (RFC 8555 §7.4.1); challenges ID-c0, ID-c1.
inline wire::AuthzRecord lone_authz(const std::string& account_id, const std::string& id,
                                    const std::string& name) {
  auto authz = order(account_id, id).authorizations[0];
  authz.id = id;
  authz.ticket.clear();
  authz.identifier.value = name;
  for (std::size_t c = 0; c < authz.challenges.size(); ++c) {
    authz.challenges[c].id = id + "-c" + std::to_string(c);
    authz.challenges[c].authz_id = id;
  }
  return authz;
}

template <class T>
std::string code_of(const Answer<T>& answer) {
  return answer ? "answered" : answer.error().code;
}

inline wire::ClientJws finalize() {
  return {"eyJhbGciOiJFUzI1NiJ9", "eyJjc3IiOiIifQ", Bytes(64, 7)};
}

inline wire::CertificateRecord certificate(const std::string& account_id,
                                           const std::string& ticket) {
  wire::CertificateRecord record;
  record.id = "cert-" + ticket;
  record.account_id = account_id;
  record.ticket = ticket;
  record.serial = Bytes(16, 0x42);
  for (std::size_t i = 0; i < ticket.size(); ++i)  // each its own
    record.serial[i % 16] = static_cast<std::uint8_t>(record.serial[i % 16] * 31 + ticket[i]);
  record.not_after_ms = kNowMs + 90 * kDayMs;
  record.chain = {Bytes(700, 1), Bytes(600, 2)};
  return record;
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen(Options options = {}) {
    store_.reset();
    options.directory = directory_.path();
    auto opened = Store::open(options, clock_);
    ASSERT_TRUE(opened) << opened.error().what;
    store_ = std::move(*opened);
  }
  std::string database() const { return directory_.path() + "/keyward.db"; }

  void add_account(const std::string& id) { ASSERT_TRUE(store_->account_put({account(id)})); }
  void add_order(const std::string& account_id, const std::string& ticket, int names = 1) {
    const auto put = store_->order_put(order(account_id, ticket, names));
    ASSERT_TRUE(put) << put.error().code << " " << put.error().detail;
  }
  wire::ChallengeUpdateReply challenge(const std::string& id, wire::ChallengeStatus from,
                                       wire::ChallengeStatus to) {
    wire::ChallengeUpdate update{id, from, to, {}, {}, {}};
    if (to == wire::ChallengeStatus::kValid) update.validated_at_ms = kNowMs;
    if (to == wire::ChallengeStatus::kInvalid)
      update.error_json = R"({"type":"urn:ietf:params:acme:error:dns"})";
    auto reply = store_->challenge_update(update);
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? *reply : wire::ChallengeUpdateReply{};
  }
  void prove(const std::string& ticket, int names = 1) {
    for (int i = 0; i < names; ++i) {
      ASSERT_TRUE(challenge(ticket + "-a" + std::to_string(i) + "-c0",
                            wire::ChallengeStatus::kPending, wire::ChallengeStatus::kValid)
                      .applied);
    }
  }
  Answer<wire::OrderUpdateReply> move(const std::string& ticket, wire::OrderStatus from,
                                      wire::OrderStatus to,
                                      const std::string& account_id = "alice") {
    wire::OrderUpdate update;
    update.ticket = ticket;
    update.expected = from;
    update.status = to;
    if (to == wire::OrderStatus::kProcessing) update.finalize = finalize();
    if (to == wire::OrderStatus::kValid) update.certificate = certificate(account_id, ticket);
    return store_->order_update(update);
  }
  void issue(const std::string& ticket, const std::string& account_id = "alice") {
    prove(ticket);
    ASSERT_TRUE(move(ticket, wire::OrderStatus::kReady, wire::OrderStatus::kProcessing, account_id)
                    ->applied);
    ASSERT_TRUE(move(ticket, wire::OrderStatus::kProcessing, wire::OrderStatus::kValid, account_id)
                    ->applied);
  }
  wire::OrderStatus order_status(const std::string& ticket,
                                 const std::string& account_id = "alice") {
    auto reply = store_->order_get({ticket, account_id});
    EXPECT_TRUE(reply && reply->order);
    return reply && reply->order ? reply->order->status : wire::OrderStatus{};
  }
  wire::AuthzStatus authz_status(const std::string& id, const std::string& account_id = "alice") {
    auto reply = store_->authz_get({id, account_id});
    EXPECT_TRUE(reply && reply->authz);
    return reply && reply->authz ? reply->authz->status : wire::AuthzStatus{};
  }

  TemporaryDirectory directory_;
  SetClock clock_;
  std::unique_ptr<Store> store_;
};

}  // namespace keyward::store
