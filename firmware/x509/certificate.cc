// Owns the reading of certificates and PEM. Must not know policy.
#include "firmware/x509/certificate.h"

#include <algorithm>

#include "firmware/x509/der.h"
#include "firmware/x509/oids.h"
#include "firmware/x509/signature.h"
#include "hal/base/limits.h"

namespace keyward::x509 {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Status read_version(DerReader& in, Certificate& out) {
  out.version = 1;
  if (in.peek_tag() != tag::context_constructed(0)) return {};
  KEYWARD_TRY(field, in.nested(tag::context_constructed(0)));
  KEYWARD_TRY(version, field.small_unsigned());
  KEYWARD_CHECK(field.expect_end());
  if (version != 1 && version != 2)
    return bad("certificate: unknown version");  // v1 is DEFAULT, never written
  out.version = static_cast<int>(version) + 1;
  return {};
}

Status read_validity(DerReader& in, Certificate& out) {
  KEYWARD_TRY(validity, in.sequence());
  KEYWARD_TRY(not_before, validity.time_ms());
  KEYWARD_TRY(not_after, validity.time_ms());
  KEYWARD_CHECK(validity.expect_end());
  out.not_before_ms = not_before;
  out.not_after_ms = not_after;
  return {};
}

Status read_names_and_key(DerReader& in, KeyReading reading, Certificate& out) {
  KEYWARD_TRY(issuer, in.element_whole(tag::kSequence));
  KEYWARD_CHECK(read_validity(in, out));
  KEYWARD_TRY(subject, in.element_whole(tag::kSequence));
  KEYWARD_TRY(spki, in.element_whole(tag::kSequence));
  out.issuer_der = to_bytes(issuer);
  out.subject_der = to_bytes(subject);
  out.subject_is_empty = subject.size() == 2;
  out.spki_der = to_bytes(spki);
  if (reading == KeyReading::kSkip) return {};
  auto key = crypto::PublicKey::from_spki(spki);
  if (key) {
    out.key = std::move(*key);
    return {};
  }
  // An algorithm or size that is not for us may stand in a chain; a broken encoding may not.
  return key.error().kind == ErrorKind::kRefused ? Status{} : fail(key.error());
}

Status read_extension(DerReader& list, Certificate& out) {
  KEYWARD_TRY(in, list.sequence());
  KEYWARD_TRY(oid, in.oid());
  Extension extension;
  extension.oid = oid_text(oid);
  // An explicit FALSE is not DER, but stands in vendors' certificates; it says the same.
  if (in.peek_tag() == tag::kBoolean) {
    KEYWARD_TRY(critical, in.boolean());
    extension.critical = critical;
  }
  KEYWARD_TRY(value, in.element(tag::kOctetString));
  KEYWARD_CHECK(in.expect_end());
  extension.value = to_bytes(value);
  if (out.extension(extension.oid) != nullptr)
    return bad("certificate: duplicate extension");  // RFC 5280 §4.2
  if (out.extensions.size() >= limits::kCertificateExtensionsMax)
    return bad("certificate: too many extensions");
  out.extensions.push_back(std::move(extension));
  return {};
}

Status read_extensions(DerReader& in, Certificate& out) {
  if (in.at_end()) return {};
  if (out.version != 3) return bad("certificate: extensions before v3");
  KEYWARD_TRY(field, in.nested(tag::context_constructed(3)));
  KEYWARD_TRY(list, field.sequence());
  KEYWARD_CHECK(field.expect_end());
  if (list.at_end()) return bad("certificate: empty extensions");
  while (!list.at_end()) KEYWARD_CHECK(read_extension(list, out));
  return {};
}

Result<ByteView> read_serial(DerReader& in) {
  KEYWARD_TRY(serial, in.element(tag::kInteger));
  if (serial.empty()) return bad("certificate: empty serial");
  const bool padded = serial.size() > 1 && ((serial[0] == 0x00 && serial[1] < 0x80) ||
                                            (serial[0] == 0xff && serial[1] >= 0x80));
  if (padded) return bad("certificate: serial not in its shortest form");
  return serial;
}

Status read_tbs(ByteView tbs_der, ByteView outer_algorithm, KeyReading reading, Certificate& out) {
  DerReader outer(tbs_der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(read_version(in, out));
  KEYWARD_TRY(serial, read_serial(in));
  out.serial = to_bytes(serial);
  KEYWARD_TRY(algorithm, in.element_whole(tag::kSequence));
  if (!equal(algorithm, outer_algorithm))
    return bad("certificate: two signature algorithms");  // RFC 5280 §4.1.1.2
  KEYWARD_CHECK(read_names_and_key(in, reading, out));
  KEYWARD_CHECK(read_extensions(
      in, out));  // unique identifiers (§4.1.2.8) fail here: nothing else may follow
  return in.expect_end();
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 7468 §3: white space is skipped, padding is needed.
Result<Bytes> decode_pem_body(std::string_view body) {
  Bytes out;
  unsigned accumulator = 0;
  int bits = 0;
  std::size_t characters = 0;
  std::size_t padding = 0;
  for (const char c : body) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    ++characters;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = base64_value(c);
    if (value < 0 || padding != 0) return bad("pem: not base64");
    accumulator = (accumulator << 6 | static_cast<unsigned>(value)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(accumulator >> bits));
    }
  }
  const bool rest_is_zero = (accumulator & ((1U << bits) - 1)) == 0;
  if (characters % 4 != 0 || padding > 2 || !rest_is_zero) return bad("pem: not base64");
  return out;
}

}  // namespace

