// Owns what a board composes to destroy a token's content (target keyward_board_<name>_token). Must not know
// tasks or firmware; only apps include it, and no task does. Nothing else in the process may use the module.
#pragma once

#include <string>
#include <vector>

#include "board/compose.h"

namespace keyward::board {

struct DestroyedKey {
  std::string label;
  int found = 0, destroyed = 0;  // objects, public halves too
  bool gone = false;             // looked for afterwards
  std::string why;               // not gone
};
// Of spec's first token; replicas are specs of their own. Errors: as hal::destroy_keys, hal::erase_token.
Result<std::vector<DestroyedKey>> destroy_token_keys(const TokenSpec& spec, const SecretBytes& pin,
                                                     const std::vector<std::string>& labels);
Status erase_token(const TokenSpec& spec, const SecretBytes& so_pin);

}  // namespace keyward::board
