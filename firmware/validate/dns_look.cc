#include "firmware/validate/dns_look.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "firmware/crypto/crypto.h"
#include "firmware/validate/issue_value.h"

namespace keyward::validate {
namespace {

constexpr std::size_t kLabelOctets = 10;  // of the digest: 16 characters of base32
constexpr std::int64_t kUntilSecondsMax = 253'402'300'799;  // the end of year 9999

std::string base32_lower(ByteView octets) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  unsigned bits = 0, held = 0;
  for (const auto octet : octets) {
    held = (held << 8) | octet;
    for (bits += 8; bits >= 5; bits -= 5) out += kAlphabet[(held >> (bits - 5)) & 31];
    held &= (1u << bits) - 1;
  }
  return out;
}

LookOutcome failed(LookOutcome outcome, std::string_view type, std::string_view code,
                   std::string detail) {
  outcome.problem = problem(type, code, std::move(detail));
  return outcome;
}

// The texts at a name, or the outcome's problem. `said` goes to the client beside the name.
std::vector<std::string> texts_at(const std::string& name, const std::string& said,
                                  Resolver& resolver, Deadline deadline, LookOutcome& outcome) {
  outcome.where = name;
  const Records found = resolver.query(name, RecordType::kTxt, deadline);
  if (!found.code.empty()) {
    outcome.problem = problem("dns", found.code, "TXT of " + name + said + ": " + found.detail);
    return {};
  }
  std::vector<std::string> out;
  for (const auto& rdata : found.data) {
    if (auto text = txt_text(rdata)) out.push_back(std::move(*text));
  }
  return out;
}

// RFC 8555 §8.4: any of the records may be the one.
LookOutcome key_authorization_at(const std::string& name, const std::string& said,
                                 const LookRequest& request, Resolver& resolver,
                                 Deadline deadline) {
  LookOutcome outcome;
  const auto texts = texts_at(name, said, resolver, deadline, outcome);
  if (outcome.problem) return outcome;
  const auto digest = crypto::sha256(view_of(key_authorization(request.token, request.thumbprint)));
  const auto expected = base64url_encode(digest);
  outcome.what = expected;
  const bool there = std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
    return equal_constant_time(view_of(text), view_of(expected));
  });
  if (there) return outcome;
  return failed(std::move(outcome), "incorrectResponse", "dns.content",
                "no TXT record of " + name + said +
                    " is the digest of the key authorization of this account and challenge");
}

// ---- dns-persist-01

enum class Fit : int { kOtherIssuer, kOtherAccount, kPolicy, kExpired, kYes };

struct Candidate {
  std::string uri;
  Digest256 thumbprint{};
};

// The account's keys, today's first, each in both forms of the domain (-02: all of them are tried).
std::vector<Candidate> candidates(const LookRequest& request, const PersistOptions& options) {
  std::vector<Candidate> out;
  const auto add = [&](const Digest256& thumbprint) {
    for (const std::string_view domain :
         {std::string_view(request.identifier.value), std::string_view("*")}) {
      out.push_back(
          {hashed_account_uri(options.account_hash_prefix, domain, thumbprint, request.account_url),
           thumbprint});
    }
  };
  add(request.thumbprint);
  for (const auto& key : request.earlier_keys) add(key.thumbprint);
  return out;
}

struct Reading {
  Fit fit = Fit::kOtherIssuer;
  std::size_t candidate = 0;
  std::optional<std::int64_t> until_ms;
};

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  std::int64_t seconds = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, seconds);
  if (parsed.ec != std::errc() || parsed.ptr != end || seconds < 0 || seconds > kUntilSecondsMax)
    return std::nullopt;
  return seconds;
}

