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

}  // namespace

Bytes pack_contacts(const std::vector<std::string>& contacts) {
  return wire::encode_body(ContactList{contacts});
}
Bytes pack_identifiers(const std::vector<wire::Identifier>& identifiers) {
  return wire::encode_body(IdentifierList{identifiers});
}
Bytes pack_issuers(const std::vector<Bytes>& chain) {
  return wire::encode_body(IssuerList{{chain.begin() + (chain.empty() ? 0 : 1), chain.end()}});
}

Result<AccountRow> read_account(const Query& query) {
  AccountRow row;
  row.number = query.integer(0);
  row.record.id = query.text(1);
  const auto thumbprint = query.view(2);
  if (thumbprint.size() != row.record.thumbprint.size()) return damaged();
  std::copy(thumbprint.begin(), thumbprint.end(), row.record.thumbprint.begin());
  row.record.jwk = query.text(3);
  KEYWARD_TRY(status, status_of<wire::AccountStatus>(query.integer(4)));
  row.record.status = status;
  KEYWARD_TRY(list, unpack<ContactList>(query.view(5)));
  row.record.contacts = std::move(list.contacts);
  row.record.terms_agreed = query.integer(6) != 0;
  row.record.created_at_ms = query.integer(7);
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
  return record;
}

}  // namespace keyward::store
