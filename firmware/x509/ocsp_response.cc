// Owns the octets of OCSP responses. Must not know certificates' states nor keys.
#include "firmware/x509/ocsp_response.h"

#include <time.h>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::x509 {
namespace {

constexpr std::string_view kBasic = "1.3.6.1.5.5.7.48.1.1", kNonce = "1.3.6.1.5.5.7.48.1.2";
constexpr std::uint8_t kEnumerated = 0x0a;

Bytes enumerated(std::uint8_t value) { return tlv(kEnumerated, ByteView(&value, 1)); }

// GeneralizedTime always, without fractions (RFC 6960 §4.2.2.1 with RFC 5280 §4.1.2.5.2).
Bytes generalized_time(std::int64_t utc_ms) {
  const ::time_t seconds = static_cast<::time_t>(utc_ms / 1'000);
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  const auto size = ::strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &parts);
  return tlv(tag::kGeneralizedTime, view_of(std::string_view(text, size)));
}

// CertStatus: good [0] and unknown [2] are IMPLICIT NULL, revoked [1] IMPLICIT RevokedInfo.
Bytes status_der(const OcspAnswer& answer) {
  if (answer.state != OcspState::kRevoked)
    return tlv(tag::context(answer.state == OcspState::kGood ? 0 : 2), ByteView{});
  const Bytes time = generalized_time(answer.revoked_ms);
  if (!answer.reason || *answer.reason == 0) return tlv(tag::context_constructed(1), {time});
  const Bytes reason = enumerated(static_cast<std::uint8_t>(*answer.reason));
  return tlv(tag::context_constructed(1),
             {time, tlv(tag::context_constructed(0), ByteView(reason))});
}

Bytes single_response(const OcspAnswer& answer) {
  const Bytes next = generalized_time(answer.next_update_ms);
  return der_sequence({answer.cert_id_der, status_der(answer),
                       generalized_time(answer.this_update_ms),
                       tlv(tag::context_constructed(0), ByteView(next))});
}

// The BIT STRING of a SubjectPublicKeyInfo, without tag, length and unused bits.
Bytes key_bits(ByteView spki_der) {
  DerReader outer(spki_der);
  auto spki = outer.sequence();
  if (!spki || !spki->any()) return {};
  const auto bits = spki->bit_string_octets();
  return bits ? to_bytes(*bits) : Bytes{};
}

}  // namespace

Bytes ocsp_error(OcspError status) {
  return der_sequence({enumerated(static_cast<std::uint8_t>(status))});
}

Bytes ocsp_response_data(const OcspContent& content) {
  Bytes answers;
  for (const auto& answer : content.answers) append(answers, single_response(answer));
  Bytes extensions;
  if (content.nonce) {
    const Bytes list =
        der_sequence({extension_der(kNonce, false, der_octet_string(*content.nonce))});
    extensions = tlv(tag::context_constructed(1), ByteView(list));
  }
  const Bytes key_hash = der_octet_string(content.responder_key_hash);
  return der_sequence({tlv(tag::context_constructed(2), ByteView(key_hash)),
                       generalized_time(content.produced_ms),
                       tlv(tag::kSequence, ByteView(answers)), extensions});
}

Bytes ocsp_response(ByteView response_data, ByteView signature_algorithm, ByteView signature,
                    ByteView responder_der) {
  const Bytes certificates = der_sequence({responder_der});
  const Bytes basic = der_sequence({response_data, signature_algorithm, der_bit_string(signature),
                                    tlv(tag::context_constructed(0), ByteView(certificates))});
  const Bytes typed = der_sequence({der_oid(kBasic), der_octet_string(basic)});
  return der_sequence({enumerated(0), tlv(tag::context_constructed(0), ByteView(typed))});
}

OcspIssuerHashes ocsp_issuer_hashes(ByteView subject_der, ByteView spki_der) {
  const Bytes bits = key_bits(spki_der);
  using crypto::HashAlgorithm;
  return {crypto::hash(HashAlgorithm::kSha1, subject_der), crypto::hash(HashAlgorithm::kSha1, bits),
          crypto::hash(HashAlgorithm::kSha256, subject_der),
          crypto::hash(HashAlgorithm::kSha256, bits)};
}

}  // namespace keyward::x509
