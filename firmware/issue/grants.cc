#include "firmware/issue/grants.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"

namespace keyward::issue {
namespace {

using wire::IdentifierType;
using wire::ValidationMethod;

bool is_canonical(const wire::Identifier& id) {
  const auto canonical = identifier::canonical(id.type, id.value);
  return canonical && *canonical == id;
}

Verdict<void> check_lifetime(std::int64_t expires_at_ms, std::int64_t now_ms) {
  if (expires_at_ms <= now_ms) return refuse("grant-expired", "the grant ends before it begins");
  if (expires_at_ms - now_ms > limits::kGrantLifetimeMsMax)
    return refuse("grant-not-permitted", "the grant lives too long");
  return {};
}

bool is_name_method(ValidationMethod method) {
  return method == ValidationMethod::kHttp01 || method == ValidationMethod::kDns01 ||
         method == ValidationMethod::kTlsAlpn01 || method == ValidationMethod::kAppliance;
}

bool same_proof(const Grant& a, const Grant& b) {
  return a.identifier == b.identifier && a.wildcard == b.wildcard && a.method == b.method &&
         a.ticket == b.ticket && a.spki_sha256 == b.spki_sha256;
}

}  // namespace

bool is_device_type(IdentifierType type) {
  return type == IdentifierType::kPermanentIdentifier || type == IdentifierType::kHardwareModule;
}

Verdict<Grant> admit(const wire::GrantName& m, const GrantRules& rules, std::int64_t now_ms) {
  if (is_device_type(m.identifier.type))
    return refuse("grant-not-permitted", "a name's validator asserts a device");
  if (!is_name_method(m.method))
    return refuse("grant-not-permitted", "not a method that proves names");
  if (!is_canonical(m.identifier) || identifier::is_wildcard(m.identifier)) {
    return bad_input("identifier-malformed", "a grant's identifier is not canonical");
  }
  if (m.wildcard &&
      (m.method != ValidationMethod::kDns01 || m.identifier.type != IdentifierType::kDns)) {
    return refuse("grant-not-permitted",
                  "only dns-01 proves control of all names below (RFC 8555 §7.1.3)");
  }
  const bool own_name = std::find(rules.appliance_names.begin(), rules.appliance_names.end(),
                                  m.identifier) != rules.appliance_names.end();
  const bool own_method = m.method == ValidationMethod::kAppliance;
  if (own_name != own_method)
    return refuse("grant-not-permitted", "the appliance's names are its own, and no others are");
  if (own_method && !m.ticket)
    return refuse("grant-not-permitted", "the appliance's grant is for one order");
  ISSUE_CHECK(check_lifetime(m.expires_at_ms, now_ms));
  return Grant{m.thumbprint, m.identifier, m.wildcard,      m.method,         m.ticket,
               std::nullopt, std::nullopt, m.expires_at_ms, m.evidence_sha256};
}

Verdict<Grant> admit(const wire::GrantDevice& m, std::int64_t now_ms) {
  if (!is_device_type(m.identifier.type))
    return refuse("grant-not-permitted", "an attestation verifier asserts a name");
  if (!is_canonical(m.identifier))
    return bad_input("identifier-malformed", "a grant's identifier is not canonical");
  if (m.ticket.empty())
    return refuse("grant-not-permitted", "a device grant is for one order (D-A9)");
  // A comparison with nothing would let any key pass.
  if (m.spki_sha256 == Digest256{})
    return refuse("attested-key-missing", "the grant names no attested key");
  ISSUE_CHECK(check_lifetime(m.expires_at_ms, now_ms));
  return Grant{m.thumbprint,     m.identifier,  false,    ValidationMethod::kDeviceAttest01,
               m.ticket,         m.spki_sha256, m.format, m.expires_at_ms,
               m.evidence_sha256};
}

void GrantTable::prune(std::int64_t now_ms) {
  for (auto account = by_account_.begin(); account != by_account_.end();) {
    count_ -= std::erase_if(account->second, [&](const Grant& g) {
      return g.expires_at_ms + limits::kExpiredGrantKeptMs <= now_ms;
    });
    account = account->second.empty() ? by_account_.erase(account) : std::next(account);
  }
}

Status GrantTable::add(const Grant& grant, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (count_ >= caps_.grants_max) prune(now_ms);
  auto& grants = by_account_[grant.thumbprint];
  for (auto& known : grants) {
    if (!same_proof(known, grant)) continue;
    known = grant;
    return {};
  }
  if (grants.size() >= caps_.per_account_max) {
    grants.erase(std::min_element(grants.begin(), grants.end(), [](const Grant& a, const Grant& b) {
      return a.expires_at_ms < b.expires_at_ms;
    }));
    --count_;
  }
  if (count_ >= caps_.grants_max) {
    if (grants.empty()) by_account_.erase(grant.thumbprint);
    return fail(ErrorKind::kExhausted, "the table of grants is full");
  }
  grants.push_back(grant);
  ++count_;
  return {};
}

bool GrantTable::any_live(const Digest256& thumbprint, std::int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(thumbprint);
  if (account == by_account_.end()) return false;
  return std::any_of(account->second.begin(), account->second.end(),
                     [&](const Grant& g) { return g.expires_at_ms > now_ms; });
}

Verdict<Grant> GrantTable::cover(const Digest256& thumbprint, const wire::Identifier& id,
                                 std::string_view ticket, std::int64_t now_ms) const {
  const bool wildcard = identifier::is_wildcard(id);
  const wire::Identifier base = identifier::without_wildcard(id);
  bool narrower = false, expired = false;
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(thumbprint);
  if (account != by_account_.end()) {
    for (const Grant& grant : account->second) {
      if (grant.identifier != base) continue;
      if (grant.ticket ? *grant.ticket != ticket : is_device_type(base.type)) continue;  // D-A9
      if (grant.expires_at_ms <= now_ms) {
        expired = true;
      } else if (wildcard && !grant.wildcard) {
        narrower = true;
      } else {
        return grant;
      }
    }
  }
  if (narrower) return refuse("grant-wildcard", "the name was proved, but not all names below it");
  if (expired) return refuse("grant-expired", "the proof of an identifier has expired");
  return refuse("grant-missing",
                "an identifier of the order was not proved for this account and order");
}

void GrantTable::drop_order(const Digest256& thumbprint, std::string_view ticket) {
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(thumbprint);
  if (account == by_account_.end()) return;
  count_ -= std::erase_if(account->second,
                          [&](const Grant& g) { return g.ticket && *g.ticket == ticket; });
  if (account->second.empty()) by_account_.erase(account);
}

std::vector<Grant> GrantTable::live(std::int64_t now_ms) const {
  std::vector<Grant> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [thumbprint, grants] : by_account_) {
    std::copy_if(grants.begin(), grants.end(), std::back_inserter(out),
                 [&](const Grant& g) { return g.expires_at_ms > now_ms; });
  }
  return out;
}

std::size_t GrantTable::size() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace keyward::issue
