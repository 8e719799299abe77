#include "tests/support/issuing/issuing.h"

#include <cstdio>
#include <cstdlib>

#include "firmware/identifier/identifier.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "firmware/x509/der.h"
#include "hal/base/clock.h"
#include "hal/base/rng.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "test kit: %s\n", result.error().what);
  std::abort();
}

struct Scheme {
  crypto::SignatureScheme scheme;
  crypto::HashAlgorithm hash;
  hal::KeyAlgorithm certificate;
};
Scheme scheme_of(crypto::KeyKind kind) {
  switch (kind) {
    case crypto::KeyKind::kEcP384:
      return {crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha384,
              hal::KeyAlgorithm::kEcdsaP384};
    case crypto::KeyKind::kEcP521:
      return {crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha384,
              hal::KeyAlgorithm::kEcdsaP384};
    case crypto::KeyKind::kRsa:
      return {crypto::SignatureScheme::kRsaPkcs1, crypto::HashAlgorithm::kSha256,
              hal::KeyAlgorithm::kRsa2048};
    case crypto::KeyKind::kEd25519:
      return {crypto::SignatureScheme::kEd25519, crypto::HashAlgorithm::kSha256,
              hal::KeyAlgorithm::kEd25519};
    case crypto::KeyKind::kEcP256:
      break;
  }
  return {crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256,
          hal::KeyAlgorithm::kEcdsaP256};
}

Bytes sign_with(const crypto::PrivateKey& key, ByteView message) {
  const auto scheme = scheme_of(key.public_key().kind());
  return must(key.sign(scheme.scheme, scheme.hash, message));
}

Bytes certificate(const crypto::PrivateKey& signer, x509::TbsSpec spec) {
  spec.serial = random_bytes(16);
  spec.serial[0] = 0x41;
  spec.signature_algorithm =
      x509::signature_algorithm_der(scheme_of(signer.public_key().kind()).certificate);
  const Bytes tbs = x509::build_tbs(spec);
  return x509::join_certificate(tbs, spec.signature_algorithm, sign_with(signer, tbs));
}

}  // namespace

TestCa make_test_ca(const Bytes& issuing_spki, const TestCaSpec& spec) {
  const auto now_ms = system_clock().utc_ms();
  const auto root = must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const Bytes root_name = x509::name_der({{"2.5.4.3", "Test Root"}});
  const Bytes& root_spki = root.public_key().spki_der();
  x509::TbsSpec tbs;
  tbs.issuer_name_der = tbs.subject_name_der = root_name;
  tbs.not_before_ms = now_ms - 48 * kHourMs;
  tbs.not_after_ms = now_ms + 20 * 365 * 24 * kHourMs;
  tbs.spki_der = root_spki;
  tbs.extensions = {x509::ext_subject_key_id(root_spki),
                    x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign}),
                    x509::ext_basic_constraints(true, std::nullopt)};
  TestCa out;
  out.root_der = certificate(root, tbs);
  tbs.subject_name_der = x509::name_der({{"2.5.4.3", "Test Issuing"}});
  tbs.not_before_ms = spec.not_before_ms != 0 ? spec.not_before_ms : now_ms - kHourMs;
  tbs.not_after_ms = spec.not_after_ms != 0 ? spec.not_after_ms : now_ms + 10 * 365 * 24 * kHourMs;
  tbs.spki_der = issuing_spki;
  tbs.extensions = {
      x509::ext_authority_key_id(x509::key_id_of(root_spki)),
      x509::ext_subject_key_id(issuing_spki),
      !spec.may_sign        ? x509::ext_key_usage({x509::kDigitalSignature})
      : spec.may_sign_lists ? x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign})
                            : x509::ext_key_usage({x509::kKeyCertSign}),
      x509::ext_basic_constraints(spec.ca, spec.ca ? std::optional<int>(0) : std::nullopt)};
  if (!spec.permitted_dns.empty())
    tbs.extensions.push_back(x509::ext_name_constraints_dns(spec.permitted_dns));
  out.issuing_der = certificate(root, tbs);
  out.chain_pem =
      x509::to_pem("CERTIFICATE", out.issuing_der) + x509::to_pem("CERTIFICATE", out.root_der);
  return out;
}