// One record. One that cannot be read, or that has a member twice, is nobody's.
Reading read_record(const std::string& text, const std::vector<Candidate>& accounts,
                    const LookRequest& request, const PersistOptions& options,
                    std::int64_t now_ms) {
  Reading out;
  const auto value = parse_issue_value(text);
  if (!value) return out;
  const auto& names = options.issuer_names;
  if (std::find(names.begin(), names.end(), value->issuer) == names.end()) return out;
  const std::string *account = nullptr, *policy = nullptr, *until = nullptr;
  for (const auto& [tag, parameter] : value->parameters) {
    const std::string** slot = tag == "accounturi"     ? &account
                               : tag == "policy"       ? &policy
                               : tag == "persistuntil" ? &until
                                                       : nullptr;
    if (slot == nullptr) continue;  // unknown tags are for others
    if (*slot != nullptr) return out;
    *slot = &parameter;
  }
  out.fit = Fit::kOtherAccount;
  const auto match = std::find_if(accounts.begin(), accounts.end(), [&](const Candidate& c) {
    return account != nullptr && *account == c.uri;
  });
  if (match == accounts.end()) return out;
  out.candidate = static_cast<std::size_t>(match - accounts.begin());
  out.fit = Fit::kPolicy;
  const bool below = policy != nullptr && ascii_lower(*policy) == "wildcard";
  if ((request.wildcard || request.subtree) && !below) return out;
  out.fit = Fit::kExpired;
  if (until != nullptr) {
    const auto seconds = parse_seconds(*until);
    if (!seconds || *seconds * 1'000 <= now_ms) return out;
    out.until_ms = *seconds * 1'000;
  }
  out.fit = Fit::kYes;
  return out;
}

// More telling first; among those that do, the one that lasts longer, then today's key.
bool is_better(const Reading& a, const Reading& b) {
  if (a.fit != b.fit) return a.fit > b.fit;
  const auto end = [](const Reading& r) {
    return r.until_ms.value_or(std::numeric_limits<std::int64_t>::max());
  };
  if (end(a) != end(b)) return end(a) > end(b);
  return a.candidate < b.candidate;
}

LookOutcome persist_refusal(LookOutcome outcome, Fit fit) {
  const auto name = outcome.where;
  const auto no = [&](std::string_view code, std::string_view detail) {
    return failed(std::move(outcome), "unauthorized", code,
                  "TXT of " + name + ": " + std::string(detail));
  };
  switch (fit) {
    case Fit::kOtherAccount:
      return no("dns-persist.account", "no record has this account's hashed URI");
    case Fit::kPolicy:
      return no("dns-persist.policy", "the record does not say policy=wildcard");
    case Fit::kExpired:
      return no("dns-persist.expired", "persistUntil has passed or cannot be read");
    default:
      return no("dns-persist.issuer", "no record that can be read names this CA");
  }
}

}  // namespace

std::string account_label(const std::string& account_url) {
  const auto digest = crypto::sha256(view_of(account_url));
  return "_" + base32_lower(ByteView(digest).first(kLabelOctets));
}

std::string hashed_account_uri(const std::string& prefix, std::string_view domain,
                               const Digest256& thumbprint, const std::string& account_url) {
  // A name has at most 253 octets, so that one octet tells its length.
  Bytes input{static_cast<std::uint8_t>(domain.size())};
  append(input, view_of(domain));
  append(input, view_of(base64url_encode(thumbprint)));
  append(input, view_of(account_url));
  return prefix + "sha-256/" + base64url_encode(crypto::sha256(input));
}

LookOutcome dns01_look(const LookRequest& request, Resolver& resolver, Deadline deadline) {
  return key_authorization_at("_acme-challenge." + request.identifier.value, "", request, resolver,
                              deadline);
}

LookOutcome dns_account01_look(const LookRequest& request, Resolver& resolver, Deadline deadline) {
  const auto name =
      account_label(request.account_url) + "._acme-challenge." + request.identifier.value;
  // The URL in the problem lets a client see that it made its label of another one.
  auto outcome = key_authorization_at(name, " for account " + shown(request.account_url), request,
                                      resolver, deadline);
  outcome.account_url_counted = true;
  return outcome;
}

LookOutcome dns_persist01_look(const LookRequest& request, const PersistOptions& options,
                               Resolver& resolver, std::int64_t now_ms, Deadline deadline) {
  LookOutcome outcome;
  const auto texts =
      texts_at("_validation-persist." + request.identifier.value, "", resolver, deadline, outcome);
  if (outcome.problem) return outcome;
  const auto accounts = candidates(request, options);
  Reading best;
  for (const auto& text : texts) {
    const Reading reading = read_record(text, accounts, request, options, now_ms);
    if (is_better(reading, best)) best = reading;
  }
  if (best.fit != Fit::kYes) return persist_refusal(std::move(outcome), best.fit);
  outcome.what = accounts[best.candidate].uri;
  outcome.thumbprint = accounts[best.candidate].thumbprint;
  outcome.until_ms = best.until_ms;
  outcome.account_url_counted = true;
  return outcome;
}

}  // namespace keyward::validate
