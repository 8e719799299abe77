// Owns the making of carriers. Must not know the verifiers.
#include "tests/support/rats/rats.h"

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/rng.h"

namespace keyward::test {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::PrivateKey;
using crypto::SignatureScheme;

constexpr std::int64_t kHourMs = 3'600'000;

Bytes joined(Bytes first, const std::vector<Bytes>& rest) {
  for (const auto& part : rest) append(first, part);
  return first;
}

Bytes certificate(const PrivateKey& issuer, const std::string& issuer_name,
                  const crypto::PublicKey& key, const std::string& subject, std::int64_t to_ms,
                  std::vector<Bytes> extensions) {
  x509::TbsSpec tbs;
  tbs.serial = random_bytes(8);
  tbs.serial[0] = static_cast<std::uint8_t>((tbs.serial[0] & 0x7f) | 1);
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = x509::name_der({{"2.5.4.3", issuer_name}});
  tbs.subject_name_der = x509::name_der({{"2.5.4.3", subject}});
  tbs.not_before_ms = kRatsAtMs - 10 * kHourMs;
  tbs.not_after_ms = to_ms;
  tbs.spki_der = key.spki_der();
  tbs.extensions = std::move(extensions);
  const Bytes der = x509::build_tbs(tbs);
  return x509::join_certificate(
      der, tbs.signature_algorithm,
      must_have(issuer.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, der)));
}

Bytes sequence_of(const std::vector<Bytes>& items) {
  return x509::tlv(x509::tag::kSequence, joined({}, items));
}

Bytes explicit_tag(unsigned number, ByteView item) {
  return x509::tlv(x509::tag::context_constructed(number), item);
}

Bytes element_der(const PkixElementSpec& element) {
  std::vector<Bytes> claims;
  for (const auto& claim : element.claims) {
    const auto oid =
        claim.number.starts_with('=')
            ? claim.number.substr(1)
            : std::string(kPkixArc) + ".1." + std::to_string(element.kind) + "." + claim.number;
    claims.push_back(sequence_of({x509::der_oid(oid), claim.value}));
  }
  const auto type = std::string(kPkixArc) + ".0." + std::to_string(element.kind);
  return sequence_of({x509::der_oid(type), sequence_of(claims)});
}

Bytes context(unsigned number, ByteView content) {
  return x509::tlv(x509::tag::context(number), content);
}

// The content of a universal TLV, under a context tag.
Bytes retagged(unsigned number, ByteView whole) {
  x509::DerReader in(whole);
  return context(number, must_have(in.any()).content);
}

}  // namespace

namespace cb {

Bytes integer(std::int64_t value) {
  wire::CborWriter out;
  out.integer(value);
  return out.take();
}
Bytes text(std::string_view value) {
  wire::CborWriter out;
  out.text(value);
  return out.take();
}
Bytes bytes(ByteView value) {
  wire::CborWriter out;
  out.bytes(value);
  return out.take();
}
Bytes boolean(bool value) {
  wire::CborWriter out;
  out.boolean(value);
  return out.take();
}
Bytes array(const std::vector<Bytes>& items) {
  wire::CborWriter out;
  out.array(items.size());
  return joined(out.take(), items);
}
Bytes map(const std::vector<std::pair<Bytes, Bytes>>& members) {
  wire::CborWriter head;
  head.map(members.size());
  Bytes out = head.take();
  for (const auto& [key, value] : members) {
    append(out, key);
    append(out, value);
  }
  return out;
}
Bytes tag(std::uint64_t number, const Bytes& item) {
  Bytes out = integer(static_cast<std::int64_t>(number));
  out.front() |= 0xc0;
  append(out, item);
  return out;
}

}  // namespace cb

rats::PkixOids pkix_oids() { return {kPkixArc, kAkUsage}; }

RatsAuthority::RatsAuthority(std::string name)
    : name_(std::move(name)),
      key_(must_have(PrivateKey::generate(KeyKind::kEcP256))),
      root_der_(certificate(key_, name_, key_.public_key(), name_, kRatsAtMs + 100 * kHourMs,
                            {x509::ext_basic_constraints(true, std::nullopt),
                             x509::ext_key_usage({x509::kKeyCertSign})})) {}

x509::Certificate RatsAuthority::root() const {
  return must_have(x509::parse_certificate(root_der_));
}

