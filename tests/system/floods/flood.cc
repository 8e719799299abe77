// Owns the flooders. Must not know what is measured.
#include "tests/system/floods/flood.h"

#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"
#include "tests/support/acme_client/acme_client.h"

namespace keyward::test {
namespace {

constexpr int kPatienceS = 10;
constexpr int kPauseMs = 20;
constexpr int kDripMs = 1'000;

struct SslFree {
  void operator()(SSL* s) const { ::SSL_free(s); }
  void operator()(SSL_CTX* c) const { ::SSL_CTX_free(c); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, SslFree>;

struct Held {
  UniqueFd fd;
  std::unique_ptr<SSL, SslFree> ssl;  // null: TCP alone
};

ContextPtr make_context() {
  ContextPtr out(::SSL_CTX_new(::TLS_client_method()));
  ::SSL_CTX_set_mode(out.get(), SSL_MODE_RELEASE_BUFFERS);
  return out;
}

UniqueFd dial(std::uint16_t port, const std::string& source) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{kPatienceS, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const linger at_once{1, 0};  // so that thousands of ports are free again
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockaddr_in own{}, to{};
  own.sin_family = to.sin_family = AF_INET;
  ::inet_pton(AF_INET, source.c_str(), &own.sin_addr);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    return {};
  return fd;
}

Held tls(const FloodTarget& target, const std::string& source, SSL_CTX* context) {
  Held out;
  out.fd = dial(target.port, source);
  if (!out.fd) return out;
  out.ssl.reset(::SSL_new(context));
  ::SSL_set_fd(out.ssl.get(), out.fd.get());
  if (::SSL_connect(out.ssl.get()) != 1) out = Held{};
  return out;
}

bool is_closed(const Held& held) {
  pollfd look{held.fd.get(), POLLIN | POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool write_all(const Held& held, const std::string& text) {
  return held.ssl != nullptr &&
         ::SSL_write(held.ssl.get(), text.data(), static_cast<int>(text.size())) > 0;
}

// How one connection of a kind begins (its fd empty: refused) and what it sends now and then.
struct Kind {
  std::function<Held(const std::string& source, SSL_CTX*)> begin;
  std::string drip;
};

void hold_many(const Kind& kind, int mine, int first, int addresses, const std::stop_token& stop,
               FloodCounts& counts) {
  const ContextPtr context = make_context();
  std::vector<Held> held(static_cast<std::size_t>(mine));
  std::int64_t dripped_ms = 0;
  while (!stop.stop_requested()) {
    const auto now_ms = system_clock().monotonic_ms();
    const bool drip = !kind.drip.empty() && now_ms - dripped_ms >= kDripMs;
    if (drip) dripped_ms = now_ms;
    int made = 0;
    for (std::size_t i = 0; i < held.size() && !stop.stop_requested(); ++i) {
      Held& one = held[i];
      if (one.fd && (is_closed(one) || (drip && !write_all(one, kind.drip)))) {
        one = Held{};
        --counts.held;
      }
      if (one.fd) continue;
      ++counts.tried;
      one = kind.begin(flooder(first + static_cast<int>(i) % addresses), context.get());
      ++(one.fd ? counts.served : counts.refused);
      if (one.fd) ++counts.held;
      // A flooder that is refused at once shall not be all that this machine does.
      if (!one.fd || ++made % 16 == 0) ::poll(nullptr, 0, 1);
    }
    ::poll(nullptr, 0, kPauseMs);
  }
}

Flood::Body holding(const Kind& kind, int total, int threads, int addresses) {
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    hold_many(kind, total / threads, thread, addresses, stop, counts);
  };
}

void count(FloodCounts& counts, const Result<HttpReply>& reply) {
  ++counts.tried;
  ++(reply && reply->status < 400 ? counts.served : counts.refused);
  if (!reply) ::poll(nullptr, 0, 1);
}

crypto::PrivateKey fresh() { return *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256); }

// POST with a header that promises more than is ever accepted, and all of it.
void push(const Held& connection, const std::string& head, std::size_t bytes) {
  if (!write_all(connection, head)) return;
  const std::string chunk(16'384, 'x');
  for (std::size_t sent = 0; sent < bytes && write_all(connection, chunk);) sent += chunk.size();
}

}  // namespace

FloodTarget target_of(const Simulator& simulator) {
  FloodTarget out;
  out.directory_url = simulator.env("KEYWARD_DIRECTORY");
  out.ca_file = simulator.env("KEYWARD_CA_FILE");
  out.authority = out.directory_url.substr(8, out.directory_url.find('/', 8) - 8);
  out.port = static_cast<std::uint16_t>(
      std::atoi(out.authority.substr(out.authority.rfind(':') + 1).c_str()));
  return out;
}

std::string flooder(int number) { return "127.0.1." + std::to_string(1 + number % 250); }

Flood::Flood(int threads, const Body& body) {
  ::signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < threads; ++i)
    threads_.emplace_back(
        [body, i, counts = counts_.get()](const std::stop_token& stop) { body(i, stop, *counts); });
}

Flood::~Flood() {
  for (auto& thread : threads_) thread.request_stop();
}

Flood::Body idle_connections(const FloodTarget& target, int total, int threads, int addresses) {
  const auto begin = [=](const std::string& source, SSL_CTX* context) {
    return tls(target, source, context);
  };
  return holding({begin, ""}, total, threads, addresses);
}

Flood::Body slow_handshakes(const FloodTarget& target, int total, int threads, int addresses) {
  const auto begin = [=](const std::string& source, SSL_CTX*) {
    Held out;
    out.fd = dial(target.port, source);
    // The beginning of a ClientHello that never goes on.
    if (out.fd) (void)!::send(out.fd.get(), "\x16\x03\x01\x02", 4, MSG_NOSIGNAL);
    return out;
  };
  return holding({begin, ""}, total, threads, addresses);
}

Flood::Body slow_headers(const FloodTarget& target, int total, int threads, int addresses) {
  const auto begin = [=](const std::string& source, SSL_CTX* context) {
    Held out = tls(target, source, context);
    (void)write_all(out, "GET /directory HTTP/1.1\r\nHost: " + target.authority + "\r\n");
    return out;
  };
  return holding({begin, "X-More: 1\r\n"}, total, threads, addresses);
}

Flood::Body slow_bodies(const FloodTarget& target, int total, int threads, int addresses) {
  const auto begin = [=](const std::string& source, SSL_CTX* context) {
    Held out = tls(target, source, context);
    (void)write_all(out,
                    "POST /acme/new-account HTTP/1.1\r\nHost: " + target.authority +
                        "\r\nContent-Type: application/jose+json\r\nContent-Length: 4000\r\n\r\n{");
    return out;
  };
  return holding({begin, " "}, total, threads, addresses);
}

Flood::Body huge_requests(const FloodTarget& target, int addresses) {
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    const ContextPtr context = make_context();
    constexpr std::size_t kHuge = 32u << 20;
    for (int i = thread; !stop.stop_requested(); ++i) {
      ++counts.tried;
      const Held one = tls(target, flooder(i % addresses), context.get());
      ++(one.fd ? counts.served : counts.refused);
      const std::string host = " HTTP/1.1\r\nHost: " + target.authority + "\r\n";
      const std::string post =
          "POST /acme/new-order" + host + "Content-Type: application/jose+json\r\nContent-Length: ";
      if (i % 4 == 0) push(one, "GET /directory" + host + "X-Huge: ", kHuge);
      if (i % 4 == 1) push(one, post + "104857600\r\n\r\n", kHuge);
      if (i % 4 == 2) push(one, post + "99999999999999999999999\r\n\r\n", kHuge);
      if (i % 4 == 3) push(one, post + "32768\r\n\r\n", 32'768);
      if (!one.fd) ::poll(nullptr, 0, 1);
    }
  };
}

Flood::Body nonces(const FloodTarget& target, int addresses) {
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    TlsClient client(target.authority, target.ca_file, flooder(thread % addresses));
    while (!stop.stop_requested()) count(counts, client.request("HEAD", "/acme/new-nonce", "", ""));
  };
}

Flood::Body accounts(const FloodTarget& target, int addresses) {
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    for (int i = thread; !stop.stop_requested(); ++i) {
      AcmeClient client(target.directory_url, target.ca_file, fresh(), flooder(i % addresses));
      ++counts.tried;
      const bool made = client.start().has_value();
      ++(made ? counts.served : counts.refused);
      if (!made) ::poll(nullptr, 0, 1);
    }
  };
}

Flood::Body orders(const FloodTarget& target, int addresses) {
  const auto pem = std::make_shared<crypto::PrivateKey>(fresh());
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    AcmeClient client(target.directory_url, target.ca_file, *pem, flooder(thread % addresses));
    while (!stop.stop_requested() && !client.start()) ::poll(nullptr, 0, kPauseMs);
    const std::string payload = R"({"identifiers":[{"type":"dns","value":"flood.plant.example"}]})";
    while (!stop.stop_requested()) count(counts, client.post(client.url_of("newOrder"), payload));
  };
}

