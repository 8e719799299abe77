#include "firmware/issue/possession.h"

#include <algorithm>
#include <set>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/revocation.h"
#include "firmware/json/json.h"
#include "hal/base/rng.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kLabel = "keyward-possession-1";
constexpr std::size_t kExpiryBytes = 8, kRandomBytes = 16, kHeadBytes = kExpiryBytes + kRandomBytes,
                      kTokenBytes = kHeadBytes + 32;

Digest256 tag(const TicketKey& key, ByteView head, const Digest256& thumbprint,
              const wire::Identifier& identifier) {
  Bytes message = to_bytes(head);
  append(message, thumbprint);
  message.push_back(static_cast<std::uint8_t>(identifier.type));
  append(message, view_of(identifier.value));
  return key.tag(kLabel, message);
}

bool lists(const json::Value& identifiers, const wire::Identifier& wanted) {
  const auto items = identifiers.items();
  return std::any_of(items.begin(), items.end(), [&](const json::Value& item) {
    const auto type = item.require_string("type");
    const auto value = item.require_string("value");
    if (!type || !value || identifier::type_from(*type) != wanted.type) return false;
    const auto id = identifier::canonical(wanted.type, *value);
    return id && *id == wanted;
  });
}

bool has_exactly_its_members(const json::Value& root) {
  const auto keys = root.keys();
  const std::set<std::string_view> found(keys.begin(), keys.end());
  return found == std::set<std::string_view>{"accountKey", "identifiers", "token", "type"};
}

}  // namespace

std::string mint_possession_token(const TicketKey& key, const Digest256& thumbprint,
                                  const wire::Identifier& identifier, std::int64_t expires_at_ms) {
  Bytes raw;
  const auto expiry = static_cast<std::uint64_t>(expires_at_ms);
  for (int shift = 56; shift >= 0; shift -= 8)
    raw.push_back(static_cast<std::uint8_t>(expiry >> shift));
  append(raw, random_bytes(kRandomBytes));
  append(raw, tag(key, raw, thumbprint, identifier));
  return base64url_encode(raw);
}

Verdict<void> check_possession_token(const TicketKey& key, std::string_view token,
                                     const Digest256& thumbprint,
                                     const wire::Identifier& identifier, std::int64_t now_ms) {
  const auto raw = base64url_decode(token);
  if (!raw || raw->size() != kTokenBytes)
    return refuse("possession-token", "the challenge's token is none of this signer's");
  const ByteView head = ByteView(*raw).first(kHeadBytes);
  if (!equal_constant_time(tag(key, head, thumbprint, identifier),
                           ByteView(*raw).subspan(kHeadBytes))) {
    return refuse("possession-token", "the token was not made for this account and identifier");
  }
  std::uint64_t expiry = 0;
  for (std::size_t i = 0; i < kExpiryBytes; ++i) expiry = expiry << 8 | head[i];
  if (now_ms >= static_cast<std::int64_t>(expiry))
    return refuse("possession-token-expired", "the challenge has expired");
  return {};
}

Verdict<jose::Jwk> read_possession(const wire::PossessionVerify& request,
                                   std::string_view base_url) {
  ISSUE_TRY(statement, verify_own_key_jws(request.authorization));
  if (!statement.jws.header().url.starts_with(std::string(base_url) + "/acme/"))
    return refuse("possession-url", "the statement was signed for another server");
  const auto document = json::Document::parse(text_of(statement.jws.payload()));
  if (!document || !document->root().is_object() || !has_exactly_its_members(document->root()))
    return bad_input("possession-payload",
                     "the statement has exactly type, identifiers, accountKey and token");
  const auto root = document->root();
  const auto account = jose::Jwk::from_json(root.get("accountKey"));
  if (!root.get("identifiers").is_array() || !root.get("token").is_string() || !account ||
      root.get("type").string() != kPossessionChallenge) {
    return bad_input("possession-payload", "a member of the statement is not of its kind");
  }
  if (root.get("token").string() != request.token)
    return refuse("possession-token", "the statement was made for another challenge");
  if (account->canonical() != request.account_jwk)
    return refuse("possession-account", "the statement was made for another account");
  if (!lists(root.get("identifiers"), request.identifier))
    return refuse("possession-identifier", "the statement does not speak of the identifier");
  return std::move(statement.key);
}

bool proves_identifier(const x509::Certificate& certificate, const IntentRow& intent,
                       const wire::Identifier& identifier, std::int64_t now_ms) {
  if (now_ms < certificate.not_before_ms || now_ms > certificate.not_after_ms) return false;
  const auto names = names_in(certificate);
  if (!names || names->size() != intent.grants.size()) return false;
  const bool derived = std::any_of(
      intent.grants.begin(), intent.grants.end(),
      [](const GrantNote& note) { return note.method == wire::ValidationMethod::kPossession01; });
  return !derived && std::find(names->begin(), names->end(), identifier) != names->end();
}

}  // namespace keyward::issue
