#include "apps/store/loop.h"

#include <chrono>

#include "firmware/log/log.h"

namespace keyward::store {

Loop::Loop(std::unique_ptr<Store> store, std::string directory, Report report)
    : store_(std::move(store)), figures_(std::move(directory)), report_(std::move(report)) {}
Loop::~Loop() { stop(); }

template <class Request, class Method>
void Loop::on(task::Server& server, Method method) {
  server.on<Request>(
      wire::TaskId::kAcme,
      [this, method](const Request& request) -> task::Answer<typename Request::Reply> {
        if (!store_) {
          return task::refuse(wire::FailureKind::kCorrupt, "store-failed",
                              "the database could not be opened");
        }
        auto answer = (store_.get()->*method)(request);
        if (!answer && answer.error().kind >= wire::FailureKind::kCorrupt) {
          log::error("a request failed",
                     {{"code", answer.error().code}, {"detail", answer.error().detail}});
        }
        return answer;
      });
}

void Loop::register_handlers(task::Server& server) {
  on<wire::AccountPut>(server, &Store::account_put);
  on<wire::AccountGet>(server, &Store::account_get);
  on<wire::AccountUpdate>(server, &Store::account_update);
  on<wire::OrderPut>(server, &Store::order_put);
  on<wire::OrderGet>(server, &Store::order_get);
  on<wire::OrderList>(server, &Store::order_list);
  on<wire::OrderUpdate>(server, &Store::order_update);
  on<wire::AuthzGet>(server, &Store::authz_get);
  on<wire::AuthzUpdate>(server, &Store::authz_update);
  on<wire::ChallengeUpdate>(server, &Store::challenge_update);
  on<wire::CertificateGet>(server, &Store::certificate_get);
  on<wire::WorkList>(server, &Store::work_list);
  on<wire::AuthzPut>(server, &Store::authz_put);
  on<wire::AuthzFind>(server, &Store::authz_find);
  on<wire::CertificateFind>(server, &Store::certificate_find);
  on<wire::CertificateMark>(server, &Store::certificate_mark);
  on<wire::AccountRekey>(server, &Store::account_rekey);
  on<wire::RecoveryPut>(server, &Store::recovery_put);
  on<wire::RecoveryGet>(server, &Store::recovery_get);
  on<wire::RecoveryUpdate>(server, &Store::recovery_update);
  on<wire::MailPut>(server, &Store::mail_put);
  on<wire::MailTake>(server, &Store::mail_take);
  on<wire::MailDone>(server, &Store::mail_done);
}

void Loop::start() {
  tell();
  if (store_) thread_ = std::thread([this] { run(); });
}

void Loop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Loop::wait() {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, std::chrono::milliseconds(limits::kStoreFlushMs),
                            [this] { return stop_; });
}

// Says it once, when it changes.
void Loop::tell() {
  std::string state = "operational";
  std::string detail = "keeps accounts, orders and certificates";
  if (!store_ || store_->failed()) {
    state = "failed";
    detail = "the database is damaged, or made by a newer version: restore it from a backup";
  } else if (store_->filling()) {
    state = "degraded";
    detail = "nearly full: no new accounts and orders until space is made";
  }
  if (state == told_) return;
  told_ = state;
  report_(state, detail);
}

void Loop::run() {
  if (const auto whole = store_->check_integrity(); !whole)
    log::error("the database did not pass its check", whole.error());
  auto next_sweep = Deadline::after_ms(0);
  do {
    tell();
    figures_.take(*store_);
    if (store_->failed()) continue;
    if (const auto flushed = store_->flush(); !flushed)
      log::error("the database cannot be made durable", flushed.error());
    if (!next_sweep.passed()) continue;
    next_sweep = Deadline::after_ms(limits::kSweepIntervalMs);
    const auto swept = store_->sweep();
    if (swept) Figures::note(*swept);
    if (!swept) {
      log::warning("housekeeping failed",
                   {{"why", swept.error().what}, {"native", swept.error().native}});
    } else if (swept->all() > 0) {
      log::info("deleted what ended long ago", {{"orders", swept->orders},
                                                {"authorizations", swept->authorizations},
                                                {"certificates", swept->certificates},
                                                {"recoveries", swept->recoveries},
                                                {"notices", swept->mails}});
    }
  } while (wait());
}

}  // namespace keyward::store
