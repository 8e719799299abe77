// Owns the operations on certificates: found by id, by serial, by the order that renews them; what
// is revoked and what replaces what. Must not know why.
#include "firmware/store/internal.h"

namespace keyward::store {
namespace {

// The serial out of an RFC 9773 §4.1 id: what stands behind the dot. That the part before it is this
// CA's key identifier is acme's check.
Result<Bytes> serial_in(std::string_view certificate_id) {
  const auto dot = certificate_id.find('.');
  if (dot == std::string_view::npos) return fail(ErrorKind::kBadInput, "not a certificate's id");
  KEYWARD_TRY(serial, base64url_decode(certificate_id.substr(dot + 1)));
  if (serial.empty() || serial.size() > 20)
    return fail(ErrorKind::kBadInput, "not a certificate's id");
  return serial;
}

bool is_invalid(const Query& query, int status, int expires_at_ms, std::int64_t now_ms) {
  return at_time(static_cast<OrderStatus>(query.integer(status)), query.integer(expires_at_ms),
                 now_ms) == OrderStatus::kInvalid;
}

}  // namespace

Answer<std::int64_t> Store::issuer_number(Connection& db, const std::vector<Bytes>& chain) {
  Bytes packed = pack_issuers(chain);
  if (last_issuers_number_ != 0 && packed == last_issuers_) return last_issuers_number_;
  std::int64_t number = 0;
  {
    Query query(db, kIssuerFind, packed);
    STORE_TRY(row, query.next());
    if (row) number = query.integer(0);
  }
  if (number == 0) {
    STORE_CHECK(Query(db, kIssuerInsert, packed).finish());
    return db.last_insert_rowid();  // remembered next time: this transaction may still be undone
  }
  last_issuers_ = std::move(packed);
  last_issuers_number_ = number;
  return number;
}

Answer<bool> Store::put_certificate(Connection& db, const wire::CertificateRecord& certificate,
                                    const wire::OrderRecord& order) {
  std::size_t chain_bytes = 0;
  for (const auto& one : certificate.chain) chain_bytes += one.size();
  if (certificate.id.empty() || certificate.chain.empty() || certificate.serial.empty()) {
    return malformed("a certificate needs an id, a serial and a chain");
  }
  if (chain_bytes > limits::kStoredChainBytesMax) return malformed("the chain is too large");
  if (certificate.account_id != order.account_id || certificate.ticket != order.ticket) {
    return malformed("the certificate is another order's");
  }
  if (certificate.revoked_at_ms || certificate.revocation_reason || certificate.replaced_by)
    return malformed("a new certificate is neither revoked nor replaced");
  STORE_TRY(issuer, issuer_number(db, certificate.chain));
  STORE_CHECK(Query(db, kCertificateInsert, certificate.id, certificate.account_id,
                    certificate.ticket, certificate.serial, certificate.not_after_ms,
                    certificate.chain.front(), issuer)
                  .finish());
  return true;
}

// RFC 9773 §5: a certificate is replaced once. One whose replacement came to nothing is free again:
// the order's status as of now decides, so that its end need not come by here.
Answer<bool> Store::put_replacement(Connection& db, const wire::OrderRecord& order) {
  const auto serial = serial_in(*order.replaces);
  if (!serial) return malformed("\"replaces\" is not a certificate's id");
  std::int64_t number = 0;
  {
    Query query(db, kCertificateReplaced, *serial);
    STORE_TRY(row, query.next());
    if (!row) {
      return refuse(wire::FailureKind::kRefused, "certificate-unknown",
                    "the certificate to be replaced is not here");
    }
    number = query.integer(0);
    const bool replaced = !query.null(1);
    // An order that was deleted had been valid, or the sweep would have freed the certificate.
    const bool stands = query.null(2) || !is_invalid(query, 2, 3, clock_.utc_ms());
    if (replaced && stands) {
      return refuse(wire::FailureKind::kRefused, "already-replaced",
                    "another order replaces the certificate");
    }
  }
  STORE_CHECK(Query(db, kCertificateSetReplaced, number, order.ticket).finish());
  return true;
}

Answer<std::optional<wire::CertificateRecord>> Store::read_one(Connection& db, Query& query) {
  STORE_TRY(row, query.next());
  if (!row) return std::optional<wire::CertificateRecord>();
  STORE_TRY(found, read_certificate(query));
  if (found.replaced_by) {
    Query order(db, kOrderByTicket, *found.replaced_by);
    STORE_TRY(there, order.next());
    if (there && is_invalid(order, 3, 4, clock_.utc_ms())) found.replaced_by.reset();
  }
  return std::optional<wire::CertificateRecord>(std::move(found));
}

// RFC 8739 §3.3, §3.4: nobody need have signed if that was agreed for the order.
Answer<wire::CertificateGetReply> Store::star_certificate(Connection& db,
                                                          const wire::CertificateGet& request) {
  wire::OrderRecord order;
  {
    Query query(db, kOrderByTicket, *request.ticket);
    STORE_TRY(row, query.next());
    if (!row) return wire::CertificateGetReply{};
    STORE_TRY(found, read_order(query));
    order = std::move(found.record);
  }
  const bool may = request.account_id.empty() ? order.certificate_get.value_or(false)
                                              : request.account_id == order.account_id;
  const auto star = star_terms(order);
  if (!may || !star || !order.certificate_id) return wire::CertificateGetReply{};
  Query query(db, kCertificateOfStar, *order.certificate_id, order.ticket);
  STORE_TRY(found, read_one(db, query));
  return wire::CertificateGetReply{std::move(found), order.status, star->end_ms};
}

Answer<wire::CertificateGetReply> Store::certificate_get(const wire::CertificateGet& request) {
  if (request.id.empty() != request.ticket.has_value())
    return malformed("a certificate is asked for by id or by ticket");
  if (request.account_id.empty() && !request.ticket)
    return malformed("a certificate is an account's");
  return read([&](Connection& db) -> Answer<wire::CertificateGetReply> {
    if (request.ticket) return star_certificate(db, request);
    Query query(db, kCertificateOwned, request.id, request.account_id);
    STORE_TRY(found, read_one(db, query));
    return wire::CertificateGetReply{std::move(found)};
  });
}

Answer<wire::CertificateFindReply> Store::certificate_find(const wire::CertificateFind& request) {
  if (request.serial.empty()) return malformed("a certificate is found by its serial");
  return read([&](Connection& db) -> Answer<wire::CertificateFindReply> {
    Query query(db, kCertificateBySerial, request.serial);
    STORE_TRY(found, read_one(db, query));
    return wire::CertificateFindReply{std::move(found)};
  });
}

// DURABLE: the client is told that it is revoked. The signer's ledger is what counts; this row is
// what is shown.
Answer<wire::CertificateMarkReply> Store::certificate_mark(const wire::CertificateMark& request) {
  constexpr std::uint64_t kReasonMax = 10;  // RFC 5280 §5.3.1
  if (request.serial.empty()) return malformed("a certificate is found by its serial");
  if (request.reason.value_or(0) > kReasonMax) return malformed("there is no such reason");
  std::optional<std::int64_t> reason;
  if (request.reason) reason = static_cast<std::int64_t>(*request.reason);
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::CertificateMarkReply> {
    const auto before = db.changes_ever();
    STORE_CHECK(
        Query(db, kCertificateMark, request.serial, request.revoked_at_ms, reason).finish());
    return wire::CertificateMarkReply{db.changes_ever() != before};
  });
}

}  // namespace keyward::store
