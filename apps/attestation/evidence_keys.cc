#include "apps/attestation/evidence_keys.h"

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/evidence_agree.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/key_seal.h"
#include "firmware/wire/messages/key_unseal.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::attestation {
namespace {

constexpr std::string_view kCurrent = "evidence-key.json", kPrevious = "evidence-key.previous.json",
                           kHsmRsa = "evidence-key.hsm-rsa";
constexpr std::size_t kFileBytesMax = 16'384;
constexpr std::size_t kScalarBytes = 32;
constexpr int kRsaBits = 3'072;
constexpr std::int64_t kAskMs = 2'000;     // one look at a peer that may be away
constexpr std::int64_t kRetryMs = 30'000;  // and not again so soon
// Longer than any challenge lives.
constexpr std::int64_t kKeptMs = 7LL * 86'400'000;

// ECDH where the key is: the shared secret alone comes back.
class HsmKey final : public rats::DecryptionKey {
 public:
  HsmKey(std::string kid, task::Peer& signer) : kid_(std::move(kid)), signer_(signer) {}
  std::string_view kid() const override { return kid_; }
  crypto::KeyKind kind() const override { return crypto::KeyKind::kEcP256; }
  Result<SecretBytes> agree(ByteView ephemeral) override {
    wire::EvidenceAgree request;
    request.point = to_bytes(ephemeral);
    auto answer = signer_.call(request);
    if (!answer) return fail(ErrorKind::kUnavailable, "the module did not agree on a secret");
    const SecretBytes out(answer->shared_secret);
    std::fill(answer->shared_secret.begin(), answer->shared_secret.end(), std::uint8_t{0});
    return out.clone();
  }
  Result<SecretBytes> unwrap_rsa(ByteView) override {
    return fail(ErrorKind::kInternal, "not an RSA key");
  }

 private:
  std::string kid_;
  task::Peer& signer_;
};

// PKCS#8 around the scalar alone (RFC 5915 leaves the public key away).
Result<crypto::PrivateKey> key_of_scalar(ByteView scalar) {
  static constexpr std::uint8_t kHead[] = {0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07,
                                           0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                                           0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04,
                                           0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};
  if (scalar.size() != kScalarBytes) return fail(ErrorKind::kCorrupt, "the scalar's size");
  Bytes der(kHead, kHead + sizeof kHead);
  append(der, scalar);
  auto pem = x509::to_pem("PRIVATE KEY", der);
  auto out = crypto::PrivateKey::from_pem(pem);
  std::fill(pem.begin(), pem.end(), '\0');
  std::fill(der.begin(), der.end(), std::uint8_t{0});
  return out;
}

Result<std::string> kid_of(const crypto::PublicKey& key) {
  KEYWARD_TRY(jwk, jose::Jwk::from_public_key(key));
  return jwk.thumbprint_text();
}

// The canonical JWK with what a client needs beside the numbers.
Result<std::string> jwk_of(const crypto::PublicKey& key, std::string_view kid) {
  KEYWARD_TRY(jwk, jose::Jwk::from_public_key(key));
  const bool is_rsa = key.kind() == crypto::KeyKind::kRsa;
  std::string out = jwk.canonical();
  out.pop_back();
  return out + R"(,"use":"enc","alg":")" + (is_rsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW") +
         R"(","kid":")" + std::string(kid) + "\"}";
}

}  // namespace

EvidenceKeys::EvidenceKeys(EvidenceKeyConfig config, std::string state_dir, task::Peer& signer,
                           task::Peer& platform)
    : config_(std::move(config)),
      state_dir_(std::move(state_dir)),
      signer_(signer),
      platform_(platform) {}

Result<std::string> EvidenceKeys::seal(ByteView secret, std::string& protection) {
  wire::KeySeal request;
  request.secret = to_bytes(secret);
  const auto answer = platform_.call(request, kAskMs);
  std::fill(request.secret.begin(), request.secret.end(), std::uint8_t{0});
  if (answer) {
    protection = "tpm";
    return base64url_encode(answer->sealed);
  }
  if (!config_.allow_unsealed)
    return fail(ErrorKind::kUnavailable, "no TPM seals the key for encrypted evidence");
  protection = "file";
  return base64url_encode(secret);
}

