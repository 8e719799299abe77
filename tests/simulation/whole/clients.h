// Owns the simulated clients: good ones, which want certificates, try again until they have them,
// renew, revoke, change keys, give proofs back; and notice when something that they were promised is
// gone. Must not know the appliance's inside. Threads: one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "world.h"

namespace keyward::simulation {

class Client {
 public:
  Client(World& world, int index);
  // One request and what follows from its answer.
  void step();
  void want_certificate();  // begins another order
  // What a power cut took before the flush is not kept by it.
  void order_is_flushed() {
    if (!order_url_.empty() && cuts_at_order_ == world_.figures.power_cuts) order_kept_ = true;
  }
  bool satisfied() const { return gone_ || stage_ == Stage::kDone; }
  bool gone() const { return gone_; }
  std::string state() const;
  // Every certificate that it was given is there and the same.
  void check_certificates();
  std::vector<std::unique_ptr<Held>> held;

 private:
  enum class Stage { kAccount, kOrder, kProve, kFinalize, kPoll, kDownload, kDone };
  std::optional<acme::HttpResponse> send(const crypto::PrivateKey& key, bool by_key,
                                         const std::string& url, std::string payload);
  std::optional<acme::HttpResponse> post(const std::string& url, std::string payload);
  void make_account();
  void make_order();
  void prove();
  void finalize();
  void poll();
  void download();
  void live_on();
  void revoke();
  void change_key();
  void give_proof_back();
  void leave();
  void follow(const acme::HttpResponse& order);

  World& world_;
  int index_;
  std::string name_;
  crypto::PrivateKey key_;
  std::optional<crypto::PrivateKey> next_key_;  // of a change whose answer has not come
  std::optional<crypto::PrivateKey> certificate_key_;
  Stage stage_ = Stage::kAccount;
  std::string kid_;
  std::string order_url_;
  std::string finalize_url_;
  std::string certificate_url_;
  std::uint64_t cuts_at_order_ = 0;  // power cuts seen when the order was made
  bool order_kept_ = false;          // on the disk, as promised a second after the answer
  bool gone_ = false;                // has deactivated its account, or wants to
};

}  // namespace keyward::simulation
