// attestation -> signer, and on no other edge: this attestation key lives in the TPM of that
// endorsement key (TPM2_ActivateCredential).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantAkReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantAk) + 1);
  static constexpr std::string_view kName = "grant-ak-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantAk {
  using Reply = GrantAkReply;
  static constexpr MessageType kType = MessageType::kGrantAk;
  static constexpr std::string_view kName = "grant-ak";
  Digest256 thumbprint{};
  Digest256 session_sha256{};           // of the session that the client will sign
  Bytes spki;                           // of the attestation key, DER
  std::string manufacturer;             // 2.23.133.2.1, e.g. "id:49465800"
  std::string model;                    // 2.23.133.2.2
  std::string version;                  // 2.23.133.2.3
  std::vector<Identifier> identifiers;  // that the certificate asserts; one at least
  std::int64_t expires_at_ms = 0;
  Digest256 evidence_sha256{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "session_sha256", m.session_sha256);
    v(3, "spki", m.spki, limits::kSpkiBytesMax);
    v(4, "manufacturer", m.manufacturer, 64);
    v(5, "model", m.model, 64);
    v(6, "version", m.version, 64);
    v(7, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
    v(8, "expires_at_ms", m.expires_at_ms);
    v(9, "evidence_sha256", m.evidence_sha256);
  }
};

}  // namespace keyward::wire
