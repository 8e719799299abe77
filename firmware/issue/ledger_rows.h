// Owns what stands in a row of the ledger (docs/ledger.md). Must not know files or policy.
// A row's hash is SHA-256 of its encoding, which holds the previous row's hash: that is the chain.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::issue {

using TicketId = std::array<std::uint8_t, 16>;

// Numbers are part of the format.
enum class RowKind : std::uint8_t {
  kGenesis = 1,
  kIntent = 2,
  kOutcome = 3,
  kRevocation = 4,
  kCancellation = 5,
  kListIntent = 6,
  kListOutcome = 7,
  kOperators = 8,
  kOperatorOrder = 9
};
inline bool is_known(RowKind k) { return k >= RowKind::kGenesis && k <= RowKind::kOperatorOrder; }

enum class OutcomeResult : std::uint8_t {
  kIssued = 1,     // the signature was made and verified
  kFailed = 2,     // no signature came back; one may exist all the same
  kAbandoned = 3,  // written at start: the process ended between intent and outcome
};
inline bool is_known(OutcomeResult r) {
  return r >= OutcomeResult::kIssued && r <= OutcomeResult::kAbandoned;
}

// By what right a certificate was revoked (RFC 8555 §7.6).
enum class RevocationAuthority : std::uint8_t {
  kAccount = 1,         // the account that it was issued to
  kCertificateKey = 2,  // the holder of its key
  kAuthorizations = 3,  // an account that has proved all its names
  kOperator = 4,        // an operator's signed order
};
inline bool is_known(RevocationAuthority a) {
  return a >= RevocationAuthority::kAccount && a <= RevocationAuthority::kOperator;
}

struct GenesisRow {
  std::string format;  // "keyward-ledger-1"
  std::array<std::uint8_t, 16> ledger_id{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "format", m.format, 32);
    v(2, "ledger_id", m.ledger_id);
  }
};

// Which proof an issuance relied on.
struct GrantNote {
  Digest256 grant_sha256{};  // of the grant as the signer holds it
  wire::ValidationMethod method{};
  Digest256 evidence_sha256{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "grant_sha256", m.grant_sha256);
    v(2, "method", m.method);
    v(3, "evidence_sha256", m.evidence_sha256);
  }
};

struct IntentRow {
  Bytes serial;
  Bytes tbs_der;
  TicketId ticket_id{};
  std::int64_t ticket_expires_at_ms = 0;
  Digest256 thumbprint{};  // of the account's key, RFC 7638
  Digest256 jws_sha256{};  // of the client's finalize: protected "." payload "." signature octets
  Digest256 csr_sha256{};
  std::vector<GrantNote> grants;
  std::string profile;
  std::optional<std::string> eab_kid;        // the credential that the account was admitted by
  std::optional<std::uint64_t> star_period;  // RFC 8739: which of its order's series; from 0
  std::optional<std::string> list{};         // the shard of revocation lists that it names
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
    v(2, "tbs_der", m.tbs_der, limits::kCertificateBytesMax);
    v(3, "ticket_id", m.ticket_id);
    v(4, "ticket_expires_at_ms", m.ticket_expires_at_ms);
    v(5, "thumbprint", m.thumbprint);
    v(6, "jws_sha256", m.jws_sha256);
    v(7, "csr_sha256", m.csr_sha256);
    // A profile may have gained attestations since the order: twice as many.
    v(8, "grants", m.grants,
      limits::kIdentifiersPerOrderMax + 2 * limits::kAttestationsPerOrderMax);
    v(9, "profile", m.profile, limits::kProfileNameBytesMax);
    v(10, "eab_kid", m.eab_kid, limits::kEabKidBytesMax);
    v(11, "star_period", m.star_period);
    v(12, "list", m.list, limits::kListNameBytesMax);
  }
};

struct OutcomeRow {
  std::uint64_t intent_row = 0;
  OutcomeResult result{};
  std::optional<Bytes> signature;  // issued alone: with the intent's TBS it is the certificate
  std::optional<Digest256> certificate_sha256;
  std::optional<std::string> reason;  // failed alone: a stable code
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "intent_row", m.intent_row);
    v(2, "result", m.result);
    v(3, "signature", m.signature, limits::kJwsSignatureBytesMax);
    v(4, "certificate_sha256", m.certificate_sha256);
    v(5, "reason", m.reason, limits::kCodeBytesMax);
  }
};

