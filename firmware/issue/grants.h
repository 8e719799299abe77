// Owns grants: who proved control of what, how, until when, and for which order (DESIGN §2.1). Must
// not know how a proof is made, nor sockets: the peer table decides who may bring a grant at all.
//
// A grant is refused unless its bringer may assert it: names (dns, ip) by the methods of
// `validation`, all names below by the dns methods alone, an ip never by these, the appliance's own
// names by kAppliance alone; devices and what authorities vouch for by `attestation`, always for
// one order, a device's for one key, an authority's with a last moment. Proofs of possession are
// the signer's own (possession.h).
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/wire/messages/grant_name.h"

namespace keyward::issue {

// As held and as journalled.
struct Grant {
  Digest256 thumbprint{};
  wire::Identifier identifier{};
  bool wildcard = false;
  wire::ValidationMethod method{};
  std::optional<std::string> ticket;     // absent: any order of the account
  std::optional<Digest256> spki_sha256;  // device grants: the attested key
  std::optional<std::string> format;     // device grants: of the attestation statement
  std::int64_t expires_at_ms = 0;
  Digest256 evidence_sha256{};
  std::optional<bool> subtree{};  // only ever true: every name below is covered too (RFC 9444)
  std::optional<std::string> account_url{};        // counts only for requests signed with this kid
  std::optional<std::int64_t> not_after_max_ms{};  // authority grants: of any certificate
  // Remote attestations (remote_grants.h): the profile and the policy that they hold under, and the
  // devices that the evidence is about.
  std::optional<std::string> profile{};
  std::optional<std::string> policy{};
  std::optional<std::vector<wire::Identifier>> devices{};
  // A vendor's word on a MAC address: the domains under which the device's service may lie.
  std::optional<std::vector<std::string>> domains{};
  // Attestations: serial number of the attestation key's certificate.
  std::optional<Bytes> ak_serial{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "wildcard", m.wildcard);
    v(4, "method", m.method);
    v(5, "ticket", m.ticket, limits::kIdBytesMax);
    v(6, "spki_sha256", m.spki_sha256);
    v(7, "format", m.format, 32);
    v(8, "expires_at_ms", m.expires_at_ms);
    v(9, "evidence_sha256", m.evidence_sha256);
    v(10, "subtree", m.subtree);
    v(11, "account_url", m.account_url, limits::kUrlBytesMax);
    v(12, "not_after_max_ms", m.not_after_max_ms);
    v(13, "profile", m.profile, limits::kProfileNameBytesMax);
    v(14, "policy", m.policy, limits::kProfileNameBytesMax);
    v(15, "devices", m.devices, limits::kGrantDevicesMax);
    v(16, "domains", m.domains, limits::kVendorDomainsMax, limits::kDeviceIdentifierBytesMax);
    v(17, "ak_serial", m.ak_serial, limits::kSerialOctetsMax);
  }
};

bool is_device_type(wire::IdentifierType type);
// dns-01, dns-account-01, dns-persist-01: who can write a name's zone controls all names below it.
bool is_dns_method(wire::ValidationMethod method);

// "grant-not-permitted", "attested-key-missing", "identifier-malformed", "grant-expired".
struct GrantRules {
  std::vector<wire::Identifier> appliance_names;  // canonical; reserved for kAppliance
};
Verdict<void> check_grant_lifetime(std::int64_t expires_at_ms, std::int64_t now_ms);
Verdict<Grant> admit(const wire::GrantName& message, const GrantRules& rules, std::int64_t now_ms);
Verdict<Grant> admit(const wire::GrantDevice& message, std::int64_t now_ms);
// A MAC address by tkauth-01 or vendor-jwt-01, telephone identities by tkauth-01 alone; domains are
// canonical dns names, for a MAC address alone. A vendor's token bounds the grant and not the
// certificate, which is about a device and no right that ends: not_after_max_ms is 0 or INT64_MAX then, and by
// tkauth-01 alone it is a time (RFC 9447 §7).
Verdict<Grant> admit(const wire::GrantAuthority& message, std::int64_t now_ms);

// What one issuance asks of the table. `methods` are the profile's: a proof by another one does not
// count, and with none nothing does. kAppliance counts always: it proves the appliance's own names
// alone.
struct CoverQuery {
  std::span<const Digest256> thumbprints;  // of the account's key and of its earlier ones
  std::string_view ticket;
  std::string_view kid;  // that the client signed with
  std::span<const wire::ValidationMethod> methods;
};

// Bounded. A full account loses its own grant that expires first; a full table refuses. Threads:
// any.
class GrantTable {
 public:
  struct Caps {
    std::size_t grants_max = limits::kGrantsMax;
    std::size_t per_account_max = limits::kGrantsPerAccountMax;
  };
  GrantTable() : GrantTable(Caps{}) {}
  explicit GrantTable(const Caps& caps) : caps_(caps) {}

  // kExhausted: the table is full of live grants. The same proof again replaces the older one.
  Status add(const Grant& grant, std::int64_t now_ms);
  bool any_live(const Digest256& thumbprint, std::int64_t now_ms) const;
  // The live grant that covers `identifier` (a wildcard included) for this order, or why there is
  // none: "grant-wildcard", "grant-method", "grant-account-url", "grant-expired", "grant-missing".
  Verdict<Grant> cover(const CoverQuery& query, const wire::Identifier& identifier,
                       std::int64_t now_ms) const;
  // The live MAC grant that covers the uri for this order: its host is one of the grant's domains or
  // lies below one, and the account has proved that domain, or the host, as a dns name for itself
  // (D-T3). "service-domain-missing": no vendor of this order speaks for the host;
  // "service-domain-unproved": one does, and the account never proved the domain.
  Verdict<Grant> cover_service(const CoverQuery& query, const wire::Identifier& uri,
                               std::span<const wire::Identifier> macs, std::int64_t now_ms) const;
  // Every grant of these keys for exactly this identifier and order, in no order; expired ones, while
  // they are kept, too.
  std::vector<Grant> of_order(std::span<const Digest256> thumbprints, std::string_view ticket,
                              const wire::Identifier& identifier) const;
  // Takes out every grant of the account for exactly this identifier, and says which these were.
  std::vector<Grant> withdraw(const Digest256& thumbprint, const wire::Identifier& identifier);
  // Takes out the same proof as `grant`, whatever its times.
  void remove(const Grant& grant);
  // An issued order needs its device grants no more: its certificate is remembered.
  void drop_order(const Digest256& thumbprint, std::string_view ticket);
  std::vector<Grant> live(std::int64_t now_ms) const;
  std::size_t size() const;

 private:
  void prune(std::int64_t now_ms);
  Caps caps_;
  mutable std::mutex mutex_;
  std::unordered_map<Digest256, std::vector<Grant>, RandomOctetsHash> by_account_;
  std::size_t count_ = 0;
};

}  // namespace keyward::issue
