#include "world.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <stdlib.h>

#include "firmware/acme/nonces.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/grant_name.h"
#include "hal/base/rng.h"

#include "chance.h"

namespace keyward::simulation {
namespace {

constexpr std::int64_t kBeginMs = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

wire::Failure away() {
  return wire::Failure::of(wire::FailureKind::kUnavailable, "peer-away", "the task is not there");
}

// One CA key for all seeds: making it is no part of what is simulated.
struct Authority {
  Authority() : key(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)) {
    ca = keyward::test::make_test_ca(key.public_key().spki_der());
  }
  crypto::PrivateKey key;
  keyward::test::TestCa ca;
};
const Authority& authority() {
  static const Authority kAuthority;
  return kAuthority;
}

std::string memory_folder() {
  std::string name = "/dev/shm/keyward-simulation-XXXXXX";
  if (::mkdtemp(name.data()) != nullptr) return name;
  name = "/tmp/keyward-simulation-XXXXXX";
  return ::mkdtemp(name.data()) != nullptr ? name : std::string();
}

bool contains(ByteView octets, ByteView part) {
  return std::search(octets.begin(), octets.end(), part.begin(), part.end()) != octets.end();
}

std::string text(const Digest256& digest) { return std::string(digest.begin(), digest.end()); }

}  // namespace

void Figures::add(const Figures& other) {
  steps += other.steps;
  certificates += other.certificates;
  revocations += other.revocations;
  crashes += other.crashes;
  power_cuts += other.power_cuts;
  messages_lost += other.messages_lost;
  token_losses += other.token_losses;
}

// ---- messages

template <class Request, class Call>
acme::Answer<typename Request::Reply> World::deliver(Life& to, const Request& request, Call call) {
  using Reply = acme::Answer<typename Request::Reply>;
  crash_point();
  if (acme_task.dead || to.dead) return Reply(tl::unexpected<wire::Failure>(away()));
  if constexpr (std::is_same_v<Request, wire::CertificateIssue>) {
    if (faulty(60)) {  // it lies in the socket until after the caller's deadline
      ++figures.messages_lost;
      late.push_back(request);
      return Reply(tl::unexpected<wire::Failure>(away()));
    }
  }
  auto answer = call();
  crash_point();
  if (acme_task.dead || to.dead) return Reply(tl::unexpected<wire::Failure>(away()));
  if (faulty(20)) {  // the answer comes after the caller's deadline
    ++figures.messages_lost;
    return Reply(tl::unexpected<wire::Failure>(away()));
  }
  return answer;
}

#define KEYWARD_TO_STORE(Request, call)                                                   \
  acme::Answer<wire::Request::Reply> ask(const wire::Request& m, std::int64_t) override { \
    return world.deliver(world.store_task, m, [&] { return world.store->call(m); });      \
  }
struct StoreLink final : acme::StoreBackend {
  explicit StoreLink(World& w) : world(w) {}
  using acme::StoreBackend::ask;
  KEYWARD_TO_STORE(AccountPut, account_put)
  KEYWARD_TO_STORE(AccountGet, account_get)
  KEYWARD_TO_STORE(AccountUpdate, account_update)
  KEYWARD_TO_STORE(AccountRekey, account_rekey)
  KEYWARD_TO_STORE(OrderPut, order_put)
  KEYWARD_TO_STORE(OrderGet, order_get)
  KEYWARD_TO_STORE(OrderUpdate, order_update)
  KEYWARD_TO_STORE(OrderList, order_list)
  KEYWARD_TO_STORE(AuthzPut, authz_put)
  KEYWARD_TO_STORE(AuthzGet, authz_get)
  KEYWARD_TO_STORE(AuthzFind, authz_find)
  KEYWARD_TO_STORE(AuthzUpdate, authz_update)
  KEYWARD_TO_STORE(ChallengeUpdate, challenge_update)
  KEYWARD_TO_STORE(CertificateGet, certificate_get)
  KEYWARD_TO_STORE(CertificateFind, certificate_find)
  KEYWARD_TO_STORE(CertificateMark, certificate_mark)
  KEYWARD_TO_STORE(WorkList, work_list)
  World& world;
};
#undef KEYWARD_TO_STORE

#define KEYWARD_TO_SIGNER(Request, call)                                                  \
  acme::Answer<wire::Request::Reply> ask(const wire::Request& m, std::int64_t) override { \
    return world.deliver(world.signer, m, [&] { return world.gate->call(m); });           \
  }
