#include "firmware/issue/issuer.h"

#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/limits.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kKeyUsage = "2.5.29.15", kNameConstraints = "2.5.29.30",
                           kSubjectKeyId = "2.5.29.14";

Result<hal::KeyAlgorithm> algorithm_of(const crypto::PublicKey& key) {
  switch (key.kind()) {
    case crypto::KeyKind::kEcP256:
      return hal::KeyAlgorithm::kEcdsaP256;
    case crypto::KeyKind::kEcP384:
      return hal::KeyAlgorithm::kEcdsaP384;
    case crypto::KeyKind::kEd25519:
      return hal::KeyAlgorithm::kEd25519;
    case crypto::KeyKind::kRsa:
      if (key.bits() == 2048) return hal::KeyAlgorithm::kRsa2048;
      if (key.bits() == 3072) return hal::KeyAlgorithm::kRsa3072;
      if (key.bits() == 4096) return hal::KeyAlgorithm::kRsa4096;
      break;
    case crypto::KeyKind::kEcP521:
      break;
  }
  return fail(ErrorKind::kRefused,
              "the issuing CA's key is of a kind that no token signs with here");
}

// RFC 5280 §4.2.1.3: bit 5 is keyCertSign.
bool may_sign_certificates(const x509::Certificate& certificate) {
  const auto* usage = certificate.extension(kKeyUsage);
  if (usage == nullptr) return false;
  x509::DerReader reader(usage->value);
  const auto bits = reader.element(x509::tag::kBitString);
  return bits && bits->size() >= 2 && ((*bits)[1] & 0x04) != 0;
}

Result<Bytes> key_id_of_issuer(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension(kSubjectKeyId);
  if (extension == nullptr)
    return fail(ErrorKind::kRefused,
                "the issuing CA has no subject key identifier (RFC 5280 §4.2.1.2)");
  x509::DerReader reader(extension->value);
  KEYWARD_TRY(id, reader.element(x509::tag::kOctetString));
  return to_bytes(id);
}

struct PermittedNames {
  std::vector<std::string> dns;
  std::vector<Bytes> ip;
};

// Address and mask; ones, then zeros, since no plan means anything else.
bool is_address_subtree(ByteView octets) {
  if (octets.size() != 8 && octets.size() != 32) return false;
  const std::size_t half = octets.size() / 2;
  bool ended = false;
  for (std::size_t bit = 0; bit < half * 8; ++bit) {
    const bool one = (octets[half + bit / 8] >> (7 - bit % 8) & 1) != 0;
    if (one && ended) return false;
    ended = ended || !one;
  }
  return true;
}

// RFC 5280 §4.2.1.10, permitted dNSName and iPAddress subtrees alone.
Result<PermittedNames> permitted_names_of(const x509::Certificate& certificate) {
  PermittedNames out;
  const auto* extension = certificate.extension(kNameConstraints);
  if (extension == nullptr) return out;
  x509::DerReader outer(extension->value);
  KEYWARD_TRY(constraints, outer.sequence());
  KEYWARD_TRY(permitted, constraints.nested(x509::tag::context_constructed(0)));
  if (!constraints.at_end())
    return fail(ErrorKind::kRefused, "excluded subtrees in the issuing CA are not supported");
  while (!permitted.at_end()) {
    KEYWARD_TRY(subtree, permitted.sequence());
    KEYWARD_TRY(name, subtree.any());
    const bool is_dns = name.tag == x509::tag::context(2);
    const bool is_ip = name.tag == x509::tag::context(7) && is_address_subtree(name.content);
    if ((!is_dns && !is_ip) || !subtree.at_end()) {
      return fail(ErrorKind::kRefused,
                  "name constraints of the issuing CA other than dns names and networks are not "
                  "supported");
    }
    if (is_dns)
      out.dns.emplace_back(text_of(name.content));
    else
      out.ip.push_back(to_bytes(name.content));
  }
  if (out.dns.empty() && out.ip.empty())
    return fail(ErrorKind::kRefused, "name constraints without a name");
  return out;
}

