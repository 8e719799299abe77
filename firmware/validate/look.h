// Owns what every validation method is given and what it answers. Must not know methods, tokens'
// minting, grants or tasks. Threads: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"

namespace keyward::validate {

struct LookRequest {
  wire::Identifier identifier;
  bool wildcard = false;  // the names below shall be covered too, by whichever kind
  bool subtree = false;
  std::string token;
  Digest256 thumbprint{};  // of the account's key of today
  std::vector<wire::EarlierKey> earlier_keys;
  std::string account_url;
};

struct LookOutcome {
  std::optional<wire::ChallengeProblem> problem;  // absent: the account controls the identifier
  std::string what;                               // what was read, for the evidence
  std::string where;
  // The rest only without a problem.
  std::optional<Digest256> thumbprint;   // the key that matched, if an earlier one
  bool account_url_counted = false;      // what was read names the account's URL
  std::optional<std::int64_t> until_ms;  // the proof says itself when it ends
};

// A problem whose detail fits its limit.
wire::ChallengeProblem problem(std::string_view type, std::string_view code, std::string detail);
// What a client's server or zone said, fit to be shown: plain characters, and not all of it.
std::string shown(std::string_view text);

// token "." base64url(thumbprint): RFC 8555 §8.1.
std::string key_authorization(const std::string& token, const Digest256& thumbprint);

}  // namespace keyward::validate
