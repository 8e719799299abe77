// Owns the contract of a token that signs (an HSM, SoftHSM, a fake). Must not know PKCS#11 types.
//
// A token comes and goes. Every call that needs it answers kUnavailable while it is away, and works
// again by itself after the implementation has reconnected; callers never reconnect.
// Threads: all methods may be called from any thread at the same time.
// Source: PKCS#11 v2.40; DESIGN §3; field notes on sessions, logins and handles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/clock.h"
#include "hal/base/result.h"

namespace keyward::hal {

enum class KeyAlgorithm : std::uint8_t {
  kEcdsaP256 = 1,  // ECDSA with SHA-256
  kEcdsaP384 = 2,  // ECDSA with SHA-384
  kRsa2048 = 3,    // PKCS#1 v1.5 with SHA-256
  kRsa3072 = 4,
  kRsa4096 = 5,
  kEd25519 = 6,
};
std::string_view to_string(KeyAlgorithm algorithm);  // "ecdsa-p256", "rsa-2048", "ed25519"
std::optional<KeyAlgorithm> key_algorithm_from(std::string_view text);

// The attributes read back from the token; the signer refuses a key that is not what it must be.
struct TokenKey {
  std::string label;
  KeyAlgorithm algorithm = KeyAlgorithm::kEcdsaP256;
  Bytes spki_der;  // SubjectPublicKeyInfo, DER
  bool sensitive = false;
  bool extractable = true;
  bool always_sensitive = false;
  bool never_extractable = false;
  bool local = false;  // generated in the token
};

enum class SignPriority : std::uint8_t { kUrgent = 0, kIssuance = 1, kBackground = 2 };

enum class TokenState : std::uint8_t {
  kClosed = 1,  // not opened yet
  kAway = 2,    // module, token or session lost; reconnecting with back-off
  kLocked = 3,  // there, but no PIN, or the PIN was refused (it is never tried twice)
  kReady = 4,   // logged in, and a self-test signature was made and verified since
};
std::string_view to_string(TokenState state);

struct TokenStatus {
  TokenState state = TokenState::kClosed;
  std::string detail;           // why, for an operator
  std::int64_t reconnects = 0;  // since the process started
  std::uint64_t signatures_made =
      0;  // successful C_Sign calls for callers (self-tests not counted)
  std::int64_t session_age_ms = 0;
  // How long a token that is away has been held up by calls that do not return from the module; 0:
  // none are. Only the end of the process gets rid of them.
  std::int64_t stuck_ms = 0;
};

class SigningToken {
 public:
  virtual ~SigningToken() = default;

  // Gives the PIN. Asked for once; kept wiped-on-free inside for reconnection. A PIN that the token
  // refused is remembered and never sent again: kRefused. kUnavailable: the token is away; the PIN
  // is kept and used when it comes.
  virtual Status unlock(SecretBytes pin) = 0;

  // Exactly one key pair must carry the label, else kCorrupt (several) or kBadInput (none).
  // A label keeps its key for the life of this object: another key under a label that was found or
  // used before is kCorrupt, also after a reconnection. The signer's gate relies on it.
  virtual Result<TokenKey> find_key(std::string_view label) = 0;

  // Generates in the token: SENSITIVE, not EXTRACTABLE, SIGN only; DECRYPT, UNWRAP, COPYABLE,
  // MODIFIABLE, DESTROYABLE false. kRefused if the label exists; kBadInput if the module has no
  // such mechanism.
  virtual Result<TokenKey> generate_key(std::string_view label, KeyAlgorithm algorithm) = 0;

  // Signs `message` (hashed inside) and verifies the signature with the key's public half before
  // returning it. ECDSA: DER ECDSA-Sig-Value; RSA and Ed25519: raw octets.
  // kUnavailable: away, or the deadline passed; kExhausted: the queue is full; kCorrupt: the token
  // returned a signature that does not verify.
  virtual Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                             SignPriority priority) = 0;

  // A key that agrees and never signs: ECDH on P-256 (PKCS#11 CKM_ECDH1_DERIVE, KDF NULL), as
  // generate_key() but DERIVE alone. For keys that others encrypt to; no signing key can be used so.
  // A token that has none of this keeps the defaults.
  virtual Result<TokenKey> generate_agreement_key(std::string_view /*label*/) {
    return fail(ErrorKind::kBadInput, "the module has no key agreement");
  }
  // The shared secret with `peer_point` (SEC 1, uncompressed, 65 octets; checked to lie on the
  // curve): the x coordinate, 32 octets. kBadInput: no such key or point; kRefused: the key does not
  // derive; kUnavailable: away, or the deadline passed.
  virtual Result<SecretBytes> agree(std::string_view /*label*/, ByteView /*peer_point*/,
                                    Deadline /*deadline*/) {
    return fail(ErrorKind::kBadInput, "the module has no key agreement");
  }

  virtual Result<Bytes> random(std::size_t size_bytes) = 0;
  virtual bool supports(KeyAlgorithm algorithm) = 0;
  virtual TokenStatus status() = 0;
};

}  // namespace keyward::hal