bool is_self_signed(const x509::Certificate& certificate) {
  return equal(certificate.issuer_der, certificate.subject_der);
}

Status check_chain(const std::vector<x509::Certificate>& chain) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const bool last = i + 1 == chain.size();
    if (last && !is_self_signed(chain[i])) return {};  // the root is elsewhere
    const auto& parent = last ? chain[i] : chain[i + 1];
    if (!equal(chain[i].issuer_der, parent.subject_der) || !parent.key)
      return fail(ErrorKind::kBadInput, "the issuer chain is not in order");
    KEYWARD_CHECK(x509::verify_signed_by(chain[i], *parent.key));
  }
  return {};
}

}  // namespace

Result<Issuer> load_issuer(std::string_view pem, std::int64_t now_ms) {
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax - 1));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "the issuer chain holds no certificate");
  std::vector<x509::Certificate> chain;
  for (const auto& der : ders) {
    KEYWARD_TRY(certificate, x509::parse_certificate(der));
    chain.push_back(std::move(certificate));
  }
  KEYWARD_CHECK(check_chain(chain));
  const auto& own = chain.front();
  if (own.version != 3 || own.basic_constraints_ca() != true || !may_sign_certificates(own)) {
    return fail(ErrorKind::kRefused,
                "the issuing certificate is not a CA that may sign certificates");
  }
  if (!own.key) return fail(ErrorKind::kRefused, "the issuing CA's key is of an unknown kind");
  if (now_ms > own.not_after_ms) return fail(ErrorKind::kRefused, "the issuing CA has expired");
  KEYWARD_TRY(algorithm, algorithm_of(*own.key));
  KEYWARD_TRY(key_id, key_id_of_issuer(own));
  KEYWARD_TRY(permitted, permitted_names_of(own));
  std::vector<Bytes> to_send;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (i == 0 || !is_self_signed(chain[i])) to_send.push_back(ders[i]);
  }
  auto key = *own.key;
  return Issuer{std::move(ders),
                std::move(to_send),
                own,
                std::move(key),
                algorithm,
                x509::signature_algorithm_der(algorithm),
                std::move(key_id),
                std::move(permitted.dns),
                {},
                {},
                {},
                std::move(permitted.ip)};
}

Result<std::vector<Bytes>> load_alternate_chain(std::string_view pem, const Issuer& issuer,
                                                std::int64_t now_ms) {
  KEYWARD_TRY(other, load_issuer(pem, now_ms));
  const auto& first = other.certificate;
  if (!equal(first.subject_der, issuer.certificate.subject_der) ||
      !equal(first.spki_der, issuer.certificate.spki_der) || !equal(other.key_id, issuer.key_id)) {
    return fail(ErrorKind::kRefused,
                "an alternate chain does not begin with the issuing CA's name and key");
  }
  return std::move(other.chain_to_send);
}

Status check_token_key(const Issuer& issuer, const hal::TokenKey& key, KeyOrigin origin) {
  if (key.spki_der.empty() || !equal(key.spki_der, issuer.certificate.spki_der)) {
    return fail(ErrorKind::kRefused, "the token's key is not the issuing certificate's");
  }
  if (key.algorithm != issuer.algorithm)
    return fail(ErrorKind::kRefused,
                "the token's key is of another kind than the issuing certificate's");
  if (origin == KeyOrigin::kTest) return {};
  if (!key.sensitive || !key.always_sensitive)
    return fail(ErrorKind::kRefused, "the token's key is or was readable");
  if (key.extractable || !key.never_extractable)
    return fail(ErrorKind::kRefused, "the token's key is or was extractable");
  if (!key.local)
    return fail(ErrorKind::kRefused, "the token's key was not generated in the token");
  return {};
}

}  // namespace keyward::issue