Flood::Body challenges(const FloodTarget& target, const std::vector<std::string>& silent_names,
                       int addresses) {
  const auto post_all = [=](AcmeClient& client, const std::stop_token& stop, FloodCounts& counts) {
    json::Writer order;
    order.begin_object().key("identifiers").begin_array();
    for (const auto& name : silent_names)
      order.begin_object().member("type", "dns").member("value", name).end_object();
    const auto made = client.post(client.url_of("newOrder"), order.end_array().end_object().take());
    count(counts, made);
    auto body = made ? json::Document::parse(made->body) : json::Document::parse("{}");
    if (!made || made->status != 201 || !body) return;
    for (const auto& url : body->root().get("authorizations").items()) {
      if (stop.stop_requested()) return;
      const auto authz = client.post(std::string(url.string()), "");
      auto parsed = authz ? json::Document::parse(authz->body) : json::Document::parse("{}");
      if (!parsed) continue;
      for (const auto& challenge : parsed->root().get("challenges").items())
        if (challenge.get("type").string() == "http-01")
          count(counts, client.post(std::string(challenge.get("url").string()), "{}"));
    }
  };
  return [=](int thread, const std::stop_token& stop, FloodCounts& counts) {
    AcmeClient client(target.directory_url, target.ca_file, fresh(), flooder(thread % addresses));
    while (!stop.stop_requested() && !client.start()) ::poll(nullptr, 0, kPauseMs);
    while (!stop.stop_requested()) {
      post_all(client, stop, counts);
      ::poll(nullptr, 0, kPauseMs);
    }
  };
}

}  // namespace keyward::test