struct SignerLink final : acme::SignerBackend {
  explicit SignerLink(World& w) : world(w) {}
  using acme::SignerBackend::ask;
  KEYWARD_TO_SIGNER(KeyChange, change_key)
  KEYWARD_TO_SIGNER(CertificateRevoke, revoke)
  KEYWARD_TO_SIGNER(OrderCancel, cancel_order)
  acme::Answer<wire::TicketMintReply> ask(const wire::TicketMint& m, std::int64_t) override {
    auto minted = world.deliver(world.signer, m, [&] { return world.gate->mint_ticket(m); });
    if (minted) world.terms_of[minted->ticket] = minted->terms;
    return minted;
  }
  acme::Answer<wire::IssuerGetReply> ask(const wire::IssuerGet& m, std::int64_t) override {
    return world.deliver(world.signer, m, [&] { return world.gate->issuer_chain(); });
  }
  acme::Answer<wire::CertificateIssueReply> ask(const wire::CertificateIssue& m,
                                                std::int64_t) override {
    auto answer = world.deliver(world.signer, m, [&] { return world.gate->issue(m); });
    if (answer) {
      world.leaf_of_finalize[text(crypto::sha256(wire::encode_body(m.jws)))] = answer->chain.at(0);
      world.answered.push_back(m);
      if (world.answered.size() > 8) world.answered.pop_front();
    }
    return answer;
  }
  acme::Answer<wire::GrantWithdrawReply> ask(const wire::GrantWithdraw& m, std::int64_t) override {
    if (world.bug == Bug::kWithdrawalIgnored) {
      world.withdrawn(m.identifier.value);
      return wire::GrantWithdrawReply{};
    }
    return world.deliver(world.signer, m, [&]() -> acme::Answer<wire::GrantWithdrawReply> {
      auto answer = world.gate->withdraw_grants(m);
      if (answer && !world.signer.dead) world.withdrawn(m.identifier.value);
      return answer;
    });
  }
  World& world;
};
#undef KEYWARD_TO_SIGNER

// Validation, reduced to the maker of grants: each client holds its own name.
struct ValidationLink final : acme::ValidationBackend {
  explicit ValidationLink(World& w) : world(w) {}
  using acme::ValidationBackend::ask;
  acme::Answer<wire::NameTokenMintReply> ask(const wire::NameTokenMint&, std::int64_t) override {
    if (world.acme_task.dead) return tl::unexpected<wire::Failure>(away());
    return wire::NameTokenMintReply{random_id(32)};
  }
  acme::Answer<wire::NameValidateReply> ask(const wire::NameValidate& m, std::int64_t) override {
    wire::GrantName grant;
    grant.thumbprint = m.thumbprint;
    grant.identifier = m.identifier;
    grant.method = m.method;
    grant.expires_at_ms =
        world.utc_ms + (1 + static_cast<std::int64_t>(world.random.below(100))) * kHourMs;
    auto made = world.deliver(world.signer, grant, [&] {
      world.granted(m.thumbprint, m.identifier.value, grant.expires_at_ms);
      return world.gate->grant_name(grant);
    });
    if (!made) return tl::unexpected<wire::Failure>(made.error());
    return wire::NameValidateReply{std::nullopt, world.utc_ms, grant.expires_at_ms};
  }
  World& world;
};

struct AttestationLink final : acme::AttestationBackend {};

// ---- the token

Result<hal::TokenKey> Token::find_key(std::string_view label) {
  return hal::TokenKey{std::string(label),
                       hal::KeyAlgorithm::kEcdsaP256,
                       authority().key.public_key().spki_der(),
                       true,
                       false,
                       true,
                       true,
                       true};
}

hal::TokenStatus Token::status() {
  hal::TokenStatus out;
  out.state = away ? hal::TokenState::kAway : hal::TokenState::kReady;
  return out;
}

// Where all promises meet: what is signed here is signed for ever.
Result<Bytes> Token::sign(std::string_view, ByteView message, Deadline, hal::SignPriority) {
  world_.crash_point();
  if (away || world_.signer.dead) return fail(ErrorKind::kUnavailable, "the token is away");
  if (Disk::instance().has_unsynced(world_.signer.folder + "/ledger/"))
    world_.violate("a signature whose intent is not on the disk");
  if (!signed_messages.insert(crypto::sha256(message)).second)
    world_.violate("the same octets signed twice");
  for (const auto& name : world_.names) {
    if (!contains(message, view_of(name))) continue;
    const auto live =
        std::any_of(world_.live_grants.begin(), world_.live_grants.end(), [&](const auto& grant) {
          return grant.first.first == name && grant.second > world_.utc_ms;
        });
    if (!live) world_.violate("a certificate for " + name + " without a live grant");
  }
  ++world_.signatures;
  auto signature = authority().key.sign(crypto::SignatureScheme::kEcdsa,
                                        crypto::HashAlgorithm::kSha256, message);
  if (world_.faulty(30)) return fail(ErrorKind::kUnavailable, "the session was lost");
  return signature;
}