Bytes make_csr(const crypto::PrivateKey& key, const CsrSpec& spec) {
  Bytes extensions;
  for (const auto& extension : spec.extensions) append(extensions, extension);
  Bytes attributes;
  if (!spec.extensions.empty()) {  // RFC 2985 §5.4.2: extensionRequest
    const Bytes list = x509::tlv(x509::tag::kSequence, ByteView(extensions));
    attributes = x509::der_sequence(
        {x509::der_oid("1.2.840.113549.1.9.14"), x509::tlv(x509::tag::kSet, ByteView(list))});
  }
  const Bytes info =
      x509::der_sequence({x509::der_unsigned(0), x509::name_der(spec.subject),
                          spec.spki ? *spec.spki : key.public_key().spki_der(),
                          x509::tlv(x509::tag::context_constructed(0), ByteView(attributes))});
  const auto scheme = scheme_of(key.public_key().kind());
  const Bytes other = to_bytes("another message");
  const Bytes signature = sign_with(key, spec.break_signature ? ByteView(other) : ByteView(info));
  return x509::der_sequence(
      {info, x509::signature_algorithm_der(scheme.certificate), x509::der_bit_string(signature)});
}

Bytes make_csr(const crypto::PrivateKey& key, const std::vector<wire::Identifier>& identifiers) {
  CsrSpec spec;
  spec.extensions = {must(x509::ext_subject_alt_name(identifiers, false))};
  return make_csr(key, spec);
}

wire::Identifier dns(std::string value) { return {wire::IdentifierType::kDns, std::move(value)}; }
wire::Identifier ip(std::string value) { return {wire::IdentifierType::kIp, std::move(value)}; }
wire::Identifier device(std::string value) {
  return {wire::IdentifierType::kPermanentIdentifier, std::move(value)};
}

TestClient::TestClient(crypto::KeyKind kind) : key_(must(crypto::PrivateKey::generate(kind))) {
  const auto jwk = must(jose::Jwk::from_public_key(key_->public_key()));
  jwk_ = jwk.canonical();
  thumbprint_ = jwk.thumbprint();
}

wire::ClientJws TestClient::sign(const std::string& url, const std::string& payload,
                                 const std::string& kid) const {
  const auto account = kid.empty() ? std::string(kBaseUrl) + "/acme/account/1" : kid;
  auto jws = must(jose::sign(*key_, {url, random_id(), account, payload}));
  return {jws.protected_b64, jws.payload_b64, jws.signature};
}

std::string TestClient::order_payload(const std::vector<wire::Identifier>& identifiers,
                                      const std::string& profile) {
  json::Writer out;
  out.begin_object().key("identifiers").begin_array();
  for (const auto& id : identifiers) {
    out.begin_object()
        .member("type", identifier::to_string(id.type))
        .member("value", id.value)
        .end_object();
  }
  out.end_array();
  if (!profile.empty()) out.member("profile", profile);
  out.end_object();
  return out.take();
}

wire::TicketMint TestClient::new_order(const std::string& payload) const {
  return {jwk_, sign(std::string(kBaseUrl) + "/acme/new-order", payload)};
}

wire::TicketMint TestClient::new_order(const std::vector<wire::Identifier>& identifiers) const {
  return new_order(order_payload(identifiers));
}

std::string TestClient::finalize_url(const std::string& ticket) {
  return std::string(kBaseUrl) + "/acme/order/" + ticket + "/finalize";
}

wire::CertificateIssue TestClient::finalize(const wire::TicketMintReply& order,
                                            ByteView csr_der) const {
  return {jwk_, sign(finalize_url(order.ticket), "{\"csr\":\"" + base64url_encode(csr_der) + "\"}"),
          order.terms};
}

}  // namespace keyward::test
