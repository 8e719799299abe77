// Tests of the HTTPS server from outside: a raw TLS client reaches each fence and sees exactly its
// refusal.
#include "firmware/https/https_server.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firmware/https/address_pace.h"
#include "hal/base/clock.h"

#include "tls_client.h"

namespace keyward::https {
namespace {

using test::Client;
using test::ClientOptions;
using testing::HasSubstr;

// Answers 200 with what it saw; keeps the requests.
class Recorder : public acme::HttpHandler {
 public:
  acme::HttpResponse handle(const acme::HttpRequest& request) override {
    if (slow_ms > 0) {
      entered.test_and_set();
      entered.notify_all();
      std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms));
    }
    std::lock_guard lock(mutex_);
    seen.push_back(request);
    acme::HttpResponse out;
    out.status = next_status;
    out.headers = extra_headers;
    out.body = "saw " + request.method + " " + request.raw_path + " " +
               std::to_string(request.body.size());
    return out;
  }
  std::size_t body_bytes_max(std::string_view method, std::string_view path) const override {
    if (method != "POST") return 0;
    return path == "/small" ? 16 : limits::kRequestBodyBytesMax;
  }
  acme::HttpResponse refuse_transport(int status, std::string_view detail) override {
    acme::HttpResponse out;
    out.status = status;
    out.headers = {{"Content-Type", "application/problem+json"}};
    out.body = std::string(detail);
    return out;
  }
  std::size_t count() {
    std::lock_guard lock(mutex_);
    return seen.size();
  }
  std::vector<acme::HttpRequest> seen;
  int next_status = 200;
  int slow_ms = 0;
  std::atomic_flag entered;
  std::vector<std::pair<std::string, std::string>> extra_headers;

 private:
  std::mutex mutex_;
};

class HttpsServerTest : public testing::Test {
 protected:
  void start() {
    options_.listen = "127.0.0.1:0";
    options_.hosts = {"Ca.Example", "127.0.0.1"};
    auto started = HttpsServer::start(options_, recorder_);
    ASSERT_TRUE(started) << started.error().what;
    server_ = std::move(*started);
    ASSERT_TRUE(server_->set_identity(test::make_identity("first")));
  }
  std::string host() { return "Host: ca.example:" + std::to_string(server_->port()) + "\r\n"; }
  std::string get(std::string_view path, std::string_view more = "") {
    return "GET " + std::string(path) + " HTTP/1.1\r\n" + host() + std::string(more) + "\r\n";
  }
  // Sends one request on a new connection: the refusal must be this, its connection closed, and the
  // handler never asked.
  void expect_refused(const std::string& octets, int status, const std::string& detail) {
    const std::size_t before = recorder_.count();
    Client client(server_->port());
    ASSERT_TRUE(client.connected());
    ASSERT_TRUE(client.send(octets));
    const auto response = client.receive();
    EXPECT_EQ(response.status, status) << response.head;
    EXPECT_THAT(response.body, HasSubstr(detail));
    EXPECT_TRUE(response.has("Connection: close\r\n"));
    EXPECT_TRUE(client.is_closed_by_peer());
    EXPECT_EQ(recorder_.count(), before);
  }

  HttpsOptions options_;
  Recorder recorder_;
  std::unique_ptr<HttpsServer> server_;

  void SetUp() override {
    options_.connections_max = 8;
    options_.idle_ms = 3'000;
  }
};

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

TEST_F(HttpsServerTest, Get_WellFormed_ReachesHandlerWithRawTarget) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/a/%2e%2E/b//c%00?x=%41&y", "Accept: a/b\r\n")));
  const auto response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "saw GET /a/%2e%2E/b//c%00?x=%41&y 0");
  EXPECT_TRUE(response.has("\r\nDate: "));
  EXPECT_FALSE(response.has("Connection: close"));
  EXPECT_EQ(recorder_.seen.at(0).accept, "a/b");
  EXPECT_EQ(recorder_.seen.at(0).peer_address, "127.0.0.1");
}

TEST_F(HttpsServerTest, Methods_OfEveryKind_ReachHandler) {
  start();
  for (const char* method : {"PUT", "DELETE", "PATCH", "OPTIONS", "GET"}) {
    Client client(server_->port());
    ASSERT_TRUE(
        client.send(std::string(method) + " /x HTTP/1.1\r\n" + host() +
                    "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"));
    EXPECT_EQ(client.receive().body, "saw " + std::string(method) + " /x 0");
  }
}

