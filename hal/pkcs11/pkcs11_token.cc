// Owns the SigningToken over a PKCS#11 module: turns each call of the contract into a job. Must not
// know sessions' lives or recovery (engine.h).
#include "hal/pkcs11/pkcs11_token.h"

#include <cstdlib>
#include <mutex>

#include "hal/base/rng.h"
#include "hal/pkcs11/engine.h"
#include "hal/pkcs11/return_value.h"

namespace keyward::hal {
namespace {

using pkcs11::Engine;
using pkcs11::FoundKey;
using pkcs11::Job;
using pkcs11::JobEnd;
using pkcs11::KnownKey;
using pkcs11::PublicKey;
using pkcs11::Session;

Status check_label(std::string_view label) {
  if (label.empty() || label.size() > limits::kTokenKeyLabelBytesMax)
    return fail(ErrorKind::kBadInput, "the key label is empty or too long");
  return {};
}

class Pkcs11Token : public SigningToken {
 public:
  explicit Pkcs11Token(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
  ~Pkcs11Token() override { (void)engine_->stop(); }

  Status unlock(SecretBytes pin) override { return engine_->unlock(std::move(pin)); }
  Result<TokenKey> find_key(std::string_view label) override;
  Result<TokenKey> generate_key(std::string_view label, KeyAlgorithm algorithm) override;
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                     SignPriority priority) override;
  Result<TokenKey> generate_agreement_key(std::string_view label) override;
  Result<SecretBytes> agree(std::string_view label, ByteView peer_point,
                            Deadline deadline) override;
  Result<Bytes> random(std::size_t size_bytes) override;
  bool supports(KeyAlgorithm algorithm) override { return engine_->supports(algorithm); }
  TokenStatus status() override { return engine_->status(); }

 private:
  Result<std::shared_ptr<const KnownKey>> find(std::string_view label, Deadline deadline);

