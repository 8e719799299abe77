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

// What `validation` may say to have looked at.
bool is_name_method(ValidationMethod method) {
  return method == ValidationMethod::kHttp01 || method == ValidationMethod::kTlsAlpn01 ||
         method == ValidationMethod::kAppliance || is_dns_method(method);
}

// Methods whose place or record is made of the account's URL: a grant without it would not say what
// was looked at.
bool needs_account_url(ValidationMethod method) {
  return method == ValidationMethod::kDnsAccount01 || method == ValidationMethod::kDnsPersist01;
}

Verdict<void> check_reach(const wire::GrantName& m) {
  const bool dns_method = is_dns_method(m.method);
  if (dns_method && m.identifier.type != IdentifierType::kDns)
    return refuse("grant-not-permitted", "no dns method proves an address (RFC 8738 §7)");
  if ((m.wildcard || m.subtree) && !dns_method) {
    return refuse("grant-not-permitted",
                  "only a dns method proves control of all names below (RFC 8555 §7.1.3)");
  }
  if (needs_account_url(m.method) && !m.account_url)
    return refuse("grant-not-permitted", "the proof does not say for which account URL it is");
  if (m.account_url && m.account_url->empty())
    return refuse("grant-not-permitted", "an account URL that is none");
  return {};
}

bool same_proof(const Grant& a, const Grant& b) {
  return a.identifier == b.identifier && a.wildcard == b.wildcard && a.method == b.method &&
         a.ticket == b.ticket && a.spki_sha256 == b.spki_sha256 && a.subtree == b.subtree &&
         a.account_url == b.account_url && a.profile == b.profile && a.devices == b.devices;
}

// A name that the grant speaks of: its own, or one below when it covers these.
bool speaks_of(const Grant& grant, const wire::Identifier& base) {
  if (grant.identifier == base) return true;
  return grant.subtree.value_or(false) && base.type == IdentifierType::kDns &&
         grant.identifier.type == IdentifierType::kDns &&
         identifier::is_within(base.value, grant.identifier.value);
}

// Devices, authority tokens and remote attestations are for one order alone (D-A9; RFC 9447 §7).
bool needs_ticket(IdentifierType type) {
  return is_device_type(type) || identifier::is_authority_type(type) ||
         type == IdentifierType::kRemoteAttestation || type == IdentifierType::kMac;
}

// What who vouches for telephone identities or devices may say, and how.
Verdict<void> check_authority(const wire::GrantAuthority& m) {
  const bool mac = m.identifier.type == IdentifierType::kMac;
  if (!mac && !identifier::is_authority_type(m.identifier.type))
    return refuse("grant-not-permitted", "an authority vouches for what is not its to vouch for");
  const bool vendor = m.method == ValidationMethod::kVendorJwt01;
  if (m.method != ValidationMethod::kTkauth01 && !(mac && vendor))
    return refuse("grant-not-permitted", "not a method that an authority vouches by");
  if (!m.domains.empty() && !mac)
    return refuse("grant-not-permitted", "a telephone identity has no service");
  if (m.domains.size() > limits::kVendorDomainsMax)
    return refuse("grant-not-permitted", "a vendor's token names too many domains");
  for (const auto& domain : m.domains) {
    const auto form = identifier::canonical(IdentifierType::kDns, domain);
    if (!form || form->value != domain || identifier::is_wildcard(*form))
      return bad_input("identifier-malformed", "a grant's domain is not canonical");
  }
  const bool endless = m.not_after_max_ms == 0 || m.not_after_max_ms == INT64_MAX;
  if (vendor && !endless)
    return refuse("grant-not-permitted", "a vendor's token says nothing about certificates' ends");
  return {};
}

// Why the grants that were looked at did not do; the nearest miss is told.
struct Misses {
  bool narrower = false, method = false, account_url = false, expired = false;

  Verdict<Grant> refusal() const {
    if (narrower)
      return refuse("grant-wildcard", "the name was proved, but not all names below it");
    if (method)
      return refuse("grant-method", "an identifier was proved in a way that the profile rules out");
    if (account_url)
      return refuse("grant-account-url", "an identifier was proved for another account URL");
    if (expired) return refuse("grant-expired", "the proof of an identifier has expired");
    return refuse("grant-missing",
                  "an identifier of the order was not proved for this account and order");
  }
};

}  // namespace