Result<SecretBytes> EvidenceKeys::unseal(std::string_view protection, ByteView sealed) {
  if (protection == "file") {
    if (!config_.allow_unsealed)
      return fail(ErrorKind::kRefused, "the key for encrypted evidence is not sealed");
    return SecretBytes(sealed);
  }
  wire::KeyUnseal request;
  request.sealed = to_bytes(sealed);
  auto answer = platform_.call(request, kAskMs);
  if (!answer) return fail(ErrorKind::kUnavailable, "the TPM does not unseal now");
  SecretBytes out(answer->secret);
  std::fill(answer->secret.begin(), answer->secret.end(), std::uint8_t{0});
  return out;
}

// `rsa_jwe` empty: an RSA key is made, and its JWE returned.
Result<EvidenceKeys::Pair> EvidenceKeys::finish(std::unique_ptr<rats::DecryptionKey> p256,
                                                crypto::PublicKey p256_public, std::int64_t made_ms,
                                                std::string rsa_jwe, std::string* made_rsa_jwe) {
  if (rsa_jwe.empty()) {
    KEYWARD_TRY(made, crypto::PrivateKey::generate(crypto::KeyKind::kRsa, kRsaBits));
    KEYWARD_TRY(pem, made.to_pem());
    rats::JweMake how;
    how.kid = std::string(p256->kid());
    KEYWARD_TRY(jwe, rats::make_jwe(p256_public, pem.view(), how));
    rsa_jwe = jwe;
    *made_rsa_jwe = rsa_jwe;
  }
  auto opened = rats::open_jwe(rsa_jwe, {p256.get()});
  if (!opened) return fail(ErrorKind::kUnavailable, "the RSA key for evidence does not open now");
  auto rsa = crypto::PrivateKey::from_pem(text_of(opened->plaintext));
  std::fill(opened->plaintext.begin(), opened->plaintext.end(), std::uint8_t{0});
  if (!rsa) return fail(rsa.error());
  KEYWARD_TRY(rsa_kid, kid_of(rsa->public_key()));
  std::string p256_kid(p256->kid());
  auto rsa_public = rsa->public_key();
  auto rsa_key = std::make_unique<rats::SoftwareDecryptionKey>(rsa_kid, std::move(*rsa));
  return Pair{made_ms,         std::move(p256_public), std::move(rsa_public),
              std::move(p256), std::move(rsa_key),     std::move(p256_kid),
              rsa_kid};
}

std::optional<Bytes> EvidenceKeys::find_in_hsm(bool& answered) {
  const auto answer = signer_.call(wire::EvidenceKeyFind{}, kAskMs);
  answered = answer.has_value() || answer.error().code == "not-served";
  return answer ? answer->spki : std::nullopt;
}

// Its turn-over is the HSM operator's; the RSA key that hangs on it stays as long as it does.
Result<EvidenceKeys::Pair> EvidenceKeys::from_hsm(ByteView spki) {
  KEYWARD_TRY(key, crypto::PublicKey::from_spki(spki));
  KEYWARD_TRY(kid, kid_of(key));
  std::string jwe, made;
  if (const auto text = read_text_file(path(kHsmRsa), kFileBytesMax)) jwe = *text;
  auto pair = finish(std::make_unique<HsmKey>(kid, signer_), key, 0, jwe, &made);
  if (!pair) return fail(pair.error());
  if (!made.empty()) KEYWARD_CHECK(replace_file(path(kHsmRsa), view_of(made), 0600));
  return pair;
}

Result<EvidenceKeys::Pair> EvidenceKeys::from_file(const std::string& file) {
  KEYWARD_TRY(text, read_text_file(file, kFileBytesMax));
  KEYWARD_TRY(document, json::Document::parse(text));
  const auto root = document.root();
  KEYWARD_TRY(protection, root.require_string("protection"));
  KEYWARD_TRY(sealed_text, root.require_string("sealed"));
  KEYWARD_TRY(rsa, root.require_string("rsa"));
  KEYWARD_TRY(sealed, base64url_decode(sealed_text));
  KEYWARD_TRY(scalar, unseal(protection, sealed));
  KEYWARD_TRY(key, key_of_scalar(scalar.view()));
  KEYWARD_TRY(kid, kid_of(key.public_key()));
  auto p256_public = key.public_key();
  std::string unused;
  return finish(std::make_unique<rats::SoftwareDecryptionKey>(kid, std::move(key)),
                std::move(p256_public), root.get("made_ms").integer(), std::string(rsa), &unused);
}

