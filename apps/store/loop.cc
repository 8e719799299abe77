#include "apps/store/loop.h"

#include <chrono>

#include "firmware/log/log.h"
#include "firmware/wire/messages/account_rekey.h"
#include "firmware/wire/messages/authz_find.h"
#include "firmware/wire/messages/authz_put.h"
#include "firmware/wire/messages/certificate_find.h"
#include "firmware/wire/messages/certificate_mark.h"
#include "firmware/wire/messages/mail_done.h"
#include "firmware/wire/messages/mail_put.h"
#include "firmware/wire/messages/mail_take.h"
#include "firmware/wire/messages/recovery_get.h"
#include "firmware/wire/messages/recovery_put.h"
#include "firmware/wire/messages/recovery_update.h"

namespace keyward::store {

Loop::Loop(std::unique_ptr<Store> store, Report report)
    : store_(std::move(store)), report_(std::move(report)) {}
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
  server.on<wire::AuthzPut>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::AuthzPutReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::AuthzFind>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::AuthzFindReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::CertificateFind>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::CertificateFindReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::CertificateMark>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::CertificateMarkReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::AccountRekey>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::AccountRekeyReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::RecoveryPut>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::RecoveryPutReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::RecoveryGet>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::RecoveryGetReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::RecoveryUpdate>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::RecoveryUpdateReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::MailPut>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::MailPutReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::MailTake>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::MailTakeReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
  server.on<wire::MailDone>(
      wire::TaskId::kAcme, [](const auto&) -> task::Answer<wire::MailDoneReply> {
        return task::refuse(wire::FailureKind::kRefused, "not-served", "not served");
      });
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
    if (store_->failed()) continue;
    if (const auto flushed = store_->flush(); !flushed)
      log::error("the database cannot be made durable", flushed.error());
    if (!next_sweep.passed()) continue;
    next_sweep = Deadline::after_ms(limits::kSweepIntervalMs);
    const auto swept = store_->sweep();
    if (!swept) {
      log::warning("housekeeping failed",
                   {{"why", swept.error().what}, {"native", swept.error().native}});
    } else if (swept->orders + swept->certificates > 0) {
      log::info("deleted what ended long ago",
                {{"orders", swept->orders}, {"certificates", swept->certificates}});
    }
  } while (wait());
}

}  // namespace keyward::store