Verdict<void> check_grant_lifetime(std::int64_t expires_at_ms, std::int64_t now_ms) {
  if (expires_at_ms <= now_ms) return refuse("grant-expired", "the grant ends before it begins");
  if (expires_at_ms - now_ms > limits::kGrantLifetimeMsMax)
    return refuse("grant-not-permitted", "the grant lives too long");
  return {};
}

bool is_device_type(IdentifierType type) {
  return type == IdentifierType::kPermanentIdentifier || type == IdentifierType::kHardwareModule;
}

bool is_dns_method(ValidationMethod method) {
  return method == ValidationMethod::kDns01 || method == ValidationMethod::kDnsAccount01 ||
         method == ValidationMethod::kDnsPersist01;
}

Verdict<Grant> admit(const wire::GrantName& m, const GrantRules& rules, std::int64_t now_ms) {
  if (m.identifier.type != IdentifierType::kDns && m.identifier.type != IdentifierType::kIp)
    return refuse("grant-not-permitted", "a name's validator asserts what is no name");
  if (!is_name_method(m.method))
    return refuse("grant-not-permitted", "not a method that proves names");
  if (!is_canonical(m.identifier) || identifier::is_wildcard(m.identifier)) {
    return bad_input("identifier-malformed", "a grant's identifier is not canonical");
  }
  ISSUE_CHECK(check_reach(m));
  const bool own_name = std::find(rules.appliance_names.begin(), rules.appliance_names.end(),
                                  m.identifier) != rules.appliance_names.end();
  const bool own_method = m.method == ValidationMethod::kAppliance;
  if (own_name != own_method)
    return refuse("grant-not-permitted", "the appliance's names are its own, and no others are");
  if (own_method && !m.ticket)
    return refuse("grant-not-permitted", "the appliance's grant is for one order");
  if (m.ticket && m.ticket->empty())
    return refuse("grant-not-permitted", "a grant for an order that is none");
  ISSUE_CHECK(check_grant_lifetime(m.expires_at_ms, now_ms));
  Grant grant{m.thumbprint, m.identifier, m.wildcard,      m.method,         m.ticket,
              std::nullopt, std::nullopt, m.expires_at_ms, m.evidence_sha256};
  if (m.subtree) grant.subtree = true;
  grant.account_url = m.account_url;
  return grant;
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
  ISSUE_CHECK(check_grant_lifetime(m.expires_at_ms, now_ms));
  Grant grant{m.thumbprint,     m.identifier,  false,    ValidationMethod::kDeviceAttest01,
              m.ticket,         m.spki_sha256, m.format, m.expires_at_ms,
              m.evidence_sha256};
  grant.ak_serial = m.ak_serial;
  return grant;
}

