#include "firmware/issue/order_policy.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/grants.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"

namespace keyward::issue {
namespace {

using wire::Identifier;
using wire::IdentifierType;

// What is wrong with one identifier of a newOrder, as the client wrote it. No identifier: a type or
// a size that no message here can carry.
struct Fault {
  wire::Failure failure;
  std::optional<Identifier> identifier;
};

// RFC 9444 §4.2: where the client wants to prove control, the name itself or one above it. Which
// proof then covers the name is the grants' matter; nothing of it is in the order's terms.
Verdict<void> check_ancestor(const json::Value& value, const Identifier& id) {
  const auto ancestor = value.get("ancestorDomain");
  if (!ancestor.exists()) return {};
  const auto domain = ancestor.is_string() && id.type == IdentifierType::kDns
                          ? identifier::canonical(IdentifierType::kDns, ancestor.string())
                          : fail(ErrorKind::kBadInput, "no ancestorDomain");
  const bool above = domain && !identifier::is_wildcard(*domain) &&
                     identifier::is_within(identifier::without_wildcard(id).value, domain->value);
  if (above) return {};
  return bad_input("identifier-malformed", "ancestorDomain is not a domain above the name");
}

Verdict<Identifier> read_value(const json::Value& value, IdentifierType type, std::string_view text,
                               const NamePolicy& policy) {
  const auto id = identifier::canonical(type, text);
  if (!id && id.error().kind == ErrorKind::kRefused)
    return refuse(id.error(), "identifier-not-permitted");
  if (!id) return refuse(id.error(), "identifier-malformed");
  ISSUE_CHECK(check_ancestor(value, *id));
  ISSUE_CHECK(check_permitted(*id, policy));
  return *id;
}

tl::expected<Identifier, Fault> read_identifier(const json::Value& value, std::string_view type,
                                                std::string_view text, const NamePolicy& policy) {
  const auto known = identifier::type_from(type);
  if (!known) {
    return tl::unexpected(
        Fault{wire::Failure::of(wire::FailureKind::kRefused, "identifier-unsupported",
                                "an identifier type that is not served here"),
              std::nullopt});
  }
  auto id = read_value(value, *known, text, policy);
  if (id) return std::move(*id);
  Fault fault{std::move(id.error()), std::nullopt};
  if (text.size() <= limits::kIdentifierBytesMax)
    fault.identifier = Identifier{*known, std::string(text)};
  return tl::unexpected(std::move(fault));
}

// One at fault: its own reason. More: all of them at once (RFC 8555 §6.7.1).
tl::unexpected<wire::Failure> refuse_all(std::vector<Fault> faults) {
  wire::Failure out = faults.size() == 1
                          ? faults.front().failure
                          : wire::Failure::of(wire::FailureKind::kRefused, "identifiers-refused",
                                              "several identifiers cannot be served");
  for (auto& fault : faults) {
    if (!fault.identifier || out.faults.size() == limits::kIdentifierFaultsMax) continue;
    out.faults.push_back({std::move(*fault.identifier), std::move(fault.failure.code),
                          std::move(fault.failure.detail)});
  }
  return tl::unexpected(std::move(out));
}

Verdict<std::vector<Identifier>> read_identifiers(const json::Value& list,
                                                  const NamePolicy& policy) {
  if (!list.is_array()) return bad_input("payload-malformed", "identifiers is not a list");
  const auto items = list.items();
  if (items.empty() || items.size() > limits::kIdentifiersPerOrderMax)
    return bad_input("payload-malformed", "an order has 1 to 64 identifiers");
  std::set<Identifier> unique;
  std::vector<Fault> faults;
  for (const auto& item : items) {
    const auto type = item.require_string("type");
    const auto text = item.require_string("value");
    if (!type || !text) return bad_input("payload-malformed", "an identifier needs type and value");
    auto id = read_identifier(item, *type, *text, policy);
    if (id)
      unique.insert(std::move(*id));
    else
      faults.push_back(std::move(id.error()));
  }
  if (!faults.empty()) return refuse_all(std::move(faults));
  return std::vector<Identifier>(unique.begin(), unique.end());
}

Verdict<const Profile*> choose_profile(const json::Value& wanted,
                                       const std::vector<Identifier>& identifiers,
                                       const Profiles& profiles, bool renewed) {
  const Profile* profile = nullptr;
  if (wanted.exists()) {
    profile = wanted.is_string() ? profiles.find(wanted.string()) : nullptr;
    if (profile == nullptr) return refuse("profile-unknown", "no such profile");
  } else {
    profile = profiles.fitting(identifiers, renewed);
  }
  if (profile == nullptr || !takes(*profile, identifiers))
    return refuse("profile-identifiers",
                  "these identifiers do not go into one certificate of that profile");
  return profile;
}

// The SPKI of a CSR (RFC 2986 §4.1: version, subject, subjectPKInfo), read only to say which half
// failed.
bool csr_key_is_readable(ByteView der) {
  x509::DerReader outer(der);
  auto request = outer.sequence();
  if (!request) return false;
  auto info = request->sequence();
  if (!info || !info->any() || !info->any()) return false;
  const auto spki = info->element_whole(x509::tag::kSequence);
  return spki && crypto::PublicKey::from_spki(*spki).has_value();
}

Verdict<void> collect(std::set<Identifier>& out, IdentifierType type, std::string_view text) {
  const auto id = identifier::canonical(type, text);
  if (!id) return bad_input("csr-names", "the CSR holds a name that is none");
  out.insert(*id);
  return {};
}

std::string ip_text(ByteView octets) {
  std::string out;
  if (octets.size() == 4) {
    for (std::size_t i = 0; i < 4; ++i) out += (i == 0 ? "" : ".") + std::to_string(octets[i]);
    return out;
  }
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2)
    out += (i == 0 ? "" : ":") + hex_encode(octets.subspan(i, 2));
  return out;  // uncompressed: identifier::canonical writes it as RFC 5952 wants
}

Verdict<std::set<Identifier>> names_of(const x509::CertificateRequest& csr) {
  std::set<Identifier> out;
  for (const auto& name : csr.dns_names) ISSUE_CHECK(collect(out, IdentifierType::kDns, name));
  for (const auto& octets : csr.ip_addresses)
    ISSUE_CHECK(collect(out, IdentifierType::kIp, ip_text(octets)));
  for (const auto& name : csr.permanent_identifiers)
    ISSUE_CHECK(collect(out, IdentifierType::kPermanentIdentifier, name));
  for (const auto& name : csr.hardware_modules)
    ISSUE_CHECK(collect(out, IdentifierType::kHardwareModule, name));
  for (const auto& name : csr.macs) ISSUE_CHECK(collect(out, IdentifierType::kMac, name));
  for (const auto& name : csr.uris) ISSUE_CHECK(collect(out, IdentifierType::kUri, name));
  return out;
}

// The order's identifier that a common name repeats: a dns name or ip in any accepted form, a
// device's value with or without its OID.
const Identifier* named_by(const std::string& common_name,
                           const std::vector<Identifier>& identifiers) {
  for (const auto& id : identifiers) {
    if (identifier::is_attestation_type(id.type)) continue;  // nobody's name
    if (is_device_type(id.type)) {
      const auto parts = identifier::split_device_value(id);
      if (id.value == common_name || (parts && parts->value == common_name)) return &id;
    } else {
      const auto canonical = identifier::canonical(id.type, common_name);
      if (canonical && *canonical == id) return &id;
    }
  }
  return nullptr;
}

}  // namespace

