// Owns the use of the key that evidence is encrypted to (RFC 7518 §4.6): a key of its own in the
// token, named by the installation. Must not know evidence, and reaches no other key: the label is
// never a caller's. Threads: any.
#pragma once

#include <string>

#include "firmware/task/server.h"
#include "firmware/wire/messages/evidence_agree.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "hal/signing_token.h"

namespace keyward::signer {

class EvidenceKey {
 public:
  // `label` empty: there is none.
  EvidenceKey(hal::SigningToken& token, std::string label)
      : token_(token), label_(std::move(label)) {}

  // Without a key: an empty answer. "hsm-away".
  task::Answer<wire::EvidenceKeyFindReply> find() const;
  // "evidence-key-missing", "evidence-point", "hsm-away".
  task::Answer<wire::EvidenceAgreeReply> agree(const wire::EvidenceAgree& request) const;

 private:
  hal::SigningToken& token_;
  std::string label_;
};

}  // namespace keyward::signer
