#include "hal/replica/replicated_token.h"

#include <algorithm>

#include "hal/base/limits.h"

namespace keyward::hal {
namespace {

class ReplicatedToken final : public SigningToken {
 public:
  explicit ReplicatedToken(std::vector<std::unique_ptr<SigningToken>> tokens)
      : tokens_(std::move(tokens)) {}

  Status unlock(SecretBytes pin) override;
  Result<TokenKey> find_key(std::string_view label) override;
  Result<TokenKey> generate_key(std::string_view, KeyAlgorithm) override {
    return fail(ErrorKind::kRefused, "keys of several tokens are cloned, not generated");
  }
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                     SignPriority priority) override {
    KEYWARD_TRY(token, token_for(label));
    return token->sign(label, message, deadline, priority);
  }
  Result<TokenKey> generate_agreement_key(std::string_view) override {
    return fail(ErrorKind::kRefused, "keys of several tokens are cloned, not generated");
  }
  Result<SecretBytes> agree(std::string_view label, ByteView peer_point,
                            Deadline deadline) override {
    KEYWARD_TRY(token, token_for(label));
    return token->agree(label, peer_point, deadline);
  }
  Result<Bytes> random(std::size_t size_bytes) override { return in_use().random(size_bytes); }
  bool supports(KeyAlgorithm algorithm) override { return in_use().supports(algorithm); }
  TokenStatus status() override;

 private:
  enum class Same : std::uint8_t { kUnknown, kYes, kNo };
  struct Label {
    Bytes spki_der;          // of the first that was found
    std::vector<Same> same;  // by token; a token keeps its key, so that one look is enough
  };
  bool ready(std::size_t index) { return tokens_[index]->status().state == TokenState::kReady; }
  std::vector<std::size_t> order();  // ready ones: the one in use, then those after it
  SigningToken& in_use();
  Result<TokenKey> find_in(std::size_t index, std::string_view label);
  // Ready, and its key of the label is the key.
  Result<SigningToken*> token_for(std::string_view label);

  std::vector<std::unique_ptr<SigningToken>> tokens_;
  std::mutex mutex_;
  std::size_t current_ = 0;
  std::map<std::string, Label, std::less<>> labels_;
};

// Each token has its own memory of refused PINs: one try in each, never two.
Status ReplicatedToken::unlock(SecretBytes pin) {
  Status best = fail(ErrorKind::kUnavailable, "no token is there");
  bool any = false, refused = false;
  for (auto& token : tokens_) {
    const auto unlocked = token->unlock(pin.clone());
    any = any || unlocked.has_value();
    if (unlocked) continue;
    if (!refused) best = unlocked;
    refused = refused || unlocked.error().kind == ErrorKind::kRefused;
  }
  if (any) return {};
  return best;
}

std::vector<std::size_t> ReplicatedToken::order() {
  std::size_t first = 0;
  {
    const std::lock_guard lock(mutex_);
    first = current_;
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto index = (first + i) % tokens_.size();
    if (ready(index)) out.push_back(index);
  }
  return out;
}

SigningToken& ReplicatedToken::in_use() {
  const auto ready_ones = order();
  const std::lock_guard lock(mutex_);
  if (!ready_ones.empty()) current_ = ready_ones.front();
  return *tokens_[current_];
}

Result<TokenKey> ReplicatedToken::find_in(std::size_t index, std::string_view label) {
  auto key = tokens_[index]->find_key(label);
  if (!key) return key;
  const std::lock_guard lock(mutex_);
  auto at = labels_.find(label);
  if (at == labels_.end()) {
    if (labels_.size() >= limits::kTokenKeysMax)
      return fail(ErrorKind::kExhausted, "too many keys are in use");
    at = labels_.emplace(std::string(label), Label{key->spki_der, {}}).first;
    at->second.same.resize(tokens_.size(), Same::kUnknown);
  }
  const bool same = at->second.spki_der == key->spki_der;
  at->second.same[index] = same ? Same::kYes : Same::kNo;
  if (!same) return fail(ErrorKind::kCorrupt, "the tokens hold different keys under the label");
  return key;
}

Result<TokenKey> ReplicatedToken::find_key(std::string_view label) {
  Result<TokenKey> last = fail(ErrorKind::kUnavailable, "no token is ready");
  for (const auto index : order()) {
    last = find_in(index, label);
    if (last) return last;
  }
  return last;
}

Result<SigningToken*> ReplicatedToken::token_for(std::string_view label) {
  Error last{ErrorKind::kUnavailable, "no token is ready", 0};
  for (const auto index : order()) {
    auto same = Same::kUnknown;
    {
      const std::lock_guard lock(mutex_);
      const auto at = labels_.find(label);
      if (at != labels_.end()) same = at->second.same[index];
    }
    if (same == Same::kUnknown) {
      const auto found = find_in(index, label);
      if (!found) last = found.error();
      if (found) same = Same::kYes;
    } else if (same == Same::kNo) {
      last = {ErrorKind::kCorrupt, "the tokens hold different keys under the label", 0};
    }
    if (same != Same::kYes) continue;
    const std::lock_guard lock(mutex_);
    current_ = index;
    return tokens_[index].get();
  }
  return fail(last);
}

// Ready if one is. Stuck only if none is ready: while one signs, the process has a use.
TokenStatus ReplicatedToken::status() {
  TokenStatus out;
  std::size_t first = 0;
  {
    const std::lock_guard lock(mutex_);
    first = current_;
  }
  std::string others;
  bool have = false;
  std::int64_t reconnects = 0, stuck_ms = 0;
  std::uint64_t signatures = 0;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto index = (first + i) % tokens_.size();
    auto status = tokens_[index]->status();
    reconnects += status.reconnects;
    signatures += status.signatures_made;
    stuck_ms = std::max(stuck_ms, status.stuck_ms);
    if (status.state != TokenState::kReady) {
      others += "; token " + std::to_string(index + 1) + " is " +
                std::string(to_string(status.state)) + ": " + status.detail;
    }
    // Of those not ready, one that is away says more than one that is locked: it may come back.
    const bool better = !have ||
                        (status.state == TokenState::kReady && out.state != TokenState::kReady) ||
                        (status.state == TokenState::kAway && out.state == TokenState::kLocked);
    if (better) out = std::move(status);
    have = true;
  }
  if (tokens_.size() > 1) out.detail += others;
  out.reconnects = reconnects;
  out.signatures_made = signatures;
  out.stuck_ms = out.state == TokenState::kReady ? 0 : stuck_ms;
  return out;
}

}  // namespace

Result<std::unique_ptr<SigningToken>> make_replicated_token(
    std::vector<std::unique_ptr<SigningToken>> tokens) {
  if (tokens.empty() || tokens.size() > limits::kTokenReplicasMax)
    return fail(ErrorKind::kBadInput, "no tokens, or too many of them");
  return std::unique_ptr<SigningToken>(std::make_unique<ReplicatedToken>(std::move(tokens)));
}

}  // namespace keyward::hal
