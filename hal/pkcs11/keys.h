// Owns key objects on the token: finding a pair by label, reading it back, generating it. Must not
// know recovery or queues. Threads: as the Session it is given.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hal/pkcs11/mechanisms.h"
#include "hal/pkcs11/public_key.h"
#include "hal/pkcs11/session.h"

namespace keyward::hal::pkcs11 {

// What stays true of a key over reconnections; the handle does not, and stands apart.
struct KnownKey {
  TokenKey facts;
  PublicKey public_key;
  bool signs = true;  // CKA_SIGN; a key that agrees (ECDH) does not
};
struct FoundKey {
  std::shared_ptr<const KnownKey> known;
  CK_OBJECT_HANDLE private_handle = 0;
};

// `rv` keeps the return value of the call that failed, for the one who decides about recovery.
// kBadInput: no pair carries the label; kCorrupt: several do, or the halves do not fit together.
Result<FoundKey> find_pair(Session& session, std::string_view label, CK_RV& rv);

// kRefused: the label exists. The pair is read back: attributes the token did not honour show in
// facts.
Result<FoundKey> generate_pair(Session& session, std::string_view label, KeyAlgorithm algorithm,
                               const Pkcs11Quirks& quirks, CK_RV& rv);

// The same for a P-256 key that derives and does nothing else; nothing is signed with it.
Result<FoundKey> generate_agreement_pair(Session& session, std::string_view label,
                                         const Pkcs11Quirks& quirks, CK_RV& rv);

// Labels of private keys on the token (those with a label; at most limits::kTokenKeysMax).
Result<std::vector<std::string>> list_private_labels(Session& session, CK_RV& rv);

// One signature, verified; the input is never a TBS (it starts with text, not with a SEQUENCE).
Status self_test(Session& session, const FoundKey& key, const Pkcs11Quirks& quirks, CK_RV& rv);

}  // namespace keyward::hal::pkcs11
