#include "apps/pebble/management.h"

#include <charconv>
#include <map>

#include "firmware/acme/render.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"

namespace keyward::pebble {
namespace {

acme::HttpResponse answer(int status, std::string type, std::string body) {
  acme::HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", std::move(type));
  response.body = std::move(body);
  return response;
}

acme::HttpResponse pem(std::string text) {
  return answer(200, "application/pem-certificate-chain", std::move(text));
}

acme::HttpResponse not_found() { return answer(404, "text/plain", "404 page not found\n"); }

// What follows `prefix` as a number below `count`.
std::optional<std::size_t> index_in(std::string_view path, std::string_view prefix,
                                    std::size_t count) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  std::size_t value = 0;
  const auto [at, error] = std::from_chars(path.data(), path.data() + path.size(), value);
  if (error != std::errc() || at != path.data() + path.size() || value >= count)
    return std::nullopt;
  return value;
}

struct Found {
  std::optional<issue::IntentRow> intent;
  std::optional<Bytes> certificate;
  std::optional<issue::RevocationRow> revocation;
  std::int64_t revoked_at_ms = 0;
};

// One pass over the ledger, which is never large here. Serials are compared as numbers: clients
// write them with and without a leading zero octet.
Result<Found> find(const std::string& ledger_dir, const Bytes& serial) {
  Found out;
  std::uint64_t row = 0;
  KEYWARD_TRY(
      read, issue::read_ledger(ledger_dir,
                               [&](const issue::LedgerRow& r, const issue::RowPlace&) -> Status {
                                 if (r.intent && r.intent->serial == serial) {
                                   out.intent = r.intent;
                                   row = r.number;
                                 }
                                 if (out.intent && r.outcome && r.outcome->intent_row == row &&
                                     r.outcome->result == issue::OutcomeResult::kIssued) {
                                   KEYWARD_TRY(der, issue::certificate_of(*out.intent, *r.outcome));
                                   out.certificate = std::move(der);
                                 }
                                 if (r.revocation && r.revocation->serial == serial) {
                                   out.revocation = r.revocation;
                                   out.revoked_at_ms = r.time_ms;
                                 }
                                 return {};
                               }));
  static_cast<void>(read);
  return out;
}

}  // namespace

acme::HttpResponse Management::status_of(std::string_view serial_hex) const {
  std::string even(serial_hex);
  if (even.size() % 2 == 1) even.insert(0, "0");
  auto serial = hex_decode(even);
  if (!serial || serial->empty() || serial->size() > 20)
    return answer(400, "text/plain", "no serial\n");
  auto found = find(ledger_dir_, *serial);
  if (!found) return answer(500, "text/plain", "the ledger cannot be read\n");
  if (!found->certificate) return not_found();
  json::Writer out;
  out.begin_object()
      .member("Certificate", x509::to_pem("CERTIFICATE", *found->certificate))
      .member("Serial", hex_encode(*serial))
      .member("Status", found->revocation ? "Revoked" : "Valid");
  if (found->revocation) {
    if (found->revocation->reason)
      out.member_int("Reason", static_cast<std::int64_t>(*found->revocation->reason));
    out.member("RevokedAt", acme::rfc3339(found->revoked_at_ms));
  }
  return answer(200, "application/json", out.end_object().take());
}

acme::HttpResponse Management::handle(const acme::HttpRequest& request) {
  if (request.method != "GET") return answer(405, "text/plain", "GET alone\n");
  const std::string_view path = request.raw_path;
  const auto count = ca_.hierarchies.size();
  if (const auto at = index_in(path, "/roots/", count)) return pem(ca_.hierarchies[*at].root_pem);
  if (const auto at = index_in(path, "/root-keys/", count))
    return pem(ca_.hierarchies[*at].root_key_pem);
  if (const auto at = index_in(path, "/intermediates/", count))
    return pem(ca_.hierarchies[*at].issuing_pem);
  // One issuing key is certified under each root.
  if (index_in(path, "/intermediate-keys/", count)) return pem(ca_.issuing_key_pem);
  constexpr std::string_view kStatus = "/cert-status-by-serial/";
  if (path.starts_with(kStatus)) return status_of(path.substr(kStatus.size()));
  return not_found();
}

acme::HttpResponse Management::refuse_transport(int status, std::string_view detail) {
  return answer(status, "text/plain", std::string(detail) + "\n");
}

}  // namespace keyward::pebble
