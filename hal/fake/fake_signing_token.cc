// Owns a signing token in memory, for tests of what stands above the HAL. Test builds only.
#include "hal/fake/fake_signing_token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

namespace keyward::hal::fake {
namespace {

EVP_PKEY* generate(KeyAlgorithm algorithm) {
  switch (algorithm) {
    case KeyAlgorithm::kEcdsaP256:
      return ::EVP_EC_gen("P-256");
    case KeyAlgorithm::kEcdsaP384:
      return ::EVP_EC_gen("P-384");
    case KeyAlgorithm::kRsa2048:
      return ::EVP_RSA_gen(2048);
    case KeyAlgorithm::kRsa3072:
      return ::EVP_RSA_gen(3072);
    case KeyAlgorithm::kRsa4096:
      return ::EVP_RSA_gen(4096);
    case KeyAlgorithm::kEd25519:
      return ::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

const EVP_MD* hash_of(KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::kEd25519) return nullptr;
  return algorithm == KeyAlgorithm::kEcdsaP384 ? ::EVP_sha384() : ::EVP_sha256();
}

}  // namespace

void FakeSigningToken::Free::operator()(evp_pkey_st* key) const { ::EVP_PKEY_free(key); }

FakeSigningToken::FakeSigningToken(std::string_view pin) : pin_(pin) {}
FakeSigningToken::~FakeSigningToken() = default;

Status FakeSigningToken::usable() const {
  if (away_) return fail(ErrorKind::kUnavailable, "the token is away");
  if (!unlocked_) return fail(ErrorKind::kUnavailable, "the token is locked");
  return {};
}

Status FakeSigningToken::unlock(SecretBytes pin) {
  const std::lock_guard lock(mutex_);
  const std::string text(text_of(pin.view()));
  if (refused_pins_.contains(text)) return fail(ErrorKind::kRefused, "the PIN was refused before");
  if (away_) return fail(ErrorKind::kUnavailable, "the token is away");
  if (text != pin_) {
    refused_pins_.insert(text);
    return fail(ErrorKind::kRefused, "the token refused the PIN");
  }
  unlocked_ = true;
  return {};
}

Result<TokenKey> FakeSigningToken::find_key(std::string_view label) {
  const std::lock_guard lock(mutex_);
  KEYWARD_CHECK(usable());
  const auto at = keys_.find(label);
  if (at == keys_.end()) return fail(ErrorKind::kBadInput, "no key carries the label");
  return at->second.facts;
}

Result<TokenKey> FakeSigningToken::generate_key(std::string_view label, KeyAlgorithm algorithm) {
  const std::lock_guard lock(mutex_);
  KEYWARD_CHECK(usable());
  if (refused_.contains(algorithm))
    return fail(ErrorKind::kBadInput, "no mechanism for this algorithm");
  if (keys_.contains(label)) return fail(ErrorKind::kRefused, "a key carries the label already");
  Key key;
  key.pair.reset(generate(algorithm));
  unsigned char* der = nullptr;
  const int size = key.pair == nullptr ? -1 : ::i2d_PUBKEY(key.pair.get(), &der);
  if (size <= 0) return fail(ErrorKind::kInternal, "the fake's key generation failed");
  key.facts = TokenKey{
      std::string(label), algorithm, Bytes(der, der + size), true, false, true, true, true};
  ::OPENSSL_free(der);
  const TokenKey facts = key.facts;
  keys_.emplace(facts.label, std::move(key));
  return facts;
}

Result<Bytes> FakeSigningToken::sign(std::string_view label, ByteView message, Deadline deadline,
                                     SignPriority) {
  const std::lock_guard lock(mutex_);
  KEYWARD_CHECK(usable());
  if (deadline.passed())
    return fail(ErrorKind::kUnavailable, "the deadline passed before the call");
  const auto at = keys_.find(label);
  if (at == keys_.end()) return fail(ErrorKind::kBadInput, "no key carries the label");
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  Bytes signature(1'024);
  std::size_t size = signature.size();
  const bool good =
      ::EVP_DigestSignInit(context, nullptr, hash_of(at->second.facts.algorithm), nullptr,
                           at->second.pair.get()) == 1 &&
      ::EVP_DigestSign(context, signature.data(), &size, message.data(), message.size()) == 1;
  ::EVP_MD_CTX_free(context);
  if (!good) return fail(ErrorKind::kInternal, "the fake's signature failed");
  signature.resize(size);
  ++signatures_made_;
  return signature;
}

Result<Bytes> FakeSigningToken::random(std::size_t size_bytes) {
  const std::lock_guard lock(mutex_);
  KEYWARD_CHECK(usable());
  Bytes out;
  while (out.size() < size_bytes) {
    const std::string block = "fake random " + std::to_string(++random_counter_);
    Bytes digest(SHA256_DIGEST_LENGTH);
    ::SHA256(view_of(block).data(), block.size(), digest.data());
    append(out, digest);
  }
  out.resize(size_bytes);
  return out;
}

bool FakeSigningToken::supports(KeyAlgorithm algorithm) {
  const std::lock_guard lock(mutex_);
  return !refused_.contains(algorithm);
}

TokenStatus FakeSigningToken::status() {
  const std::lock_guard lock(mutex_);
  TokenStatus out;
  out.state = away_ ? TokenState::kAway : unlocked_ ? TokenState::kReady : TokenState::kLocked;
  out.detail = "fake";
  out.reconnects = reconnects_;
  out.signatures_made = signatures_made_;
  return out;
}

void FakeSigningToken::take_away() {
  const std::lock_guard lock(mutex_);
  away_ = true;
}

void FakeSigningToken::bring_back() {
  const std::lock_guard lock(mutex_);
  if (away_) ++reconnects_;
  away_ = false;
}

void FakeSigningToken::refuse_algorithm(KeyAlgorithm algorithm) {
  const std::lock_guard lock(mutex_);
  refused_.insert(algorithm);
}

void FakeSigningToken::set_facts(const TokenKey& facts) {
  const std::lock_guard lock(mutex_);
  const auto at = keys_.find(facts.label);
  if (at != keys_.end()) at->second.facts = facts;
}

}  // namespace keyward::hal::fake
