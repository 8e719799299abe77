// Owns the order: check, record, tell the signer, answer. Must not know how a MAC is verified.
#include "firmware/eab/admissions.h"

#include "firmware/log/log.h"
#include "hal/base/file.h"

namespace keyward::eab {
namespace {

// An admission ends by revocation alone: a credential's expiry bounds new accounts.
constexpr std::int64_t kNeverMs = 253'402'300'799'000;  // 9999-12-31T23:59:59Z (RFC 5280 §4.1.2.5)

constexpr Refusal kRevoked{"unauthorized", "eab.revoked", "the external account was revoked"};
constexpr Refusal kUsed{
    "unauthorized", "eab.used",
    "the external account's credential has admitted as many accounts as it may"};

tl::unexpected<wire::Failure> not_recorded(const Error& error) {
  log::error("an external account binding could not be recorded", error);
  const bool full = error.kind == ErrorKind::kExhausted;
  return tl::unexpected(
      wire::Failure::of(full ? wire::FailureKind::kExhausted : wire::FailureKind::kUnavailable,
                        full ? "eab-full" : "eab-unavailable", "the binding cannot be recorded"));
}

std::string short_text(const Digest256& thumbprint) {
  return base64url_encode(thumbprint).substr(0, 16);
}

}  // namespace

Result<std::unique_ptr<Admissions>> Admissions::open(const std::string& state_dir,
                                                     TellSigner tell) {
  const std::string folder = state_dir + "/" + std::string(kFolder);
  KEYWARD_CHECK(make_directories(folder, 0700));
  KEYWARD_TRY(bindings, Bindings::open(folder + "/" + std::string(kBindingsFile)));
  return std::unique_ptr<Admissions>(new Admissions(folder + "/" + std::string(kCredentialsFile),
                                                    std::move(bindings), std::move(tell)));
}

Admissions::Admissions(std::string credentials_path, Bindings bindings, TellSigner tell)
    : file_(std::move(credentials_path), limits::kEabCredentialsBytesMax, CredentialBook::parse),
      bindings_(std::move(bindings)),
      tell_signer_(std::move(tell)) {
  const std::lock_guard lock(mutex_);
  refresh();
}

void Admissions::refresh() {
  if (!file_.refresh()) return;
  book_ = file_.current();
  renew_terms();
}

// A credential that is gone from the file has no terms: its accounts get nothing more.
Admissions::Terms Admissions::terms_of(const std::string& kid) const {
  const auto* credential = book_ ? book_->find(kid) : nullptr;
  if (credential == nullptr || credential->revoked_ms || bindings_.is_revoked(kid)) return {};
  return {credential->profiles, credential->quota, false, 0};
}

void Admissions::renew_terms() {
  for (const auto& [thumbprint, kid] : bindings_.all()) terms_.try_emplace(kid);
  for (auto& [kid, terms] : terms_) {
    auto fresh = terms_of(kid);
    if (terms.revision != 0 && terms.same_as(fresh)) continue;
    fresh.revision = terms.revision + 1;
    terms = std::move(fresh);
    due_ = true;
  }
}

bool Admissions::is_admitted(const Digest256& thumbprint) {
  const std::lock_guard lock(mutex_);
  refresh();
  const auto found = bindings_.all().find(thumbprint);
  return found != bindings_.all().end() && !terms_of(found->second).withdrawn;
}

Admissions::Told Admissions::tell(const Digest256& thumbprint, const std::string& kid) {
  const auto& terms = terms_[kid];
  wire::GrantAccount grant;
  grant.thumbprint = thumbprint;
  grant.kid = kid;
  grant.profiles = terms.profiles;
  grant.quota = terms.quota;
  grant.expires_at_ms = kNeverMs;
  grant.withdrawn = terms.withdrawn;
  if (auto told = tell_signer_(grant); !told) return told;
  told_[thumbprint] = terms.revision;
  return {};
}

// Of those that are behind, the ones with these terms. False: the signer did not take one, or there
// are more.
bool Admissions::tell_some(bool withdrawn, int& left) {
  for (const auto& [thumbprint, kid] : bindings_.all()) {
    const auto& terms = terms_[kid];
    if (terms.withdrawn != withdrawn) continue;
    const auto known = told_.find(thumbprint);
    if (known != told_.end() && known->second == terms.revision) continue;
    if (left-- <= 0) return false;
    const auto told = tell(thumbprint, kid);
    if (told) continue;
    const bool away = told.error().kind == wire::FailureKind::kUnavailable;
    if (!away || !said_away_) {
      log::warning("the signer did not take an account grant",
                   {{"code", told.error().code}, {"kid", kid}});
    }
    said_away_ = away;
    if (away) return false;
    told_[thumbprint] = terms.revision;  // it has decided: asking again would only hold up the rest
  }
  return true;
}

// Withdrawals first. While no file was ever read nothing is told: the signer keeps what it has.
bool Admissions::tell_due() {
  if (!due_ || !book_) return true;
  int left = limits::kEabGrantsPerTurnMax;
  if (!tell_some(true, left) || !tell_some(false, left)) return false;
  due_ = false;
  said_away_ = false;
  return true;
}

bool Admissions::turn() {
  const std::lock_guard lock(mutex_);
  refresh();
  return tell_due();
}

std::optional<Refusal> Admissions::refuse_excess(const Credential& credential,
                                                 const Digest256& thumbprint, std::int64_t now_ms,
                                                 Status& recorded) {
  const bool is_known = bindings_.holds(credential.kid, thumbprint);
  if (is_known || !credential.accounts_max) return std::nullopt;
  if (bindings_.accounts_of(credential.kid) < *credential.accounts_max) return std::nullopt;
  if (credential.on_excess == OnExcess::kRefuse) return kUsed;
  recorded = bindings_.revoke(credential.kid, now_ms);
  log::warning("an external account credential was used too often and is revoked",
               {{"kid", credential.kid}});
  renew_terms();
  (void)tell_due();  // what is not told now is told in the next turn
  return kUsed;
}

tl::expected<wire::EabVerifyReply, wire::Failure> Admissions::admit(const CheckedBinding& checked,
                                                                    std::int64_t now_ms) {
  const auto& credential = *checked.credential;
  if (const auto recorded = bindings_.add(credential.kid, checked.thumbprint, now_ms); !recorded)
    return not_recorded(recorded.error());
  if (terms_[credential.kid].revision == 0) renew_terms();
  told_.erase(checked.thumbprint);  // that of another credential, if it had one
  if (auto told = tell(checked.thumbprint, credential.kid); !told) {
    due_ = true;
    return tl::unexpected(told.error());
  }
  log::info("an account was admitted by external account binding",
            {{"kid", credential.kid}, {"account", short_text(checked.thumbprint)}});
  wire::EabVerifyReply reply;
  reply.kid = credential.kid;
  reply.profiles = credential.profiles;
  reply.recovers_account = credential.recovers_account;
  return reply;
}

tl::expected<wire::EabVerifyReply, wire::Failure> Admissions::verify(const wire::EabVerify& request,
                                                                     std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  refresh();
  const auto refuse = [](const Refusal& refusal) {
    log::info("external account binding refused", {{"code", refusal.code}});
    wire::EabVerifyReply reply;
    reply.problem = to_problem(refusal);
    return reply;
  };
  const auto checked = check_binding(request, book_.get(), now_ms);
  if (!checked) return refuse(checked.error());
  if (bindings_.is_revoked(checked->credential->kid)) return refuse(kRevoked);
  Status recorded;
  if (const auto excess =
          refuse_excess(*checked->credential, checked->thumbprint, now_ms, recorded)) {
    if (!recorded) return not_recorded(recorded.error());
    return refuse(*excess);
  }
  return admit(*checked, now_ms);
}

}  // namespace keyward::eab