TEST_F(HttpsServerTest, Post_WithBody_ArrivesWhole) {
  start();
  Client client(server_->port());
  const std::string body(60'000, 'b');
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\n" + host() +
                          "Content-Type: application/jose+json\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body));
  EXPECT_EQ(client.receive().body, "saw POST /p 60000");
  EXPECT_EQ(recorder_.seen.at(0).content_type, "application/jose+json");
  EXPECT_EQ(text_of(recorder_.seen.at(0).body), body);
}

TEST_F(HttpsServerTest, Head_HasNoBody_AndConnectionGoesOn) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("HEAD /h HTTP/1.1\r\n" + host() + "\r\n" + get("/next")));
  const auto head = client.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(client.receive().body, "saw GET /next 0");
}

TEST_F(HttpsServerTest, NoContent_HasNeitherBodyNorLength) {
  start();
  recorder_.next_status = 204;
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/n")));
  const auto response = client.receive();
  EXPECT_EQ(response.status, 204);
  EXPECT_FALSE(response.has("Content-Length"));
}

TEST_F(HttpsServerTest, ResponseHeader_WithControlCharacter_IsLeftOut) {
  start();
  recorder_.extra_headers = {{"X-Bad", "a\r\nSet-Cookie: b"}, {"X-Good", "c"}};
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/n")));
  const auto response = client.receive();
  EXPECT_TRUE(response.has("X-Good: c\r\n"));
  EXPECT_FALSE(response.has("Set-Cookie"));
}

TEST_F(HttpsServerTest, Pipelining_ManyRequests_AnswersInOrder) {
  start();
  Client client(server_->port());
  std::string all;
  for (int i = 0; i < 20; ++i) all += get("/p" + std::to_string(i));
  ASSERT_TRUE(client.send(all));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(client.receive().body, "saw GET /p" + std::to_string(i) + " 0");
}

TEST_F(HttpsServerTest, Framing_LengthAndTransferEncoding_Is400) {
  start();
  expect_refused("POST /p HTTP/1.1\r\n" + host() +
                     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 400, "Content-Length and Transfer-Encoding together");
}

TEST_F(HttpsServerTest, Framing_RepeatedLength_Is400) {
  start();
  expect_refused(
      "POST /p HTTP/1.1\r\n" + host() + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400,
      "Content-Length is repeated");
}

TEST_F(HttpsServerTest, Framing_Chunked_Is411) {
  start();
  expect_refused(
      "POST /p HTTP/1.1\r\n" + host() + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
      411, "Transfer-Encoding is not accepted");
}

TEST_F(HttpsServerTest, Framing_PostWithoutLength_Is411) {
  start();
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "\r\n", 411, "a POST needs Content-Length");
}

TEST_F(HttpsServerTest, Framing_LengthNotANumber_Is400) {
  start();
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "Content-Length: 1x\r\n\r\nx", 400,
                 "Content-Length is not a number");
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "Content-Length: +1\r\n\r\nx", 400,
                 "Content-Length is not a number");
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "Content-Length: -1\r\n\r\n", 400, "malformed");
}

TEST_F(HttpsServerTest, Body_LargerThanRouteTakes_Is413BeforeReading) {
  start();
  expect_refused(
      "POST /small HTTP/1.1\r\n" + host() + "Content-Length: 17\r\n\r\n01234567890123456", 413,
      "larger");
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "Content-Length: 1000000000000000000\r\n\r\n",
                 413, "larger");
  expect_refused("GET /p HTTP/1.1\r\n" + host() + "Content-Length: 1\r\n\r\nx", 413, "larger");
}

TEST_F(HttpsServerTest, Host_MissingRepeatedOrForeign_IsRefused) {
  start();
  const std::string port = std::to_string(server_->port());
  expect_refused("GET / HTTP/1.1\r\nAccept: a\r\n\r\n", 400, "Host header is missing");
  expect_refused("GET / HTTP/1.1\r\n" + host() + host() + "\r\n", 400, "Host header is repeated");
  expect_refused("GET / HTTP/1.1\r\nHost: other.example:" + port + "\r\n\r\n", 421,
                 "does not answer for the host");
  expect_refused("GET / HTTP/1.1\r\nHost: ca.example\r\n\r\n", 421, "does not answer for the host");
  expect_refused("GET / HTTP/1.1\r\nHost: ca.example:" + port + "x\r\n\r\n", 421,
                 "does not answer for the host");
  expect_refused("GET / HTTP/1.1\r\nHost:\r\n\r\n", 421, "does not answer for the host");
}

