#include "firmware/store/rows.h"

namespace keyward::store {
namespace {

// Lists inside a row are kept in the wire's own strict form, so that one reader checks both.
struct ContactList {
  std::vector<std::string> contacts;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "contacts", m.contacts, limits::kContactsMax, limits::kContactBytesMax);
  }
};

struct IdentifierList {
  std::vector<wire::Identifier> identifiers;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
  }
};

struct IssuerList {
  std::vector<Bytes> chain;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
  }
};

struct EarlierKeyList {
  std::vector<wire::EarlierKey> keys;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "keys", m.keys, limits::kEarlierKeysMax);
  }
};

tl::unexpected<Error> damaged() {
  return fail(ErrorKind::kCorrupt, "a row of the database makes no sense");
}

template <class M>
Result<M> unpack(ByteView bytes) {
  auto decoded = wire::decode_body<M>(bytes);
  if (!decoded) return damaged();
  return decoded;
}

template <class E>
Result<E> status_of(std::int64_t value) {
  if (value < 0 || value > 0xff || !is_known(static_cast<E>(value))) return damaged();
  return static_cast<E>(value);
}

Result<Digest256> digest_of(ByteView bytes) {
  Digest256 digest{};
  if (bytes.size() != digest.size()) return damaged();
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

Result<std::optional<Digest256>> optional_digest(const Query& query, int column) {
  if (query.null(column)) return std::optional<Digest256>();
  KEYWARD_TRY(digest, digest_of(query.view(column)));
  return std::optional<Digest256>(digest);
}

}  // namespace

Bytes pack_contacts(const std::vector<std::string>& contacts) {
  return wire::encode_body(ContactList{contacts});
}
Bytes pack_identifiers(const std::vector<wire::Identifier>& identifiers) {
  return wire::encode_body(IdentifierList{identifiers});
}
Bytes pack_earlier_keys(const std::vector<wire::EarlierKey>& keys) {
  return wire::encode_body(EarlierKeyList{keys});
}
Bytes pack_issuers(const std::vector<Bytes>& chain) {
  return wire::encode_body(IssuerList{{chain.begin() + (chain.empty() ? 0 : 1), chain.end()}});
}

Result<AccountRow> read_account(const Query& query) {
  AccountRow row;
  row.number = query.integer(0);
  row.record.id = query.text(1);
  KEYWARD_TRY(thumbprint, digest_of(query.view(2)));
  row.record.thumbprint = thumbprint;
  row.record.jwk = query.text(3);
  KEYWARD_TRY(status, status_of<wire::AccountStatus>(query.integer(4)));
  row.record.status = status;
  KEYWARD_TRY(list, unpack<ContactList>(query.view(5)));
  row.record.contacts = std::move(list.contacts);
  row.record.terms_agreed = query.integer(6) != 0;
  row.record.created_at_ms = query.integer(7);
  row.record.terms_url = query.optional_text(8);
  row.record.binding_json = query.optional_text(9);
  row.record.eab_kid = query.optional_text(10);
  row.record.tenant = query.optional_text(12);
  if (query.null(11)) return row;
  KEYWARD_TRY(earlier, unpack<EarlierKeyList>(query.view(11)));
  row.record.earlier_keys = std::move(earlier.keys);
  return row;
}

Result<OrderRow> read_order(const Query& query) {
  OrderRow row;
  row.number = query.integer(0);
  row.record.ticket = query.text(1);
  row.record.account_id = query.text(2);
  KEYWARD_TRY(status, status_of<wire::OrderStatus>(query.integer(3)));
  row.record.status = status;
  row.record.expires_at_ms = query.integer(4);
  row.record.certificate_id = query.optional_text(5);
  row.record.error_json = query.optional_text(6);
  KEYWARD_TRY(list, unpack<IdentifierList>(query.view(7)));
  row.record.identifiers = std::move(list.identifiers);
  row.record.terms = query.blob(8);
  row.reused = query.integer(10);
  row.record.replaces = query.optional_text(11);
  if (!query.null(12)) row.record.certificate_get = query.integer(12) != 0;
  row.record.star_next_at_ms = query.optional_integer(13);
  row.record.tenant = query.optional_text(14);
  if (query.null(9)) return row;
  KEYWARD_TRY(finalize, unpack<wire::ClientJws>(query.view(9)));
  row.record.finalize = std::move(finalize);
  return row;
}

