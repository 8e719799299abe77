// Owns the answers of the management port: who may ask what, in which state. Must not know TLS,
// sockets or the signer: an operator's order goes through `send_order` as it came, signed by the
// operator; nothing here can order anything by itself. Threads: handle() from many.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "firmware/acme/http.h"
#include "firmware/manage/routes.h"
#include "firmware/operate/operators.h"
#include "firmware/wire/messages/audit_head_get.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/operator_order.h"

namespace keyward::manage {

using HeadAnswer = tl::expected<wire::AuditHeadGetReply, wire::Failure>;
using OrderAnswer = tl::expected<wire::OperatorOrderReply, wire::Failure>;

struct ServiceConfig {
  std::string run_dir;                 // status.json and metrics.json
  std::string operators;               // path of operators.json; empty: no operator
  std::set<std::string> monitors;      // SHA-256 of the SubjectPublicKeyInfo, lower-case hex
  bool anonymous_on_loopback = false;  // /metrics and health without a certificate
  std::function<OrderAnswer(const wire::OperatorOrder&)> send_order;
  std::function<HeadAnswer()> newest_head;
};

class Service : public acme::HttpHandler {
 public:
  explicit Service(ServiceConfig config) : config_(std::move(config)) {}
  // The roles of a key now: the operators file is read anew, so that a new one needs no restart. 0:
  // nobody. A file that cannot be read names nobody.
  std::uint8_t roles_of(ByteView spki_der) const;

  acme::HttpResponse handle(const acme::HttpRequest& request) override;
  std::size_t body_bytes_max(std::string_view method, std::string_view raw_path) const override;
  acme::HttpResponse refuse_transport(int status, std::string_view detail) override;

 private:
  acme::HttpResponse answer(const Route& route, const acme::HttpRequest& request,
                            const std::string& status_json) const;
  acme::HttpResponse audit_head() const;
  acme::HttpResponse order(const acme::HttpRequest& request) const;
  const ServiceConfig config_;
};

}  // namespace keyward::manage
