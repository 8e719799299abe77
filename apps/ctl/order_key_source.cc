#include "apps/ctl/order_key_source.h"

#include <algorithm>
#include <iostream>
#include <memory>

#include <unistd.h>

#include "apps/ctl/ceremony_tokens.h"
#include "apps/ctl/operator_key.h"
#include "board/compose.h"
#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"
#include "hal/token_uri.h"

namespace keyward::ctl {
namespace {

constexpr std::size_t kPinFileBytesMax = 512;
constexpr std::int64_t kReadyMs = 30'000;
constexpr std::int64_t kSignMs = 120'000;  // some tokens wait for a touch

Result<SecretBytes> pin_of(const hal::TokenUri& uri) {
  if (uri.pin_path.empty())
    return read_pin_from_terminal("PIN of token '" + uri.token_label + "': ");
  auto text = read_file(uri.pin_path, kPinFileBytesMax);
  if (!text) return fail(ErrorKind::kBadInput, "the file that pin-source names cannot be read");
  const auto end = std::ranges::find_if(*text, [](auto c) { return c == '\n' || c == '\r'; });
  SecretBytes pin(ByteView(text->data(), static_cast<std::size_t>(end - text->begin())));
  std::ranges::fill(*text, std::uint8_t{0});
  if (pin.view().empty()) return fail(ErrorKind::kBadInput, "the PIN file is empty");
  return pin;
}

Status log_in(hal::SigningToken& token, SecretBytes pin) {
  KEYWARD_CHECK(token.unlock(std::move(pin)));
  const auto deadline = Deadline::after_ms(kReadyMs);
  while (true) {
    const auto state = token.status().state;
    if (state == hal::TokenState::kReady) return {};
    if (state == hal::TokenState::kLocked)
      return fail(ErrorKind::kRefused, "the token refused the PIN: it is not tried again");
    if (deadline.passed()) return fail(ErrorKind::kUnavailable, "the token did not become ready");
    ::usleep(5'000);
  }
}

// What the HAL gives for an ECDSA key is DER, a JWS has r || s (RFC 7518 §3.4).
Result<Bytes> sign_by(hal::SigningToken& token, const hal::TokenKey& key, ByteView input) {
  KEYWARD_TRY(signature, token.sign(key.label, input, Deadline::after_ms(kSignMs),
                                    hal::SignPriority::kUrgent));
  if (key.algorithm == hal::KeyAlgorithm::kEd25519) return std::move(signature);
  return crypto::ecdsa_der_to_raw(signature, 32);
}

Result<operate::OrderKey> open_token_key(const std::string& text) {
  KEYWARD_TRY(uri, hal::parse_token_uri(text));
  KEYWARD_TRY(pin, pin_of(uri));
  board::TokenSpec spec;
  spec.module_path = uri.module_path;
  spec.token_label = uri.token_label;
  spec.sessions_max = 1;
  KEYWARD_TRY(opened, board::make_signing_token(spec));
  const std::shared_ptr<hal::SigningToken> token(std::move(opened));
  KEYWARD_CHECK(log_in(*token, std::move(pin)));
  KEYWARD_TRY(key, token->find_key(uri.key_label));
  KEYWARD_TRY(public_key, crypto::PublicKey::from_spki(key.spki_der));
  return operate::OrderKey{public_key,
                           [token, key](ByteView input) { return sign_by(*token, key, input); }};
}

}  // namespace

Result<operate::OrderKey> take_order_key(const OrderKeySource& source) {
  if (!source.token_uri.empty()) {
    auto key = open_token_key(source.token_uri);
    if (!key) std::cerr << "keywardctl: --pkcs11-uri: " << key.error().what << "\n";
    return key;
  }
  KEYWARD_TRY(key, load_operator_key(source.pem_path, source.passphrase_path));
  const auto kept = std::make_shared<crypto::PrivateKey>(std::move(key));
  auto out = operate::order_key(*kept);
  return operate::OrderKey{out.public_key,
                           [kept, sign = out.sign](ByteView input) { return sign(input); }};
}

}  // namespace keyward::ctl
