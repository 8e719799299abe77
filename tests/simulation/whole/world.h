// Owns the simulated appliance: the real gate, store and ACME service in one process, on a simulated
// disk, clock and token; the messages between them, and everything that may befall them. Must not
// know what clients do. Threads: one.
//
// Each task may end at any message and at any call to the disk: what was done until then stands
// (less what was not synced, when the power failed), and nothing that the dead task does afterwards
// has an effect. It is taken down for good, and started again, between two steps.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "firmware/acme/service.h"
#include "firmware/issue/gate.h"
#include "firmware/jose/jws.h"
#include "firmware/store/store.h"
#include "tests/support/issuing/issuing.h"

#include "disk.h"

namespace keyward::simulation {

inline constexpr std::string_view kBase = "https://ca.sim:14000";

// Planted by a test, to show that the simulation finds such.
enum class Bug {
  kNone,
  kOutcomeNotSynced,   // the ledger's outcome row is not on the disk when the answer leaves
  kIntentNotSynced,    // nor the intent when the token signs
  kWithdrawalIgnored,  // a deactivated authorization's grant stays
  kAccountNotSynced,   // the store answers before its log is on the disk
  kTicketForgotten,    // the same finalize again costs, and gives, another signature
};

struct Figures {
  std::uint64_t steps = 0;
  std::uint64_t certificates = 0;
  std::uint64_t revocations = 0;
  std::uint64_t crashes = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t messages_lost = 0;
  std::uint64_t token_losses = 0;
  void add(const Figures& other);
};

struct World;

// One task's life.
struct Life {
  std::string name;
  std::string folder{};
  int generation = 0;
  bool dead = false;
  int down_steps = 0;  // until it is started again
};

class Token final : public hal::SigningToken {
 public:
  explicit Token(World& world) : world_(world) {}
  Status unlock(SecretBytes) override { return {}; }
  Result<hal::TokenKey> find_key(std::string_view label) override;
  Result<hal::TokenKey> generate_key(std::string_view, hal::KeyAlgorithm) override {
    return fail(ErrorKind::kRefused, "a simulated token");
  }
  Result<Bytes> sign(std::string_view, ByteView message, Deadline, hal::SignPriority) override;
  Result<Bytes> random(std::size_t) override { return fail(ErrorKind::kRefused, "simulated"); }
  bool supports(hal::KeyAlgorithm) override { return true; }
  hal::TokenStatus status() override;
  bool away = false;
  std::set<Digest256> signed_messages;

 private:
  World& world_;
};

struct StoreLink;
struct SignerLink;
struct ValidationLink;
struct AttestationLink;

// A certificate that a client has in its hands.
struct Held {
  Bytes leaf;
  Bytes serial;
  std::string url;
  bool revoked = false;  // the client was told so
};

struct World {
  World(std::uint64_t seed, Bug bug, bool print);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The answer, or none: the service is not there, ended meanwhile, or the connection broke.
  std::optional<acme::HttpResponse> http(const acme::HttpRequest& request);

  // ---- what befalls the appliance; each one step
  void fault();
  void calm();  // no faults from here on; what is away comes back
  void turn();  // the service's background work
  void tick();  // a second's housekeeping: flush, list of revoked, unfinished work
  void reap();  // takes dead tasks down and starts those whose time has come
  void advance_ms(std::int64_t ms, bool utc_too = true);

  // ---- truth to compare with
  void violate(const std::string& what);
  void note(const std::string& what);
  void granted(const Digest256& thumbprint, const std::string& name, std::int64_t until_ms);
  void withdrawn(const std::string& name);
  void check_ledger(const std::string& folder);
  void check_list();
  void check_end();

  // A finalize that a client signed and a broken front end keeps, and hands on late.
  void hold_back(const std::string& account_jwk, const jose::FlattenedJws& jws,
                 const std::string& order_url);

  // A message from one task to another (`to`); `call` is what the other does.
  template <class Request, class Call>
  acme::Answer<typename Request::Reply> deliver(Life& to, const Request& request, Call call);
  void crash_point();
  void power_cut();
  void end_task(Life& life, bool power);
  bool faulty(unsigned per_thousand) { return faults && random.below(1000) < per_thousand; }

  Random random;
  const Bug bug;
  const bool print;
  bool faults = true;
  bool starting = false;
  std::string root;
  std::string violation;
  std::uint64_t trace = 0xcbf29ce484222325U;
  Figures figures;
  std::int64_t utc_ms;
  std::int64_t utc_max_ms;
  std::int64_t monotonic_ms = 1'000'000;
  std::int64_t armed_calls = 0;
  Life* victim = nullptr;  // of the armed crash; null: the power
  Life signer{"signer"}, store_task{"store"}, acme_task{"acme"};
  Token token{*this};
  std::set<std::string> names;                                            // of all clients
  std::map<std::pair<std::string, Digest256>, std::int64_t> live_grants;  // until
  std::vector<const Held*> held;
  std::map<std::string, Bytes> leaf_of_finalize;  // by the digest of the finalize
  std::deque<wire::CertificateIssue> late;        // sent, and not yet arrived
  std::deque<wire::CertificateIssue> answered;
  std::map<std::string, Bytes> terms_of;  // an order's, by its ticket
  std::uint64_t signatures = 0;
  std::uint64_t signatures_at_sync = 0;
  std::uint64_t withdrawals = 0;
  std::function<void()> flushed;

  std::unique_ptr<store::Store> store;
  std::unique_ptr<issue::Gate> gate;
  std::unique_ptr<StoreLink> store_link;
  std::unique_ptr<SignerLink> signer_link;
  std::unique_ptr<ValidationLink> validation_link;
  std::unique_ptr<AttestationLink> attestation_link;
  std::unique_ptr<acme::Service> service;

 private:
  void start(Life& life);
  void start_signer();
  void start_store();
  void start_acme();
  bool sync_left_out(const std::string& path);
  void deliver_again(std::deque<wire::CertificateIssue>& queue, bool answered_before);
};

}  // namespace keyward::simulation