Verdict<void> check_permitted(const Identifier& id, const NamePolicy& policy) {
  if (id.type == IdentifierType::kUri) {
    // A service lies where its host lies (D-T3).
    auto host = identifier::uri_host(id);
    if (!host) return refuse(host.error(), "identifier-malformed");
    return check_permitted({IdentifierType::kDns, std::move(*host)}, policy);
  }
  if (id.type != IdentifierType::kDns && id.type != IdentifierType::kIp) return {};
  const Identifier base = identifier::without_wildcard(id);
  const auto above = [&](const std::string& tree) {
    return base.type == IdentifierType::kDns && identifier::is_within(base.value, tree);
  };
  const auto around = [&](const IpSubtree& tree) { return tree.contains(base); };
  if (std::ranges::any_of(policy.denied_dns, above))
    return refuse("identifier-not-permitted", "the name lies in a subtree that is never certified");
  if (policy.permitted_dns.empty() && policy.permitted_ip.empty()) return {};
  const bool own = std::find(policy.appliance_names.begin(), policy.appliance_names.end(), id) !=
                   policy.appliance_names.end();
  const bool inside = std::ranges::any_of(policy.permitted_dns, above) ||
                      std::ranges::any_of(policy.permitted_ip, around);
  if (own || inside) return {};
  return refuse("identifier-not-permitted", "the name lies outside this installation's subtrees");
}