Result<wire::AuthzRecord> read_authz(const Query& query) {
  wire::AuthzRecord record;
  record.id = query.text(1);
  record.account_id = query.text(2);
  record.ticket = query.text(3);
  KEYWARD_TRY(type, status_of<wire::IdentifierType>(query.integer(4)));
  record.identifier.type = type;
  record.identifier.value = query.text(5);
  record.wildcard = query.integer(6) != 0;
  KEYWARD_TRY(status, status_of<wire::AuthzStatus>(query.integer(7)));
  record.status = status;
  record.expires_at_ms = query.integer(8);
  record.subtree = query.integer(9) != 0;
  record.tenant = query.optional_text(10);
  return record;
}

Result<wire::ChallengeRecord> read_challenge(const Query& query, const std::string& authz_id) {
  wire::ChallengeRecord record;
  record.id = query.text(0);
  record.authz_id = authz_id;
  KEYWARD_TRY(method, status_of<wire::ValidationMethod>(query.integer(1)));
  record.method = method;
  KEYWARD_TRY(status, status_of<wire::ChallengeStatus>(query.integer(2)));
  record.status = status;
  record.token = query.text(3);
  record.validated_at_ms = query.optional_integer(4);
  record.error_json = query.optional_text(5);
  record.data_json = query.optional_text(6);
  if (!query.null(7)) record.answer = query.blob(7);
  return record;
}

Result<wire::CertificateRecord> read_certificate(const Query& query) {
  wire::CertificateRecord record;
  record.id = query.text(0);
  record.account_id = query.text(1);
  record.ticket = query.text(2);
  record.serial = query.blob(3);
  record.not_after_ms = query.integer(4);
  KEYWARD_TRY(issuers, unpack<IssuerList>(query.view(6)));
  record.chain.push_back(query.blob(5));
  for (auto& issuer : issuers.chain) record.chain.push_back(std::move(issuer));
  record.revoked_at_ms = query.optional_integer(7);
  if (const auto reason = query.optional_integer(8))
    record.revocation_reason = static_cast<std::uint64_t>(*reason);
  record.replaced_by = query.optional_text(9);
  return record;
}

Result<wire::RecoveryRecord> read_recovery(const Query& query) {
  wire::RecoveryRecord record;
  record.id = query.text(1);
  record.account_id = query.text(2);
  KEYWARD_TRY(thumbprint, digest_of(query.view(3)));
  record.thumbprint = thumbprint;
  record.jwk = query.text(4);
  record.method = query.text(5);
  KEYWARD_TRY(status, status_of<wire::RecoveryStatus>(query.integer(6)));
  record.status = status;
  record.created_at_ms = query.integer(7);
  record.expires_at_ms = query.integer(8);
  record.ready_at_ms = query.integer(9);
  KEYWARD_TRY(code, optional_digest(query, 10));
  record.code_sha256 = code;
  KEYWARD_TRY(veto, optional_digest(query, 11));
  record.veto_sha256 = veto;
  record.error_json = query.optional_text(12);
  return record;
}

wire::MailRecord read_mail(const Query& query) {
  wire::MailRecord record;
  record.id = query.text(0);
  record.to = query.text(1);
  record.subject = query.text(2);
  record.text = query.text(3);
  record.created_at_ms = query.integer(4);
  record.due_at_ms = query.integer(5);
  record.attempts = static_cast<std::uint64_t>(query.integer(6));
  return record;
}

}  // namespace keyward::store
