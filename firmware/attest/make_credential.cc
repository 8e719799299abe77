#include "firmware/attest/make_credential.h"

#include <string_view>

#include <tss2/tss2_tpm2_types.h>

#include "firmware/crypto/encrypt.h"
#include "hal/base/rng.h"

namespace keyward::attest {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;

constexpr std::size_t kAesBlockBytes = 16;

void append_u16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void append_u32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}
Bytes tpm2b(ByteView content) {
  Bytes out;
  append_u16(out, content.size());
  append(out, content);
  return out;
}
Bytes with_nul(std::string_view label) {
  Bytes out = to_bytes(label);
  out.push_back(0);
  return out;
}

// Part 1 §11.4.10.2 (SP 800-108 counter mode). No key here is longer than one digest.
SecretBytes kdfa(HashAlgorithm hash, ByteView key, std::string_view label, ByteView context_u,
                 std::size_t bytes) {
  Bytes input;
  append_u32(input, 1);
  append(input, with_nul(label));
  append(input, context_u);  // contextV is empty in both uses
  append_u32(input, static_cast<std::uint32_t>(bytes * 8));
  SecretBytes whole(crypto::hmac(hash, key, input));
  return SecretBytes(whole.view().first(bytes));
}

// Part 1 §11.4.10.3 (SP 800-56A concatenation), one digest long.
SecretBytes kdfe(HashAlgorithm hash, ByteView z, std::string_view label, ByteView party_u,
                 ByteView party_v) {
  Bytes counter;
  append_u32(counter, 1);
  SecretBytes input(counter.size() + z.size() + label.size() + 1 + party_u.size() + party_v.size());
  auto* at = input.data();
  const auto put = [&at](ByteView part) { at = std::copy(part.begin(), part.end(), at); };
  put(counter);
  put(z);
  put(with_nul(label));
  put(party_u);
  put(party_v);
  return SecretBytes(crypto::hash(hash, input.view()));
}

struct Seed {
  SecretBytes seed;
  Bytes encrypted;
};

Result<Seed> seed_for(const EkPublic& ek) {
  constexpr std::string_view kLabel = "IDENTITY";
  Seed out;
  if (ek.key.kind() == KeyKind::kRsa) {  // annex B.10.4
    out.seed = SecretBytes(random_bytes(crypto::digest_bytes(ek.hash)));
    KEYWARD_TRY(sealed,
                crypto::rsa_oaep_encrypt(ek.key, ek.hash, with_nul(kLabel), out.seed.view()));
    out.encrypted = std::move(sealed);
    return out;
  }
  const auto own = crypto::ec_coordinates(ek.key);  // annex C.6.4
  if (!own) return fail(ErrorKind::kRefused, "credential: an EK of this type is not taken");
  KEYWARD_TRY(agreed, crypto::agree_with_ephemeral(ek.key));
  out.seed = kdfe(ek.hash, agreed.shared.view(), kLabel, agreed.x, own->x);
  out.encrypted = tpm2b(agreed.x);
  append(out.encrypted, tpm2b(agreed.y));
  return out;
}

std::optional<HashAlgorithm> name_hash(std::uint16_t algorithm) {
  switch (algorithm) {
    case TPM2_ALG_SHA256:
      return HashAlgorithm::kSha256;
    case TPM2_ALG_SHA384:
      return HashAlgorithm::kSha384;
    case TPM2_ALG_SHA512:
      return HashAlgorithm::kSha512;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<EkPublic> ek_parameters(const TpmPublicArea& area) {
  const auto hash = name_hash(area.name_alg);
  const bool aes = area.symmetric_alg == TPM2_ALG_AES && area.symmetric_mode == TPM2_ALG_CFB &&
                   (area.symmetric_bits == 128 || area.symmetric_bits == 256);
  if (!area.key || !hash || !aes)
    return fail(ErrorKind::kRefused, "credential: parameters of the EK are not taken");
  return EkPublic{*area.key, *hash, area.symmetric_bits};
}

Result<EkPublic> ek_template(const crypto::PublicKey& key) {
  switch (key.kind()) {
    case KeyKind::kEcP256:
      return EkPublic{key, HashAlgorithm::kSha256, 128};
    case KeyKind::kEcP384:
      return EkPublic{key, HashAlgorithm::kSha384, 256};
    case KeyKind::kEcP521:
      return EkPublic{key, HashAlgorithm::kSha512, 256};
    case KeyKind::kRsa:
      if (key.bits() == 2048) return EkPublic{key, HashAlgorithm::kSha256, 128};
      if (key.bits() == 3072 || key.bits() == 4096)
        return EkPublic{key, HashAlgorithm::kSha384, 256};
      break;
    case KeyKind::kEd25519:
      break;
  }
  return fail(ErrorKind::kRefused, "credential: no template for such an EK");
}

Result<MadeCredential> make_credential(const EkPublic& ek, ByteView name, ByteView secret) {
  const std::size_t digest_bytes = crypto::digest_bytes(ek.hash);
  if (name.empty() || secret.empty() || secret.size() > digest_bytes)
    return fail(ErrorKind::kBadInput, "credential: a name or secret of a wrong size");
  KEYWARD_TRY(seed, seed_for(ek));
  // Part 1 §24.4: the symmetric key depends on the name, the HMAC key on the seed alone.
  const auto aes_key =
      kdfa(ek.hash, seed.seed.view(), "STORAGE", name, static_cast<std::size_t>(ek.aes_bits) / 8);
  const Bytes zero_iv(kAesBlockBytes, 0);
  const SecretBytes plain(tpm2b(secret));
  KEYWARD_TRY(identity, crypto::aes_cfb_encrypt(aes_key.view(), zero_iv, plain.view()));
  const auto hmac_key = kdfa(ek.hash, seed.seed.view(), "INTEGRITY", {}, digest_bytes);
  Bytes covered = identity;
  append(covered, name);
  MadeCredential out;
  out.id_object = tpm2b(crypto::hmac(ek.hash, hmac_key.view(), covered));
  append(out.id_object, identity);
  out.encrypted_secret = std::move(seed.encrypted);
  return out;
}

}  // namespace keyward::attest
