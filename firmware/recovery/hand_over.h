// Owns how an operator's command gives a PIN to the running platform task: an offer (the task's
// fresh public key), a box for it, an answer; three files in `<platform state>/unlock`. Must not know
// TPMs. The PIN is never on the disk in clear, and a box serves one life of the task alone.
//
// Who can write into that folder (root, the task itself) can offer a PIN; he could as well replace the
// sealed file. What a wrong PIN does: the signer tries it once, and never again.
#pragma once

#include <optional>
#include <string>

#include "firmware/crypto/crypto.h"
#include "hal/base/clock.h"

namespace keyward::recovery {

inline constexpr const char* kHandOverFolder = "unlock";

// The task's side. Errors: kUnavailable (the folder cannot be written), kInternal.
class HandOverDesk {
 public:
  static Result<HandOverDesk> open(const std::string& state_dir);
  // A box that came; absent: none. A box that cannot be opened is answered and gone.
  std::optional<SecretBytes> take();
  // `code` is "sealed" or why not.
  void answer(std::string_view code, std::string_view detail);
  void close();  // on an orderly stop: nobody shall wait for an answer

 private:
  HandOverDesk(std::string folder, crypto::PrivateKey key, std::string session)
      : folder_(std::move(folder)), key_(std::move(key)), session_(std::move(session)) {}
  std::string folder_;
  crypto::PrivateKey key_;
  std::string session_;
};

// The command's side.
struct HandOverAnswer {
  std::string code;  // "sealed": done
  std::string detail;
};
// kUnavailable: no platform task runs there (no offer), or no answer by the deadline. `state_dir` is
// the platform task's own.
Result<HandOverAnswer> hand_over(const std::string& state_dir, const SecretBytes& pin,
                                 Deadline deadline);

}  // namespace keyward::recovery
