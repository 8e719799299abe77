#include "tests/support/statement/formats.h"

#include <algorithm>
#include <cstdlib>

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::test {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::PrivateKey;
using crypto::SignatureScheme;

constexpr std::int64_t kHourMs = 3'600'000;

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

Bytes name_of(std::string_view common_name) {
  return x509::name_der({{"2.5.4.3", std::string(common_name)}});
}

Bytes certificate(const PrivateKey& issuer, Bytes issuer_name, Bytes subject, const Bytes& spki,
                  Bytes serial, std::int64_t from_ms, std::int64_t to_ms,
                  std::vector<Bytes> extensions, bool version_1 = false) {
  x509::TbsSpec tbs;
  tbs.serial = std::move(serial);
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = std::move(issuer_name);
  tbs.subject_name_der = std::move(subject);
  tbs.not_before_ms = from_ms;
  tbs.not_after_ms = to_ms;
  tbs.spki_der = spki;
  tbs.extensions = std::move(extensions);
  Bytes der = x509::build_tbs(tbs);
  if (version_1) {  // without [0] version, the first five octets
    x509::DerReader outer(der);
    const auto content = must(outer.element(x509::tag::kSequence));
    der = x509::tlv(x509::tag::kSequence, content.subspan(5));
  }
  return x509::join_certificate(
      der, tbs.signature_algorithm,
      must(issuer.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, der)));
}

std::vector<Bytes> extensions_of(const std::vector<std::pair<std::string, Bytes>>& listed,
                                 bool first_critical) {
  std::vector<Bytes> out;
  for (const auto& [oid, value] : listed)
    out.push_back(x509::extension_der(oid, first_critical && out.empty(), value));
  return out;
}

Bytes signature(const PrivateKey& key, ByteView message) {
  const auto kind = key.public_key().kind();
  if (kind == KeyKind::kEd25519)
    return must(key.sign(SignatureScheme::kEd25519, HashAlgorithm::kSha512, message));
  const auto scheme = kind == KeyKind::kRsa ? SignatureScheme::kRsaPkcs1 : SignatureScheme::kEcdsa;
  return must(key.sign(scheme, HashAlgorithm::kSha256, message));
}

// ---- DER with tags above 30.
Bytes tagged(unsigned number, ByteView content) {
  Bytes out = x509::tlv(0xa0, content);
  if (number < 31) {
    out[0] = static_cast<std::uint8_t>(0xa0 | number);
    return out;
  }
  Bytes head{0xbf};
  if (number >= 128) head.push_back(static_cast<std::uint8_t>(0x80 | number >> 7));
  head.push_back(static_cast<std::uint8_t>(number & 0x7f));
  out.erase(out.begin());
  out.insert(out.begin(), head.begin(), head.end());
  return out;
}

Bytes enumerated(unsigned value) {
  return x509::tlv(0x0a, Bytes{static_cast<std::uint8_t>(value)});
}

Bytes root_of_trust(const KeyDescriptionSpec& spec) {
  return x509::der_sequence({x509::der_octet_string(Bytes(32, 1)),
                             x509::der_boolean(spec.device_locked), enumerated(spec.boot_state),
                             x509::der_octet_string(Bytes(32, 2))});
}

Bytes hardware_list(const KeyDescriptionSpec& spec) {
  std::vector<std::pair<unsigned, Bytes>> tags;
  Bytes purposes;
  for (const auto purpose : spec.purposes) append(purposes, x509::der_unsigned(purpose));
  tags.emplace_back(1, x509::tlv(x509::tag::kSet, purposes));
  tags.emplace_back(2, x509::der_unsigned(3));
  if (spec.hardware_all_applications) tags.emplace_back(600, x509::tlv(x509::tag::kNull, Bytes()));
  if (spec.origin) tags.emplace_back(702, x509::der_unsigned(*spec.origin));
  if (spec.root_of_trust) tags.emplace_back(704, root_of_trust(spec));
  const auto number = [&](unsigned tag, const std::optional<std::uint64_t>& value) {
    if (value) tags.emplace_back(tag, x509::der_unsigned(*value));
  };
  const auto text = [&](unsigned tag, const std::optional<std::string>& value) {
    if (value) tags.emplace_back(tag, x509::der_octet_string(view_of(*value)));
  };
  number(706, spec.os_patch);
  if (!spec.serial_in_software) text(713, spec.serial);
  text(714, spec.imei);
  text(715, spec.meid);
  number(718, spec.vendor_patch);
  number(719, spec.boot_patch);
  text(723, spec.second_imei);
  if (spec.unknown_tag) tags.emplace_back(999, x509::der_unsigned(1));
  if (spec.tags_descend) std::ranges::reverse(tags);
  Bytes out;
  for (const auto& [tag, content] : tags) append(out, tagged(tag, content));
  return x509::tlv(x509::tag::kSequence, out);
}

