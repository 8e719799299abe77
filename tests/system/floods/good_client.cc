#include "tests/system/floods/good_client.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "firmware/json/json.h"
#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"
#include "tests/support/acme_client/acme_client.h"

namespace keyward::test {
namespace {

constexpr int kLookMs = 20;
constexpr int kAgainMs = 200;
constexpr int kSilentMax = 4'096;

UniqueFd listen_on(const char* address, int& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  socklen_t size = sizeof at;
  at.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &at.sin_addr);
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
      ::listen(fd.get(), 512) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0)
    return {};
  port = ntohs(at.sin_port);
  return fd;
}

}  // namespace

struct NameServers::Impl {
  int port = 0;
  UniqueFd answering, silent;
  std::mutex mutex;
  std::map<std::string, std::string> proofs;  // by path
  std::vector<UniqueFd> kept;
  std::atomic<bool> stop{false};
  std::thread thread;

  void answer() {
    const UniqueFd peer(::accept4(answering.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const timeval patience{2, 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char text[2'048];
    const auto got = ::recv(peer.get(), text, sizeof text, 0);
    if (got <= 4) return;
    const std::string request(text, static_cast<std::size_t>(got));
    const std::lock_guard lock(mutex);
    const auto proof = proofs.find(request.substr(4, request.find(' ', 4) - 4));
    const std::string body = proof == proofs.end() ? "none" : proof->second;
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                              "\r\nConnection: close\r\n\r\n" + body;
    (void)!::send(peer.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
  }
  void run() {
    while (!stop) {
      pollfd waiting[] = {{answering.get(), POLLIN, 0}, {silent.get(), POLLIN, 0}};
      if (::poll(waiting, 2, kLookMs) <= 0) continue;
      if (waiting[0].revents != 0) answer();
      if (waiting[1].revents == 0) continue;
      kept.emplace_back(::accept4(silent.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (kept.size() > kSilentMax) kept.erase(kept.begin());
    }
  }
};

NameServers::NameServers() : impl_(std::make_unique<Impl>()) {
  impl_->answering = listen_on("127.0.0.1", impl_->port);
  impl_->silent = listen_on("127.0.0.9", impl_->port);
  impl_->thread = std::thread([this] { impl_->run(); });
}
NameServers::~NameServers() {
  impl_->stop = true;
  impl_->thread.join();
}
int NameServers::port() const { return impl_->port; }
void NameServers::put(const std::string& token, const std::string& key_authorization) {
  const std::lock_guard lock(impl_->mutex);
  impl_->proofs["/.well-known/acme-challenge/" + token] = key_authorization;
}

namespace {

// One enrolment. Each step is tried again until the deadline when it was turned away.
class Walk {
 public:
  Walk(const std::string& directory_url, const std::string& ca_file, std::string name,
       NameServers& names, std::int64_t patience_ms)
      : client_(directory_url, ca_file, *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)),
        name_(std::move(name)),
        names_(names),
        deadline_(Deadline::after_ms(patience_ms)) {}

  Enrolment go() {
    const auto began_ms = system_clock().monotonic_ms();
    out_.done = account() && order() && prove() && finalize() && download();
    out_.took_ms = system_clock().monotonic_ms() - began_ms;
    return out_;
  }

 private:
  bool again() {
    ++out_.turned_away;
    client_.http().disconnect();
    ::poll(nullptr, 0, kAgainMs);
    return !deadline_.passed();
  }
  bool account() {
    out_.step = "account";
    while (!client_.start()) {
      if (!again()) return false;
    }
    return true;
  }
  // Status 0: not before the deadline.
  HttpReply post(const std::string& url, const std::string& payload) {
    while (true) {
      auto reply = client_.post(url, payload);
      const bool later = !reply || reply->status == 429 || reply->status == 503;
      if (!later) return std::move(*reply);
      out_.step = reply ? reply->body : reply.error().what;
      if (!again()) return {};
    }
  }
  json::Document read(const HttpReply& reply) {
    auto document = json::Document::parse(reply.body);
    return document ? std::move(*document) : std::move(*json::Document::parse("{}"));
  }
  bool order() {
    out_.step = "order";
    const auto reply = post(client_.url_of("newOrder"),
                            R"({"identifiers":[{"type":"dns","value":")" + name_ + R"("}]})");
    out_.step += " " + reply.body;
    if (reply.status != 201) return false;
    order_ = reply.header("location");
    auto body = read(reply);
    finalize_ = body.root().get("finalize").string();
    const auto list = body.root().get("authorizations").items();
    authz_ = list.empty() ? std::string() : std::string(list.front().string());
    return !authz_.empty();
  }
  bool prove() {
    out_.step = "authorization";
    auto body = read(post(authz_, ""));
    for (const auto& challenge : body.root().get("challenges").items()) {
      if (challenge.get("type").string() != "http-01") continue;
      const std::string token(challenge.get("token").string());
      names_.put(token, token + "." + base64url_encode(client_.thumbprint()));
      out_.step = "challenge";
      if (post(std::string(challenge.get("url").string()), "{}").status != 200) return false;
      return becomes(authz_, "valid");
    }
    return false;
  }
  bool becomes(const std::string& url, std::string_view wanted) {
    while (!deadline_.passed()) {
      const auto reply = post(url, "");
      auto body = read(reply);
      const auto status = body.root().get("status").string();
      if (status == wanted) {
        certificate_ = body.root().get("certificate").string();
        return true;
      }
      out_.step = "waits for " + std::string(wanted) + ": " + reply.body;
      if (status == "invalid") return false;
      ::poll(nullptr, 0, kAgainMs);
    }
    return false;
  }
  bool finalize() {
    out_.step = "finalize";
    const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    const auto csr = x509::build_csr(key, {{wire::IdentifierType::kDns, name_}});
    if (!csr || !becomes(order_, "ready")) return false;
    const auto reply = post(finalize_, R"({"csr":")" + base64url_encode(*csr) + R"("})");
    out_.step = "finalize " + reply.body;
    return reply.status == 200 && becomes(order_, "valid");
  }
  bool download() {
    out_.step = "download";
    const auto reply = post(certificate_, "");
    return reply.status == 200 && reply.body.find("BEGIN CERTIFICATE") != std::string::npos;
  }

  AcmeClient client_;
  const std::string name_;
  NameServers& names_;
  const Deadline deadline_;
  Enrolment out_;
  std::string order_, finalize_, authz_, certificate_;
};

}  // namespace

Enrolment enrol(const std::string& directory_url, const std::string& ca_file,
                const std::string& name, NameServers& names, std::int64_t patience_ms) {
  return Walk(directory_url, ca_file, name, names, patience_ms).go();
}

}  // namespace keyward::test
