// Owns the translation between our algorithms and PKCS#11's. Must not know sessions.
#include "hal/pkcs11/mechanisms.h"

#include <algorithm>
#include <cstdlib>

namespace keyward::hal::pkcs11 {
namespace {

constexpr std::uint8_t kOidP256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::uint8_t kOidP384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
constexpr std::uint8_t kOidEd25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
// PKCS#11 v3.0 §2.3.1 also allows PrintableString "edwards25519".
constexpr std::uint8_t kNameEd25519[] = {0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                         'd',  's',  '2', '5', '5', '1', '9'};
// RFC 8017 §9.2, note 1: DigestInfo of SHA-256 up to the digest.
constexpr std::uint8_t kDigestInfoSha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                              0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                                              0x01, 0x05, 0x00, 0x04, 0x20};

const AlgorithmFact kFacts[] = {
    {KeyAlgorithm::kEcdsaP256, CKK_EC, CKM_ECDSA, CKM_EC_KEY_PAIR_GEN, 256, kOidP256, 64},
    {KeyAlgorithm::kEcdsaP384, CKK_EC, CKM_ECDSA, CKM_EC_KEY_PAIR_GEN, 384, kOidP384, 96},
    {KeyAlgorithm::kRsa2048, CKK_RSA, CKM_RSA_PKCS, CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, {}, 256},
    {KeyAlgorithm::kRsa3072, CKK_RSA, CKM_RSA_PKCS, CKM_RSA_PKCS_KEY_PAIR_GEN, 3072, {}, 384},
    {KeyAlgorithm::kRsa4096, CKK_RSA, CKM_RSA_PKCS, CKM_RSA_PKCS_KEY_PAIR_GEN, 4096, {}, 512},
    {KeyAlgorithm::kEd25519, CKK_EC_EDWARDS, CKM_EDDSA, CKM_EC_EDWARDS_KEY_PAIR_GEN, 255,
     kOidEd25519, 64},
};

CK_MECHANISM_TYPE sign_mechanism(const AlgorithmFact& fact, const Pkcs11Quirks& quirks) {
  if (fact.key_type == CKK_RSA && quirks.rsa_hash_in_module) return CKM_SHA256_RSA_PKCS;
  return fact.sign;
}

Result<Bytes> der_integer(ByteView big_endian) {
  while (!big_endian.empty() && big_endian.front() == 0) big_endian = big_endian.subspan(1);
  if (big_endian.empty()) return fail(ErrorKind::kCorrupt, "half of the signature is zero");
  Bytes out{0x02, 0};
  if (big_endian.front() >= 0x80) out.push_back(0);
  append(out, big_endian);
  out[1] = static_cast<std::uint8_t>(out.size() - 2);  // at most 49 octets: short form
  return out;
}

unsigned modulus_bits(ByteView modulus) {
  while (!modulus.empty() && modulus.front() == 0) modulus = modulus.subspan(1);
  if (modulus.empty()) return 0;
  unsigned bits = static_cast<unsigned>(modulus.size()) * 8;
  for (unsigned mask = 0x80; (modulus.front() & mask) == 0; mask >>= 1) --bits;
  return bits;
}

}  // namespace

const AlgorithmFact& fact_of(KeyAlgorithm algorithm) {
  for (const auto& fact : kFacts)
    if (fact.algorithm == algorithm) return fact;
  std::abort();  // an enumerator that is none: memory is broken
}

bool is_supported(KeyAlgorithm algorithm, std::span<const MechanismFact> mechanisms,
                  const Pkcs11Quirks& quirks) {
  const auto& fact = fact_of(algorithm);
  bool signs = false;
  bool generates = false;
  for (const auto& mechanism : mechanisms) {
    const bool signs_this =
        mechanism.type == sign_mechanism(fact, quirks) && (mechanism.info.flags & CKF_SIGN) != 0;
    const bool generates_this =
        mechanism.type == fact.generate && (mechanism.info.flags & CKF_GENERATE_KEY_PAIR) != 0;
    if (!signs_this && !generates_this) continue;
    // The unit of the sizes of Edwards curves differs between modules; RSA and ECDSA are in bits.
    const bool sized =
        fact.key_type == CKK_EC_EDWARDS || mechanism.info.ulMaxKeySize == 0 ||
        (fact.bits >= mechanism.info.ulMinKeySize && fact.bits <= mechanism.info.ulMaxKeySize);
    signs = signs || (signs_this && sized);
    generates = generates || (generates_this && sized);
  }
  return signs && generates;
}

Result<SignInput> sign_input(KeyAlgorithm algorithm, ByteView prepared, ByteView message,
                             const Pkcs11Quirks& quirks) {
  const auto& fact = fact_of(algorithm);
  SignInput input;
  input.mechanism = sign_mechanism(fact, quirks);
  if (input.mechanism == CKM_SHA256_RSA_PKCS) {
    input.data = to_bytes(message);
    return input;
  }
  const std::size_t digest_bytes = algorithm == KeyAlgorithm::kEcdsaP384 ? 48 : 32;
  if (fact.key_type != CKK_EC_EDWARDS && prepared.size() != digest_bytes)
    return fail(ErrorKind::kInternal, "the digest has the wrong size");
  if (fact.key_type == CKK_RSA)
    input.data.assign(std::begin(kDigestInfoSha256), std::end(kDigestInfoSha256));
  append(input.data, prepared);
  return input;
}

Result<Bytes> signature_from_token(KeyAlgorithm algorithm, ByteView raw) {
  const auto& fact = fact_of(algorithm);
  if (raw.size() != fact.signature_bytes)
    return fail(ErrorKind::kCorrupt, "the token's signature has the wrong size");
  if (fact.key_type != CKK_EC) return to_bytes(raw);
  // RFC 3279 §2.2.3: SEQUENCE { r INTEGER, s INTEGER }; at most 102 octets, so short lengths.
  KEYWARD_TRY(r, der_integer(raw.first(raw.size() / 2)));
  KEYWARD_TRY(s, der_integer(raw.last(raw.size() / 2)));
  Bytes out{0x30, static_cast<std::uint8_t>(r.size() + s.size())};
  append(out, r);
  append(out, s);
  return out;
}

std::optional<KeyAlgorithm> algorithm_of(CK_KEY_TYPE key_type, ByteView ec_params,
                                         ByteView modulus) {
  for (const auto& fact : kFacts) {
    if (fact.key_type != key_type) continue;
    if (key_type == CKK_RSA && modulus_bits(modulus) == fact.bits) return fact.algorithm;
    if (key_type == CKK_EC && equal(ec_params, fact.ec_params)) return fact.algorithm;
    if (key_type == CKK_EC_EDWARDS &&
        (equal(ec_params, kOidEd25519) || equal(ec_params, kNameEd25519)))
      return fact.algorithm;
  }
  return std::nullopt;
}

Result<Bytes> point_from_attribute(KeyAlgorithm algorithm, ByteView value) {
  const auto& fact = fact_of(algorithm);
  const std::size_t size = fact.key_type == CKK_EC_EDWARDS ? 32 : 1 + fact.signature_bytes;
  if (value.size() == size) return to_bytes(value);
  if (value.size() == size + 2 && value[0] == 0x04 && value[1] == size)
    return to_bytes(value.subspan(2));
  return fail(ErrorKind::kCorrupt, "CKA_EC_POINT has an unknown form");
}

}  // namespace keyward::hal::pkcs11