Bytes software_list(const KeyDescriptionSpec& spec) {
  Bytes out;
  if (spec.software_all_applications)
    append(out, tagged(600, x509::tlv(x509::tag::kNull, Bytes())));
  if (spec.serial_in_software && spec.serial)
    append(out, tagged(713, x509::der_octet_string(view_of(*spec.serial))));
  return x509::tlv(x509::tag::kSequence, out);
}

}  // namespace

FormatMaker::FormatMaker(std::int64_t at_utc_ms) : at_utc_ms_(at_utc_ms) {
  for (auto* key : {&ca_, &other_ca_, &intermediate_, &p256_, &stranger_})
    *key = must(PrivateKey::generate(KeyKind::kEcP256));
  p384_ = must(PrivateKey::generate(KeyKind::kEcP384));
  p521_ = must(PrivateKey::generate(KeyKind::kEcP521));
  rsa_ = must(PrivateKey::generate(KeyKind::kRsa));
  ed25519_ = must(PrivateKey::generate(KeyKind::kEd25519));
  const Bytes name = name_of("Make-believe device manufacturer");
  root_ = must(x509::parse_certificate(certificate(
      *ca_, name, name, ca_->public_key().spki_der(), {1}, at_utc_ms - 10 * kHourMs,
      at_utc_ms + 100 * kHourMs,
      {x509::ext_basic_constraints(true, 1), x509::ext_key_usage({x509::kKeyCertSign})})));
}

const PrivateKey& FormatMaker::key(KeyKind kind) const {
  switch (kind) {
    case KeyKind::kEcP384:
      return *p384_;
    case KeyKind::kEcP521:
      return *p521_;
    case KeyKind::kRsa:
      return *rsa_;
    case KeyKind::kEd25519:
      return *ed25519_;
    default:
      return *p256_;
  }
}

Bytes FormatMaker::leaf_serial() { return {0x0a, 0xbc, 0x01}; }

Bytes FormatMaker::leaf(const FormatSpec& spec) const {
  const auto& leaf = spec.leaf;
  auto extensions = extensions_of(leaf.extensions, leaf.aaguid_critical);
  if (leaf.basic_constraints)
    extensions.push_back(x509::ext_basic_constraints(leaf.is_ca, std::nullopt));
  if (leaf.version_1) extensions.clear();
  std::vector<x509::NameAttribute> subject;
  if (!leaf.country.empty()) subject.push_back({"2.5.4.6", leaf.country});
  if (!leaf.organization.empty()) subject.push_back({"2.5.4.10", leaf.organization});
  for (const auto& unit : leaf.organizational_units) subject.push_back({"2.5.4.11", unit});
  if (!leaf.common_name.empty()) subject.push_back({"2.5.4.3", leaf.common_name});
  const bool other = leaf.unknown_ca || leaf.impostor_ca;
  const auto& issuer = other ? *other_ca_ : spec.through_intermediate ? *intermediate_ : *ca_;
  Bytes issuer_name = leaf.unknown_ca             ? name_of("Somebody else")
                      : spec.through_intermediate ? name_of("Intermediate")
                                                  : root_->subject_der;
  return certificate(issuer, std::move(issuer_name), x509::name_der(subject),
                     key(spec.leaf_kind).public_key().spki_der(), leaf_serial(),
                     leaf.not_before_ms != 0 ? leaf.not_before_ms : at_utc_ms_ - kHourMs,
                     leaf.not_after_ms != 0 ? leaf.not_after_ms : at_utc_ms_ + kHourMs,
                     std::move(extensions), leaf.version_1);
}

