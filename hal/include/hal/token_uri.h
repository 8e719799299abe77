// Owns what a PKCS#11 URI (RFC 7512) says of one key: which module, which token, which label, where
// its PIN is. Must not show PKCS#11 types. Threads: pure function.
#pragma once

#include <string>

#include "hal/base/result.h"

namespace keyward::hal {

struct TokenUri {
  std::string module_path;  // module-path
  std::string token_label;  // token
  std::string key_label;    // object
  std::string pin_path;     // pin-source, a file; empty: asked for
};

// kBadInput: not such a URI; one of module-path, token and object is missing; a part that is not
// looked at here, so that nobody believes that it narrows anything; pin-value, which every process
// of the machine could read; a pin-source that is no file.
Result<TokenUri> parse_token_uri(const std::string& text);

}  // namespace keyward::hal