// ---- a planted bug

namespace {
Bug planted = Bug::kNone;
std::uint8_t forgotten = 0;
}  // namespace

extern "C" {
// NOLINTBEGIN(readability-identifier-naming)
issue::Verdict<issue::IssuedOrders::Claim>
__real__ZN7keyward5issue12IssuedOrders5claimERKNS0_8OrderKeyEll(issue::IssuedOrders* orders,
                                                                const issue::OrderKey& key,
                                                                std::int64_t now_ms,
                                                                std::int64_t wait_ms);
// Stands before IssuedOrders::claim(): with the bug, each call looks like another order.
issue::Verdict<issue::IssuedOrders::Claim>
__wrap__ZN7keyward5issue12IssuedOrders5claimERKNS0_8OrderKeyEll(issue::IssuedOrders* orders,
                                                                const issue::OrderKey& key,
                                                                std::int64_t now_ms,
                                                                std::int64_t wait_ms) {
  auto asked = key;
  if (planted == Bug::kTicketForgotten) asked.ticket_id[0] = ++forgotten;
  return __real__ZN7keyward5issue12IssuedOrders5claimERKNS0_8OrderKeyEll(orders, asked, now_ms,
                                                                         wait_ms);
}
// NOLINTEND(readability-identifier-naming)
}

// ---- lives

World::World(std::uint64_t seed, Bug bug_in, bool print_in)
    : random(seed), bug(bug_in), print(print_in), utc_ms(kBeginMs), utc_max_ms(kBeginMs) {
  planted = bug;
  Disk::instance().clear();
  begin_chance(0, kBeginMs);
  (void)authority();  // the same for all seeds
  begin_chance(seed, kBeginMs);
  root = memory_folder();
  Disk::instance().on_call = [this](const std::string&) { crash_point(); };
  Disk::instance().leave_sync_out = [this](const std::string& path) { return sync_left_out(path); };
  store_link = std::make_unique<StoreLink>(*this);
  signer_link = std::make_unique<SignerLink>(*this);
  validation_link = std::make_unique<ValidationLink>(*this);
  attestation_link = std::make_unique<AttestationLink>();
  for (auto* life : {&signer, &store_task, &acme_task}) {
    life->folder = root + "/" + life->name + ".0";
    std::filesystem::create_directories(life->folder);
    start(*life);
  }
}

World::~World() {
  Disk::instance().clear();
  service.reset();
  gate.reset();
  store.reset();
  end_chance();
  std::filesystem::remove_all(root);
}

void World::start(Life& life) {
  life.dead = false;
  Disk::instance().attach(life.folder);
  if (&life == &signer) start_signer();
  if (&life == &store_task) start_store();
  if (&life == &acme_task) start_acme();
}

void World::start_signer() {
  issue::GateConfig config;
  config.base_url = kBase;
  config.key_label = "issuing";
  config.account_per_hour = 1'000;
  config.overall_per_hour = 10'000;
  config.crl_validity_ms = 24 * kHourMs;
  config.ledger_segment_bytes_max = 64 * 1024;
  auto server = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  config.profiles = {server};
  auto issuer = issue::load_issuer(authority().ca.chain_pem, utc_ms);
  auto opened = issue::Gate::open(signer.folder, config, std::move(*issuer), token, system_clock());
  if (!opened) {
    if (!signer.dead) violate("the signer does not start: " + std::string(opened.error().what));
    return;
  }
  gate = std::move(*opened);
  gate->set_key_ready(true);
}

void World::start_store() {
  store::Options options;
  options.directory = store_task.folder;
  options.readers = 1;
  auto opened = store::Store::open(options, system_clock());
  if (!opened) {
    if (!store_task.dead) violate("the store does not start: " + std::string(opened.error().what));
    return;
  }
  store = std::move(*opened);
}