Bytes FormatMaker::attestation_object(const FormatSpec& spec) const {
  wire::CborWriter out;
  out.map(spec.auth_data ? 3 : 2);
  out.text("fmt");
  out.text(spec.format);
  out.text("attStmt");
  out.map((spec.alg ? 1u : 0u) + (spec.has_sig ? 1u : 0u) + (spec.has_x5c ? 1u : 0u));
  if (spec.alg) {
    out.text("alg");
    out.integer(*spec.alg);
  }
  if (spec.has_sig) {
    out.text("sig");
    const auto& signer = spec.signed_by_other ? *stranger_ : key(spec.leaf_kind);
    wire::CborWriter wrapped;
    Bytes sent = signature(signer, spec.message);
    wrapped.bytes(sent);
    if (spec.wrap_signature) sent = wrapped.take();
    if (spec.edit_sent_sig) spec.edit_sent_sig(sent);
    out.bytes(sent);
  }
  if (spec.has_x5c) {
    out.text("x5c");
    out.array(spec.through_intermediate ? 2 : 1);
    Bytes der = leaf(spec);
    if (spec.edit_sent_certificate) spec.edit_sent_certificate(der);
    out.bytes(der);
    if (spec.through_intermediate) {
      auto extensions = extensions_of(spec.intermediate_extensions, false);
      extensions.push_back(x509::ext_basic_constraints(true, 0));
      out.bytes(certificate(*ca_, root_->subject_der, name_of("Intermediate"),
                            intermediate_->public_key().spki_der(), {0x7f, 0x02},
                            at_utc_ms_ - kHourMs, at_utc_ms_ + kHourMs, std::move(extensions)));
    }
  }
  if (spec.auth_data) {
    out.text("authData");
    out.bytes(*spec.auth_data);
  }
  return out.take();
}

Bytes auth_data(const AuthDataSpec& spec) {
  Bytes out(32, 0x11);
  out.push_back(spec.flags);
  append(out, Bytes(4, 0));
  append(out, spec.aaguid);
  append(out, Bytes{0, 4, 1, 2, 3, 4});
  append(out, spec.cose_key);
  append(out, spec.behind);
  return out;
}

Bytes cose_ec_key(const crypto::PublicKey& key) {
  const bool p384 = key.kind() == KeyKind::kEcP384, p521 = key.kind() == KeyKind::kEcP521;
  const std::size_t size = p521 ? 66 : p384 ? 48 : 32;
  const Bytes& spki = key.spki_der();  // ends with 04 || x || y
  wire::CborWriter out;
  out.map(5);
  out.integer(1);
  out.integer(2);
  out.integer(3);
  out.integer(p521 ? -36 : p384 ? -35 : -7);
  out.integer(-1);
  out.integer(p521 ? 3 : p384 ? 2 : 1);
  out.integer(-2);
  out.bytes(ByteView(spki).subspan(spki.size() - 2 * size, size));
  out.integer(-3);
  out.bytes(ByteView(spki).subspan(spki.size() - size));
  return out.take();
}

Bytes cose_rsa_key(const crypto::PublicKey& key) {
  const auto numbers = key.rsa_numbers();
  wire::CborWriter out;
  out.map(4);
  out.integer(1);
  out.integer(3);
  out.integer(3);
  out.integer(-257);
  out.integer(-1);
  out.bytes(numbers->modulus);
  out.integer(-2);
  out.bytes(numbers->exponent);
  return out.take();
}

Bytes key_description(const KeyDescriptionSpec& spec) {
  Bytes body;
  append(body, x509::der_unsigned(300));
  append(body, enumerated(spec.attestation_security));
  append(body, x509::der_unsigned(300));
  append(body, enumerated(spec.keymint_security));
  append(body, x509::der_octet_string(spec.challenge));
  append(body, x509::der_octet_string(Bytes()));
  append(body, software_list(spec));
  append(body, hardware_list(spec));
  if (spec.trailing) append(body, x509::der_unsigned(1));
  return x509::tlv(x509::tag::kSequence, body);
}

}  // namespace keyward::test
