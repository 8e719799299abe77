// Owns grants: who proved control of what, how, until when, and for which order (DESIGN §2.1). Must
// not know how a proof is made, nor sockets: the peer table decides who may bring a grant at all.
//
// A grant is refused unless its bringer may assert it: names (dns, ip) by the methods of
// `validation`, wildcard by dns-01 alone, the appliance's own names by kAppliance alone; devices by
// `attestation`, always for one order and one key.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/verdict.h"
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
  }
};

bool is_device_type(wire::IdentifierType type);

// "grant-not-permitted", "attested-key-missing", "identifier-malformed", "grant-expired".
struct GrantRules {
  std::vector<wire::Identifier> appliance_names;  // canonical; reserved for kAppliance
};
Verdict<Grant> admit(const wire::GrantName& message, const GrantRules& rules, std::int64_t now_ms);
Verdict<Grant> admit(const wire::GrantDevice& message, std::int64_t now_ms);

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
  // none: "grant-wildcard", "grant-expired", "grant-missing".
  Verdict<Grant> cover(const Digest256& thumbprint, const wire::Identifier& identifier,
                       std::string_view ticket, std::int64_t now_ms) const;
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
