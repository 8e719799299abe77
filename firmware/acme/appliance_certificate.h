// Owns the appliance's own TLS certificate: gets it from its own CA through the same gate as every
// client, keeps it, renews it at two thirds of its life. Must not know TLS or the HTTPS server.
//
// On disk, in state_dir, mode 0600: "appliance-account.pem" (ES256 account key) and
// "appliance-identity.pem" (TLS key and chain in one file, so that both change at once). A damaged
// or unfitting file is made again. While signer or HSM are away it tries again with back-off, and
// the present certificate stays in use. Threads: start and stop once from one thread; the callback
// is called from the object's own thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "firmware/acme/backend.h"
#include "firmware/acme/http.h"
#include "firmware/acme/render.h"
#include "firmware/jose/jwk.h"
#include "hal/base/clock.h"

namespace keyward::acme {

struct ApplianceOptions {
  std::string base_url;
  std::vector<std::string> names;  // dns names and ip addresses
  std::string state_dir;
  std::int64_t retry_ms_min = limits::kJobBackoffMsMin;
};

// What is on disk, read and found good.
struct ApplianceIdentity {
  TlsIdentity tls;
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
  Bytes issuer_der;  // the issuing CA's certificate; empty: the chain has the leaf alone
};

class ApplianceCertificate {
 public:
  using Publish = std::function<void(const TlsIdentity&)>;
  using Report = std::function<void(std::string_view state, std::string_view detail)>;

  ApplianceCertificate(ApplianceOptions options, Backend backend, const Clock& clock,
                       Publish publish, Report report);
  ~ApplianceCertificate();
  ApplianceCertificate(const ApplianceCertificate&) = delete;
  ApplianceCertificate& operator=(const ApplianceCertificate&) = delete;

  void start();
  void stop();

  // One round, as the thread does it: publishes what is on disk, or gets a certificate.
  // The value: milliseconds until the next round. Public for tests.
  std::int64_t round();

 private:
  struct Order;  // one under way, kept over tries so that the signer answers with the same
                 // certificate
  Result<ApplianceIdentity> load() const;
  bool is_due(const ApplianceIdentity& identity);
  void publish(const ApplianceIdentity& identity);
  Answer<ApplianceIdentity> renew();
  Result<jose::Jwk> account();
  Answer<wire::CertificateIssueReply> obtain();
  Status open_order(const std::vector<wire::Identifier>& names, wire::TicketMintReply minted);
  Status keep(const wire::CertificateIssueReply& made);
  void run();

  const ApplianceOptions options_;
  const Urls urls_;
  const Backend backend_;
  const Clock& clock_;
  const Publish publish_;
  const Report report_;
  std::optional<crypto::PrivateKey> account_key_;
  std::unique_ptr<Order> order_;
  std::string published_pem_;  // chain last handed out; empty: none
  Bytes issuer_of_renewal_;    // who issued when it was renewed last: never renewed twice for one
                               // change
  int failures_ = 0;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace keyward::acme
