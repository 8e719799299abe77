#include "firmware/acme/certificate_resources.h"

#include <charconv>

#include "firmware/acme/accept.h"
#include "firmware/crypto/certs_only.h"
#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kForGood = "public, max-age=31536000, immutable";

std::string issuer_id(ByteView der) { return base64url_encode(crypto::sha256(der)); }

// Calls `visit` with every certificate of the issuing chains, until it says true.
template <class Visit>
bool any_issuer(const wire::IssuerGetReply& info, Visit visit) {
  for (const auto& der : info.chain) {
    if (visit(der)) return true;
  }
  for (const auto& alternate : info.alternates) {
    for (const auto& der : alternate.certificates) {
      if (visit(der)) return true;
    }
  }
  return false;
}

bool is_known_issuer(Context& context, const Bytes& der) {
  const auto info = context.issuer.get();
  return info && any_issuer(*info, [&](const Bytes& each) { return equal(each, der); });
}

void add_link(HttpResponse& response, const std::string& url, std::string_view relation) {
  response.headers.emplace_back("Link", "<" + url + ">;rel=\"" + std::string(relation) + "\"");
}

// The alternates that fit this chain: they begin with another certificate of the same issuer (name
// and key). After the CA has changed, old certificates keep their own chain alone.
std::vector<const wire::AlternateChain*> alternates_of(const wire::IssuerGetReply* info,
                                                       const std::vector<Bytes>& chain) {
  std::vector<const wire::AlternateChain*> out;
  if (info == nullptr || chain.size() < 2) return out;
  const auto issuer = x509::parse_certificate(chain[1], x509::KeyReading::kSkip);
  if (!issuer) return out;
  for (const auto& alternate : info->alternates) {
    if (alternate.certificates.empty()) continue;
    const auto other = x509::parse_certificate(alternate.certificates[0], x509::KeyReading::kSkip);
    const bool fits = other && equal(other->subject_der, issuer->subject_der) &&
                      equal(other->spki_der, issuer->spki_der);
    if (fits) out.push_back(&alternate);
  }
  return out;
}

Problem not_acceptable() {
  return Problem::of(ProblemType::kMalformed, "http.accept",
                     "a certificate comes as application/pem-certificate-chain, "
                     "application/pkix-cert or application/pkcs7-mime")
      .with_status(406);
}

Outcome<wire::CertificateRecord> owned(Context& context, const SignedRequest& request) {
  if (auto ok = require_read(request); !ok) return refuse(ok.error());
  auto reply = context.backend.store.ask(wire::CertificateGet{
      std::string(request.match.segments[0]), request.account->record.id, std::nullopt});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->certificate) return refuse(not_found());
  return std::move(*reply->certificate);
}

// `shown`: 0 for the chain that the certificate came with, else the alternate's number.
Outcome<HttpResponse> with_alternates(Context& context, const SignedRequest& request,
                                      std::size_t shown) {
  auto record = owned(context, request);
  if (!record) return refuse(record.error());
  const auto info = context.issuer.get();
  const auto alternates = alternates_of(info.get(), record->chain);
  if (shown > alternates.size()) return refuse(not_found());
  std::vector<Bytes> chain = record->chain;
  if (shown != 0) {
    chain.resize(1);
    const auto& rest = alternates[shown - 1]->certificates;
    chain.insert(chain.end(), rest.begin(), rest.end());
  }
  auto response = chain_response(context, chain, request.accept);
  if (!response) return response;
  for (std::size_t n = 0; n <= alternates.size(); ++n) {
    if (n == shown) continue;
    const auto url = context.urls.of(request.match.tenant).certificate(record->id);
    add_link(*response, n == 0 ? url : url + "/" + std::to_string(n), "alternate");
  }
  return response;
}

}  // namespace

Outcome<HttpResponse> chain_response(Context& context, const std::vector<Bytes>& chain,
                                     std::string_view accept) {
  const auto format = choose_format(accept);
  if (!format) return refuse(not_acceptable());
  HttpResponse response;
  response.status = 200;
  response.headers.emplace_back("Content-Type", media_type_of(*format));
  response.headers.emplace_back("Vary", "Accept");
  if (*format == CertificateFormat::kPemChain) {
    response.body = chain_pem(chain);
    return response;
  }
  if (*format == CertificateFormat::kPkix) {
    response.body = text_of(chain.at(0));
  } else {
    auto der = crypto::certs_only_der(chain);
    if (!der)
      return refuse(ProblemType::kServerInternal, "certificate.pkcs7",
                    "the certificate cannot be written in this format");
    response.body = text_of(*der);
  }
  // RFC 8555 §7.4.2: so that the client finds the issuer. Not for an issuer that was in force once.
  if (chain.size() > 1 && is_known_issuer(context, chain[1]))
    add_link(response, context.urls.issuer(issuer_id(chain[1])), "up");
  return response;
}

Outcome<HttpResponse> certificate(Context& context, const SignedRequest& request) {
  return with_alternates(context, request, 0);
}

Outcome<HttpResponse> alternate_certificate(Context& context, const SignedRequest& request) {
  const auto text = request.match.segments[1];
  std::size_t n = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), n);
  const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  // One spelling alone: "01" is another URL.
  if (!whole || n == 0 || text[0] == '0') return refuse(not_found());
  return with_alternates(context, request, n);
}

Outcome<HttpResponse> issuer_certificate(Context& context, std::string_view id) {
  auto info = issuer_info(context);
  if (!info) return refuse(problem_from(info.error()));
  HttpResponse response;
  const bool found = any_issuer(**info, [&](const Bytes& der) {
    if (issuer_id(der) != id) return false;
    response.body = text_of(der);
    return true;
  });
  if (!found) return refuse(not_found());
  response.status = 200;
  response.headers.emplace_back("Content-Type", media_type_of(CertificateFormat::kPkix));
  response.headers.emplace_back("Cache-Control", kForGood);
  const auto child = x509::parse_certificate(view_of(response.body), x509::KeyReading::kSkip);
  if (!child || equal(child->issuer_der, child->subject_der)) return response;
  any_issuer(**info, [&](const Bytes& der) {
    const auto above = x509::parse_certificate(der, x509::KeyReading::kSkip);
    if (!above || !equal(above->subject_der, child->issuer_der)) return false;
    add_link(response, context.urls.issuer(issuer_id(der)), "up");
    return true;
  });
  return response;
}

}  // namespace keyward::acme