  std::shared_ptr<Engine> engine_;
};

// What a job leaves for its caller; shared, since the caller may be gone before the job ends.
template <class T>
struct Outcome {
  Result<T> result = fail(ErrorKind::kInternal, "the job did not run");
};

template <class T>
JobEnd end_with(Outcome<T>& outcome, Result<T> result, Job& job, bool effect) {
  outcome.result = std::move(result);
  // An error of our own judgement (no such label, two of them) leaves rv at CKR_OK: the token is
  // well.
  return pkcs11::end_of(job.rv, effect);
}

Result<std::shared_ptr<const KnownKey>> Pkcs11Token::find(std::string_view label,
                                                          Deadline deadline) {
  KEYWARD_CHECK(check_label(label));
  auto outcome = std::make_shared<Outcome<FoundKey>>();
  auto job = std::make_shared<Job>();
  job->work = [outcome, name = std::string(label)](Session& session, Job& self) {
    self.rv = CKR_OK;
    auto found = pkcs11::find_pair(session, name, self.rv);
    return end_with(*outcome, std::move(found), self, false);
  };
  KEYWARD_CHECK(engine_->run(job, deadline));
  if (!outcome->result) return fail(outcome->result.error());
  KEYWARD_CHECK(engine_->remember_key(*outcome->result));
  return outcome->result->known;
}

Result<TokenKey> Pkcs11Token::find_key(std::string_view label) {
  KEYWARD_TRY(known, find(label, Deadline::after_ms(limits::kTokenAdminCallMs)));
  return known->facts;
}

Result<TokenKey> Pkcs11Token::generate_key(std::string_view label, KeyAlgorithm algorithm) {
  KEYWARD_CHECK(check_label(label));
  if (engine_->status().state == TokenState::kReady && !engine_->supports(algorithm))
    return fail(ErrorKind::kBadInput, "the module has no mechanism for this algorithm");
  auto outcome = std::make_shared<Outcome<FoundKey>>();
  auto job = std::make_shared<Job>();
  const auto quirks = engine_->config().quirks;
  job->work = [outcome, name = std::string(label), algorithm, quirks](Session& session, Job& self) {
    static std::mutex one_at_a_time;  // the check for the label and the generation are two calls
    const std::lock_guard lock(one_at_a_time);
    self.rv = CKR_OK;
    auto made = pkcs11::generate_pair(session, name, algorithm, quirks, self.rv);
    if (made) {
      if (auto tested = pkcs11::self_test(session, *made, quirks, self.rv); !tested)
        made = fail(tested.error());
    }
    return end_with(*outcome, std::move(made), self, true);
  };
  KEYWARD_CHECK(engine_->run(job, Deadline::after_ms(limits::kTokenAdminCallMs)));
  if (!outcome->result) return fail(outcome->result.error());
  KEYWARD_CHECK(engine_->remember_key(*outcome->result));
  return outcome->result->known->facts;
}

Result<Bytes> Pkcs11Token::sign(std::string_view label, ByteView message, Deadline deadline,
                                SignPriority priority) {
  KEYWARD_CHECK(check_label(label));
  if (message.size() > limits::kSignMessageBytesMax)
    return fail(ErrorKind::kBadInput, "the message is too long to sign");
  std::string name(label);
  auto known = engine_->known_key(name);
  if (!known && known.error().kind == ErrorKind::kBadInput) known = find(label, deadline);
  if (!known) return fail(known.error());
  const auto algorithm = (*known)->facts.algorithm;
  // Hashing before and verifying after happen in the caller's thread: the session is held for
  // C_Sign alone.
  const Bytes prepared = PublicKey::prepare(algorithm, message);
  KEYWARD_TRY(input, pkcs11::sign_input(algorithm, prepared, message, engine_->config().quirks));
  auto outcome = std::make_shared<Outcome<Bytes>>();
  auto job = std::make_shared<Job>();
  job->key = std::move(name);
  job->priority = priority;
  job->counts = true;
  job->work = [outcome, sign_input = std::move(input)](Session& session, Job& self) {
    Bytes raw;
    bool signing = false;
    self.rv = session.sign(sign_input.mechanism, self.key_handle, sign_input.data, raw, signing);
    Result<Bytes> result = std::move(raw);
    if (self.rv != CKR_OK)
      result = fail(pkcs11::error_of(self.rv, signing ? "C_Sign" : "C_SignInit"));
    return end_with(*outcome, std::move(result), self, signing);
  };
  KEYWARD_CHECK(engine_->run(job, deadline));
  if (!outcome->result) return fail(outcome->result.error());
  auto signature = pkcs11::signature_from_token(algorithm, *outcome->result);
  if (signature && !(*known)->public_key.verify(prepared, *signature))
    signature = fail(ErrorKind::kCorrupt, "the token's signature does not verify");
  if (!signature) engine_->distrust("the token returned a signature that does not verify");
  return signature;
}

Result<TokenKey> Pkcs11Token::generate_agreement_key(std::string_view label) {
  KEYWARD_CHECK(check_label(label));
  auto outcome = std::make_shared<Outcome<FoundKey>>();
  auto job = std::make_shared<Job>();
  const auto quirks = engine_->config().quirks;
  job->work = [outcome, name = std::string(label), quirks](Session& session, Job& self) {
    self.rv = CKR_OK;
    auto made = pkcs11::generate_agreement_pair(session, name, quirks, self.rv);
    return end_with(*outcome, std::move(made), self, true);
  };
  KEYWARD_CHECK(engine_->run(job, Deadline::after_ms(limits::kTokenAdminCallMs)));
  if (!outcome->result) return fail(outcome->result.error());
  KEYWARD_CHECK(engine_->remember_key(*outcome->result));
  return outcome->result->known->facts;
}

Result<SecretBytes> Pkcs11Token::agree(std::string_view label, ByteView peer_point,
                                       Deadline deadline) {
  constexpr std::size_t kSecretBytes = 32;
  KEYWARD_CHECK(check_label(label));
  // Modules differ in what they check of the point: one off the curve would tell of the key.
  const auto spki = pkcs11::spki_of_point(KeyAlgorithm::kEcdsaP256, peer_point);
  if (!spki || !PublicKey::from_spki(KeyAlgorithm::kEcdsaP256, *spki))
    return fail(ErrorKind::kBadInput, "the peer's point does not lie on P-256");
  std::string name(label);
  auto known = engine_->known_key(name);
  if (!known && known.error().kind == ErrorKind::kBadInput) known = find(label, deadline);
  if (!known) return fail(known.error());
  if ((*known)->facts.algorithm != KeyAlgorithm::kEcdsaP256)
    return fail(ErrorKind::kBadInput, "the key is not on P-256");
  auto outcome = std::make_shared<Outcome<SecretBytes>>();
  auto job = std::make_shared<Job>();
  job->key = std::move(name);
  job->work = [outcome, point = to_bytes(peer_point)](Session& session, Job& self) {
    SecretBytes secret;
    bool deriving = false;
    self.rv = session.ecdh(self.key_handle, point, kSecretBytes, secret, deriving);
    Result<SecretBytes> result = std::move(secret);
    if (self.rv == CKR_KEY_FUNCTION_NOT_PERMITTED)
      result = fail(ErrorKind::kRefused, "the key does not derive");
    else if (self.rv != CKR_OK)
      result = fail(pkcs11::error_of(self.rv, "C_DeriveKey"));
    return end_with(*outcome, std::move(result), self, deriving);
  };
  KEYWARD_CHECK(engine_->run(job, deadline));
  return std::move(outcome->result);
}

Result<Bytes> Pkcs11Token::random(std::size_t size_bytes) {
  if (size_bytes == 0 || size_bytes > limits::kTokenRandomBytesMax)
    return fail(ErrorKind::kBadInput, "random() takes 1 to 4096 octets");
  if (engine_->config().quirks.no_random) return random_bytes(size_bytes);
  auto outcome = std::make_shared<Outcome<Bytes>>();
  auto job = std::make_shared<Job>();
  job->work = [outcome, size_bytes](Session& session, Job& self) {
    Bytes octets(size_bytes);
    self.rv = session.random(octets);
    Result<Bytes> result = std::move(octets);
    if (self.rv != CKR_OK) result = fail(pkcs11::error_of(self.rv, "C_GenerateRandom"));
    return end_with(*outcome, std::move(result), self, false);
  };
  KEYWARD_CHECK(engine_->run(job, Deadline::after_ms(limits::kTokenAdminCallMs)));
  return std::move(outcome->result);
}

Status check_config(const Pkcs11Config& config) {
  const auto& quirks = config.quirks;
  if (config.module_path.empty()) return fail(ErrorKind::kBadInput, "no PKCS#11 module is named");
  if (config.token_label.empty() || config.token_label.size() > limits::kTokenLabelBytesMax)
    return fail(ErrorKind::kBadInput, "the token label must have 1 to 32 octets");
  if (quirks.max_sessions < 1 || quirks.max_sessions > limits::kTokenSessionsMax)
    return fail(ErrorKind::kBadInput, "max_sessions is out of range");
  if (quirks.stagger_open_ms < 0 || quirks.stagger_open_ms > 10'000 || quirks.stall_ms < 1 ||
      quirks.health_interval_ms < 0 || quirks.reconnect_ms_max < limits::kTokenReconnectMsMin)
    return fail(ErrorKind::kBadInput, "a time of the quirks is out of range");
  return {};
}

}  // namespace

Result<std::unique_ptr<SigningToken>> open_pkcs11_token(Pkcs11Config config) {
  KEYWARD_CHECK(check_config(config));
  for (const auto& [name, value] : config.environment) ::setenv(name.c_str(), value.c_str(), 1);
  auto engine = std::make_shared<Engine>(std::move(config));
  engine->start();
  return std::unique_ptr<SigningToken>(std::make_unique<Pkcs11Token>(std::move(engine)));
}

}  // namespace keyward::hal
