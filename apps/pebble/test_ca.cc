#include "apps/pebble/test_ca.h"

#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/tbs.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::pebble {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kBackdateMs = 3'600'000;
constexpr std::int64_t kLifetimeDays = 3'650;
constexpr std::size_t kFileBytesMax = 65'536;

// Whoever meets the certificate elsewhere reads what it is.
Bytes name_of(const std::string& what) {
  return x509::name_der({{"2.5.4.10", "Keyward TEST KEYS, known to everybody"}, {"2.5.4.3", what}});
}

struct Ca {
  Bytes name;
  const crypto::PrivateKey* key = nullptr;
};

Result<Bytes> certify(const Ca& subject, const Ca& issuer, std::optional<int> path_length) {
  const auto now_ms = system_clock().utc_ms();
  const Bytes& spki = subject.key->public_key().spki_der();
  x509::TbsSpec spec;
  spec.serial = random_bytes(16);
  spec.serial[0] = static_cast<std::uint8_t>((spec.serial[0] & 0x3f) | 0x40);
  spec.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  spec.issuer_name_der = issuer.name;
  spec.subject_name_der = subject.name;
  spec.not_before_ms = now_ms - kBackdateMs;
  spec.not_after_ms = now_ms + kLifetimeDays * kDayMs;
  spec.spki_der = spki;
  spec.extensions = {
      x509::ext_basic_constraints(true, path_length),
      x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign}), x509::ext_subject_key_id(spki),
      x509::ext_authority_key_id(x509::key_id_of(issuer.key->public_key().spki_der()))};
  const Bytes tbs = x509::build_tbs(spec);
  KEYWARD_TRY(signature, issuer.key->sign(crypto::SignatureScheme::kEcdsa,
                                          crypto::HashAlgorithm::kSha256, tbs));
  return x509::join_certificate(tbs, spec.signature_algorithm, signature);
}

Result<std::string> pem_of(const crypto::PrivateKey& key) {
  KEYWARD_TRY(pem, key.to_pem());
  return std::string(text_of(pem.view()));
}

Result<Hierarchy> make_hierarchy(const crypto::PrivateKey& issuing_key, const Bytes& issuing_name,
                                 int chain_length) {
  KEYWARD_TRY(root_key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const Ca root{name_of("Keyward Test Root CA " + random_id(4)), &root_key};
  KEYWARD_TRY(root_der, certify(root, root, std::nullopt));
  Hierarchy out;
  KEYWARD_TRY(root_key_pem, pem_of(root_key));
  out.root_key_pem = std::move(root_key_pem);
  out.root_pem = x509::to_pem("CERTIFICATE", root_der);
  std::string between;  // from the issuing CA's issuer up to the root's child
  std::vector<crypto::PrivateKey> keys;
  keys.reserve(static_cast<std::size_t>(chain_length));
  Ca above = root;
  for (int level = chain_length - 1; level > 0; --level) {
    KEYWARD_TRY(key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
    keys.push_back(std::move(key));
    const Ca one{name_of("Keyward Test Intermediate CA " + random_id(4)), &keys.back()};
    KEYWARD_TRY(der, certify(one, above, level));
    between = x509::to_pem("CERTIFICATE", der) + between;
    above = one;
  }
  KEYWARD_TRY(issuing_der, certify({issuing_name, &issuing_key}, above, 0));
  out.issuing_pem = x509::to_pem("CERTIFICATE", issuing_der);
  out.chain_pem = out.issuing_pem + between + out.root_pem;
  return out;
}

Status write(const std::string& path, const std::string& text) {
  return replace_file(path, view_of(text), 0644);
}

Result<TestCa> make(const std::string& folder, int roots, int chain_length) {
  TestCa out;
  KEYWARD_TRY(key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const Bytes name = name_of("Keyward Test Issuing CA " + random_id(4));
  KEYWARD_TRY(key_pem, pem_of(key));
  out.issuing_key_pem = std::move(key_pem);
  for (int i = 0; i < roots; ++i) {
    KEYWARD_TRY(hierarchy, make_hierarchy(key, name, chain_length));
    const std::string stem = folder + "/" + std::to_string(i);
    hierarchy.chain_file = stem + ".chain.pem";
    KEYWARD_CHECK(write(stem + ".root.pem", hierarchy.root_pem));
    KEYWARD_CHECK(write(stem + ".root.key", hierarchy.root_key_pem));
    KEYWARD_CHECK(write(stem + ".issuing.pem", hierarchy.issuing_pem));
    KEYWARD_CHECK(write(hierarchy.chain_file, hierarchy.chain_pem));
    out.hierarchies.push_back(std::move(hierarchy));
  }
  KEYWARD_CHECK(write(folder + "/root.pem", out.hierarchies.front().root_pem));
  KEYWARD_CHECK(write(folder + "/chain.pem", out.hierarchies.front().chain_pem));
  KEYWARD_CHECK(write(folder + "/issuing.key", out.issuing_key_pem));  // last: now it is complete
  return out;
}

Result<TestCa> load(const std::string& folder) {
  TestCa out;
  KEYWARD_TRY(key, read_text_file(folder + "/issuing.key", kFileBytesMax));
  out.issuing_key_pem = std::move(key);
  for (int i = 0; file_exists(folder + "/" + std::to_string(i) + ".chain.pem"); ++i) {
    const std::string stem = folder + "/" + std::to_string(i);
    Hierarchy one;
    one.chain_file = stem + ".chain.pem";
    KEYWARD_TRY(root, read_text_file(stem + ".root.pem", kFileBytesMax));
    KEYWARD_TRY(root_key, read_text_file(stem + ".root.key", kFileBytesMax));
    KEYWARD_TRY(issuing, read_text_file(stem + ".issuing.pem", kFileBytesMax));
    KEYWARD_TRY(chain, read_text_file(one.chain_file, kFileBytesMax));
    one.root_pem = std::move(root);
    one.root_key_pem = std::move(root_key);
    one.issuing_pem = std::move(issuing);
    one.chain_pem = std::move(chain);
    out.hierarchies.push_back(std::move(one));
  }
  if (out.hierarchies.empty())
    return fail(ErrorKind::kCorrupt, "the test CA's folder has no chain");
  return out;
}

}  // namespace

Result<TestCa> load_or_make(const std::string& folder, int roots, int chain_length) {
  KEYWARD_CHECK(make_directories(folder, 0755));
  if (file_exists(folder + "/issuing.key")) return load(folder);
  return make(folder, roots, chain_length);
}

}  // namespace keyward::pebble
