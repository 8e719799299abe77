#include "firmware/issue/revocation.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"

namespace keyward::issue {
namespace {

using wire::Identifier;
using wire::IdentifierType;
using wire::ValidationMethod;

constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::array<std::uint64_t, 6> kReasons = {0, kReasonKeyCompromise, 3, 4, 5, 9};
constexpr std::array kNameMethods = {ValidationMethod::kHttp01, ValidationMethod::kDns01,
                                     ValidationMethod::kTlsAlpn01, ValidationMethod::kDnsAccount01,
                                     ValidationMethod::kDnsPersist01};

// GeneralName (RFC 5280 §4.2.1.6): dNSName [2] and iPAddress [7].
std::optional<Identifier> name_from(std::uint8_t tag, ByteView content) {
  if (tag == x509::tag::context(2)) {
    auto id = identifier::canonical(IdentifierType::kDns, text_of(content), true);
    return id ? std::optional(std::move(*id)) : std::nullopt;
  }
  if (tag != x509::tag::context(7) || (content.size() != 4 && content.size() != 16))
    return std::nullopt;
  char text[INET6_ADDRSTRLEN];
  const int family = content.size() == 4 ? AF_INET : AF_INET6;
  if (::inet_ntop(family, content.data(), text, sizeof text) == nullptr) return std::nullopt;
  auto id = identifier::canonical(IdentifierType::kIp, text);
  return id ? std::optional(std::move(*id)) : std::nullopt;
}

}  // namespace

Verdict<RevocationRequest> read_revocation(const jose::VerifiedJws& jws) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  if (!document || !document->root().is_object())
    return bad_input("payload-malformed", "the revocation is not a JSON object");
  const auto text = document->root().require_string("certificate");
  if (!text) return bad_input("payload-malformed", "the revocation names no certificate");
  auto der = base64url_decode(*text);
  if (!der || der->empty() || der->size() > limits::kCertificateBytesMax)
    return bad_input("payload-malformed", "certificate is not unpadded base64url of a certificate");
  RevocationRequest request{std::move(*der), std::nullopt};
  const auto reason = document->root().get("reason");
  if (!reason.exists()) return request;
  if (!reason.is_integer() || reason.integer() < 0)
    return bad_input("payload-malformed", "reason is not a reason code");
  request.reason = static_cast<std::uint64_t>(reason.integer());
  return request;
}

Verdict<void> check_reason(std::optional<std::uint64_t> reason, RevocationAuthority authority) {
  if (!reason) return {};
  if (std::find(kReasons.begin(), kReasons.end(), *reason) == kReasons.end())
    return refuse("revocation-reason", "the reasons taken are 0, 1, 3, 4, 5 and 9");
  if (*reason == kReasonKeyCompromise && authority != RevocationAuthority::kCertificateKey) {
    return refuse("revocation-reason",
                  "that a key is compromised is said with a signature of that key");
  }
  return {};
}

std::optional<std::vector<Identifier>> names_in(const x509::Certificate& certificate) {
  const auto* san = certificate.extension(kSubjectAltName);
  if (san == nullptr) return std::nullopt;
  x509::DerReader outer(san->value);
  auto names = outer.sequence();
  if (!names || !outer.at_end()) return std::nullopt;
  std::vector<Identifier> out;
  while (!names->at_end()) {
    const auto name = names->any();
    if (!name) return std::nullopt;
    auto id = name_from(name->tag, name->content);
    if (!id) return std::nullopt;
    out.push_back(std::move(*id));
  }
  if (out.empty()) return std::nullopt;
  return out;
}

bool holds_all_names(const x509::Certificate& certificate, const IntentRow& intent,
                     const GrantTable& grants, std::span<const Digest256> thumbprints,
                     std::string_view kid, std::int64_t now_ms) {
  const auto names = names_in(certificate);
  // As many as were proved for it: an identifier that is no name stands elsewhere in it.
  if (!names || names->size() != intent.grants.size()) return false;
  // No grant is for an order without a ticket: those for one order do not count.
  const CoverQuery query{thumbprints, "", kid, kNameMethods};
  return std::all_of(names->begin(), names->end(), [&](const Identifier& id) {
    return grants.cover(query, id, now_ms).has_value();
  });
}

}  // namespace keyward::issue
