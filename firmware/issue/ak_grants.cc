// Owns the book of activated attestation keys. Must not know how a key is activated.
#include "firmware/issue/ak_grants.h"

#include <algorithm>

#include <stdio.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "firmware/issue/grants.h"
#include "firmware/issue/record_file.h"
#include "hal/base/file.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kAkRecordBytesMax =
    16'384;  // 8 identifiers of 1,024 octets, a key of limits::kSpkiBytesMax, facts, digests, heads
constexpr std::size_t kAkJournalBytesMax = 32u << 20;  // then rewritten with the live ones alone

bool is_canonical_device(const wire::Identifier& id) {
  if (!is_device_type(id.type)) return false;
  const auto canonical = identifier::canonical(id.type, id.value);
  return canonical && *canonical == id;
}

// TCG facts are UTF8Strings of a certificate's directory name: printable ASCII is what vendors write.
bool is_fact(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

Verdict<void> check_ak_grant(const wire::GrantAk& m, std::int64_t now_ms) {
  if (m.identifiers.empty())
    return bad_input("identifier-malformed", "an attestation key of no device");
  if (m.identifiers.size() > limits::kGrantDevicesMax)
    return refuse("grant-not-permitted", "an attestation key of too many devices");
  if (!std::ranges::all_of(m.identifiers, is_canonical_device))
    return bad_input("identifier-malformed", "an attestation key's device is not canonical");
  if (m.session_sha256 == Digest256{})
    return refuse("grant-not-permitted", "an attestation key's session is none");
  if (!is_fact(m.manufacturer) || !is_fact(m.model) || !is_fact(m.version))
    return refuse("grant-not-permitted", "an attestation key's TPM has no maker, model or version");
  if (!crypto::PublicKey::from_spki(m.spki))
    return bad_input("ak-key-malformed", "an attestation key that is none");
  if (m.expires_at_ms <= now_ms) return refuse("grant-expired", "the grant ends before it begins");
  if (m.expires_at_ms - now_ms > limits::kAkGrantLifetimeMsMax)
    return refuse("grant-not-permitted", "the grant lives too long");
  return {};
}

AkBook::~AkBook() = default;

Result<std::unique_ptr<AkBook>> AkBook::open(const std::string& path, const Clock& clock,
                                             const Caps& caps) {
  std::unique_ptr<AkBook> book(new AkBook(path, clock, caps));
  const std::lock_guard lock(book->mutex_);
  if (file_exists(path)) {
    const auto now_ms = clock.utc_ms();
    const auto scan = scan_records(path, kAkRecordBytesMax,
                                   [&](ByteView body, const Digest256&, std::uint64_t) -> Status {
                                     KEYWARD_TRY(grant, wire::decode_body<wire::GrantAk>(body));
                                     if (grant.expires_at_ms <= now_ms) return {};
                                     return book->add(grant, now_ms);
                                   });
    if (!scan && scan.error().kind == ErrorKind::kUnavailable) return fail(scan.error());
    book->damaged_ = !scan;
  }
  KEYWARD_CHECK(book->rewrite());
  return book;
}

Status AkBook::rewrite() {
  prune(clock_.utc_ms());
  const std::string temporary = path_ + ".new";
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT)
    return fail(ErrorKind::kUnavailable, "cannot remove a file", errno);
  KEYWARD_TRY(file, RecordFile::open(temporary, kAkRecordBytesMax, 0));
  for (const auto& [thumbprint, grants] : by_account_) {
    for (const auto& grant : grants) KEYWARD_CHECK(file->append(wire::encode_body(grant)));
  }
  KEYWARD_CHECK(file->sync(file->size_bytes()));
  if (::rename(temporary.c_str(), path_.c_str()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot replace the journal of attestation keys", errno);
  const auto slash = path_.rfind('/');
  KEYWARD_CHECK(sync_directory(slash == std::string::npos ? "." : path_.substr(0, slash + 1)));
  file_ = file;
  return {};
}

void AkBook::prune(std::int64_t now_ms) {
  for (auto account = by_account_.begin(); account != by_account_.end();) {
    count_ -= std::erase_if(account->second,
                            [&](const auto& grant) { return grant.expires_at_ms <= now_ms; });
    account = account->second.empty() ? by_account_.erase(account) : std::next(account);
  }
}

Status AkBook::add(const wire::GrantAk& grant, std::int64_t now_ms) {
  if (count_ >= caps_.grants_max) prune(now_ms);
  auto& grants = by_account_[grant.thumbprint];
  for (auto& known : grants) {
    if (known.session_sha256 != grant.session_sha256) continue;
    known = grant;
    return {};
  }
  if (grants.size() >= caps_.per_account_max) {
    grants.erase(std::ranges::min_element(grants, {}, &wire::GrantAk::expires_at_ms));
    --count_;
  }
  if (count_ >= caps_.grants_max) {
    if (grants.empty()) by_account_.erase(grant.thumbprint);
    return fail(ErrorKind::kExhausted, "the book of attestation keys is full");
  }
  grants.push_back(grant);
  ++count_;
  return {};
}

Status AkBook::record(const wire::GrantAk& grant) {
  const std::lock_guard lock(mutex_);
  if (file_->size_bytes() >= kAkJournalBytesMax) KEYWARD_CHECK(rewrite());
  KEYWARD_CHECK(file_->append(wire::encode_body(grant)));
  return add(grant, clock_.utc_ms());
}

bool AkBook::any_live(const Digest256& thumbprint, std::int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(thumbprint);
  return account != by_account_.end() &&
         std::ranges::any_of(account->second,
                             [&](const auto& grant) { return grant.expires_at_ms > now_ms; });
}

std::optional<wire::GrantAk> AkBook::find(std::span<const Digest256> thumbprints,
                                          const Digest256& session_sha256,
                                          std::int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  for (const auto& thumbprint : thumbprints) {
    const auto account = by_account_.find(thumbprint);
    if (account == by_account_.end()) continue;
    for (const auto& grant : account->second) {
      if (grant.session_sha256 == session_sha256 && grant.expires_at_ms > now_ms) return grant;
    }
  }
  return std::nullopt;
}

void AkBook::drop(std::span<const Digest256> thumbprints, const Digest256& session_sha256) {
  const std::lock_guard lock(mutex_);
  for (const auto& thumbprint : thumbprints) {
    const auto account = by_account_.find(thumbprint);
    if (account == by_account_.end()) continue;
    count_ -= std::erase_if(
        account->second, [&](const auto& grant) { return grant.session_sha256 == session_sha256; });
    if (account->second.empty()) by_account_.erase(account);
  }
}

std::size_t AkBook::size() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace keyward::issue
