#include "run.h"

#include <algorithm>

#include "clients.h"

namespace keyward::simulation {
namespace {

constexpr int kStepsMax = 60;       // with faults
constexpr int kCalmRoundsMax = 60;  // of all clients, until each must have ended

using Clients = std::vector<std::unique_ptr<Client>>;

void disturb(World& world, Clients& clients) {
  const auto steps = 20 + world.random.below(kStepsMax - 20);
  for (std::uint64_t i = 0; i < steps && world.violation.empty(); ++i) {
    ++world.figures.steps;
    world.reap();
    const auto what = world.random.below(100);
    if (what < 60) {
      clients[world.random.below(clients.size())]->step();
    } else if (what < 75) {
      world.turn();
    } else if (what < 87) {
      world.tick();
    } else {
      world.fault();
    }
  }
}

bool all_satisfied(const Clients& clients) {
  return std::all_of(clients.begin(), clients.end(),
                     [](const auto& client) { return client->satisfied(); });
}

// No more faults: every good client ends with a new certificate.
void settle(World& world, Clients& clients) {
  world.calm();
  for (const auto& client : clients) client->want_certificate();
  for (int round = 0; round < kCalmRoundsMax && !all_satisfied(clients); ++round) {
    for (const auto& client : clients) {
      if (!client->satisfied()) client->step();
      world.turn();
    }
    world.tick();
    world.advance_ms(2'000);
    if (!world.violation.empty()) return;
  }
  for (const auto& client : clients) {
    if (!client->satisfied())
      world.violate("a good client has no certificate long after the faults ended; stage " +
                    client->state());
    client->check_certificates();
  }
  world.check_end();
}

}  // namespace

RunResult run_seed(std::uint64_t seed, Bug bug, bool print) {
  World world(seed, bug, print);
  Clients clients;
  const auto count = 2 + world.random.below(2);
  for (std::uint64_t i = 0; i < count; ++i)
    clients.push_back(std::make_unique<Client>(world, static_cast<int>(i)));
  world.flushed = [&] {
    for (const auto& client : clients) client->order_is_flushed();
  };
  disturb(world, clients);
  if (world.violation.empty()) settle(world, clients);
  return {world.violation, world.trace, world.figures};
}

}  // namespace keyward::simulation
