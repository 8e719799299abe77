// Owns Pebble's management interface: the test CA's certificates and keys, and what became of a
// certificate. Must not know sockets, nor how anything is issued: it reads the signer's ledger.
// Threads: any. Source: Pebble's documentation of its management interface.
#pragma once

#include <string>

#include "apps/pebble/test_ca.h"
#include "firmware/acme/http.h"

namespace keyward::pebble {

class Management final : public acme::HttpHandler {
 public:
  Management(TestCa ca, std::string ledger_dir)
      : ca_(std::move(ca)), ledger_dir_(std::move(ledger_dir)) {}
  acme::HttpResponse handle(const acme::HttpRequest& request) override;
  std::size_t body_bytes_max(std::string_view, std::string_view) const override { return 0; }
  acme::HttpResponse refuse_transport(int status, std::string_view detail) override;

 private:
  acme::HttpResponse status_of(std::string_view serial_hex) const;
  TestCa ca_;
  std::string ledger_dir_;
};

}  // namespace keyward::pebble
