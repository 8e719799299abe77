// Owns what an operator signs orders with, wherever the private half is: in a file or in a token.
// Must not know either. Errors: those of who signs. Threads: as who signs.
#pragma once

#include <functional>
#include <string>

#include "firmware/crypto/crypto.h"

namespace keyward::operate {

struct OrderKey {
  crypto::PublicKey public_key;
  // P-256: r || s over SHA-256 of the input; Ed25519: over the input.
  std::function<Result<Bytes>(ByteView input)> sign;
};

OrderKey order_key(const crypto::PrivateKey& key);  // which outlives it
// As in order.h; the signature is verified before it is given out.
Result<std::string> sign_order(const OrderKey& key, std::string_view payload);
Result<std::string> cosign_order(const OrderKey& key, std::string_view jws);

}  // namespace keyward::operate
