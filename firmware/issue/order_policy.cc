#include "firmware/issue/order_policy.h"

#include <algorithm>
#include <set>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/grants.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"

namespace keyward::issue {
namespace {

using wire::Identifier;
using wire::IdentifierType;

Verdict<Identifier> read_identifier(const json::Value& value) {
  const auto type_text = value.require_string("type");
  const auto value_text = value.require_string("value");
  if (!type_text || !value_text)
    return bad_input("payload-malformed", "an identifier needs type and value");
  const auto type = identifier::type_from(*type_text);
  if (!type) return refuse("identifier-unsupported", "an identifier type that is not served here");
  const auto id = identifier::canonical(*type, *value_text);
  if (id) return *id;
  if (id.error().kind == ErrorKind::kRefused) return refuse(id.error(), "identifier-not-permitted");
  return refuse(id.error(), "identifier-malformed");
}

Verdict<std::vector<Identifier>> read_identifiers(const json::Value& list,
                                                  const NamePolicy& policy) {
  if (!list.is_array()) return bad_input("payload-malformed", "identifiers is not a list");
  const auto items = list.items();
  if (items.empty() || items.size() > limits::kIdentifiersPerOrderMax)
    return bad_input("payload-malformed", "an order has 1 to 64 identifiers");
  std::set<Identifier> unique;
  for (const auto& item : items) {
    ISSUE_TRY(id, read_identifier(item));
    ISSUE_CHECK(check_permitted(id, policy));
    unique.insert(std::move(id));
  }
  return std::vector<Identifier>(unique.begin(), unique.end());
}

Verdict<const Profile*> choose_profile(const json::Value& wanted,
                                       const std::vector<Identifier>& identifiers,
                                       const Profiles& profiles) {
  const Profile* profile = nullptr;
  if (wanted.exists()) {
    profile = wanted.is_string() ? profiles.find(wanted.string()) : nullptr;
    if (profile == nullptr) return refuse("profile-unknown", "no such profile");
  } else {
    profile = profiles.fitting(identifiers);
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
  return out;
}

// The order's identifier that a common name repeats: a dns name or ip in any accepted form, a
// device's value with or without its OID.
const Identifier* named_by(const std::string& common_name,
                           const std::vector<Identifier>& identifiers) {
  for (const auto& id : identifiers) {
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
  if (is_device_type(id.type) || policy.permitted_dns.empty()) return {};
  const Identifier base = identifier::without_wildcard(id);
  const bool own = std::find(policy.appliance_names.begin(), policy.appliance_names.end(), id) !=
                   policy.appliance_names.end();
  const bool inside =
      base.type == IdentifierType::kDns &&
      std::any_of(policy.permitted_dns.begin(), policy.permitted_dns.end(),
                  [&](const std::string& tree) { return identifier::is_within(base.value, tree); });
  if (own || inside) return {};
  return refuse("identifier-not-permitted", "the name lies outside this installation's subtrees");
}

Verdict<wire::OrderTerms> read_new_order(const jose::VerifiedJws& jws, const Profiles& profiles,
                                         const NamePolicy& policy) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  if (!document || !document->root().is_object())
    return bad_input("payload-malformed", "newOrder is not a JSON object");
  const auto root = document->root();
  if (root.get("notBefore").exists() || root.get("notAfter").exists()) {
    return refuse("validity-not-supported",
                  "notBefore and notAfter are not supported: leave them out");
  }
  ISSUE_TRY(identifiers, read_identifiers(root.get("identifiers"), policy));
  ISSUE_TRY(profile, choose_profile(root.get("profile"), identifiers, profiles));
  return wire::OrderTerms{std::move(identifiers), profile->name, std::nullopt, std::nullopt};
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

Verdict<void> check_csr_extensions(const x509::CertificateRequest& csr) {
  if (csr.asks_for_ca) return refuse("csr-extension", "the CSR asks for a CA certificate");
  // subjectKeyIdentifier is what openssl req adds by itself; the signer computes its own.
  const bool only_known =
      std::all_of(csr.other_extension_oids.begin(), csr.other_extension_oids.end(),
                  [](const std::string& oid) { return oid == "2.5.29.14"; });
  if (!only_known)
    return refuse("csr-extension", "the CSR asks for an extension that no profile has");
  return {};
}

Verdict<void> check_csr_names(const x509::CertificateRequest& csr, const wire::OrderTerms& terms) {
  if (csr.has_other_san)
    return refuse("csr-names", "the CSR holds a kind of name that no order can have");
  ISSUE_TRY(names, names_of(csr));
  for (const auto& common_name : csr.common_names) {
    const Identifier* id = named_by(common_name, terms.identifiers);
    if (id == nullptr)
      return refuse("csr-names", "the CSR's common name is not an identifier of the order");
    names.insert(*id);
  }
  const std::set<Identifier> wanted(terms.identifiers.begin(), terms.identifiers.end());
  for (const auto& name : names) {
    if (!wanted.contains(name))
      return refuse("csr-names", "the CSR holds a name that the order has not");
  }
  for (const auto& id : wanted) {
    if (!names.contains(id) && !is_device_type(id.type))
      return refuse("csr-names", "the CSR lacks a name of the order");
  }
  return {};
}

Verdict<void> check_csr_key(const crypto::PublicKey& csr_key,
                            const crypto::PublicKey& account_key) {
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