Verdict<wire::OrderTerms> read_new_order(const jose::VerifiedJws& jws, const OrderRules& rules,
                                         std::int64_t now_ms) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  if (!document || !document->root().is_object())
    return bad_input("payload-malformed", "newOrder is not a JSON object");
  const auto root = document->root();
  wire::OrderTerms terms;
  ISSUE_TRY(identifiers, read_identifiers(root.get("identifiers"), rules.names));
  const auto renewal = root.get("auto-renewal");
  ISSUE_TRY(profile,
            choose_profile(root.get("profile"), identifiers, rules.profiles, renewal.exists()));
  terms.identifiers = std::move(identifiers);
  terms.profile = profile->name;
  if (!profile->attestations.empty())
    terms.attestations = profile->attestations;  // D-R4: what the client is told holds to the end
  if (!renewal.exists()) {
    ISSUE_CHECK(read_validity(root, *profile, rules.issuer, rules.validity, now_ms, terms));
    return terms;
  }
  if (root.get("notBefore").exists() || root.get("notAfter").exists())
    return bad_input("star-terms", "auto-renewal has its own dates (RFC 8739 §3.1.1)");
  ISSUE_TRY(star, read_star(renewal, *profile, rules.issuer, rules.validity, now_ms));
  star.finalize_by_ms = std::min(now_ms + limits::kOrderLifetimeMs, star.end_ms);
  terms.star = star;
  return terms;
}

Verdict<Bytes> read_finalize(const jose::VerifiedJws& jws) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  if (!document || !document->root().is_object())
    return bad_input("payload-malformed", "finalize is not a JSON object");
  const auto csr = document->root().require_string("csr");
  if (!csr) return bad_input("payload-malformed", "finalize has no csr");
  auto der = base64url_decode(*csr);
  if (!der) return bad_input("payload-malformed", "csr is not unpadded base64url");
  if (der->empty() || der->size() > limits::kCsrBytesMax)
    return bad_input("csr-malformed", "the CSR is empty or too large");
  return std::move(*der);
}

Verdict<x509::CertificateRequest> read_csr(ByteView der) {
  auto csr = x509::parse_csr(der);
  if (csr) return std::move(*csr);
  if (csr.error().kind != ErrorKind::kRefused) return refuse(csr.error(), "csr-malformed");
  return refuse(csr.error(), csr_key_is_readable(der) ? "csr-signature" : "csr-key-refused");
}

Verdict<void> check_csr_extensions(const x509::CertificateRequest& csr,
                                   const wire::OrderTerms& terms) {
  if (csr.asks_for_ca) return refuse("csr-extension", "the CSR asks for a CA certificate");
  // subjectKeyIdentifier is what openssl req adds by itself; the signer computes its own.
  const bool only_known =
      std::all_of(csr.other_extension_oids.begin(), csr.other_extension_oids.end(),
                  [](const std::string& oid) { return oid == "2.5.29.14"; });
  const bool has_use = csr.authority_extensions.empty() ||
                       std::ranges::any_of(terms.identifiers, [](const Identifier& id) {
                         return identifier::is_authority_type(id.type);
                       });
  if (!only_known || !has_use)
    return refuse("csr-extension", "the CSR asks for an extension that the order has no use for");
  return {};
}

