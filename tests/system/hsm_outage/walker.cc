#include "walker.h"

#include <algorithm>

#include <poll.h>

#include "firmware/json/json.h"

namespace keyward::test {
namespace {

constexpr int kOrdersPerAccount = 40;  // far below what an account may have open
constexpr int kPauseMs = 100;

std::string kind_of(std::string_view path) {
  if (path.find("finalize") != std::string_view::npos) return "finalize";
  if (path.find("nonce") != std::string_view::npos) return "newNonce";
  if (path.find("new-order") != std::string_view::npos) return "newOrder";
  if (path.find("/authz/") != std::string_view::npos) return "authz";
  if (path.find("/challenge/") != std::string_view::npos) return "challenge";
  if (path.find("/order/") != std::string_view::npos) return "order";
  return "other";
}

}  // namespace

std::int64_t p99_us(std::vector<std::int64_t> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * 99 / 100)];
}

std::size_t count_of(const Latencies& latencies) {
  std::size_t count = 0;
  for (const auto& [kind, values] : latencies) count += values.size();
  return count;
}

Walkers::Walkers(const Simulator& simulator, int clients) : simulator_(simulator) {
  for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i] { run(i); });
}

void Walkers::stop() {
  stopping_ = true;
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Latencies Walkers::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(latencies_, {});
}

std::string Walkers::last_refusal() const {
  const std::lock_guard lock(mutex_);
  return last_refusal_;
}

void Walkers::note(std::string_view path, int status, std::int64_t us) {
  const std::lock_guard lock(mutex_);
  latencies_[kind_of(path)].push_back(us);
  if (status != 0 && status < 400) return;
  ++refused_;
  last_refusal_ = std::string(path) + " " + std::to_string(status);
}

// An answer to the challenge that proves nothing: it is judged all the same, and its refusal is a
// reply like any other.
bool Walkers::walk(AcmeClient& client, const std::string& name) {
  const auto order =
      client.post(client.url_of("newOrder"),
                  R"({"identifiers":[{"type":"permanent-identifier","value":")" + name + R"("}]})");
  if (!order || order->status != 201) return false;
  const auto body = json::Document::parse(order->body);
  if (!body) return false;
  const auto authz =
      client.post(std::string(body->root().get("authorizations").items().at(0).string()), "");
  const auto authz_body = authz ? json::Document::parse(authz->body)
                                : Result<json::Document>(fail(ErrorKind::kUnavailable, "no authz"));
  if (!authz_body || authz->status != 200) return false;
  const auto challenge = authz_body->root().get("challenges").items().at(0);
  const auto answer = client.post(std::string(challenge.get("url").string()), R"({"attObj":"oA"})");
  const auto polled = client.post(order->header("location"), "");
  return answer && polled && polled->status == 200;
}

void Walkers::run(int number) {
  int rounds = 0;
  while (!stopping_) {
    AcmeClient client(simulator_.env("KEYWARD_DIRECTORY"), simulator_.env("KEYWARD_CA_FILE"),
                      *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
    client.observe([this](auto path, int status, std::int64_t us) { note(path, status, us); });
    bool good = client.start().has_value();
    for (int i = 0; good && i < kOrdersPerAccount && !stopping_; ++i) {
      good = walk(client, "WALK-" + std::to_string(number) + "-" + std::to_string(rounds++));
      ::poll(nullptr, 0, kPauseMs);
    }
    if (!good) ::poll(nullptr, 0, kPauseMs);
  }
}

}  // namespace keyward::test
