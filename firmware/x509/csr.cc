// Owns the reading and writing of PKCS#10 (RFC 2986). Must not know policy.
#include "firmware/x509/csr.h"

#include <algorithm>

#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"
#include "firmware/x509/names.h"
#include "firmware/x509/oids.h"
#include "firmware/x509/signature.h"
#include "firmware/x509/tbs.h"

namespace keyward::x509 {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// The parts of CertificationRequestInfo, cut but not read.
struct RequestInfo {
  ByteView subject;  // content of the Name
  ByteView spki;     // whole TLV
  ByteView attributes;
};

Result<RequestInfo> split_info(ByteView info_der) {
  DerReader outer(info_der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_TRY(version, in.small_unsigned());
  // RFC 2986 §4.1 knows v1 (0) alone, but a common client library writes 2; the form is v1's all
  // the same, and nothing depends on the number.
  if (version > 2) return bad("csr: version is not v1");
  RequestInfo out;
  KEYWARD_TRY(subject, in.element(tag::kSequence));
  KEYWARD_TRY(spki, in.element_whole(tag::kSequence));
  KEYWARD_TRY(attributes, in.element(tag::context_constructed(0)));
  KEYWARD_CHECK(in.expect_end());
  out.subject = subject;
  out.spki = spki;
  out.attributes = attributes;
  return out;
}

Status read_subject_attribute(ByteView type, const DerReader::Any& value,
                              CertificateRequest& request) {
  if (oid_text(type) != oids::kCommonName) {
    request.subject_has_other_attributes = true;
    return {};
  }
  const bool known = value.tag == tag::kUtf8String || value.tag == tag::kPrintableString ||
                     value.tag == tag::kIa5String;
  if (!known || !wire::is_valid_utf8(value.content))
    return bad("csr: commonName in an unknown encoding");
  request.common_names.emplace_back(text_of(value.content));
  return {};
}

Status read_basic_constraints(ByteView value, CertificateRequest& request) {
  DerReader outer(value);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  if (in.peek_tag() == tag::kBoolean) {
    KEYWARD_TRY(ca, in.boolean());
    request.asks_for_ca = ca;
  }
  if (in.at_end()) return {};
  KEYWARD_CHECK(in.small_unsigned());
  return in.expect_end();
}

Status read_san(ByteView value, CertificateRequest& request) {
  KEYWARD_TRY(names, read_general_names(value));
  request.dns_names = std::move(names.dns_names);
  request.ip_addresses = std::move(names.ip_addresses);
  request.permanent_identifiers = std::move(names.permanent_identifiers);
  request.hardware_modules = std::move(names.hardware_modules);
  request.macs = std::move(names.macs);
  request.uris = std::move(names.uris);
  request.has_other_san = names.has_other;
  return {};
}

Status read_extension(DerReader& in, std::vector<std::string>& seen, CertificateRequest& request) {
  KEYWARD_TRY(extension, in.sequence());
  KEYWARD_TRY(oid, extension.oid());
  if (extension.peek_tag() == tag::kBoolean) KEYWARD_CHECK(extension.boolean());
  KEYWARD_TRY(value, extension.element(tag::kOctetString));
  KEYWARD_CHECK(extension.expect_end());
  const auto name = oid_text(oid);
  if (std::ranges::find(seen, name) != seen.end()) return bad("csr: duplicate extension");
  if (seen.size() >= limits::kCertificateExtensionsMax) return bad("csr: too many extensions");
  seen.push_back(name);
  if (name == oids::kSubjectAltName) return read_san(value, request);
  if (name == oids::kBasicConstraints) return read_basic_constraints(value, request);
  if (name == oids::kTnAuthList || name == oids::kJwtClaimConstraints ||
      name == oids::kEnhancedJwtClaimConstraints) {
    request.authority_extensions.push_back({name, to_bytes(value)});
    return {};
  }
  if (name != oids::kKeyUsage && name != oids::kExtendedKeyUsage)
    request.other_extension_oids.push_back(name);
  return {};
}

Status read_extension_request(DerReader& values, CertificateRequest& request) {
  KEYWARD_TRY(extensions, values.sequence());
  KEYWARD_CHECK(values.expect_end());
  std::vector<std::string> seen;
  while (!extensions.at_end()) KEYWARD_CHECK(read_extension(extensions, seen, request));
  return {};
}

Status keep_values(DerReader& values, CertificateRequest& request) {
  Bytes content;
  while (!values.at_end()) {
    KEYWARD_TRY(value, values.any());
    append(content, value.whole);
  }
  request.attestations.push_back(std::move(content));
  return {};
}

// Attributes beside extensionRequest (challengePassword, Microsoft's) are no request for a
// certificate's content and are skipped.
Status read_attributes(ByteView attributes, CertificateRequest& request) {
  DerReader in(attributes);
  bool seen = false;
  while (!in.at_end()) {
    KEYWARD_TRY(attribute, in.sequence());
    KEYWARD_TRY(oid, attribute.oid());
    KEYWARD_TRY(values, attribute.nested(tag::kSet));
    KEYWARD_CHECK(attribute.expect_end());
    if (oid_text(oid) == oids::kAttestation) KEYWARD_CHECK(keep_values(values, request));
    if (oid_text(oid) != oids::kExtensionRequest) continue;
    if (seen) return bad("csr: two extension requests");
    seen = true;
    KEYWARD_CHECK(read_extension_request(values, request));
  }
  return {};
}

struct KeySigner {
  const crypto::PrivateKey& key;
  static Result<Bytes> sign(void* context, ByteView to_be_signed) {
    const auto& key = static_cast<KeySigner*>(context)->key;
    const auto method = method_for(key.public_key().kind());
    return key.sign(method.scheme, method.hash, to_be_signed);
  }
};

}  // namespace

Result<CertificateRequest> parse_csr(ByteView der) {
  if (der.size() > limits::kCsrBytesMax) return bad("csr: over its limit");
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(info, in.element_whole(tag::kSequence));
  KEYWARD_TRY(algorithm, in.element_whole(tag::kSequence));
  KEYWARD_TRY(signature, in.bit_string_octets());
  KEYWARD_CHECK(in.expect_end());
  KEYWARD_TRY(parts, split_info(info));
  KEYWARD_TRY(key, crypto::PublicKey::from_spki(parts.spki));
  KEYWARD_TRY(method, signature_method(algorithm));
  KEYWARD_CHECK(key.verify(method.scheme, method.hash, info, signature));
  CertificateRequest request{.key = key};
  KEYWARD_CHECK(
      for_each_attribute_in(parts.subject, [&](ByteView type, const DerReader::Any& value) {
        return read_subject_attribute(type, value, request);
      }));
  KEYWARD_CHECK(read_attributes(parts.attributes, request));
  return request;
}

Bytes request_info_der(ByteView subject_name_der, ByteView spki_der,
                       const std::vector<Bytes>& extensions) {
  Bytes all;
  for (const auto& extension : extensions) append(all, extension);
  const Bytes request =
      der_sequence({der_oid(oids::kExtensionRequest), tlv(tag::kSet, tlv(tag::kSequence, all))});
  return der_sequence(
      {der_unsigned(0), subject_name_der, spki_der, tlv(tag::context_constructed(0), request)});
}

Result<Bytes> build_csr(const crypto::PublicKey& key,
                        const std::vector<wire::Identifier>& identifiers, SignFunction sign,
                        void* context) {
  // The subject is empty, so the SAN is critical (RFC 5280 §4.2.1.6).
  KEYWARD_TRY(san, ext_subject_alt_name(identifiers, true));
  const Bytes info = request_info_der(name_der({}), key.spki_der(), {san});
  KEYWARD_TRY(signature, sign(context, info));
  return der_sequence({info, algorithm_der_for(key.kind()), der_bit_string(signature)});
}

Result<Bytes> build_csr(const crypto::PrivateKey& key,
                        const std::vector<wire::Identifier>& identifiers) {
  KeySigner signer{key};
  return build_csr(key.public_key(), identifiers, &KeySigner::sign, &signer);
}

}  // namespace keyward::x509
