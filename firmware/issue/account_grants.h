// Owns which accounts were admitted by external account binding, with which credential and within
// which bounds (RFC 8555 §7.3.4), durably; and how much of a credential's quota is used. Must not
// know the credentials' secrets (attestation), nor key changes: the caller names all keys of an
// account.
//
// A withdrawn credential stays withdrawn, for all its accounts. The quota is that of the
// credential: the intents of all its accounts count, as the ledger has them. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/state_file.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/grant_account.h"

namespace keyward::issue {

class AccountGrants;

// One certificate's share of a credential's quota: given back when it ends, unless keep() was
// called. Empty for an account without credential.
class QuotaHold {
 public:
  QuotaHold() = default;
  QuotaHold(AccountGrants* grants, std::string kid) : grants_(grants), kid_(std::move(kid)) {}
  QuotaHold(QuotaHold&& other) noexcept
      : grants_(std::exchange(other.grants_, nullptr)), kid_(std::move(other.kid_)) {}
  QuotaHold& operator=(QuotaHold&&) = delete;
  ~QuotaHold();
  void keep() { grants_ = nullptr; }
  // The credential, for the ledger.
  std::optional<std::string> kid() const {
    return kid_.empty() ? std::nullopt : std::optional<std::string>(kid_);
  }

 private:
  AccountGrants* grants_ = nullptr;
  std::string kid_;
};

class AccountGrants {
 public:
  static Result<std::unique_ptr<AccountGrants>> open(
      const std::string& path, bool required, std::size_t accounts_max = limits::kAccountGrantsMax);

  // "grant-not-permitted", "grant-expired", "account-withdrawn" (the credential is), "accounts-full",
  // "grant-not-recorded". The same grant again writes nothing.
  Verdict<void> record(const wire::GrantAccount& grant, std::int64_t now_ms);
  // May this account have one more certificate of that profile? The newest of its keys that was
  // admitted speaks for it. "account-not-admitted" (only where it is required), "account-withdrawn",
  // "account-profile", "account-quota".
  Verdict<QuotaHold> reserve(std::span<const Digest256> thumbprints, std::string_view profile,
                             std::int64_t now_ms);
  // An intent of the ledger, at start.
  void note(const std::string& kid);
  std::uint64_t used(const std::string& kid) const;
  bool required() const { return required_; }

 private:
  friend class QuotaHold;
  struct Entry {
    std::string kid;
    std::vector<std::string> profiles;
    std::optional<std::uint64_t> quota;
    std::int64_t expires_at_ms = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  struct Credential {
    std::uint64_t used = 0;
    bool withdrawn = false;
  };
  AccountGrants(bool required, std::size_t accounts_max)
      : required_(required), accounts_max_(accounts_max) {}
  Status take(ByteView row);
  void apply(const wire::GrantAccount& grant);  // mutex_ held
  bool is_known(const wire::GrantAccount& grant) const;
  void give_back(const std::string& kid);

  bool required_;
  std::size_t accounts_max_;
  std::unique_ptr<StateFile> file_;
  std::mutex record_mutex_;  // one at a time; who reserves does not wait for the disk
  mutable std::mutex mutex_;
  std::unordered_map<Digest256, Entry, RandomOctetsHash> accounts_;
  std::unordered_map<std::string, Credential> credentials_;
};

}  // namespace keyward::issue
