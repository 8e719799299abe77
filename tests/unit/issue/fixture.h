// Owns the stage of the gate's unit tests: a manual clock, a token with a software key, a CA, a
// directory. Must not know single tests.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <gtest/gtest.h>

#include "firmware/issue/gate.h"
#include "tests/support/command/command.h"
#include "tests/support/issuing/issuing.h"

namespace keyward::test {

class ManualClock final : public Clock {
 public:
  ManualClock() : now_ms_(system_clock().utc_ms()) {}
  std::int64_t utc_ms() const override { return now_ms_; }
  std::int64_t monotonic_ms() const override { return system_clock().monotonic_ms(); }
  void advance(std::int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<std::int64_t> now_ms_;
};

class SoftwareToken final : public hal::SigningToken {
 public:
  SoftwareToken();
  Status unlock(SecretBytes) override { return {}; }
  Result<hal::TokenKey> find_key(std::string_view label) override;
  Result<hal::TokenKey> generate_key(std::string_view, hal::KeyAlgorithm) override {
    return fail(ErrorKind::kRefused, "a test token");
  }
  Result<Bytes> sign(std::string_view, ByteView message, Deadline, hal::SignPriority) override;
  Result<Bytes> random(std::size_t size) override;
  bool supports(hal::KeyAlgorithm) override { return true; }
  hal::TokenStatus status() override;

  const crypto::PublicKey& key() const { return key_->public_key(); }
  std::atomic<hal::TokenState> state = hal::TokenState::kReady;
  std::atomic<int> sign_calls = 0;
  std::function<std::optional<Result<Bytes>>()>
      instead;  // answers for the token when it returns something

 private:
  std::optional<crypto::PrivateKey> key_;
};

class GateTest : public ::testing::Test {
 protected:
  GateTest();
  void TearDown() override;
  // Opens (or opens again, as after a restart) with the configuration as it stands.
  void open();
  bool try_open();
  Result<Bytes> leaf_of(const wire::CertificateIssueReply& reply) const;
  issue::LedgerSummary ledger() const;

  // Each ends the test if the step that is not under test fails.
  wire::TicketMintReply order(const TestClient& client,
                              const std::vector<wire::Identifier>& identifiers);
  void prove(const TestClient& client, const wire::Identifier& identifier,
             std::int64_t lifetime_ms = 3'600'000);
  void attest(const TestClient& client, const wire::Identifier& identifier,
              const std::string& ticket, const crypto::PublicKey& key);
  std::string code(const issue::Verdict<wire::CertificateIssueReply>& verdict) const;
  std::string code(const issue::Verdict<wire::TicketMintReply>& verdict) const;

  TempDir directory_;
  ManualClock clock_;
  SoftwareToken token_;
  TestCaSpec ca_spec_;
  std::optional<TestCa> ca_;
  std::string crl_url_;  // in certificates; empty: none
  issue::GateConfig config_;
  std::unique_ptr<issue::Gate> gate_;
  TestClient client_;
  std::optional<crypto::PrivateKey> key_;  // the certificate's
};

}  // namespace keyward::test
