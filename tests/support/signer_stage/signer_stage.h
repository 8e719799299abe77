// Owns the real signer on a stage where the test plays everyone else: supervisor, acme, validation,
// attestation and platform, each with the raw end of its socket; the HSM is SoftHSM behind a shim
// that counts what the module really signed. Must not know what is attempted. A failure to set the
// stage ends the test program.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "firmware/issue/ledger_reader.h"
#include "firmware/task/server.h"
#include "firmware/wire/messages/anchor_advance.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/wire/messages/grant_name.h"
#include "firmware/wire/messages/time_get.h"
#include "tests/support/command/command.h"
#include "tests/support/issuing/issuing.h"
#include "tests/support/pkcs11_shim/shim_state.h"
#include "tests/support/softhsm/softhsm.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::test {

class SignerStage {
 public:
  // `extra_toml`: lines for the signer's own section (permitted_dns, budgets.* ...). Without
  // "crl_hours" in it no revocation lists are made: their signatures come when they are due, and
  // would be counted at odds with the step that a test looks at.
  // `pkcs11_toml`: likewise for [pkcs11].
  explicit SignerStage(std::string extra_toml = "", std::string pkcs11_toml = "");
  ~SignerStage();

  void start(const std::string& state = "operational");  // and waits until the signer says so
  int stop();                                            // in order; its exit status
  int wait_exit(std::int64_t timeout_ms = 20'000);
  void kill();   // -9
  bool alive();  // it still answers

  // A request on an edge and its reply. "lost": the signer ended.
  template <class Request>
  task::Answer<typename Request::Reply> call(wire::TaskId edge, const Request& request) {
    send(edge, wire::encode_frame(++last_id_, request));
    return receive<typename Request::Reply>(edge);
  }
  template <class Reply>
  task::Answer<Reply> receive(wire::TaskId edge) {
    auto body = receive_body(edge, Reply::kType);
    if (!body) return tl::unexpected<wire::Failure>(body.error());
    auto reply = wire::decode_body<Reply>(*body);
    if (!reply) return task::refuse(wire::FailureKind::kInternal, "bad-reply", reply.error().what);
    return std::move(*reply);
  }
  // Octets as they are; larger than a frame may be, if wanted.
  void send(wire::TaskId edge, ByteView datagram, std::span<const int> descriptors = {});
  std::uint64_t next_id() { return ++last_id_; }

  // Signatures that the module made, beside the self-test at each login, over all runs of the
  // signer.
  std::uint64_t signatures() const;
  issue::LedgerSummary ledger() const;
  const crypto::PublicKey& issuer_key() const { return *issuer_key_; }
  std::string state_directory() const { return directory_.path("state"); }
  // The platform's counter, and whether the platform answers for it.
  struct Counter {
    std::atomic<std::uint64_t> value = 0;  // 0: not made yet
    std::atomic<bool> away = false;
  };
  Counter& counter() { return counter_; }
  // How far the platform says that the clock is trusted (hal::TimeLevel).
  std::atomic<std::uint64_t>& time_level() { return time_level_; }
  bool wait_state(const std::string& state) { return process_.wait_state(state); }
  std::int64_t wait_metric(const std::string& name, const std::string& labels,
                           std::int64_t at_least) {
    return process_.wait_metric(name, labels, at_least);
  }
  std::string ledger_directory() const { return directory_.path("state/ledger"); }
  std::string log() const { return log_text(directory_.path("signer.log")); }
  ShimControl& shim() { return *shim_; }
  pid_t pid() const { return process_.pid(); }

  // What validation and attestation would send.
  task::Answer<wire::GrantNameReply> prove(const TestClient& client,
                                           const wire::Identifier& identifier,
                                           std::int64_t lifetime_ms = 3'600'000);
  task::Answer<wire::GrantDeviceReply> attest(const TestClient& client,
                                              const wire::Identifier& identifier,
                                              const std::string& ticket,
                                              const crypto::PublicKey& key,
                                              std::int64_t lifetime_ms = 3'600'000);

 private:
  task::Answer<Bytes> receive_body(wire::TaskId edge, wire::MessageType type);
  std::string config() const;
  void make_key();

  task::Answer<wire::AnchorAdvanceReply> advance(const wire::AnchorAdvance& request);

  TempDir directory_;
  Counter counter_;
  std::atomic<std::uint64_t> time_level_ = 0;
  std::string extra_toml_;
  std::string pkcs11_toml_;
  SoftHsm softhsm_;
  std::unique_ptr<ShimControl> shim_;
  std::optional<crypto::PublicKey> issuer_key_;
  TaskProcess process_;
  task::Server& platform_ = *immortal(std::make_unique<task::Server>());
  std::map<wire::TaskId, UniqueFd> ends_;
  std::uint64_t last_id_ = 0;
  std::uint64_t before_ = 0;    // signatures of runs that have ended
  std::uint64_t baseline_ = 0;  // the shim's count when this run became operational
  bool running_ = false;
};

}  // namespace keyward::test
