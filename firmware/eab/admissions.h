// Owns who was admitted by external account binding, and that the signer knows it: checks a binding,
// records it, tells the signer, and tells it again when a credential changed or was revoked. Must
// not know the wire to the signer (a function).
//
// The record is on disk before the signer is told, and the signer is told before the client hears
// "good". One lock orders everything that is told, so that a revocation is never overtaken by an
// admission. Threads: any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "firmware/eab/binding.h"
#include "firmware/eab/bindings.h"
#include "firmware/operate/operator_file.h"
#include "firmware/wire/messages/eab_verify.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/grant_account.h"

namespace keyward::eab {

class Admissions {
 public:
  using Told = tl::expected<void, wire::Failure>;
  using TellSigner = std::function<Told(const wire::GrantAccount&)>;
  // Makes the folder `eab` below `state_dir` if it is missing.
  static Result<std::unique_ptr<Admissions>> open(const std::string& state_dir, TellSigner tell);

  // A refusal is in the reply; a failure means that nothing was decided (signer or disk away).
  tl::expected<wire::EabVerifyReply, wire::Failure> verify(const wire::EabVerify& request,
                                                           std::int64_t now_ms);
  // This account key, by a credential that still stands.
  bool is_admitted(const Digest256& thumbprint);
  // Looks at the credentials file and tells the signer what it does not know yet: at start all
  // accounts, later those whose credential changed. True: it knows all.
  bool turn();

 private:
  // What a credential gives its accounts; a new revision for each change.
  struct Terms {
    std::vector<std::string> profiles;
    std::optional<std::uint64_t> quota;
    bool withdrawn = true;
    std::uint64_t revision = 0;
    bool same_as(const Terms& other) const {
      return profiles == other.profiles && quota == other.quota && withdrawn == other.withdrawn;
    }
  };
  Admissions(std::string credentials_path, Bindings bindings, TellSigner tell);
  void refresh();
  void renew_terms();
  Terms terms_of(const std::string& kid) const;
  Told tell(const Digest256& thumbprint, const std::string& kid);
  bool tell_some(bool withdrawn, int& left);
  bool tell_due();
  std::optional<Refusal> refuse_excess(const Credential& credential, const Digest256& thumbprint,
                                       std::int64_t now_ms, Status& recorded);
  tl::expected<wire::EabVerifyReply, wire::Failure> admit(const CheckedBinding& checked,
                                                          std::int64_t now_ms);

  std::mutex mutex_;
  operate::WatchedFile<CredentialBook> file_;
  std::shared_ptr<const CredentialBook> book_;
  Bindings bindings_;
  TellSigner tell_signer_;
  std::map<std::string, Terms> terms_;       // of every credential that admitted someone
  std::map<Digest256, std::uint64_t> told_;  // the revision that the signer knows
  bool due_ = true;                          // someone's revision may be behind
  bool said_away_ = false;
};

}  // namespace keyward::eab