// Only of a certificate that stands in the ledger as issued, and once.
struct RevocationRow {
  std::uint64_t intent_row = 0;
  Bytes serial;
  std::optional<std::uint64_t> reason;  // RFC 5280 §5.3.1; absent: none was given
  RevocationAuthority authority{};
  Digest256 thumbprint{};  // RFC 7638, of the key that signed the request
  Digest256 jws_sha256{};  // of the client's request, as in an intent
  // keyCompromise alone: digest of the SubjectPublicKeyInfo that is never certified again.
  std::optional<Digest256> compromised_spki_sha256;
  std::optional<std::int64_t> not_after_ms;  // the certificate's; absent in older rows
  std::optional<std::uint64_t> order_row;    // by an operator alone: the order
  std::optional<std::string> list{};         // the shard that the certificate names
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "intent_row", m.intent_row);
    v(2, "serial", m.serial, 20);
    v(3, "reason", m.reason);
    v(4, "authority", m.authority);
    v(5, "thumbprint", m.thumbprint);
    v(6, "jws_sha256", m.jws_sha256);
    v(7, "compromised_spki_sha256", m.compromised_spki_sha256);
    v(8, "not_after_ms", m.not_after_ms);
    v(9, "order_row", m.order_row);
    v(10, "list", m.list, limits::kListNameBytesMax);
  }
};

// Only of a series of which a certificate was issued, and once; none is made after it (RFC 8739
// §3.1.2).
struct CancellationRow {
  TicketId ticket_id{};
  Digest256 thumbprint{};  // RFC 7638, of the key that signed the request
  Digest256 jws_sha256{};  // of the client's request, as in an intent
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket_id", m.ticket_id);
    v(2, "thumbprint", m.thumbprint);
    v(3, "jws_sha256", m.jws_sha256);
  }
};

// A revocation list that is about to be signed (RFC 5280 §5). A list may have megabytes: its digest
// stands here, the list itself lies beside the ledger (crl.h).
struct ListIntentRow {
  std::uint64_t number = 0;  // cRLNumber; greater than in every list before
  Digest256 tbs_sha256{};    // of the whole TBSCertList
  std::int64_t this_update_ms = 0;
  std::int64_t next_update_ms = 0;
  std::uint64_t entries = 0;
  std::uint64_t until_row = 0;        // the newest revocation that it holds; 0: none
  std::optional<std::string> list{};  // absent: the whole one (crl_content.h)
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
    v(2, "tbs_sha256", m.tbs_sha256);
    v(3, "this_update_ms", m.this_update_ms);
    v(4, "next_update_ms", m.next_update_ms);
    v(5, "entries", m.entries);
    v(6, "until_row", m.until_row);
    v(7, "list", m.list, limits::kListNameBytesMax);
  }
};

struct ListOutcomeRow {
  std::uint64_t intent_row = 0;
  OutcomeResult result{};
  std::optional<Digest256> list_sha256;  // issued alone: of the whole CertificateList
  std::optional<std::string> reason;     // failed alone: a stable code
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "intent_row", m.intent_row);
    v(2, "result", m.result);
    v(3, "list_sha256", m.list_sha256);
    v(4, "reason", m.reason, limits::kCodeBytesMax);
  }
};

// Whose orders count from here on: the operators file as it was read. Empty: nobody's.
struct OperatorsRow {
  Bytes file;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "file", m.file, limits::kOperatorsBytesMax);
  }
};

// What operators ordered, before it is carried out; what it changes stands in it, or follows it.
struct OperatorOrderRow {
  std::array<std::uint8_t, 16> id{};  // counts once
  std::string order;                  // e.g. "revoke"
  Bytes jws;                          // as it was signed
  Digest256 operators_sha256{};       // of the operators file that it was judged by
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id);
    v(2, "order", m.order, limits::kCodeBytesMax);
    v(3, "jws", m.jws, limits::kOperatorOrderBytesMax);
    v(4, "operators_sha256", m.operators_sha256);
  }
};

struct LedgerRow {
  std::uint64_t number = 0;  // the genesis row is 0; no gaps
  Digest256 previous{};      // hash of the row before; zeros at the genesis row
  std::int64_t time_ms = 0;  // never smaller than in the row before
  RowKind kind{};
  std::optional<GenesisRow> genesis;
  std::optional<IntentRow> intent;
  std::optional<OutcomeRow> outcome;
  std::optional<RevocationRow> revocation;
  std::optional<CancellationRow> cancellation;
  std::optional<ListIntentRow> list_intent;
  std::optional<ListOutcomeRow> list_outcome;
  std::optional<OperatorsRow> operators;
  std::optional<OperatorOrderRow> operator_order;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
    v(2, "previous", m.previous);
    v(3, "time_ms", m.time_ms);
    v(4, "kind", m.kind);
    v(5, "genesis", m.genesis);
    v(6, "intent", m.intent);
    v(7, "outcome", m.outcome);
    v(8, "revocation", m.revocation);
    v(9, "cancellation", m.cancellation);
    v(10, "list_intent", m.list_intent);
    v(11, "list_outcome", m.list_outcome);
    v(12, "operators", m.operators);
    v(13, "operator_order", m.operator_order);
  }
};

// Where a row stands on disk.
struct RowPlace {
  std::uint64_t segment = 0;  // number of the first row of its file
  std::uint64_t offset = 0;
};

}  // namespace keyward::issue
