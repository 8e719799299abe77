// Owns what all resources of the ACME service share. Must not know HTTP's transport.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "firmware/acme/accounts.h"
#include "firmware/acme/backend.h"
#include "firmware/acme/crl.h"
#include "firmware/acme/incident_book.h"
#include "firmware/acme/jobs.h"
#include "firmware/acme/pages.h"
#include "firmware/acme/problem.h"
#include "firmware/acme/rate_limits.h"
#include "firmware/acme/render.h"
#include "firmware/operate/operators.h"
#include "hal/base/clock.h"

namespace keyward::acme {

struct ServiceConfig {
  std::string base_url;           // "https://host:port", no trailing slash
  std::string terms_of_service;   // URL; empty: no agreement is asked for
  std::string website;            // URL or empty
  std::string state_dir;          // holds the nonce key
  std::int64_t order_poll_s = 1;  // Retry-After of what is processing
  RatePolicy rates;               // section [rate_limits]
  bool cors = true;               // scripts of any origin may use the service (RFC 8555 §6.1)

  // Accounts.
  // "ask": who agreed to other terms cannot order until they agree again; "continue".
  std::string terms_change = "ask";
  // Whose signed orders revoke an account or give it another key at the unit; absent: whoever can
  // write the request (account_desk.h).
  std::optional<operate::Operators> operators{};
  bool recovery = false;  // another key for an account whose key was lost
  std::vector<std::string> recovery_methods = {"contact", "binding", "certificate"};
  std::int64_t recovery_cooling_ms = 24LL * 3'600'000;  // between the proof and the new key

  // Authorizations.
  bool authz_reuse = true;                  // a valid one of a name serves further orders (D-A9)
  std::int64_t authz_reuse_ms = 3'600'000;  // if it lives at least so much longer
  int validation_tries = 3;                 // looks before a challenge is invalid (RFC 8555 §8.2)
  std::int64_t validation_retry_ms = 5'000;
  // No further look is begun so long after the first: of a host that is silent each look is long.
  std::int64_t validation_patience_ms = limits::kValidationPatienceMs;
  // For another verifier that is away (remote-attest-01, D-R10).
  std::int64_t relay_patience_ms = limits::kRelayPatienceMs;
  bool respond_200_invalid = false;  // a failed attestation is answered 200 (D-D2)
  bool subdomain_auth = false;       // RFC 9444
  std::string token_authority;       // hint in tkauth-01 challenges (RFC 9447 §3); empty: none

  // Renewal information (RFC 9773).
  std::int64_t renewal_start_percent = 67;  // of a certificate's life, when the window begins
  std::int64_t renewal_poll_s = 21'600;     // Retry-After, §4.3

  // Tenants and to whose accounts each delegates its newOrder (D-T4). A name is as long as
  // limits::kTenantBytesMax at most, of characters that an id may have.
  std::map<std::string, std::vector<std::string>, std::less<>> tenants;
  // The vendor's token may also be posted to the authorization, as the slides show (D-T2).
  bool jwt_at_authorization = false;

  // Directory, "meta".
  std::vector<std::string> caa_identities;
  std::vector<std::string> persist_issuers;  // dns-persist-01; empty: that method is not offered
  std::string account_hash_prefix;           // dns-persist-01

  // Tests alone: no threads; Service::turn() does the work (docs/simulation.md).
  bool background_threads = true;

  // Simulators alone (apps/acme refuses them elsewhere): what clients of other servers expect.
  std::string directory_alias;    // a second path of the directory; empty: none
  int nonce_reject_percent = 0;   // good nonces that are refused all the same, to try clients
  int authz_reuse_percent = 100;  // of the chances to reuse an authorization, those that are taken
  std::uint64_t orders_page = 0;  // orders on one page; 0: limits::kOrdersPageMax
};

// What the signer last said about itself. Threads: any.
class IssuerInfo {
 public:
  using Ptr = std::shared_ptr<const wire::IssuerGetReply>;
  void set(wire::IssuerGetReply reply) {
    auto fresh = std::make_shared<const wire::IssuerGetReply>(std::move(reply));
    const std::lock_guard lock(mutex_);
    info_ = std::move(fresh);
  }
  Ptr get() const {  // null: it has not answered yet
    const std::lock_guard lock(mutex_);
    return info_;
  }

 private:
  mutable std::mutex mutex_;
  Ptr info_;
};

// Orders whose certificate is being asked for right now, by ticket: two askers at once would only
// make the signer answer twice.
class InFlight {
 public:
  class Guard {
   public:
    Guard(InFlight& owner, std::string ticket) : owner_(&owner), ticket_(std::move(ticket)) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
      const std::lock_guard lock(owner_->mutex_);
      owner_->tickets_.erase(ticket_);
    }

   private:
    InFlight* owner_;
    std::string ticket_;
  };
  // Null: another asker is at it.
  std::unique_ptr<Guard> enter(const std::string& ticket) {
    const std::lock_guard lock(mutex_);
    if (!tickets_.insert(ticket).second) return nullptr;
    return std::make_unique<Guard>(*this, ticket);
  }
  bool has(const std::string& ticket) {
    const std::lock_guard lock(mutex_);
    return tickets_.contains(ticket);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> tickets_;
};

struct Context {
  Context(ServiceConfig config_in, Backend backend_in, const Clock& clock_in)
      : config(std::move(config_in)),
        urls(config.base_url),
        backend(backend_in),
        clock(clock_in),
        accounts(limits::kAccountCacheMax),
        rates(config.rates, clock),
        page_key(open_page_key(config.state_dir + "/page.key")),
        incidents(config.state_dir) {}
  const ServiceConfig config;
  const Urls urls;
  const Backend backend;
  const Clock& clock;
  AccountCache accounts;
  RateLimits rates;
  const SecretBytes page_key;  // binds the addresses and codes that are told to people
  std::mutex recovery_mutex;   // a veto and the end of a recovery, one after the other
  IncidentBook incidents;
  InFlight in_flight;
  IssuerInfo issuer;
  CrlCache crl;
  // Last, so that their threads end before what the jobs use.
  JobQueue validations{config.background_threads ? limits::kValidationJobThreads : 0,
                       limits::kBackgroundJobsMax};
  JobQueue issuances{config.background_threads ? limits::kIssueJobThreads : 0,
                     limits::kBackgroundJobsMax};
};

// What the signer last said; it is asked when it has not answered yet.
Answer<IssuerInfo::Ptr> issuer_info(Context& context);

// From the cache, else from the store. Null: there is no such account.
Answer<AccountPtr> load_account(Context& context, const std::string& id);

}  // namespace keyward::acme
