#include "firmware/acme/renewal_info.h"

#include <algorithm>

#include "firmware/acme/account_resources.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kAuthorityKeyId = "2.5.29.35";
constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::size_t kKeyIdentifierBytesMax = 64;  // a digest; 20 octets as a rule
constexpr std::size_t kSerialBytesMax = 20;         // RFC 5280 §4.1.2.2
constexpr std::int64_t kShortLifeMs = 10LL * 24 * 3'600'000;
constexpr std::int64_t kShortStartPercent = 50;
constexpr std::int64_t kWindowPart = 30;
constexpr std::int64_t kPastWindowMs = 3'600'000;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<CertificateId> id_of(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension(kAuthorityKeyId);
  if (extension == nullptr) return bad("certificate: no authority key identifier");
  x509::DerReader outer(extension->value);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_TRY(key, in.element(x509::tag::context(0)));
  return CertificateId{to_bytes(key), certificate.serial};
}

// Null: it is not here, or the id names another issuer's certificate of this serial.
Answer<std::optional<wire::CertificateRecord>> find_by_id(Context& context,
                                                          const CertificateId& id) {
  auto reply = context.backend.store.ask(wire::CertificateFind{id.serial});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  auto& found = reply->certificate;
  if (!found || found->chain.empty()) return std::optional<wire::CertificateRecord>{};
  const auto actual = certificate_id_of(found->chain[0]);
  const bool same = actual && equal(actual->serial, id.serial) &&
                    equal(actual->key_identifier, id.key_identifier);
  if (!same) return std::optional<wire::CertificateRecord>{};
  return std::move(found);
}

// The profile that it was issued under; empty if its order is gone, which an incident that names a
// profile then does not reach.
std::string profile_of(Context& context, const wire::CertificateRecord& record) {
  auto reply = context.backend.store.ask(wire::OrderGet{record.ticket, record.account_id});
  if (!reply || !reply->order) return {};
  const auto terms = wire::decode_body<wire::OrderTerms>(reply->order->terms);
  return terms ? terms->profile : std::string();
}

struct Advice {
  RenewalWindow window;
  std::string explanation_url;
};

Advice advice_for(Context& context, const wire::CertificateRecord& record,
                  const x509::Certificate& leaf) {
  Advice out;
  if (record.revoked_at_ms) {
    // In the past: renew now (§4.2).
    out.window = {*record.revoked_at_ms - kPastWindowMs, *record.revoked_at_ms};
    return out;
  }
  out.window =
      usual_window(leaf.not_before_ms, leaf.not_after_ms, context.config.renewal_start_percent);
  const auto incidents = context.incidents.now();
  if (!incidents || incidents->empty()) return out;
  const bool by_profile = std::any_of(incidents->begin(), incidents->end(),
                                      [](const auto& each) { return each.profile.has_value(); });
  const auto profile = by_profile ? profile_of(context, record) : std::string();
  const auto* incident = earliest_incident(*incidents, {leaf.serial, profile, leaf.not_before_ms});
  if (incident == nullptr) return out;
  out.explanation_url = incident->explanation_url;
  // An incident pulls forward; it never keeps a certificate longer.
  if (incident->window_start_ms < out.window.start_ms)
    out.window = {incident->window_start_ms, incident->window_end_ms};
  return out;
}

// The GeneralName of one identifier, as our certificates hold it; empty: it is none.
Bytes general_name_of(const wire::Identifier& identifier) {
  const auto extension = x509::ext_subject_alt_name({identifier}, false);
  if (!extension) return {};
  x509::DerReader outer(*extension);
  auto in = outer.sequence();
  if (!in || !in->oid()) return {};
  const auto value = in->element(x509::tag::kOctetString);
  if (!value) return {};
  x509::DerReader content(*value);
  auto names = content.sequence();
  if (!names) return {};
  const auto name = names->any();
  return name ? to_bytes(name->whole) : Bytes{};
}

bool names_it(const x509::Certificate& leaf, const wire::Identifier& identifier) {
  if (identifier::is_authority_type(identifier.type)) {
    const auto der = identifier::authority_der(identifier);
    const auto is_it = [&](const auto& extension) { return equal(extension.value, *der); };
    return der && std::any_of(leaf.extensions.begin(), leaf.extensions.end(), is_it);
  }
  const auto* extension = leaf.extension(kSubjectAltName);
  const auto wanted = general_name_of(identifier);
  if (extension == nullptr || wanted.empty()) return false;
  x509::DerReader outer(extension->value);
  auto names = outer.sequence();
  while (names && !names->at_end()) {
    const auto name = names->any();
    if (!name) return false;
    if (equal(name->whole, wanted)) return true;
  }
  return false;
}

// By the certificate, or by its order where the certificate does not show the identifier.
Answer<bool> shares_identifier(Context& context, const wire::CertificateRecord& record,
                               const std::vector<wire::Identifier>& identifiers) {
  const auto leaf = x509::parse_certificate(record.chain[0], x509::KeyReading::kSkip);
  const auto named = [&](const auto& each) { return leaf && names_it(*leaf, each); };
  if (std::any_of(identifiers.begin(), identifiers.end(), named)) return true;
  auto order = context.backend.store.ask(wire::OrderGet{record.ticket, record.account_id});
  if (!order) return tl::unexpected<wire::Failure>(std::move(order.error()));
  if (!order->order) return false;
  const auto& before = order->order->identifiers;
  const auto ordered = [&](const auto& each) {
    return std::find(before.begin(), before.end(), each) != before.end();
  };
  return std::any_of(identifiers.begin(), identifiers.end(), ordered);
}

