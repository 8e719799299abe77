// Owns what anybody may read over plain HTTP: revocation lists, OCSP answers, issuer certificates.
// Must not know sockets, nor how these are made: the service answers, the signer signed.
//
// Nothing of ACME is here: no directory, no nonce, no account, no tenant's part. Everything that is
// served is signed in itself and the same for everybody, so that neither TLS nor the Host header
// protects anything (RFC 5280 §8; RFC 5019 §6). Refusals are text/plain. Threads: any.
#pragma once

#include "firmware/acme/http.h"
#include "firmware/acme/service.h"

namespace keyward::acme {

class PublicPages final : public HttpHandler {
 public:
  // `service` outlives this.
  explicit PublicPages(Service& service) : service_(service) {}

  HttpResponse handle(const HttpRequest& request) override;
  std::size_t body_bytes_max(std::string_view method, std::string_view raw_path) const override;
  HttpResponse refuse_transport(int status, std::string_view detail) override;

 private:
  Service& service_;
};

}  // namespace keyward::acme
