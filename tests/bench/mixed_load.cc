// Loads an ACME server with what a day brings, over N connections in a closed loop: new accounts,
// orders of known accounts, renewals (with `replaces` where the server offers renewalInfo) and
// revocations; prints one JSON line. It speaks RFC 8555 alone, so that other servers can be measured
// by the same program. The server must answer http-01 without looking (both measured ones can).
//   mixed_load DIRECTORY_URL CA_FILE CLIENTS SECONDS
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <poll.h>
#include <sys/resource.h>

#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "tests/support/acme_client/acme_client.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): a program of one file

constexpr int kPollMs = 2;
constexpr std::int64_t kFlowMs = 30'000;
// Of a hundred flows.
constexpr int kNewAccounts = 20, kRenewals = 30, kRevocations = 10;

double own_cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Tally {
  std::atomic<long> issued{0}, accounts{0}, renewals{0}, revoked{0}, errors{0};
  std::mutex mutex;
  std::vector<double> latencies_ms;
  std::string first_error;
  void error(const std::string& text) {
    ++errors;
    const std::lock_guard lock(mutex);
    if (first_error.empty()) first_error = text;
  }
};

struct Flow {
  std::string step;
  std::string body;
};
template <class T>
using Or = tl::expected<T, Flow>;

Or<test::HttpReply> post(test::AcmeClient& client, const std::string& url,
                         const std::string& payload, const char* step, int status) {
  auto reply = client.post(url, payload);
  if (!reply) return tl::unexpected<Flow>({step, reply.error().what});
  if (reply->status != status)
    return tl::unexpected<Flow>({step, std::to_string(reply->status) + " " + reply->body});
  return std::move(*reply);
}

// Polls until the object's status is one of the two.
Or<std::string> wait_for(test::AcmeClient& client, const std::string& url, const char* step,
                         std::string_view one, std::string_view other) {
  const auto deadline = Deadline::after_ms(kFlowMs);
  while (!deadline.passed()) {
    auto reply = post(client, url, "", step, 200);
    if (!reply) return tl::unexpected<Flow>(reply.error());
    const auto document = json::Document::parse(reply->body);
    const std::string status(document ? document->root().get("status").string() : "");
    if (status == one || status == other) return reply->body;
    if (status == "invalid") return tl::unexpected<Flow>({step, reply->body});
    ::poll(nullptr, 0, kPollMs);
  }
  return tl::unexpected<Flow>({step, "too late"});
}

std::string text_at(const std::string& body, std::string_view name) {
  const auto document = json::Document::parse(body);
  return document ? std::string(document->root().get(name).string()) : std::string();
}

Or<bool> prove(test::AcmeClient& client, const std::string& authz_url) {
  auto authz = post(client, authz_url, "", "authorization", 200);
  if (!authz) return tl::unexpected<Flow>(authz.error());
  const auto document = json::Document::parse(authz->body);
  if (document->root().get("status").string() == "valid") return true;
  for (const auto& challenge : document->root().get("challenges").items()) {
    if (challenge.get("type").string() != "http-01") continue;
    auto done = post(client, std::string(challenge.get("url").string()), "{}", "challenge", 200);
    if (!done) return tl::unexpected<Flow>(done.error());
    if (text_at(done->body, "status") == "valid") return true;
  }
  auto valid = wait_for(client, authz_url, "validation", "valid", "valid");
  if (!valid) return tl::unexpected<Flow>(valid.error());
  return true;
}

struct Issued {
  Bytes leaf;
  std::string replaces;  // RFC 9773 §4.1
};

std::string certificate_id(ByteView leaf) {
  const auto parsed = x509::parse_certificate(leaf, x509::KeyReading::kSkip);
  if (!parsed) return {};
  const auto* aki = parsed->extension("2.5.29.35");
  if (aki == nullptr || aki->value.size() < 4) return {};
  // SEQUENCE { [0] keyIdentifier }: short lengths both.
  const auto id = ByteView(aki->value).subspan(4, aki->value[3]);
  return base64url_encode(id) + "." + base64url_encode(parsed->serial);
}

