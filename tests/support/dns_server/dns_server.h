// Owns a DNS server on loopback (UDP and TCP, one port from the kernel) that says what a test
// scripts. It answers like a forwarder: a CNAME chain comes whole. Must not know who asks.
// Sources: RFC 1035, RFC 6891 (OPT), RFC 8659 §4.1 (CAA). Threads: any.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/unique_fd.h"

namespace keyward::test {

namespace dns {
inline constexpr std::uint16_t kA = 1, kCname = 5, kTxt = 16, kAaaa = 28, kDs = 43, kRrsig = 46,
                               kDnskey = 48, kCaa = 257;

Bytes name(std::string_view dotted);  // wire form, lower case, no compression
Bytes a(std::uint8_t first, std::uint8_t second, std::uint8_t third, std::uint8_t fourth);
Bytes txt(std::string_view text);  // cut into strings of 255
Bytes caa(std::uint8_t flags, std::string_view tag, std::string_view value);
void put16(Bytes& out, unsigned value);
void put32(Bytes& out, std::uint32_t value);
}  // namespace dns

enum class DnsBehaviour {
  kAnswer,
  kServfail,
  kSilent,
  kTruncate,  // over UDP: the TC bit and nothing else
  kGarbage,   // octets that are no message
  kTcpSilent  // as kTruncate, and TCP connections are closed unanswered
};

class DnsServer {
 public:
  DnsServer();
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  bool listening() const { return port_ != 0; }
  std::string forward() const { return "127.0.0.1@" + std::to_string(port_); }
  void add(const std::string& name, std::uint16_t type, Bytes rdata);
  void add_cname(const std::string& name, const std::string& target) {
    add(name, dns::kCname, dns::name(target));
  }
  void remove(const std::string& name, std::uint16_t type);
  void behave(const std::string& name, DnsBehaviour behaviour);
  int udp_queries() const { return udp_; }
  int tcp_queries() const { return tcp_; }
  int asked(const std::string& name, std::uint16_t type) const;

 private:
  struct Query;
  void udp_loop();
  void tcp_loop();
  void serve_tcp(int fd);
  // Empty: no answer.
  Bytes answer(ByteView query, bool tcp);
  Bytes compose(const Query& query, ByteView raw, bool tcp) const;
  bool exists(const std::string& name) const;

  UniqueFd datagrams_, listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::uint16_t>, std::vector<Bytes>> records_;
  std::map<std::string, DnsBehaviour> behaviour_;
  std::map<std::pair<std::string, std::uint16_t>, int> asked_;
  std::atomic<int> udp_{0}, tcp_{0};
  std::atomic<bool> stop_{false};
  std::thread udp_thread_, tcp_thread_;
};

}  // namespace keyward::test
