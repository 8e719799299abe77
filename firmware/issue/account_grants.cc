#include "firmware/issue/account_grants.h"

#include <algorithm>

#include "firmware/wire/codec.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kRowBytesMax = 2'048;  // 16 profile names of 64 octets, kid 64, heads

}  // namespace

QuotaHold::~QuotaHold() {
  if (grants_ != nullptr) grants_->give_back(kid_);
}

Result<std::unique_ptr<AccountGrants>> AccountGrants::open(const std::string& path, bool required,
                                                           std::size_t accounts_max) {
  std::unique_ptr<AccountGrants> grants(new AccountGrants(required, accounts_max));
  KEYWARD_TRY(file, StateFile::open(path, kRowBytesMax,
                                    [&](ByteView row) -> Status { return grants->take(row); }));
  grants->file_ = std::move(file);
  return grants;
}

Status AccountGrants::take(ByteView row) {
  const auto grant = wire::decode_body<wire::GrantAccount>(row);
  if (!grant) return fail(ErrorKind::kCorrupt, "an account's admission is not readable");
  apply(*grant);
  return {};
}

void AccountGrants::apply(const wire::GrantAccount& grant) {
  auto& credential = credentials_[grant.kid];
  if (grant.withdrawn) {
    credential.withdrawn = true;
    // Also an account that was never heard of: it is known as one of this credential from now on.
    if (grant.thumbprint != Digest256{} && accounts_.size() < accounts_max_)
      accounts_.try_emplace(grant.thumbprint, Entry{grant.kid, {}, {}, 0});
    return;
  }
  accounts_[grant.thumbprint] = Entry{grant.kid, grant.profiles, grant.quota, grant.expires_at_ms};
}

bool AccountGrants::is_known(const wire::GrantAccount& grant) const {
  if (grant.withdrawn) {
    const auto credential = credentials_.find(grant.kid);
    return credential != credentials_.end() && credential->second.withdrawn &&
           (grant.thumbprint == Digest256{} || accounts_.contains(grant.thumbprint) ||
            accounts_.size() >= accounts_max_);
  }
  const auto account = accounts_.find(grant.thumbprint);
  return account != accounts_.end() &&
         account->second == Entry{grant.kid, grant.profiles, grant.quota, grant.expires_at_ms};
}

Verdict<void> AccountGrants::record(const wire::GrantAccount& grant, std::int64_t now_ms) {
  if (grant.kid.empty() || (!grant.withdrawn && grant.thumbprint == Digest256{}))
    return refuse("grant-not-permitted", "an admission of no account, or by no credential");
  if (!grant.withdrawn && grant.expires_at_ms <= now_ms)
    return refuse("grant-expired", "the grant ends before it begins");
  const std::lock_guard one_at_a_time(record_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (is_known(grant)) return {};
    const auto credential = credentials_.find(grant.kid);
    if (!grant.withdrawn && credential != credentials_.end() && credential->second.withdrawn)
      return refuse("account-withdrawn", "the credential was withdrawn");
    // The withdrawal of a known credential always fits.
    const bool fits = accounts_.contains(grant.thumbprint) || accounts_.size() < accounts_max_ ||
                      (grant.withdrawn && credential != credentials_.end());
    if (!fits) {
      return refuse(wire::FailureKind::kExhausted, "accounts-full",
                    "no more admitted accounts can be remembered");
    }
  }
  if (const auto written = file_->append(wire::encode_body(grant)); !written)
    return refuse(written.error(), "grant-not-recorded");
  const std::lock_guard lock(mutex_);
  apply(grant);
  return {};
}

Verdict<QuotaHold> AccountGrants::reserve(std::span<const Digest256> thumbprints,
                                          std::string_view profile, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = nullptr;
  for (const auto& thumbprint : thumbprints) {
    const auto found = accounts_.find(thumbprint);
    if (found == accounts_.end()) continue;
    entry = &found->second;
    break;
  }
  if (entry == nullptr) {
    if (!required_) return QuotaHold();
    return refuse("account-not-admitted", "the account was not admitted by a credential");
  }
  auto& credential = credentials_[entry->kid];
  if (credential.withdrawn)
    return refuse("account-withdrawn", "the credential that admitted the account was withdrawn");
  if (entry->expires_at_ms <= now_ms)
    return refuse("account-not-admitted", "the account's admission has ended");
  const auto& profiles = entry->profiles;
  if (!profiles.empty() && std::find(profiles.begin(), profiles.end(), profile) == profiles.end())
    return refuse("account-profile", "the account was not admitted to this profile");
  if (entry->quota && credential.used >= *entry->quota)
    return refuse("account-quota", "the quota of the account's credential is used up");
  ++credential.used;
  return QuotaHold(this, entry->kid);
}

void AccountGrants::note(const std::string& kid) {
  const std::lock_guard lock(mutex_);
  ++credentials_[kid].used;
}

std::uint64_t AccountGrants::used(const std::string& kid) const {
  const std::lock_guard lock(mutex_);
  const auto credential = credentials_.find(kid);
  return credential == credentials_.end() ? 0 : credential->second.used;
}

void AccountGrants::give_back(const std::string& kid) {
  const std::lock_guard lock(mutex_);
  --credentials_[kid].used;
}

}  // namespace keyward::issue