Verdict<Grant> admit(const wire::GrantAuthority& m, std::int64_t now_ms) {
  ISSUE_CHECK(check_authority(m));
  const bool vendor = m.method == ValidationMethod::kVendorJwt01;
  if (!is_canonical(m.identifier))
    return bad_input("identifier-malformed", "a grant's identifier is not canonical");
  if (m.ticket.empty())
    return refuse("grant-not-permitted", "an authority's grant is for one order");
  if (!vendor && m.not_after_max_ms <= now_ms) {
    return refuse("grant-not-permitted",
                  "no certificate may outlive the token, and the token has ended (RFC 9447 §7)");
  }
  ISSUE_CHECK(check_grant_lifetime(m.expires_at_ms, now_ms));
  Grant grant{m.thumbprint, m.identifier, false,           m.method,         m.ticket,
              std::nullopt, std::nullopt, m.expires_at_ms, m.evidence_sha256};
  if (!vendor) grant.not_after_max_ms = m.not_after_max_ms;
  if (!m.domains.empty()) grant.domains = m.domains;
  return grant;
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

Verdict<Grant> GrantTable::cover(const CoverQuery& query, const wire::Identifier& id,
                                 std::int64_t now_ms) const {
  const bool wildcard = identifier::is_wildcard(id);
  const wire::Identifier base = identifier::without_wildcard(id);
  const auto counts = [&](ValidationMethod method) {
    return method == ValidationMethod::kAppliance ||
           std::find(query.methods.begin(), query.methods.end(), method) != query.methods.end();
  };
  Misses misses;
  const std::lock_guard lock(mutex_);
  for (const auto& thumbprint : query.thumbprints) {
    const auto account = by_account_.find(thumbprint);
    if (account == by_account_.end()) continue;
    for (const Grant& grant : account->second) {
      if (!speaks_of(grant, base)) continue;
      if (grant.ticket ? *grant.ticket != query.ticket : needs_ticket(base.type)) continue;
      if (grant.expires_at_ms <= now_ms) {
        misses.expired = true;
      } else if (wildcard && !grant.wildcard && !grant.subtree.value_or(false)) {
        misses.narrower = true;
      } else if (!counts(grant.method)) {
        misses.method = true;
      } else if (grant.account_url && *grant.account_url != query.kid) {
        misses.account_url = true;
      } else {
        return grant;
      }
    }
  }
  return misses.refusal();
}

Verdict<Grant> GrantTable::cover_service(const CoverQuery& query, const wire::Identifier& uri,
                                         std::span<const wire::Identifier> macs,
                                         std::int64_t now_ms) const {
  const auto host = identifier::uri_host(uri);
  if (!host) return refuse(host.error(), "identifier-malformed");
  // How the account proves names is not the profile's matter, whose methods are for MAC addresses.
  static constexpr ValidationMethod kNameMethods[]{
      ValidationMethod::kHttp01, ValidationMethod::kDns01, ValidationMethod::kTlsAlpn01,
      ValidationMethod::kDnsAccount01, ValidationMethod::kDnsPersist01};
  const CoverQuery names{query.thumbprints, query.ticket, query.kid, kNameMethods};
  const auto proved = [&](const std::string& name) {
    return cover(names, {IdentifierType::kDns, name}, now_ms).has_value();
  };
  bool spoken_for = false;
  for (const auto& mac : macs) {
    ISSUE_TRY(grant, cover(query, mac, now_ms));
    for (const auto& domain : grant.domains.value_or(std::vector<std::string>())) {
      if (!identifier::is_within(*host, domain)) continue;
      spoken_for = true;
      if (proved(domain) || proved(*host)) return std::move(grant);
    }
  }
  if (spoken_for)
    return refuse("service-domain-unproved", "the account has not proved the service's domain");
  return refuse("service-domain-missing", "no vendor's word of this order is for that domain");
}

std::vector<Grant> GrantTable::of_order(std::span<const Digest256> thumbprints,
                                        std::string_view ticket,
                                        const wire::Identifier& identifier) const {
  std::vector<Grant> out;
  const std::lock_guard lock(mutex_);
  for (const auto& thumbprint : thumbprints) {
    const auto account = by_account_.find(thumbprint);
    if (account == by_account_.end()) continue;
    std::copy_if(account->second.begin(), account->second.end(), std::back_inserter(out),
                 [&](const Grant& g) {
                   return g.identifier == identifier && g.ticket && *g.ticket == ticket;
                 });
  }
  return out;
}

std::vector<Grant> GrantTable::withdraw(const Digest256& thumbprint,
                                        const wire::Identifier& identifier) {
  std::vector<Grant> out;
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(thumbprint);
  if (account == by_account_.end()) return out;
  std::copy_if(account->second.begin(), account->second.end(), std::back_inserter(out),
               [&](const Grant& g) { return g.identifier == identifier; });
  count_ -=
      std::erase_if(account->second, [&](const Grant& g) { return g.identifier == identifier; });
  if (account->second.empty()) by_account_.erase(account);
  return out;
}

void GrantTable::remove(const Grant& grant) {
  const std::lock_guard lock(mutex_);
  const auto account = by_account_.find(grant.thumbprint);
  if (account == by_account_.end()) return;
  count_ -= std::erase_if(account->second, [&](const Grant& g) { return same_proof(g, grant); });
  if (account->second.empty()) by_account_.erase(account);
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
