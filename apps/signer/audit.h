// Owns the signer's side of the ledger's signed heads: the counter at platform, the thread that
// makes heads when they are due, and the last one at an orderly stop. Must not know their form
// (firmware/audit). Threads: any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "apps/signer/configuration.h"
#include "apps/signer/loop.h"
#include "firmware/audit/notary.h"
#include "firmware/wire/messages/audit_head_get.h"

namespace keyward::signer {

class PlatformAnchor final : public audit::Anchor {
 public:
  explicit PlatformAnchor(task::Task& task) : task_(task) {}
  issue::Verdict<std::optional<std::uint64_t>> read() override;
  issue::Verdict<std::uint64_t> make() override;
  issue::Verdict<std::uint64_t> advance(std::uint64_t from, const Digest256& line) override;

 private:
  task::Task& task_;
};

class AuditKeeper {
 public:
  // Without an audit key in the configuration it does nothing and clears everything. kCorrupt,
  // kUnavailable, kBadInput (the audit certificate).
  static Result<std::unique_ptr<AuditKeeper>> open(const Configuration& config, task::Task& task,
                                                   issue::Ledger& ledger, hal::SigningToken& token,
                                                   InFlight& in_flight);
  ~AuditKeeper();

  // Empty: issuing may begin. Else why not, in words. Asks the platform at most every two seconds.
  std::string why_not();
  // An operator accepted that rows are lost; said once.
  bool take_accepted_loss();
  // Empty: heads are made in time. Else what is wrong with them, in words; issuing goes on.
  std::string trouble() const;
  // For who keeps heads elsewhere. "audit-head-none": none were made, or none are.
  issue::Verdict<wire::AuditHeadGetReply> newest() const;
  std::string words() const;  // how heads are made, for the state's detail
  void start();
  void end();        // no new head is begun
  void make_last();  // at an orderly stop, after end(), once nothing is under way

 private:
  AuditKeeper(task::Task& task, InFlight& in_flight, bool anchored);
  void run();
  void make(std::string_view cause);

  PlatformAnchor anchor_;
  InFlight& in_flight_;
  const bool anchored_;
  std::unique_ptr<audit::Notary> notary_;  // null: no audit key
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::string trouble_;
  std::string why_not_;
  std::int64_t next_check_ms_ = 0;
  bool accepted_loss_ = false;
};

}  // namespace keyward::signer
