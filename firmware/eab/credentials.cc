// Owns the lines of the credentials file. Must not know who writes it.
#include "firmware/eab/credentials.h"

#include <algorithm>
#include <array>

#include <string.h>

#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::eab {
namespace {

constexpr std::size_t kProfilesMax = 16;
constexpr std::array<std::string_view, 10> kMembers = {
    "kid",   "key",          "created_ms", "expires_ms", "profiles",
    "quota", "accounts_max", "on_excess",  "revoked_ms", "recovers_account"};

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

bool is_graphic(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<std::optional<std::int64_t>> optional_count(const json::Value& object,
                                                   std::string_view name) {
  const auto value = object.get(name);
  if (!value.exists()) return std::optional<std::int64_t>();
  if (!value.is_integer() || value.integer() < 0)
    return bad("a number is not a number, or below 0");
  return std::optional<std::int64_t>(value.integer());
}

std::optional<std::uint64_t> as_unsigned(std::optional<std::int64_t> value) {
  return value ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

Status read_numbers(const json::Value& root, Credential& out) {
  KEYWARD_TRY(created, optional_count(root, "created_ms"));
  KEYWARD_TRY(expires, optional_count(root, "expires_ms"));
  KEYWARD_TRY(quota, optional_count(root, "quota"));
  KEYWARD_TRY(accounts, optional_count(root, "accounts_max"));
  KEYWARD_TRY(revoked, optional_count(root, "revoked_ms"));
  if (!created) return bad("created_ms is missing");
  out.created_ms = *created;
  out.expires_ms = expires;
  out.quota = as_unsigned(quota);
  out.accounts_max = as_unsigned(accounts);
  out.revoked_ms = revoked;
  return {};
}

Status read_profiles(const json::Value& root, Credential& out) {
  const auto profiles = root.get("profiles");
  if (!profiles.exists()) return {};
  if (!profiles.is_array()) return bad("profiles is not an array");
  for (const auto& profile : profiles.items()) {
    if (!profile.is_string()) return bad("a profile is not a string");
    out.profiles.emplace_back(profile.string());
  }
  return {};
}

Result<Credential> read_line(std::string_view line) {
  KEYWARD_TRY(document, json::Document::parse(line, limits::kEabCredentialBytesMax));
  const auto root = document.root();
  if (!root.is_object()) return bad("a line is not a JSON object");
  // An unknown member may be a misspelt restriction: it must not be passed over.
  for (const auto key : root.keys()) {
    if (std::ranges::find(kMembers, key) == kMembers.end()) return bad("an unknown member");
  }
  Credential out;
  KEYWARD_TRY(kid, root.require_string("kid"));
  KEYWARD_TRY(key_text, root.require_string("key"));
  KEYWARD_TRY(on_excess_text, root.require_string("on_excess"));
  out.kid = kid;
  KEYWARD_TRY(key, base64url_decode(key_text));
  out.key = SecretBytes(key);
  ::explicit_bzero(key.data(), key.size());
  const auto on_excess = on_excess_from(on_excess_text);
  if (!on_excess) return bad("on_excess is neither refuse nor revoke");
  out.on_excess = *on_excess;
  KEYWARD_CHECK(read_numbers(root, out));
  KEYWARD_CHECK(read_profiles(root, out));
  if (root.get("recovers_account").exists()) {
    KEYWARD_TRY(account, root.require_string("recovers_account"));
    out.recovers_account = account;
  }
  KEYWARD_CHECK(check(out));
  return out;
}

void write_line(const Credential& credential, Bytes& out) {
  json::Writer line;
  line.begin_object()
      .member("kid", credential.kid)
      .member("key", base64url_encode(credential.key.view()))
      .member_int("created_ms", credential.created_ms);
  const auto number = [&](std::string_view name, const auto& value) {
    if (value) line.member_int(name, static_cast<std::int64_t>(*value));
  };
  number("expires_ms", credential.expires_ms);
  if (!credential.profiles.empty()) {
    line.key("profiles").begin_array();
    for (const auto& profile : credential.profiles) line.string(profile);
    line.end_array();
  }
  number("quota", credential.quota);
  number("accounts_max", credential.accounts_max);
  line.member("on_excess", to_string(credential.on_excess));
  number("revoked_ms", credential.revoked_ms);
  if (credential.recovers_account) line.member("recovers_account", *credential.recovers_account);
  std::string text = line.end_object().take();
  append(out, view_of(text));
  out.push_back('\n');
  ::explicit_bzero(text.data(), text.size());
}

}  // namespace

std::string_view to_string(OnExcess value) {
  return value == OnExcess::kRevoke ? "revoke" : "refuse";
}

std::optional<OnExcess> on_excess_from(std::string_view text) {
  if (text == "refuse") return OnExcess::kRefuse;
  if (text == "revoke") return OnExcess::kRevoke;
  return std::nullopt;
}

Status check(const Credential& credential) {
  if (credential.kid.empty() || credential.kid.size() > limits::kEabKidBytesMax)
    return bad("a kid has 1 to 64 characters");
  if (!is_graphic(credential.kid)) return bad("a kid is ASCII without spaces");  // §7.3.4
  if (credential.key.size() < limits::kEabKeyBytesMin) return bad("a key has 32 octets or more");
  if (credential.key.size() > limits::kEabKeyBytesMax) return bad("a key has 256 octets or less");
  if (credential.profiles.size() > kProfilesMax) return bad("at most 16 profiles");
  for (const auto& profile : credential.profiles) {
    if (profile.empty() || profile.size() > limits::kProfileNameBytesMax || !is_graphic(profile))
      return bad("a profile's name has 1 to 64 characters, ASCII without spaces");
  }
  if (credential.accounts_max && *credential.accounts_max == 0)
    return bad("accounts_max is 1 or more");
  const auto& account = credential.recovers_account;
  if (account &&
      (account->empty() || account->size() > limits::kIdBytesMax || !is_graphic(*account)))
    return bad("recovers_account is not the id of an account");
  return {};
}

Result<CredentialBook> CredentialBook::parse(ByteView lines) {
  CredentialBook book;
  std::string_view rest = text_of(lines);
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty()) continue;
    auto credential = read_line(line);
    if (!credential) return fail(credential.error().kind, credential.error().what, number);
    const auto added = book.add(std::move(*credential));
    if (!added) return fail(added.error().kind, added.error().what, number);
  }
  return book;
}

SecretBytes CredentialBook::to_lines() const {
  Bytes out;
  out.reserve(credentials_.size() * limits::kEabBindingBytesMax);
  for (const auto& credential : credentials_) write_line(credential, out);
  SecretBytes secret(out);
  ::explicit_bzero(out.data(), out.size());
  return secret;
}

const Credential* CredentialBook::find(std::string_view kid) const {
  const auto found = by_kid_.find(kid);
  return found == by_kid_.end() ? nullptr : &credentials_[found->second];
}

Credential* CredentialBook::find(std::string_view kid) {
  const auto found = by_kid_.find(kid);
  return found == by_kid_.end() ? nullptr : &credentials_[found->second];
}

Status CredentialBook::add(Credential credential) {
  KEYWARD_CHECK(check(credential));
  if (credentials_.size() >= limits::kEabCredentialsMax)
    return fail(ErrorKind::kExhausted, "too many credentials");
  if (!by_kid_.emplace(credential.kid, credentials_.size()).second)
    return fail(ErrorKind::kRefused, "the kid is taken");
  credentials_.push_back(std::move(credential));
  return {};
}

}  // namespace keyward::eab
