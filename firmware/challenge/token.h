// Owns challenge tokens that need no table: the task that mints one recognises it again by its own
// key (DESIGN §2.2). Must not know how a challenge is validated.
//
// token = base64url(random 16 octets || HMAC-SHA256(task key, label, what it is bound to, random)):
// 128 random bits as RFC 8555 §8.1 asks, and bound to account, identifier, method, order and
// expiry, so that a front end cannot present one for anything else. Threads: a TokenMint may be
// shared.
#pragma once

#include <span>
#include <string>

#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::challenge {

struct TokenBinding {
  Digest256 thumbprint{};
  wire::Identifier identifier;
  bool wildcard = false;
  wire::ValidationMethod method{};
  std::string ticket;  // empty: for any order of the account
  std::int64_t expires_at_ms = 0;
  bool subtree = false;  // the names below too (RFC 9444)
};

class TokenMint {
 public:
  // The key in `path`; made (32 random octets, mode 0600) if the file is not there. kCorrupt if its
  // size is wrong. Losing the key only means that open challenges must be asked for again.
  static Result<TokenMint> open(const std::string& path);
  explicit TokenMint(SecretBytes key) : key_(std::move(key)) {}

  std::string mint(const TokenBinding& binding) const;
  // kRefused "challenge-token-forged" or "challenge-token-expired".
  Status check(std::string_view token, const TokenBinding& binding, std::int64_t now_ms) const;
  // The same, also for a token that was minted for a key which the account had before: a key change
  // leaves pending authorizations as they are (RFC 8555 §7.3.5). What the token then proves is
  // still about binding.thumbprint alone.
  Status check(std::string_view token, const TokenBinding& binding,
               std::span<const wire::EarlierKey> earlier_keys, std::int64_t now_ms) const;

 private:
  Digest256 tag(ByteView random, const TokenBinding& binding) const;
  SecretBytes key_;
};

}  // namespace keyward::challenge
