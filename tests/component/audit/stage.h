// Owns the stage of the audit's tests: a hierarchy that the ceremony's own functions made in a
// software token, a ledger that the real gate wrote, a notary over a make-believe counter. Must not
// know what is tampered with.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "firmware/audit/auditor.h"
#include "firmware/audit/notary.h"
#include "firmware/ceremony/ceremony.h"
#include "firmware/issue/gate.h"
#include "tests/support/command/command.h"
#include "tests/support/issuing/issuing.h"

namespace keyward::test {

// Keys by their labels, in software.
class LabelledToken final : public hal::SigningToken {
 public:
  Status unlock(SecretBytes) override { return {}; }
  Result<hal::TokenKey> find_key(std::string_view label) override;
  Result<hal::TokenKey> generate_key(std::string_view label, hal::KeyAlgorithm) override;
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline,
                     hal::SignPriority) override;
  Result<Bytes> random(std::size_t size) override;
  bool supports(hal::KeyAlgorithm) override { return true; }
  hal::TokenStatus status() override;
  void replace_key(const std::string& label);

  bool away = false;
  std::uint64_t signatures = 0;

 private:
  std::map<std::string, crypto::PrivateKey, std::less<>> keys_;
};

class MadeUpCounter final : public audit::Anchor {
 public:
  issue::Verdict<std::optional<std::uint64_t>> read() override;
  issue::Verdict<std::uint64_t> make() override;
  issue::Verdict<std::uint64_t> advance(std::uint64_t from, const Digest256&) override;
  std::optional<std::uint64_t> value;
  bool away = false;
  bool lose_reply = false;  // counts, and the answer is lost
};

class AuditStage : public ::testing::Test {
 protected:
  AuditStage();
  // As after a restart.
  void open_ledger();
  void open_notary();
  issue::Verdict<void> check() { return notary_->check(); }
  std::string code(const issue::Verdict<void>& verdict) const {
    return verdict ? "" : verdict.error().code;
  }
  void issue_one(const std::string& name);  // two rows
  // A restart, `count` certificates, a head whenever one is due, one at the end.
  void fill(int count);
  std::string state() const { return directory_.path("state"); }
  std::string heads_path() const { return state() + "/audit/heads.jsonl"; }
  std::string export_ledger(const std::string& name);
  audit::AuditReport judge(const std::string& path, audit::AuditOptions options = {});
  audit::AuditReport judge() {
    return judge(export_ledger("export-" + std::to_string(++exports_)));
  }
  std::string root_path() const { return directory_.path("root.pem"); }

  // The rows' octets, and a file made of them; `rechain` makes every link right again.
  std::vector<Bytes> bodies() const;
  void write_bodies(std::vector<Bytes> all, bool rechain = false);
  std::vector<std::string> head_lines() const;
  void write_heads(const std::vector<std::string>& lines);
  static Bytes with_later_time(const Bytes& body, std::int64_t by_ms);

  TempDir directory_;
  LabelledToken token_;
  MadeUpCounter counter_;
  std::optional<operate::Operators> operators_;
  ceremony::Plan plan_;
  std::string root_pem_, chain_pem_, audit_pem_;
  std::unique_ptr<issue::Gate> gate_;
  std::unique_ptr<audit::Notary> notary_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::vector<Bytes> serials_;
  int exports_ = 0;
};

}  // namespace keyward::test