Verdict<void> check_csr_authority(const x509::CertificateRequest& csr,
                                  const wire::OrderTerms& terms) {
  std::size_t found = 0;
  for (const auto& id : terms.identifiers) {
    if (!identifier::is_authority_type(id.type)) continue;
    const auto value = identifier::authority_der(id);
    const auto same = [&](const x509::RequestedExtension& asked) {
      return asked.oid == authority_extension_oid(id.type) && equal(asked.value, *value);
    };
    if (!value || std::ranges::count_if(csr.authority_extensions, same) != 1)
      return refuse("csr-names", "the CSR does not ask for the order's telephone identity");
    ++found;
  }
  if (csr.authority_extensions.size() != found)
    return refuse("csr-names", "the CSR asks for a telephone identity that the order has not");
  return {};
}

Verdict<void> check_csr_names(const x509::CertificateRequest& csr, const wire::OrderTerms& terms,
                              const std::optional<std::string>& own_name) {
  if (csr.has_other_san)
    return refuse("csr-names", "the CSR holds a kind of name that no order can have");
  ISSUE_TRY(names, names_of(csr));
  for (const auto& common_name : csr.common_names) {
    if (own_name && common_name == *own_name) continue;
    const Identifier* id = named_by(common_name, terms.identifiers);
    if (id == nullptr)
      return refuse("csr-names", "the CSR's common name is not an identifier of the order");
    names.insert(*id);
  }
  std::set<Identifier> wanted(terms.identifiers.begin(), terms.identifiers.end());
  std::erase_if(wanted, [](const auto& id) { return identifier::is_attestation_type(id.type); });
  for (const auto& name : names) {
    if (!wanted.contains(name))
      return refuse("csr-names", "the CSR holds a name that the order has not");
  }
  for (const auto& id : wanted) {
    const bool may_lack = is_device_type(id.type) || identifier::is_authority_type(id.type);
    if (!names.contains(id) && !may_lack)
      return refuse("csr-names", "the CSR lacks a name of the order");
  }
  return {};
}

std::vector<Identifier> certificate_names(const x509::CertificateRequest& csr,
                                          const wire::OrderTerms& terms, const Profile& profile) {
  std::vector<Identifier> out;
  std::ranges::copy_if(terms.identifiers, std::back_inserter(out), [](const Identifier& id) {
    return !identifier::is_attestation_type(id.type);  // D-R5: never certified
  });
  if (!profile.for_devices() || profile.device_names == DeviceNames::kRequire) return out;
  out.clear();
  if (profile.device_names == DeviceNames::kOmit) return out;
  auto held = names_of(csr);
  if (!held) return out;
  for (const auto& common_name : csr.common_names) {
    if (const auto* id = named_by(common_name, terms.identifiers)) held->insert(*id);
  }
  std::ranges::copy_if(terms.identifiers, std::back_inserter(out),
                       [&](const Identifier& id) { return held->contains(id); });
  return out;
}

Verdict<void> check_csr_key(const crypto::PublicKey& csr_key, const crypto::PublicKey& account_key,
                            const Profile& profile) {
  if (profile.kind == ProfileKind::kSti && csr_key.kind() != crypto::KeyKind::kEcP256)
    return refuse("csr-key-refused", "telephone identities have P-256 keys");
  if (!profile.keys.empty() &&
      std::ranges::find(profile.keys, csr_key.kind()) == profile.keys.end())
    return refuse("csr-key-profile", "the profile does not take keys of this kind");
  if (csr_key.kind() == crypto::KeyKind::kRsa && csr_key.bits() < profile.rsa_bits_min)
    return refuse("csr-key-profile", "the profile wants longer RSA keys");
  switch (csr_key.kind()) {
    case crypto::KeyKind::kEcP256:
    case crypto::KeyKind::kEcP384:
    case crypto::KeyKind::kEd25519:
      break;
    case crypto::KeyKind::kRsa:
      if (csr_key.bits() >= limits::kRsaBitsMin && csr_key.bits() <= limits::kRsaBitsMax) break;
      return refuse("csr-key-refused", "RSA keys have 2048 to 4096 bits");
    case crypto::KeyKind::kEcP521:
      return refuse("csr-key-refused", "P-521 is not accepted");
  }
  if (csr_key.spki_sha256() == account_key.spki_sha256())
    return refuse("csr-key-is-account-key", "the certificate's key must not be the account's");
  return {};
}

}  // namespace keyward::issue
