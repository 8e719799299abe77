// Owns admission and search of remote attestations' grants. Must not know how evidence is appraised.
#include "firmware/issue/remote_grants.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kHintBytesMax = 64;

bool is_canonical_device(const wire::Identifier& id) {
  if (!is_device_type(id.type)) return false;
  const auto canonical = identifier::canonical(id.type, id.value);
  return canonical && *canonical == id;
}

// Octet for octet; only an assigner may be left out in the order (RFC 4043: it says who gave the
// value, and a client need not know).
bool names_device(const wire::Identifier& ordered, const wire::Identifier& device) {
  if (ordered == device) return true;
  if (ordered.type != device.type || ordered.type != wire::IdentifierType::kPermanentIdentifier)
    return false;
  const auto wanted = identifier::split_device_value(ordered);
  const auto held = identifier::split_device_value(device);
  return wanted && held && !wanted->oid && held->oid && wanted->value == held->value;
}

bool is_about_order(const Grant& grant, const std::vector<wire::Identifier>& identifiers) {
  if (!grant.devices || grant.devices->empty()) return true;
  return std::ranges::any_of(identifiers, [&](const wire::Identifier& ordered) {
    return std::ranges::any_of(
        *grant.devices, [&](const wire::Identifier& held) { return names_device(ordered, held); });
  });
}

// Why the grants that were looked at did not do; the nearest miss is told.
struct Misses {
  bool device = false, key = false, expired = false, profile = false;

  Verdict<Grant> refusal() const {
    if (device)
      return refuse("grant-device-mismatch", "the attested device is none of the order's");
    if (key) return refuse("attestation-key-mismatch", "the CSR's key is not the attested one");
    if (expired) return refuse("attestation-expired", "a remote attestation has expired");
    if (profile)
      return refuse("attestation-profile", "a remote attestation was made for another profile");
    return refuse("attestation-missing",
                  "a remote attestation that the profile asks for was not made for this order");
  }
};

}  // namespace

bool is_canonical_hint(std::string_view hint) {
  return hint.size() <= kHintBytesMax && std::ranges::all_of(hint, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

Verdict<Grant> admit(const wire::GrantRemote& m, const Profiles& profiles, std::int64_t now_ms) {
  if (!is_canonical_hint(m.hint))
    return bad_input("identifier-malformed", "a remote attestation's hint is not canonical");
  if (profiles.find(m.profile) == nullptr)
    return refuse("profile-unknown", "a remote attestation for a profile that is not offered");
  if (m.ticket.empty())
    return refuse("grant-not-permitted", "a remote attestation is for one order");
  // A comparison with nothing would let any key pass.
  if (m.spki_sha256 && *m.spki_sha256 == Digest256{})
    return refuse("grant-not-permitted", "a remote attestation names a key that is none");
  if (m.devices.size() > limits::kGrantDevicesMax)
    return refuse("grant-not-permitted", "a remote attestation names too many devices");
  if (!std::ranges::all_of(m.devices, is_canonical_device))
    return bad_input("identifier-malformed", "a remote attestation's device is not canonical");
  ISSUE_CHECK(check_grant_lifetime(m.expires_at_ms, now_ms));
  Grant grant;
  grant.thumbprint = m.thumbprint;
  grant.identifier = {wire::IdentifierType::kRemoteAttestation, m.hint};
  grant.method = wire::ValidationMethod::kRemoteAttest01;
  grant.ticket = m.ticket;
  grant.spki_sha256 = m.spki_sha256;
  grant.expires_at_ms = m.expires_at_ms;
  grant.evidence_sha256 = m.evidence_sha256;
  grant.profile = m.profile;
  grant.policy = m.policy;
  if (!m.devices.empty()) grant.devices = m.devices;
  grant.ak_serial = m.ak_serial;
  return grant;
}

std::vector<std::string> wanted_attestations(const wire::OrderTerms& terms,
                                             const Profile& profile) {
  auto out = terms.attestations.value_or(std::vector<std::string>());
  out.insert(out.end(), profile.attestations.begin(), profile.attestations.end());
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Verdict<Grant> find_attestation(const AttestationQuery& query, std::string_view hint,
                                const GrantTable& grants, std::int64_t now_ms) {
  const wire::Identifier identifier{wire::IdentifierType::kRemoteAttestation, std::string(hint)};
  Misses misses;
  for (auto& grant : grants.of_order(query.thumbprints, query.ticket, identifier)) {
    if (!grant.profile || *grant.profile != query.profile) {
      misses.profile = true;
    } else if (grant.expires_at_ms <= now_ms) {
      misses.expired = true;
    } else if (grant.spki_sha256 && *grant.spki_sha256 != query.csr_key_sha256) {
      misses.key = true;
    } else if (!is_about_order(grant, query.identifiers)) {
      misses.device = true;
    } else {
      return std::move(grant);
    }
  }
  return misses.refusal();
}

}  // namespace keyward::issue