TEST_F(HttpsServerTest, Header_BareLineFeed_Is400) {
  start();
  expect_refused("GET / HTTP/1.1\n" + host() + "\r\n", 400, "not well-formed");
  expect_refused("GET / HTTP/1.1\r\nA: b\n" + host() + "\r\n", 400, "not well-formed");
  expect_refused("GET / HTTP/1.1\nHost: ca.example\n\n", 400, "not well-formed");
}

TEST_F(HttpsServerTest, Header_FoldedLineOrSpaceBeforeColon_Is400) {
  start();
  expect_refused("GET / HTTP/1.1\r\n" + host() + "A: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n",
                 400, "not well-formed");
  expect_refused("GET / HTTP/1.1\r\n" + host() + "A : b\r\n\r\n", 400, "not well-formed");
  expect_refused("GET  / HTTP/1.1\r\n" + host() + "\r\n", 400, "not well-formed");
  expect_refused("GET / HTTP/1.1\r\n" + host() + "A@: b\r\n\r\n", 400, "invalid name");
}

TEST_F(HttpsServerTest, Header_TooManyFields_Is431) {
  start();
  const auto fields = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += "X-" + std::to_string(i) + ": y\r\n";
    return out;
  };
  expect_refused(get("/", fields(limits::kHeadersMax)), 431, "too many");
  expect_refused(get("/", fields(200)), 431, "too many");  // more than civetweb keeps
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/", fields(limits::kHeadersMax - 1))));
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(HttpsServerTest, Header_TooLarge_Is400) {
  start();
  expect_refused(get("/", "A: " + std::string(20'000, 'a') + "\r\n"), 400, "too large");
}

TEST_F(HttpsServerTest, Version_NotOneOne_Is400) {
  start();
  expect_refused("GET / HTTP/1.0\r\n" + host() + "\r\n", 400, "only HTTP/1.1");
  expect_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed");
}

TEST_F(HttpsServerTest, Target_NotAPathOrTooLong_IsRefused) {
  start();
  expect_refused(get("/" + std::string(limits::kUrlBytesMax, 'a')), 400, "too long");
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("https://ca.example:" + std::to_string(server_->port()) + "/x")));
  const auto response = client.receive();
  EXPECT_NE(response.status, 200);
  EXPECT_EQ(recorder_.count(), 0u);
}

TEST_F(HttpsServerTest, Expect_Continue_IsAnsweredBeforeBody) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\n" + host() +
                          "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
  EXPECT_EQ(client.receive().status, 100);
  ASSERT_TRUE(client.send("abc"));
  EXPECT_EQ(client.receive().body, "saw POST /p 3");
}

TEST_F(HttpsServerTest, Expect_ContinueOfTooLargeBody_IsRefusedWithoutContinue) {
  start();
  expect_refused(
      "POST /small HTTP/1.1\r\n" + host() + "Expect: 100-continue\r\nContent-Length: 99\r\n\r\n",
      413, "larger");
  expect_refused("POST /p HTTP/1.1\r\n" + host() + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
                 400, "Expect");
}

