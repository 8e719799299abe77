// Owns the writing of certificates. Must not know profiles or policy.
#include "firmware/x509/tbs.h"

#include <algorithm>
#include <cstdlib>

#include "firmware/x509/der.h"
#include "firmware/x509/names.h"
#include "firmware/x509/oids.h"

namespace keyward::x509 {
namespace {

constexpr std::size_t kKeyIdBytes = 20;

// RFC 5280 §4.1.2.4 and appendix A: these attributes have a fixed string type; all others are
// UTF8String.
std::uint8_t string_tag(std::string_view oid) {
  for (const std::string_view printable : {"2.5.4.6", "2.5.4.5", "2.5.4.46"}) {
    if (oid == printable) return tag::kPrintableString;
  }
  for (const std::string_view ia5 : {"0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"}) {
    if (oid == ia5) return tag::kIa5String;
  }
  return tag::kUtf8String;
}

}  // namespace

Bytes name_der(const std::vector<NameAttribute>& attributes) {
  Bytes content;
  for (const auto& attribute : attributes) {
    const auto value = tlv(string_tag(attribute.oid), view_of(attribute.value));
    append(content, tlv(tag::kSet, der_sequence({der_oid(attribute.oid), value})));
  }
  return tlv(tag::kSequence, content);
}

Bytes build_tbs(const TbsSpec& spec) {
  const Bytes version = tlv(tag::context_constructed(0), der_unsigned(2));  // v3
  const Bytes validity = der_sequence({der_time(spec.not_before_ms), der_time(spec.not_after_ms)});
  Bytes list;
  for (const auto& extension : spec.extensions) append(list, extension);
  const Bytes extensions =
      list.empty() ? Bytes() : tlv(tag::context_constructed(3), tlv(tag::kSequence, list));
  return der_sequence({version, der_unsigned(ByteView(spec.serial)), spec.signature_algorithm,
                       spec.issuer_name_der, validity, spec.subject_name_der, spec.spki_der,
                       extensions});
}

Bytes join_certificate(ByteView tbs_der, ByteView signature_algorithm, ByteView signature) {
  return der_sequence({tbs_der, signature_algorithm, der_bit_string(signature)});
}

Bytes extension_der(std::string_view oid, bool critical, ByteView value) {
  // DER leaves out a DEFAULT value: FALSE is never written.
  const Bytes flag = critical ? der_boolean(true) : Bytes();
  return der_sequence({der_oid(oid), flag, der_octet_string(value)});
}

Bytes ext_basic_constraints(bool ca, std::optional<int> path_length) {
  const Bytes flag = ca ? der_boolean(true) : Bytes();
  const bool with_length = ca && path_length && *path_length >= 0;
  const Bytes length =
      with_length ? der_unsigned(static_cast<std::uint64_t>(*path_length)) : Bytes();
  return extension_der(oids::kBasicConstraints, true, der_sequence({flag, length}));
}

Bytes ext_key_usage(std::initializer_list<unsigned> bits) {
  unsigned value = 0;  // bit 0 of the BIT STRING is the highest bit of the first octet
  unsigned last = 0;
  for (const unsigned bit : bits) {
    if (bit > 8) std::abort();  // RFC 5280 §4.2.1.3 names nine
    value |= 0x8000U >> bit;
    last = std::max(last, bit);
  }
  // X.690 §11.2.2: a named bit list ends with its last one bit.
  Bytes content{static_cast<std::uint8_t>(7 - last % 8), static_cast<std::uint8_t>(value >> 8)};
  if (last > 7) content.push_back(static_cast<std::uint8_t>(value));
  return extension_der(oids::kKeyUsage, true, tlv(tag::kBitString, content));
}

Bytes ext_extended_key_usage(const std::vector<std::string>& usages) {
  Bytes content;
  for (const auto& usage : usages) append(content, der_oid(usage));
  return extension_der(oids::kExtendedKeyUsage, false, tlv(tag::kSequence, content));
}

Bytes key_id_of(ByteView spki_der) {
  DerReader outer(spki_der);
  auto in = outer.sequence();
  if (in && in->element(tag::kSequence)) {
    if (const auto bits = in->bit_string_octets()) {
      const auto digest = crypto::sha256(*bits);
      return Bytes(digest.begin(), digest.begin() + kKeyIdBytes);
    }
  }
  std::abort();  // callers hold a PublicKey's spki_der(), which has this form
}

Bytes ext_subject_key_id(ByteView spki_der) {
  return extension_der(oids::kSubjectKeyId, false, der_octet_string(key_id_of(spki_der)));
}

Bytes ext_authority_info_access(std::string_view ocsp_url, std::string_view ca_issuers_url) {
  const auto access = [](std::string_view method, std::string_view url) {
    if (url.empty()) return Bytes();
    return der_sequence({der_oid(method), tlv(tag::context(6), view_of(url))});
  };
  return extension_der("1.3.6.1.5.5.7.1.1", false,
                       der_sequence({access("1.3.6.1.5.5.7.48.1", ocsp_url),
                                     access("1.3.6.1.5.5.7.48.2", ca_issuers_url)}));
}

Bytes ext_crl_distribution_points(std::string_view url) {
  const Bytes uri = tlv(tag::context(6), view_of(url));
  const Bytes name = tlv(tag::context_constructed(0), ByteView(uri));
  const Bytes point = tlv(tag::context_constructed(0), ByteView(name));
  return extension_der("2.5.29.31", false, der_sequence({der_sequence({point})}));
}

Bytes ext_authority_key_id(ByteView key_id) {
  return extension_der(oids::kAuthorityKeyId, false, der_sequence({tlv(tag::context(0), key_id)}));
}

Result<Bytes> ext_subject_alt_name(const std::vector<wire::Identifier>& identifiers, bool critical,
                                   const std::vector<std::string>& uris, ByteView directory_name) {
  KEYWARD_TRY(names, general_names_der(identifiers, uris, directory_name));
  return extension_der(oids::kSubjectAltName, critical, names);
}

Bytes ext_name_constraints_dns(const std::vector<std::string>& permitted) {
  Bytes subtrees;
  for (const auto& name : permitted)
    append(subtrees, der_sequence({tlv(tag::context(2), view_of(name))}));
  return extension_der(oids::kNameConstraints, true,
                       der_sequence({tlv(tag::context_constructed(0), subtrees)}));
}

}  // namespace keyward::x509
