// Owns the signer's inbox of operators' orders: files in its own state folder, so that an operator
// can order something at the unit itself, without the admin task (docs/operations/orders.md). Must
// not know what an order means. Whoever may write there can only bring what an operator signed.
//
//   orders/inbox/NAME.jws    taken, carried out or refused, and removed
//   orders/done/NAME.json    the answer; the newest kOperatorAnswersKeptMax stay
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "apps/signer/loop.h"

namespace keyward::signer {

class OrderInbox {
 public:
  OrderInbox(issue::Gate& gate, InFlight& in_flight, const std::string& state_dir)
      : gate_(gate),
        in_flight_(in_flight),
        inbox_(state_dir + "/orders/inbox"),
        done_(state_dir + "/orders/done") {}
  ~OrderInbox() { end(); }
  // kUnavailable: the folders cannot be made.
  Status start();
  void end();

 private:
  void run();
  void take(const std::string& name);
  std::string carry_out(const std::string& path) const;
  void drop_old_answers() const;

  issue::Gate& gate_;
  InFlight& in_flight_;
  const std::string inbox_, done_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
};

}  // namespace keyward::signer
