// Owns the reading of OCSP requests. Must not know who answers.
#include "firmware/x509/ocsp_request.h"

#include <string_view>

#include "firmware/x509/der.h"

namespace keyward::x509 {
namespace {

constexpr std::string_view kSha1 = "1.3.14.3.2.26", kSha256 = "2.16.840.1.101.3.4.2.1",
                           kNonce = "1.3.6.1.5.5.7.48.1.2";
constexpr std::size_t kHashBytesMax = 64;

Bytes copy(ByteView view) { return Bytes(view.begin(), view.end()); }

std::size_t size_of(OcspHash hash) { return hash == OcspHash::kSha1 ? 20 : 32; }

// AlgorithmIdentifier: parameters absent or NULL (RFC 5754 §2).
Result<std::optional<OcspHash>> read_hash(DerReader reader) {
  KEYWARD_TRY(oid, reader.oid());
  const auto name = oid_text(oid);
  if (!reader.at_end()) {
    KEYWARD_TRY(parameters, reader.element(tag::kNull));
    if (!parameters.empty()) return fail(ErrorKind::kBadInput, "OCSP: NULL with content");
  }
  KEYWARD_CHECK(reader.expect_end());
  if (name == kSha1) return std::optional(OcspHash::kSha1);
  if (name == kSha256) return std::optional(OcspHash::kSha256);
  return std::optional<OcspHash>();
}

Result<OcspQuestion> read_cert_id(ByteView whole) {
  OcspQuestion question;
  question.cert_id_der = copy(whole);
  DerReader outer(whole);
  KEYWARD_TRY(reader, outer.sequence());
  KEYWARD_TRY(algorithm, reader.sequence());
  KEYWARD_TRY(hash, read_hash(algorithm));
  question.hash = hash;
  KEYWARD_TRY(name_hash, reader.element(tag::kOctetString));
  KEYWARD_TRY(key_hash, reader.element(tag::kOctetString));
  if (name_hash.size() > kHashBytesMax || key_hash.size() > kHashBytesMax)
    return fail(ErrorKind::kBadInput, "OCSP: a hash is too long");
  if (hash && (name_hash.size() != size_of(*hash) || key_hash.size() != size_of(*hash)))
    return fail(ErrorKind::kBadInput, "OCSP: a hash has another length than its algorithm");
  question.issuer_name_hash = copy(name_hash);
  question.issuer_key_hash = copy(key_hash);
  KEYWARD_TRY(serial, reader.unsigned_integer());
  if (serial.size() > kOcspSerialBytesMax)
    return fail(ErrorKind::kBadInput, "OCSP: the serial number is too long");
  question.serial = std::move(serial);
  KEYWARD_CHECK(reader.expect_end());
  return question;
}

// What is critical must be understood (RFC 6960 §4.4); of the request's own only the nonce is.
Result<std::optional<Bytes>> read_extensions(DerReader tagged, bool of_request) {
  KEYWARD_TRY(list, tagged.sequence());
  KEYWARD_CHECK(tagged.expect_end());
  std::optional<Bytes> nonce;
  for (std::size_t count = 0; !list.at_end(); ++count) {
    if (count >= kOcspExtensionsMax) return fail(ErrorKind::kBadInput, "OCSP: many extensions");
    KEYWARD_TRY(extension, list.sequence());
    KEYWARD_TRY(oid, extension.oid());
    bool critical = false;
    if (extension.peek_tag() == tag::kBoolean) {
      KEYWARD_TRY(said, extension.boolean());
      critical = said;
    }
    KEYWARD_TRY(value, extension.element(tag::kOctetString));
    KEYWARD_CHECK(extension.expect_end());
    if (!of_request || oid_text(oid) != kNonce) {
      if (critical) return fail(ErrorKind::kBadInput, "OCSP: an unknown extension is critical");
      continue;
    }
    if (nonce) return fail(ErrorKind::kBadInput, "OCSP: two nonces");
    DerReader inner(value);
    KEYWARD_TRY(octets, inner.element(tag::kOctetString));
    KEYWARD_CHECK(inner.expect_end());
    if (octets.empty() || octets.size() > kOcspNonceBytesMax)
      return fail(ErrorKind::kBadInput, "OCSP: the nonce's length (RFC 9654 §2.1)");
    nonce = copy(octets);
  }
  return nonce;
}

Result<OcspQuestion> read_question(DerReader reader) {
  KEYWARD_TRY(cert_id, reader.element_whole(tag::kSequence));
  KEYWARD_TRY(question, read_cert_id(cert_id));
  if (!reader.at_end()) {
    KEYWARD_TRY(extensions, reader.nested(tag::context_constructed(0)));
    KEYWARD_CHECK(read_extensions(extensions, false));
  }
  KEYWARD_CHECK(reader.expect_end());
  return std::move(question);
}

Result<OcspRequest> read_tbs(DerReader reader) {
  // Version 1 is the default, so that DER does not say it, and there is no other.
  if (reader.peek_tag() == tag::context_constructed(1)) {
    KEYWARD_CHECK(reader.element(tag::context_constructed(1)));
  }
  OcspRequest request;
  KEYWARD_TRY(list, reader.sequence());
  while (!list.at_end()) {
    if (request.questions.size() >= kOcspQuestionsMax)
      return fail(ErrorKind::kBadInput, "OCSP: too many questions in one request");
    KEYWARD_TRY(entry, list.sequence());
    KEYWARD_TRY(question, read_question(entry));
    request.questions.push_back(std::move(question));
  }
  if (request.questions.empty()) return fail(ErrorKind::kBadInput, "OCSP: nothing is asked");
  if (!reader.at_end()) {
    KEYWARD_TRY(extensions, reader.nested(tag::context_constructed(2)));
    KEYWARD_TRY(nonce, read_extensions(extensions, true));
    request.nonce = std::move(nonce);
  }
  KEYWARD_CHECK(reader.expect_end());
  return request;
}

}  // namespace

Result<OcspRequest> parse_ocsp_request(ByteView der) {
  if (der.size() > kOcspRequestBytesMax)
    return fail(ErrorKind::kBadInput, "OCSP: the request is too long");
  DerReader outer(der);
  KEYWARD_TRY(reader, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(tbs, reader.sequence());
  KEYWARD_TRY(request, read_tbs(tbs));
  if (!reader.at_end()) KEYWARD_CHECK(reader.element(tag::context_constructed(0)));
  KEYWARD_CHECK(reader.expect_end());
  return std::move(request);
}

}  // namespace keyward::x509
