// Owns what all resources of the ACME service share. Must not know HTTP's transport.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "firmware/acme/accounts.h"
#include "firmware/acme/backend.h"
#include "firmware/acme/jobs.h"
#include "firmware/acme/problem.h"
#include "firmware/acme/render.h"
#include "hal/base/clock.h"

namespace keyward::acme {

struct ServiceConfig {
  std::string base_url;           // "https://host:port", no trailing slash
  std::string terms_of_service;   // URL; empty: no agreement is asked for
  std::string website;            // URL or empty
  std::string state_dir;          // holds the nonce key
  std::int64_t order_poll_s = 1;  // Retry-After of what is processing
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
        accounts(limits::kAccountCacheMax) {}
  const ServiceConfig config;
  const Urls urls;
  const Backend backend;
  const Clock& clock;
  AccountCache accounts;
  InFlight in_flight;
  // Last, so that their threads end before what the jobs use.
  JobQueue validations{limits::kValidationJobThreads, limits::kBackgroundJobsMax};
  JobQueue issuances{limits::kIssueJobThreads, limits::kBackgroundJobsMax};
};

// From the cache, else from the store. Null: there is no such account.
Answer<AccountPtr> load_account(Context& context, const std::string& id);

}  // namespace keyward::acme