void World::start_acme() {
  acme::ServiceConfig config;
  config.base_url = kBase;
  config.state_dir = acme_task.folder;
  config.background_threads = false;
  config.rates.per_hour.fill(0);
  auto nonces = acme::Nonces::open(config.state_dir + "/nonce.key", system_clock());
  if (!nonces) {
    if (!acme_task.dead) violate("the front end does not start");
    return;
  }
  service = std::make_unique<acme::Service>(
      config, acme::Backend{*store_link, *validation_link, *attestation_link, *signer_link},
      system_clock(), std::move(*nonces));
  if (!acme_task.dead) service->refresh_profiles();
}

void World::end_task(Life& life, bool power) {
  if (life.dead) return;
  life.dead = true;
  ++life.generation;
  life.down_steps = faults ? static_cast<int>(random.below(4)) : 0;
  const auto image = root + "/" + life.name + "." + std::to_string(life.generation);
  auto& disk = Disk::instance();
  if (power) {
    disk.cut_power(life.folder, image, random);
  } else {
    disk.end_process(life.folder, image);
  }
  disk.detach(life.folder);
  life.folder = image;
  note((power ? "power " : "end ") + life.name);
}

void World::power_cut() {
  ++figures.power_cuts;
  for (auto* life : {&signer, &store_task, &acme_task}) end_task(*life, true);
}

void World::crash_point() {
  if (armed_calls == 0 || --armed_calls > 0) return;
  if (victim == nullptr) return power_cut();
  if (!victim->dead) ++figures.crashes;
  end_task(*victim, false);
}

void World::reap() {
  for (auto* life : {&acme_task, &signer, &store_task}) {
    if (!life->dead) continue;
    if (life == &acme_task) service.reset();
    if (life == &signer) gate.reset();
    if (life == &store_task) store.reset();
    if (life->down_steps-- > 0) continue;
    if (life == &signer) check_ledger(life->folder);
    start(*life);
  }
  if (!acme_task.dead && service && service->state() == acme::ApplianceState::kLocked)
    service->refresh_profiles();
}

// The first sync after a signature is the outcome's; the next one an intent's.
bool World::sync_left_out(const std::string& path) {
  const bool ledger = path.find("/ledger/") != std::string::npos;
  if (bug == Bug::kAccountNotSynced) return path.ends_with("-wal");
  if (!ledger) return false;
  const bool after_signature = signatures != signatures_at_sync;
  signatures_at_sync = signatures;
  if (bug == Bug::kOutcomeNotSynced) return after_signature;
  return bug == Bug::kIntentNotSynced && !after_signature && gate != nullptr && signatures > 0;
}

std::optional<acme::HttpResponse> World::http(const acme::HttpRequest& request) {
  crash_point();
  if (acme_task.dead || !service || faulty(10)) return std::nullopt;
  auto response = service->handle(request);
  crash_point();
  if (acme_task.dead || faulty(10)) return std::nullopt;
  return response;
}

// ---- what befalls it

void World::fault() {
  if (!faults) return;
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2: {
      Life* const lives[] = {&signer, &store_task, &acme_task};
      victim = lives[random.below(3)];
      armed_calls = 1 + static_cast<std::int64_t>(random.below(40));
      break;
    }
    case 3:
    case 4:
      victim = nullptr;
      armed_calls = 1 + static_cast<std::int64_t>(random.below(60));
      break;
    case 5:
      token.away = !token.away;
      figures.token_losses += token.away ? 1 : 0;
      note(token.away ? "token away" : "token back");
      break;
    case 6:
      advance_ms(static_cast<std::int64_t>(random.below(3 * kHourMs)));
      break;
    case 7:  // somebody sets the clock
      utc_ms += static_cast<std::int64_t>(random.below(1'200'000)) - 600'000;
      advance_ms(0);
      break;
    case 8:
    case 9:
      deliver_again(late, false);
      break;
    default:
      deliver_again(answered, true);
  }
}

// A message that comes late, or again: from a front end that was started anew, or a hostile one.
void World::deliver_again(std::deque<wire::CertificateIssue>& queue, bool answered_before) {
  if (queue.empty() || !gate || signer.dead) return;
  const auto request = queue.front();
  queue.pop_front();
  const auto before = signatures;
  const auto answer = gate->issue(request);
  if (signer.dead) return;
  note(std::string(answered_before ? "again " : "late ") +
       (answer ? "issued" : answer.error().code));
  const auto first = leaf_of_finalize.find(text(crypto::sha256(wire::encode_body(request.jws))));
  if (answered_before && signatures != before) violate("the same finalize signed for twice");
  if (answer && first != leaf_of_finalize.end() && answer->chain.at(0) != first->second)
    violate("the same finalize gave two certificates");
}

