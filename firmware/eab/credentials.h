// Owns external account credentials (RFC 8555 §7.3.4): what an operator hands to a client, and how
// the file that holds them reads. Must not know who used one (bindings.h).
//
// The file has one JSON object a line. Its secrets are the keys: nothing here prints one but
// to_lines(). Errors: kBadInput (which line is in `native`), kExhausted. Threads: values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::eab {

inline constexpr std::string_view kFolder = "eab";  // below attestation's state directory
inline constexpr std::string_view kCredentialsFile = "credentials.jsonl";
inline constexpr std::string_view kBindingsFile = "bindings.jsonl";

// What happens when one account more than allowed presents the credential: that one is refused, or
// the credential is taken as leaked, and revoked with all of its accounts.
enum class OnExcess : std::uint8_t { kRefuse = 1, kRevoke = 2 };
std::string_view to_string(OnExcess value);
std::optional<OnExcess> on_excess_from(std::string_view text);

struct Credential {
  std::string kid;  // printable ASCII without space
  SecretBytes key;  // 32..256 octets
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> expires_ms;  // no new account after it; those it has stay
  std::vector<std::string> profiles;       // none: all
  std::optional<std::uint64_t>
      quota;  // certificates of all its accounts together; absent: no bound
  std::optional<std::uint64_t> accounts_max;  // absent: any number
  OnExcess on_excess = OnExcess::kRefuse;
  std::optional<std::int64_t> revoked_ms;
  std::optional<std::string> recovers_account;  // for the recovery of this account alone
};

// Every field in its range: else kBadInput with the reason.
Status check(const Credential& credential);

class CredentialBook {
 public:
  static Result<CredentialBook> parse(ByteView lines);
  SecretBytes to_lines() const;

  const Credential* find(std::string_view kid) const;  // null: there is none
  Credential* find(std::string_view kid);
  // kRefused: the kid is taken. kExhausted: the book is full.
  Status add(Credential credential);
  const std::vector<Credential>& all() const { return credentials_; }

 private:
  std::vector<Credential> credentials_;  // in the order they were added
  std::map<std::string, std::size_t, std::less<>> by_kid_;
};

}  // namespace keyward::eab