// By an order that is not invalid (§5); one that is deleted had its time and counts.
Answer<bool> is_replaced(Context& context, const wire::CertificateRecord& record) {
  if (!record.replaced_by) return false;
  auto reply = context.backend.store.ask(wire::OrderGet{*record.replaced_by, record.account_id});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  if (!reply->order) return true;
  const auto& order = *reply->order;
  return at_time(order.status, order.expires_at_ms, context.clock.utc_ms()) !=
         OrderStatus::kInvalid;
}

}  // namespace

std::string CertificateId::text() const {
  return base64url_encode(key_identifier) + "." + base64url_encode(serial);
}

Result<CertificateId> parse_certificate_id(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return bad("certificate id: no dot");
  KEYWARD_TRY(key, base64url_decode(text.substr(0, dot)));
  KEYWARD_TRY(serial, base64url_decode(text.substr(dot + 1)));
  if (key.empty() || key.size() > kKeyIdentifierBytesMax) return bad("certificate id: key");
  if (serial.empty() || serial.size() > kSerialBytesMax) return bad("certificate id: serial");
  return CertificateId{std::move(key), std::move(serial)};
}

Result<CertificateId> certificate_id_of(ByteView certificate_der) {
  KEYWARD_TRY(certificate, x509::parse_certificate(certificate_der, x509::KeyReading::kSkip));
  return id_of(certificate);
}

RenewalWindow usual_window(std::int64_t not_before_ms, std::int64_t not_after_ms,
                           std::int64_t start_percent) {
  const auto life_ms = not_after_ms - not_before_ms;
  const auto percent =
      life_ms < kShortLifeMs ? std::min(start_percent, kShortStartPercent) : start_percent;
  RenewalWindow window;
  window.start_ms = (not_before_ms + life_ms / 100 * percent) / 1'000 * 1'000;
  window.end_ms = window.start_ms + std::max<std::int64_t>(1'000, life_ms / kWindowPart);
  return window;
}

Outcome<HttpResponse> renewal_info(Context& context, const RouteMatch& match) {
  auto key = base64url_decode(match.segments[0]);
  auto serial = base64url_decode(match.segments[1]);
  if (!key || !serial || serial->size() > kSerialBytesMax) return refuse(not_found());
  auto found = find_by_id(context, {std::move(*key), std::move(*serial)});
  if (!found) return refuse(problem_from(found.error()));
  if (!*found) return refuse(not_found());
  const auto leaf = x509::parse_certificate((*found)->chain[0], x509::KeyReading::kSkip);
  if (!leaf) {
    return refuse(ProblemType::kServerInternal, "certificate.corrupt",
                  "the stored certificate cannot be read");
  }
  const auto advice = advice_for(context, **found, *leaf);
  json::Writer out;
  out.begin_object().key("suggestedWindow").begin_object();
  out.member("start", rfc3339(advice.window.start_ms));
  out.member("end", rfc3339(advice.window.end_ms)).end_object();
  if (!advice.explanation_url.empty()) out.member("explanationURL", advice.explanation_url);
  out.end_object();
  auto response = json_response(200, out.take());
  response.headers.emplace_back("Retry-After", std::to_string(context.config.renewal_poll_s));
  return response;
}

Outcome<std::optional<std::string>> check_replaces(
    Context& context, const Account& account, const json::Value& payload,
    const std::vector<wire::Identifier>& identifiers) {
  const auto member = payload.get("replaces");
  if (!member.exists()) return std::optional<std::string>{};
  auto id = parse_certificate_id(member.string());
  if (!id || member.string().size() > limits::kIdBytesMax)
    return refuse(ProblemType::kMalformed, "replaces.form",
                  "\"replaces\" is not a certificate's identifier (RFC 9773 §4.1)");
  auto found = find_by_id(context, *id);
  if (!found) return refuse(problem_from(found.error()));
  // One answer for unknown and foreign ones (D-A8).
  if (!*found || (*found)->account_id != account.record.id)
    return refuse(ProblemType::kMalformed, "replaces.unknown",
                  "\"replaces\" names no certificate of this account");
  auto shared = shares_identifier(context, **found, identifiers);
  if (!shared) return refuse(problem_from(shared.error()));
  if (!*shared)
    return refuse(ProblemType::kMalformed, "replaces.identifiers",
                  "the certificate that \"replaces\" names shares no identifier with the order");
  auto replaced = is_replaced(context, **found);
  if (!replaced) return refuse(problem_from(replaced.error()));
  if (*replaced)
    return refuse(ProblemType::kAlreadyReplaced, "already-replaced",
                  "another order replaces this certificate already");
  return std::optional<std::string>(std::string(member.string()));
}

}  // namespace keyward::acme