TEST_F(HttpsServerTest, Body_Dripping_IsCutByOverallDeadline) {
  options_.body_ms = 700;
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\n" + host() + "Content-Length: 1000\r\n\r\n"));
  const auto begin = now_ms();
  // Each octet comes long before any per-read time-out; the response arrives in between.
  Client::Response response;
  for (int i = 0; i < 100 && response.status == 0; ++i) {
    (void)client.send("x");
    response = client.receive(false, 50);
    if (response.closed) break;
  }
  EXPECT_EQ(response.status, 408) << response.head;
  EXPECT_GE(now_ms() - begin, 600);
  EXPECT_LT(now_ms() - begin, 4'000);
  EXPECT_EQ(recorder_.count(), 0u);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(HttpsServerTest, Header_Dripping_IsCutByOverallDeadline) {
  options_.header_ms = 700;
  start();
  Client client(server_->port());
  const auto begin = now_ms();
  const std::string head = get("/" + std::string(400, 'a'));
  bool closed = false;
  for (std::size_t i = 0; i < head.size() && !closed; ++i) {
    closed = !client.send(head.substr(i, 1)) || client.receive(false, 50).closed;
  }
  EXPECT_TRUE(closed);
  EXPECT_LT(now_ms() - begin, 4'000);
  EXPECT_EQ(recorder_.count(), 0u);
}

TEST_F(HttpsServerTest, Handshake_NeverFinished_IsCut) {
  options_.handshake_ms = 500;
  start();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
  pollfd waiting{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 5'000), 1);
  char octet = 0;
  EXPECT_LE(::recv(fd, &octet, 1, 0), 0);
  ::close(fd);
}

TEST_F(HttpsServerTest, KeepAlive_AtRequestLimit_Closes) {
  options_.requests_per_connection_max = 3;
  start();
  Client client(server_->port());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(client.send(get("/k")));
    const auto response = client.receive();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.has("Connection: close"), i == 3);
  }
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(HttpsServerTest, KeepAlive_ClientWishesClose_Closes) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/k", "Connection: close\r\n")));
  EXPECT_TRUE(client.receive().has("Connection: close"));
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(HttpsServerTest, KeepAlive_Idle_IsClosedAfterTimeout) {
  options_.idle_ms = 300;
  options_.header_ms = 300;
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/k")));
  ASSERT_EQ(client.receive().status, 200);
  const auto begin = now_ms();
  EXPECT_TRUE(client.is_closed_by_peer());
  EXPECT_LT(now_ms() - begin, 4'000);
}

TEST_F(HttpsServerTest, Busy_IdleConnectionsMakeRoomForNewOnes) {
  options_.busy_wait_ms = 0;
  options_.idle_ms = 60'000;
  start();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 20; ++i) {  // more than there are workers
    idle.push_back(std::make_unique<Client>(server_->port()));
    ASSERT_TRUE(idle.back()->connected());
    ASSERT_TRUE(idle.back()->send(get("/i")));
    ASSERT_EQ(idle.back()->receive().status, 200) << i;
  }
  EXPECT_TRUE(idle.front()->is_closed_by_peer());
}

ClientOptions from(const std::string& source) {
  ClientOptions options;
  options.source = source;
  return options;
}

TEST_F(HttpsServerTest, Share_AddressWithItsFill_IsResetAndAnotherServed) {
  options_.connections_per_address_max = 3;
  options_.busy_wait_ms = 60'000;
  options_.idle_ms = 60'000;
  start();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(std::make_unique<Client>(server_->port(), from("127.0.0.2")));
    ASSERT_TRUE(idle.back()->connected());
  }
  EXPECT_FALSE(Client(server_->port(), from("127.0.0.2")).connected());
  EXPECT_EQ(server_->turned().address_full, 1U);
  Client other(server_->port(), from("127.0.0.3"));
  ASSERT_TRUE(other.send(get("/x")));
  EXPECT_EQ(other.receive().status, 200);
  idle.pop_back();
  bool again = false;  // the place is free as soon as its worker has seen the end
  for (const auto end = Deadline::after_ms(10'000); !again && !end.passed();)
    again = Client(server_->port(), from("127.0.0.2")).connected();
  EXPECT_TRUE(again);
}

TEST_F(HttpsServerTest, Full_AddressWithMost_LosesToOneWithout) {
  options_.busy_wait_ms = 60'000;
  options_.idle_ms = 60'000;
  start();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(std::make_unique<Client>(server_->port(), from("127.0.0.2")));
    ASSERT_TRUE(idle.back()->connected());
  }
  for (const char* address : {"127.0.0.3", "127.0.0.4", "127.0.0.5"}) {
    Client other(server_->port(), from(address));
    ASSERT_TRUE(other.send(get("/x"))) << address;
    EXPECT_EQ(other.receive().status, 200) << address;
  }
  EXPECT_GE(server_->turned().displaced, 1U);
  EXPECT_TRUE(idle.front()->is_closed_by_peer());
}

TEST_F(HttpsServerTest, Full_EveryAddressAtWork_NewOneIsReset) {
  options_.connections_max = 2;
  options_.busy_wait_ms = 60'000;
  recorder_.slow_ms = 3'000;
  start();
  Client one(server_->port(), from("127.0.0.2")), two(server_->port(), from("127.0.0.3"));
  ASSERT_TRUE(one.send(get("/x")));
  ASSERT_TRUE(two.send(get("/x")));
  bool refused = false;  // once both are at work
  for (const auto end = Deadline::after_ms(2'000); !refused && !end.passed();)
    refused = !Client(server_->port(), from("127.0.0.4")).connected();
  EXPECT_TRUE(refused);
  EXPECT_GE(server_->turned().full, 1U);
  EXPECT_EQ(one.receive().status, 200);
  EXPECT_EQ(two.receive().status, 200);
}

TEST_F(HttpsServerTest, Full_SilentConnectionsOfManyAddresses_LoseToOneThatAsks) {
  options_.busy_wait_ms = 100;
  start();
  std::vector<int> silent;
  for (int i = 0; i < 40; ++i) {
    silent.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{}, to{};
    own.sin_family = to.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1'000 + static_cast<in_addr_t>(i));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(server_->port());
    ASSERT_EQ(::bind(silent.back(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    ASSERT_EQ(::connect(silent.back(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  bool served = false;
  for (const auto end = Deadline::after_ms(10'000); !served && !end.passed();) {
    Client client(server_->port());
    served = client.connected() && client.send(get("/x")) && client.receive().status == 200;
  }
  EXPECT_TRUE(served);
  for (const int fd : silent) ::close(fd);
}

TEST_F(HttpsServerTest, Connects_TooManyASecond_AreResetAndAnotherServed) {
  options_.connects_per_address_s = 1;
  start();
  int connected = 0;
  for (int i = 0; i < 12; ++i)
    connected += Client(server_->port(), from("127.0.0.2")).connected() ? 1 : 0;
  EXPECT_GE(connected, 2);
  EXPECT_LT(connected, 12);
  EXPECT_GE(server_->turned().too_fast, 1U);
  EXPECT_TRUE(Client(server_->port(), from("127.0.0.3")).connected());
}

TEST_F(HttpsServerTest, Requests_TooManyASecond_WaitTheirTurn) {
  options_.requests_per_address_s = 20;
  start();
  Client fast(server_->port(), from("127.0.0.2"));
  const auto begin = now_ms();
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(fast.send(get("/x")));
    ASSERT_EQ(fast.receive().status, 200);
  }
  EXPECT_GE(now_ms() - begin, 900);  // 40 at once, 20 more at 20 a second
  EXPECT_GE(server_->turned().paced, 1U);
  EXPECT_EQ(server_->turned().limited, 0U);
}

TEST_F(HttpsServerTest, Requests_MoreThanCanWait_Are429) {
  options_.requests_per_address_s = 1;
  start();
  Client one(server_->port(), from("127.0.0.2")), two(server_->port(), from("127.0.0.2"));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(one.send(get("/x")));
    ASSERT_EQ(one.receive().status, 200);
  }
  ASSERT_TRUE(one.send(get("/x")));  // waits a second
  while (server_->turned().paced == 0) std::this_thread::yield();
  ASSERT_TRUE(two.send(get("/x")));
  const auto refused = two.receive();
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("too many requests a second"));
  EXPECT_EQ(one.receive().status, 200);
  EXPECT_EQ(server_->turned().limited, 1U);
  EXPECT_EQ(recorder_.count(), 3U);
}

TEST(AddressKey, SameSubscriber_SameKey) {
  const auto key = [](const char* text) {
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    v6.sin6_family = AF_INET6;
    v4.sin_family = AF_INET;
    if (::inet_pton(AF_INET, text, &v4.sin_addr) == 1)
      return address_key(reinterpret_cast<const sockaddr*>(&v4));
    ::inet_pton(AF_INET6, text, &v6.sin6_addr);
    return address_key(reinterpret_cast<const sockaddr*>(&v6));
  };
  EXPECT_EQ(key("192.0.2.7"), key("::ffff:192.0.2.7"));
  EXPECT_NE(key("192.0.2.7"), key("192.0.2.8"));
  EXPECT_EQ(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
  EXPECT_NE(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
}

TEST(AddressPace, Bucket_FillsAgain_AndForgetsTheQuietest) {
  AddressPace pace(10, 2);
  EXPECT_EQ(pace.take(1, 0, 0), 0);
  EXPECT_EQ(pace.take(1, 0, 0), 0);
  EXPECT_EQ(pace.take(1, 0, 0), 100);  // not taken
  EXPECT_EQ(pace.take(1, 0, 1'000), 100);
  EXPECT_EQ(pace.take(1, 0, 1'000), 200);
  EXPECT_EQ(pace.take(2, 0, 0), 0);
  EXPECT_EQ(pace.take(1, 10'000, 0), 0);
  for (AddressKey other = 10; other < 10 + 2 * limits::kHttpPacesMax; ++other)
    (void)pace.take(other, 10'000, 0);
  EXPECT_EQ(pace.size(), limits::kHttpPacesMax);
  AddressPace unlimited(0, 0);
  EXPECT_EQ(unlimited.take(1, 0, 0), 0);
  EXPECT_EQ(unlimited.size(), 0U);
}

TEST_F(HttpsServerTest, Tls_OneOne_IsRefused) {
  start();
  ClientOptions old;
  old.version_max = TLS1_1_VERSION;
  EXPECT_FALSE(Client(server_->port(), old).connected());
}

TEST_F(HttpsServerTest, Tls_OneTwoAndOneThree_AreSpoken) {
  start();
  EXPECT_EQ(Client(server_->port()).version(), TLS1_3_VERSION);
  ClientOptions two;
  two.version_max = TLS1_2_VERSION;
  Client client(server_->port(), two);
  EXPECT_TRUE(client.connected());
  EXPECT_EQ(client.version(), TLS1_2_VERSION);
}

TEST_F(HttpsServerTest, Tls_WeakSuite_IsRefused) {
  start();
  ClientOptions weak;
  weak.version_max = TLS1_2_VERSION;
  weak.ciphers = "ECDHE-ECDSA-AES128-SHA";
  EXPECT_FALSE(Client(server_->port(), weak).connected());
}

TEST_F(HttpsServerTest, Tls_ForeignAlpn_IsRefused) {
  start();
  ClientOptions http2;
  http2.alpn = std::string("\x02h2", 3);
  EXPECT_FALSE(Client(server_->port(), http2).connected());
  ClientOptions both;
  both.alpn = std::string("\x02h2\x08http/1.1", 12);
  EXPECT_TRUE(Client(server_->port(), both).connected());
}

TEST_F(HttpsServerTest, Identity_Swapped_IsSeenByNextHandshakeAlone) {
  start();
  Client old(server_->port());
  EXPECT_EQ(old.peer_common_name(), "first");
  ASSERT_TRUE(server_->set_identity(test::make_identity("second")));
  EXPECT_EQ(Client(server_->port()).peer_common_name(), "second");
  ASSERT_TRUE(old.send(get("/still")));
  EXPECT_EQ(old.receive().status, 200);
}

TEST_F(HttpsServerTest, Identity_Wrong_IsRefusedAndOldOneStays) {
  start();
  auto mixed = test::make_identity("a");
  mixed.key_pem = test::make_identity("b").key_pem;
  const auto status = server_->set_identity(mixed);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kBadInput);
  EXPECT_FALSE(server_->set_identity({"", ""}));
  EXPECT_EQ(Client(server_->port()).peer_common_name(), "first");
}

TEST_F(HttpsServerTest, Identity_NoneYet_HandshakeFails) {
  options_.listen = "127.0.0.1:0";
  options_.hosts = {"ca.example"};
  auto started = HttpsServer::start(options_, recorder_);
  ASSERT_TRUE(started);
  EXPECT_FALSE(Client((*started)->port()).connected());
  EXPECT_EQ(recorder_.count(), 0u);
}

TEST_F(HttpsServerTest, Start_PortTaken_IsUnavailable) {
  start();
  HttpsOptions second = options_;
  second.listen = "127.0.0.1:" + std::to_string(server_->port());
  const auto other = HttpsServer::start(second, recorder_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUnavailable);
}

TEST_F(HttpsServerTest, Start_Ipv6_IsSpoken) {
  options_.listen = "[::1]:0";
  options_.hosts = {"[::1]"};
  auto started = HttpsServer::start(options_, recorder_);
  ASSERT_TRUE(started) << started.error().what;
  EXPECT_NE((*started)->port(), 0);
}

TEST_F(HttpsServerTest, Stop_WithOpenConnections_IsQuick) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/k")));
  ASSERT_EQ(client.receive().status, 200);
  const auto begin = now_ms();
  server_.reset();
  EXPECT_LT(now_ms() - begin, 4'000);
}

TEST_F(HttpsServerTest, Stop_WithARequestUnderWay_AnswersIt) {
  start();
  recorder_.slow_ms = 300;
  Client client(server_->port());
  Client idle(server_->port());
  ASSERT_TRUE(client.send(get("/slow")));
  recorder_.entered.wait(false);
  server_.reset();
  const auto response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("Connection: close"));
  EXPECT_TRUE(idle.is_closed_by_peer());
}

}  // namespace
}  // namespace keyward::https