Or<Issued> issue(test::AcmeClient& client, const std::string& name, const std::string& replaces) {
  json::Writer order_payload;
  order_payload.begin_object().key("identifiers").begin_array().begin_object();
  order_payload.member("type", "dns").member("value", name).end_object().end_array();
  if (!replaces.empty()) order_payload.member("replaces", replaces);
  order_payload.end_object();
  auto order = post(client, client.url_of("newOrder"), order_payload.take(), "newOrder", 201);
  if (!order) return tl::unexpected<Flow>(order.error());
  const std::string order_url = order->header("location");
  const auto document = json::Document::parse(order->body);
  const std::string finalize(document->root().get("finalize").string());
  for (const auto& authz : document->root().get("authorizations").items()) {
    auto proved = prove(client, std::string(authz.string()));
    if (!proved) return tl::unexpected<Flow>(proved.error());
  }
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto csr = x509::build_csr(*key, {{wire::IdentifierType::kDns, name}});
  auto ready = wait_for(client, order_url, "order", "ready", "valid");
  if (!ready) return tl::unexpected<Flow>(ready.error());
  auto done =
      post(client, finalize, R"({"csr":")" + base64url_encode(*csr) + "\"}", "finalize", 200);
  if (!done) return tl::unexpected<Flow>(done.error());
  std::string body = done->body;
  if (text_at(body, "status") != "valid") {
    auto valid = wait_for(client, order_url, "issuance", "valid", "valid");
    if (!valid) return tl::unexpected<Flow>(valid.error());
    body = *valid;
  }
  auto chain = post(client, text_at(body, "certificate"), "", "certificate", 200);
  if (!chain) return tl::unexpected<Flow>(chain.error());
  auto ders = x509::certificates_from_pem(chain->body, 8);
  if (!ders || ders->empty()) return tl::unexpected<Flow>({"certificate", "no PEM"});
  return Issued{ders->front(), certificate_id(ders->front())};
}

Or<bool> revoke(test::AcmeClient& client, const Issued& certificate) {
  auto reply = post(client, client.url_of("revokeCert"),
                    R"({"certificate":")" + base64url_encode(certificate.leaf) + R"(","reason":4})",
                    "revokeCert", 200);
  if (!reply) return tl::unexpected<Flow>(reply.error());
  return true;
}

std::unique_ptr<test::AcmeClient> new_client(char** argv, Tally& tally) {
  auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  auto client = std::make_unique<test::AcmeClient>(argv[1], argv[2], std::move(*key));
  if (const auto started = client->start(); !started) {
    tally.error(std::string("account: ") + started.error().what);
    return nullptr;
  }
  ++tally.accounts;
  return client;
}

void run_client(int number, char** argv, Deadline until, Tally& tally) {
  std::mt19937 random(static_cast<unsigned>(number) + 1);
  auto client = new_client(argv, tally);
  std::vector<std::pair<std::string, Issued>> held;
  for (long flow = 0; !until.passed() && client; ++flow) {
    const int dice = static_cast<int>(random() % 100);
    const auto begin = std::chrono::steady_clock::now();
    Or<bool> outcome = true;
    if (dice < kRevocations && !held.empty()) {
      outcome = revoke(*client, held.back().second);
      held.pop_back();
      if (outcome) ++tally.revoked;
    } else {
      const bool renewal = dice < kRevocations + kRenewals && !held.empty();
      if (!renewal && dice >= 100 - kNewAccounts) {
        client = new_client(argv, tally);
        held.clear();
        if (!client) break;
      }
      const std::string name =
          renewal ? held.back().first
                  : "n" + std::to_string(number) + "-" + std::to_string(flow) + ".plant.example";
      const bool offers = !client->url_of("renewalInfo").empty();
      auto issued = issue(*client, name, renewal && offers ? held.back().second.replaces : "");
      if (issued) {
        ++tally.issued;
        tally.renewals += renewal ? 1 : 0;
        if (renewal) held.pop_back();
        held.emplace_back(name, std::move(*issued));
      } else {
        outcome = tl::unexpected<Flow>(issued.error());
      }
    }
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    if (!outcome) {
      tally.error(outcome.error().step + ": " + outcome.error().body.substr(0, 400));
      client = new_client(argv, tally);
      held.clear();
      continue;
    }
    const std::lock_guard lock(tally.mutex);
    tally.latencies_ms.push_back(ms);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: mixed_load DIRECTORY_URL CA_FILE CLIENTS SECONDS\n");
    return 64;
  }
  const int clients = std::atoi(argv[3]);
  const auto until = Deadline::after_ms(static_cast<std::int64_t>(std::atof(argv[4]) * 1000));
  Tally tally;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] { run_client(i, argv, until, tally); });
  for (auto& thread : threads) thread.join();
  const double took_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::ranges::sort(tally.latencies_ms);
  const auto quantile = [&](double q) {
    return tally.latencies_ms.empty()
               ? 0.0
               : tally.latencies_ms[static_cast<std::size_t>(
                     q * static_cast<double>(tally.latencies_ms.size() - 1))];
  };
  std::printf(
      R"({"issued":%ld,"accounts":%ld,"renewals":%ld,"revoked":%ld,"errors":%ld,"seconds":%.3f,"own_cpu_s":%.3f,"p50_ms":%.2f,"p99_ms":%.2f})"
      "\n",
      tally.issued.load(), tally.accounts.load(), tally.renewals.load(), tally.revoked.load(),
      tally.errors.load(), took_s, own_cpu_s(), quantile(0.5), quantile(0.99));
  if (!tally.first_error.empty())
    std::fprintf(stderr, "mixed_load: first error: %s\n", tally.first_error.c_str());
  return tally.errors == 0 ? 0 : 1;
}