const Extension* Certificate::extension(std::string_view oid) const {
  const auto found = std::ranges::find_if(extensions, [&](const auto& e) { return e.oid == oid; });
  return found == extensions.end() ? nullptr : &*found;
}

std::optional<bool> Certificate::basic_constraints_ca() const {
  const auto constraints = read_basic_constraints(*this);
  if (!constraints) return std::nullopt;
  return constraints->ca;
}

std::optional<BasicConstraints> read_basic_constraints(const Certificate& certificate) {
  const auto* extension = certificate.extension(oids::kBasicConstraints);
  if (extension == nullptr) return std::nullopt;
  BasicConstraints none;  // what cannot be read is not a CA
  BasicConstraints out;
  DerReader outer(extension->value);
  auto in = outer.sequence();
  if (!in || !outer.at_end()) return none;
  if (in->peek_tag() == tag::kBoolean) {
    const auto ca = in->boolean();
    if (!ca) return none;
    out.ca = *ca;
  }
  if (!in->at_end()) {
    const auto length = in->small_unsigned();
    if (!length || !in->at_end()) return none;
    out.path_length = *length;
  }
  return out;
}

std::vector<std::string> Certificate::extended_key_usages() const {
  const auto* found = extension(oids::kExtendedKeyUsage);
  if (found == nullptr) return {};
  DerReader outer(found->value);
  auto in = outer.sequence();
  std::vector<std::string> out;
  while (in && !in->at_end()) {
    const auto oid = in->oid();
    if (!oid) return {};
    out.push_back(oid_text(*oid));
  }
  return out;
}

std::optional<bool> Certificate::key_usage(unsigned bit) const {
  const auto* found = extension(oids::kKeyUsage);
  if (found == nullptr) return std::nullopt;
  DerReader in(found->value);
  const auto bits = in.element(tag::kBitString);
  if (!bits || !in.at_end() || bits->size() < 2) return false;
  const std::size_t octet = 1 + bit / 8;
  return octet < bits->size() && ((*bits)[octet] & (0x80U >> bit % 8)) != 0;
}

Result<Certificate> parse_certificate(ByteView der, KeyReading reading) {
  if (der.size() > limits::kCertificateBytesMax) return bad("certificate: over its limit");
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(tbs, in.element_whole(tag::kSequence));
  KEYWARD_TRY(algorithm, in.element_whole(tag::kSequence));
  KEYWARD_TRY(signature, in.bit_string_octets());
  KEYWARD_CHECK(in.expect_end());
  Certificate out;
  out.der = to_bytes(der);
  out.tbs_der = to_bytes(tbs);
  out.signature_algorithm_der = to_bytes(algorithm);
  out.signature = to_bytes(signature);
  KEYWARD_CHECK(read_tbs(tbs, algorithm, reading, out));
  return out;
}

Status verify_signed_by(const Certificate& child, const crypto::PublicKey& issuer_key) {
  KEYWARD_TRY(method, signature_method(child.signature_algorithm_der));
  return issuer_key.verify(method.scheme, method.hash, child.tbs_der, child.signature);
}

bool is_signature_algorithm(ByteView algorithm_der) {
  return signature_method(algorithm_der).has_value();
}

Status verify_octets_signed_by(ByteView algorithm_der, ByteView octets, ByteView signature,
                               const crypto::PublicKey& key) {
  KEYWARD_TRY(method, signature_method(algorithm_der));
  return key.verify(method.scheme, method.hash, octets, signature);
}

Result<std::vector<Bytes>> certificates_from_pem(std::string_view pem, std::size_t count_max) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<Bytes> out;
  while (true) {
    const auto begin = pem.find(kBegin);
    if (begin == std::string_view::npos) return out;
    pem.remove_prefix(begin + kBegin.size());
    const auto end = pem.find(kEnd);
    if (end == std::string_view::npos) return bad("pem: a block without its end");
    if (out.size() >= count_max) return fail(ErrorKind::kExhausted, "pem: too many certificates");
    KEYWARD_TRY(der, decode_pem_body(pem.substr(0, end)));
    out.push_back(std::move(der));
    pem.remove_prefix(end + kEnd.size());
  }
}

std::string to_pem(std::string_view label, ByteView der) {
  constexpr std::size_t kLineCharacters = 64;  // RFC 7468 §2
  const std::string body = base64_encode(der);
  std::string out = "-----BEGIN " + std::string(label) + "-----\n";
  out.reserve(body.size() + body.size() / kLineCharacters + 80);
  for (std::size_t at = 0; at < body.size(); at += kLineCharacters) {
    out.append(body, at, kLineCharacters);
    out += '\n';
  }
  out += "-----END " + std::string(label) + "-----\n";
  return out;
}

}  // namespace keyward::x509
