// acme -> store, at start: what was under way when acme last ended.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct PendingChallenge {
  std::string challenge_id;
  std::string authz_id;
  std::string account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "challenge_id", m.challenge_id, limits::kIdBytesMax);
    v(2, "authz_id", m.authz_id, limits::kIdBytesMax);
    v(3, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

struct PendingOrder {
  std::string ticket;
  std::string account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket", m.ticket, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

struct WorkListReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kWorkList) + 1);
  static constexpr std::string_view kName = "work-list-reply";
  std::vector<PendingChallenge> challenges;  // status processing
  std::vector<PendingOrder> orders;          // status processing
  std::vector<PendingOrder> renewals;        // RFC 8739: the next certificate is due
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "challenges", m.challenges, 256);
    v(2, "orders", m.orders, 256);
    v(3, "renewals", m.renewals, 256);
  }
};

struct WorkList {
  using Reply = WorkListReply;
  static constexpr MessageType kType = MessageType::kWorkList;
  static constexpr std::string_view kName = "work-list";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