void World::hold_back(const std::string& account_jwk, const jose::FlattenedJws& jws,
                      const std::string& order_url) {
  const auto terms = terms_of.find(order_url.substr(order_url.rfind('/') + 1));
  if (terms == terms_of.end()) return;
  late.push_front(
      {account_jwk, {jws.protected_b64, jws.payload_b64, jws.signature}, terms->second});
  if (random.chance(60)) deliver_again(late, false);
}

void World::advance_ms(std::int64_t ms, bool utc_too) {
  if (utc_too) utc_ms += ms;
  monotonic_ms += ms;
  utc_max_ms = std::max(utc_max_ms, utc_ms);
  set_time(utc_ms, monotonic_ms);
}

void World::calm() {
  faults = false;
  armed_calls = 0;
  token.away = false;
  utc_ms = utc_max_ms;
  advance_ms(1'000);
  note("calm");
  for (auto* life : {&signer, &store_task, &acme_task}) life->down_steps = 0;
  reap();
  reap();
}

void World::turn() {
  if (!acme_task.dead && service) service->turn(random.next());
}

void World::tick() {
  advance_ms(1'000);
  if (!acme_task.dead && service) service->resume_work();
  if (!store_task.dead && store && store->flush() && !store_task.dead && flushed) flushed();
  if (random.chance(25) || !faults) check_list();
}

// ---- truth

void World::note(const std::string& what) {
  for (const auto c : what) trace = (trace ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  trace = (trace ^ static_cast<std::uint64_t>(utc_ms)) * 0x100000001b3U;
  if (print) std::printf("%12lld  %s\n", static_cast<long long>(utc_ms - kBeginMs), what.c_str());
}

void World::violate(const std::string& what) {
  note("VIOLATED: " + what);
  if (violation.empty()) violation = what;
}

void World::granted(const Digest256& thumbprint, const std::string& name, std::int64_t until_ms) {
  auto& until = live_grants[{name, thumbprint}];
  until = std::max(until, until_ms);
}

void World::withdrawn(const std::string& name) {
  ++withdrawals;
  std::erase_if(live_grants, [&](const auto& grant) { return grant.first.first == name; });
  note("withdrawn " + name);
}

void World::check_ledger(const std::string& folder) {
  std::set<Digest256> intended;
  std::set<Bytes> serials;
  std::set<Bytes> revoked;
  std::map<std::uint64_t, issue::TicketId> ticket_of;
  std::set<issue::TicketId> issued_tickets;
  std::set<Digest256> issued;
  const auto summary = issue::read_ledger(
      folder + "/ledger", [&](const issue::LedgerRow& row, const issue::RowPlace&) -> Status {
        if (row.intent) {
          intended.insert(crypto::sha256(row.intent->tbs_der));
          if (!serials.insert(row.intent->serial).second) violate("a serial twice");
          ticket_of[row.number] = row.intent->ticket_id;
        }
        if (row.outcome && row.outcome->certificate_sha256) {
          issued.insert(*row.outcome->certificate_sha256);
          if (!issued_tickets.insert(ticket_of[row.outcome->intent_row]).second)
            violate("two certificates for one order");
        }
        if (row.revocation) revoked.insert(row.revocation->serial);
        return {};
      });
  if (!summary) return violate("the ledger does not verify: " + std::string(summary.error().what));
  if (signatures > summary->signatures_intended()) violate("more signatures than intents");
  for (const auto* certificate : held) {
    if (!issued.contains(crypto::sha256(certificate->leaf)))
      violate("a client's certificate does not stand in the ledger as issued");
    if (certificate->revoked && !revoked.contains(certificate->serial))
      violate("an acknowledged revocation is not in the ledger");
  }
}

// The next list holds everything whose revocation a client was told of.
void World::check_list() {
  if (signer.dead || !gate || token.away) return;
  const auto number = gate->crl().make();
  if (signer.dead || !number) return;
  Bytes list;
  while (true) {
    const auto part = gate->crl_part({*number, list.size()});
    if (!part) return violate("the list that was made cannot be read: " + part.error().code);
    append(list, part->part);
    if (part->part.empty() || list.size() >= part->total_bytes) break;
  }
  for (const auto* certificate : held) {
    if (certificate->revoked && !contains(list, certificate->serial))
      violate("a revoked certificate is not in the next list");
  }
}

void World::check_end() {
  check_list();
  check_ledger(signer.folder);
  if (!issue::verify_issued(signer.folder + "/ledger", authority().key.public_key()))
    violate("a certificate in the ledger does not verify");
}

}  // namespace keyward::simulation