Result<EvidenceKeys::Pair> EvidenceKeys::make(std::int64_t now_ms) {
  const SecretBytes scalar(random_bytes(kScalarBytes));
  KEYWARD_TRY(key, key_of_scalar(scalar.view()));
  std::string protection;
  KEYWARD_TRY(sealed, seal(scalar.view(), protection));
  KEYWARD_TRY(kid, kid_of(key.public_key()));
  auto p256_public = key.public_key();
  std::string rsa_jwe;
  auto pair = finish(std::make_unique<rats::SoftwareDecryptionKey>(kid, std::move(key)),
                     std::move(p256_public), now_ms, "", &rsa_jwe);
  if (!pair) return fail(pair.error());
  json::Writer out;
  out.begin_object().member_int("made_ms", now_ms).member("protection", protection);
  out.member("sealed", sealed).member("rsa", rsa_jwe).end_object();
  if (const auto old = read_file(path(kCurrent), kFileBytesMax))
    KEYWARD_CHECK(replace_file(path(kPrevious), *old, 0600));
  KEYWARD_CHECK(replace_file(path(kCurrent), view_of(out.take()), 0600));
  log::info("a key for encrypted evidence was made",
            {{"kid", pair->p256_kid}, {"protection", protection}});
  return pair;
}

void EvidenceKeys::load() {
  bool answered = false;
  if (const auto spki = find_in_hsm(answered)) {
    if (auto pair = from_hsm(*spki)) {
      pairs_.push_back(std::move(*pair));
      in_hsm_ = true;
    }
    return;
  }
  // A signer that is away might have a key: none is made beside it.
  if (!answered) return;
  if (file_exists(path(kCurrent))) {
    auto pair = from_file(path(kCurrent));
    if (!pair) return log::error("the key for encrypted evidence cannot be used", pair.error());
    pairs_.push_back(std::move(*pair));
    if (auto previous = from_file(path(kPrevious))) pairs_.push_back(std::move(*previous));
  }
}

void EvidenceKeys::ensure(std::int64_t now_ms) {
  if (config_.kind == "none") return;
  const bool due =
      pairs_.empty() || (!in_hsm_ && now_ms - pairs_.front().made_ms >= config_.lifetime_ms);
  if (!due || now_ms < next_try_ms_) return;
  next_try_ms_ = now_ms + kRetryMs;
  if (pairs_.empty()) load();
  const bool have =
      !pairs_.empty() && (in_hsm_ || now_ms - pairs_.front().made_ms < config_.lifetime_ms);
  if (have) return;
  bool answered = false;
  if (find_in_hsm(answered) || !answered) return;
  if (pairs_.empty() && file_exists(path(kCurrent))) return;  // it does not open now: it may later
  auto pair = make(now_ms);
  if (!pair) return log::error("no key for encrypted evidence", pair.error());
  pairs_.insert(pairs_.begin(), std::move(*pair));
  if (pairs_.size() > 2) pairs_.pop_back();
}

std::optional<std::string> EvidenceKeys::shown_kid(std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  ensure(now_ms);
  if (pairs_.empty()) return std::nullopt;
  return config_.kind == "rsa" ? pairs_.front().rsa_kid : pairs_.front().p256_kid;
}

std::optional<std::string> EvidenceKeys::jwk(std::string_view kid, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  ensure(now_ms);
  for (const auto& pair : pairs_) {
    if (kid != pair.p256_kid && kid != pair.rsa_kid) continue;
    auto out = jwk_of(kid == pair.p256_kid ? pair.p256_public : pair.rsa_public, kid);
    if (out) return std::move(*out);
  }
  return std::nullopt;
}

rats::Appraised<rats::OpenedJwe> EvidenceKeys::open(std::string_view compact, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  ensure(now_ms);
  if (pairs_.empty()) {
    if (config_.kind == "none")
      return rats::refuse("jwe.kid", "no key for encrypted evidence was offered");
    return rats::refuse("jwe.key-away", "the key for encrypted evidence is not there now");
  }
  std::vector<rats::DecryptionKey*> keys;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    // The replaced key is for what challenges from before bring.
    if (i > 0 && now_ms - pairs_.front().made_ms > kKeptMs) continue;
    keys.push_back(pairs_[i].p256.get());
    keys.push_back(pairs_[i].rsa.get());
  }
  return rats::open_jwe(compact, keys);
}

}  // namespace keyward::attestation