Bytes RatsAuthority::issue(const crypto::PublicKey& key, const CertificateSpec& spec) const {
  std::vector<Bytes> extensions{x509::ext_basic_constraints(spec.is_ca, std::nullopt)};
  if (spec.key_usage)
    extensions.push_back(x509::ext_key_usage(
        {spec.digital_signature ? x509::kDigitalSignature : x509::kKeyAgreement}));
  if (!spec.extended_key_usage.empty())
    extensions.push_back(x509::ext_extended_key_usage({spec.extended_key_usage}));
  return certificate(key_, name_, key, spec.subject,
                     spec.expired ? kRatsAtMs - kHourMs : kRatsAtMs + kHourMs,
                     std::move(extensions));
}

namespace pkix {
Bytes bytes(ByteView value) { return context(0, value); }
Bytes text(std::string_view value) { return context(1, view_of(value)); }
Bytes boolean(bool value) { return retagged(2, x509::der_boolean(value)); }
Bytes time(std::int64_t utc_ms) {
  (void)utc_ms;
  return context(3, view_of("20260922120000Z"));
}
Bytes integer(std::uint64_t value) { return retagged(4, x509::der_unsigned(value)); }
}  // namespace pkix

PkixSpec good_pkix(ByteView nonce, const crypto::PublicKey& attested) {
  PkixSpec out;
  out.elements = {{0, {{"0", pkix::bytes(nonce)}, {"1", pkix::time(kRatsAtMs)}}},
                  {1,
                   {{"0", pkix::text("Make-believe Modules")},
                    {"1", pkix::bytes(Bytes{1, 2, 3})},
                    {"2", pkix::bytes(Bytes{9})},
                    {"3", pkix::text("1.0")},
                    {"4", pkix::text("HSM-0001")},
                    {"5", pkix::text("firmware")},
                    {"6", pkix::text("7.4.0")},
                    {"7", pkix::integer(3)},
                    {"8", pkix::integer(100)},
                    {"9", pkix::integer(7)},
                    {"11", pkix::boolean(true)},
                    {"12", pkix::text("140-3")},
                    {"13", pkix::integer(3)},
                    {"14", pkix::text("Module 1")}}},
                  {2,
                   {{"0", pkix::text("key-1")},
                    {"1", pkix::bytes(attested.spki_der())},
                    {"2", pkix::boolean(false)},
                    {"3", pkix::boolean(true)},
                    {"4", pkix::boolean(true)},
                    {"5", pkix::boolean(true)},
                    {"6", pkix::time(kRatsAtMs)}}}};
  return out;
}

Bytes make_pkix(const PkixSpec& spec, const PrivateKey& key) {
  std::vector<Bytes> elements;
  for (const auto& element : spec.elements) elements.push_back(element_der(element));
  const Bytes tbs =
      spec.raw_tbs.value_or(sequence_of({x509::der_unsigned(spec.version), sequence_of(elements)}));
  std::vector<Bytes> blocks;
  if (spec.sign) {
    Bytes sid;
    if (spec.key_id) append(sid, explicit_tag(0, x509::der_octet_string(view_of(*spec.key_id))));
    if (spec.signer_spki) append(sid, explicit_tag(1, *spec.signer_spki));
    if (spec.certificate) append(sid, explicit_tag(2, *spec.certificate));
    const auto algorithm =
        spec.algorithm.value_or(x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256));
    const auto signature =
        must_have(key.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, tbs));
    blocks.push_back(sequence_of(
        {x509::tlv(x509::tag::kSequence, sid), algorithm, x509::der_octet_string(signature)}));
  }
  std::vector<Bytes> parts{tbs, sequence_of(blocks)};
  if (!spec.intermediates.empty()) parts.push_back(explicit_tag(0, joined({}, spec.intermediates)));
  return sequence_of(parts);
}

Bytes attestation_bundle(const std::vector<std::pair<std::string, Bytes>>& statements,
                         const std::vector<Bytes>& certificates) {
  std::vector<Bytes> list;
  for (const auto& [type, statement] : statements)
    list.push_back(sequence_of({x509::der_oid(type), statement}));
  std::vector<Bytes> parts{sequence_of(list)};
  if (!certificates.empty()) parts.push_back(sequence_of(certificates));
  return sequence_of(parts);
}

Bytes csr_with_attestations(const PrivateKey& key, const std::vector<Bytes>& values) {
  Bytes attributes;
  for (const auto& value : values)
    append(attributes,
           sequence_of({x509::der_oid(rats::kIdAaAttestation), x509::tlv(x509::tag::kSet, value)}));
  const Bytes info = sequence_of({x509::der_unsigned(0), x509::name_der({}),
                                  key.public_key().spki_der(), explicit_tag(0, attributes)});
  const auto signature = must_have(key.sign(SignatureScheme::kEcdsa, HashAlgorithm::kSha256, info));
  return sequence_of({info, x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256),
                      x509::der_bit_string(signature)});
}

}  // namespace keyward::test
