// Owns where the key of an order comes from: a PEM file or a token named by a PKCS#11 URI. Must not
// know orders.
#pragma once

#include <string>

#include "firmware/operate/order_key.h"

namespace keyward::ctl {

struct OrderKeySource {
  std::string pem_path, passphrase_path;
  std::string token_uri;  // instead of pem_path
};

// One of the two is given. Says on standard error what is wrong. A PIN that the token refuses is not tried again.
Result<operate::OrderKey> take_order_key(const OrderKeySource& source);

}  // namespace keyward::ctl
