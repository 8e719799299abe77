#include "tests/support/dns_server/dns_server.h"

#include <algorithm>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace keyward::test {
namespace {

constexpr int kPollMs = 50;
constexpr int kBindTries = 32;  // the TCP port of the same number may be taken
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kUdpBytesMax = 1'232;
constexpr int kChainMax = 40;
constexpr unsigned kNxDomain = 3, kServfailCode = 2;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string dotted(ByteView wire) {
  std::string out;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0; at += 1 + wire[at]) {
    if (!out.empty()) out += '.';
    out += text_of(wire.subspan(at + 1, wire[at]));
  }
  return out;
}

bool bind_to(int fd, std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons(port);
  return ::bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof in) == 0;
}

std::uint16_t port_of(int fd) {
  sockaddr_in in{};
  socklen_t size = sizeof in;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&in), &size);
  return ntohs(in.sin_port);
}

void put_record(Bytes& out, const std::string& name, std::uint16_t type, const Bytes& rdata) {
  append(out, dns::name(name));
  dns::put16(out, type);
  dns::put16(out, 1);
  dns::put32(out, 300);  // long on purpose: what is looked at shall be fresh all the same
  dns::put16(out, static_cast<unsigned>(rdata.size()));
  append(out, rdata);
}

}  // namespace

namespace dns {

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

Bytes name(std::string_view text) {
  Bytes out;
  while (!text.empty()) {
    const auto label = text.substr(0, text.find('.'));
    out.push_back(static_cast<std::uint8_t>(label.size()));
    append(out, view_of(lower(std::string(label))));
    text.remove_prefix(std::min(label.size() + 1, text.size()));
  }
  out.push_back(0);
  return out;
}

Bytes a(std::uint8_t first, std::uint8_t second, std::uint8_t third, std::uint8_t fourth) {
  return {first, second, third, fourth};
}

Bytes txt(std::string_view text) {
  Bytes out;
  do {
    const auto part = text.substr(0, 255);
    out.push_back(static_cast<std::uint8_t>(part.size()));
    append(out, view_of(part));
    text.remove_prefix(part.size());
  } while (!text.empty());
  return out;
}

Bytes caa(std::uint8_t flags, std::string_view tag, std::string_view value) {
  Bytes out{flags, static_cast<std::uint8_t>(tag.size())};
  append(out, view_of(tag));
  append(out, view_of(value));
  return out;
}

}  // namespace dns

struct DnsServer::Query {
  std::string name;
  std::uint16_t type = 0;
  std::size_t question_end = 0;
  bool edns = false;
};

DnsServer::DnsServer() {
  for (int i = 0; i < kBindTries && port_ == 0; ++i) {
    datagrams_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!bind_to(datagrams_.get(), 0)) continue;
    const auto port = port_of(datagrams_.get());
    if (bind_to(listener_.get(), port) && ::listen(listener_.get(), 16) == 0) port_ = port;
  }
  if (port_ == 0) return;
  udp_thread_ = std::thread([this] { udp_loop(); });
  tcp_thread_ = std::thread([this] { tcp_loop(); });
}

DnsServer::~DnsServer() {
  stop_ = true;
  if (udp_thread_.joinable()) udp_thread_.join();
  if (tcp_thread_.joinable()) tcp_thread_.join();
}

void DnsServer::add(const std::string& name, std::uint16_t type, Bytes rdata) {
  const std::lock_guard lock(mutex_);
  records_[{lower(name), type}].push_back(std::move(rdata));
}

void DnsServer::remove(const std::string& name, std::uint16_t type) {
  const std::lock_guard lock(mutex_);
  records_.erase({lower(name), type});
}

void DnsServer::behave(const std::string& name, DnsBehaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_[lower(name)] = behaviour;
}

int DnsServer::asked(const std::string& name, std::uint16_t type) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find({lower(name), type});
  return found == asked_.end() ? 0 : found->second;
}

void DnsServer::udp_loop() {
  std::uint8_t buffer[4096];
  while (!stop_) {
    pollfd entry{datagrams_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) <= 0) continue;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(datagrams_.get(), buffer, sizeof buffer, 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) continue;
    ++udp_;
    const Bytes reply = answer({buffer, static_cast<std::size_t>(got)}, false);
    if (reply.empty()) continue;
    ::sendto(datagrams_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
             size);
  }
}

void DnsServer::tcp_loop() {
  while (!stop_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) <= 0) continue;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) serve_tcp(fd.get());
  }
}

// One question per connection.
void DnsServer::serve_tcp(int fd) {
  Bytes held;
  std::uint8_t buffer[4096];
  while (!stop_ && (held.size() < 2 || held.size() < 2u + (held[0] << 8 | held[1]))) {
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, kPollMs * 20) <= 0) return;
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    append(held, {buffer, static_cast<std::size_t>(got)});
  }
  ++tcp_;
  const Bytes reply = answer(ByteView(held).subspan(2), true);
  if (reply.empty()) return;
  Bytes framed;
  dns::put16(framed, static_cast<unsigned>(reply.size()));
  append(framed, reply);
  ::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
}

bool DnsServer::exists(const std::string& name) const {
  return std::any_of(records_.begin(), records_.end(), [&](const auto& entry) {
    const auto& owner = entry.first.first;
    return owner == name || owner.ends_with("." + name);
  });
}

Bytes DnsServer::answer(ByteView raw, bool tcp) {
  if (raw.size() < kHeaderBytes + 5) return {};
  Query query;
  std::size_t at = kHeaderBytes;
  while (at < raw.size() && raw[at] != 0) at += 1 + raw[at];
  if (at + 5 > raw.size()) return {};
  query.name = lower(dotted(raw.subspan(kHeaderBytes)));
  query.type = static_cast<std::uint16_t>(raw[at + 1] << 8 | raw[at + 2]);
  query.question_end = at + 5;
  query.edns = raw[11] != 0;  // the one additional record of a query is OPT
  const std::lock_guard lock(mutex_);
  ++asked_[{query.name, query.type}];
  const auto found = behaviour_.find(query.name);
  const auto behaviour = found == behaviour_.end() ? DnsBehaviour::kAnswer : found->second;
  Bytes failing(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(query.question_end));
  failing[2] |= 0x80;
  failing[3] = 0x80;
  std::fill(failing.begin() + 6, failing.begin() + 12, std::uint8_t{0});
  switch (behaviour) {
    case DnsBehaviour::kSilent:
      return {};
    case DnsBehaviour::kGarbage:
      return Bytes(raw.size(), 0xff);
    case DnsBehaviour::kServfail:
      failing[3] |= kServfailCode;
      return failing;
    case DnsBehaviour::kTcpSilent:
      if (tcp) return {};
      [[fallthrough]];
    case DnsBehaviour::kTruncate:
      if (tcp) break;
      failing[2] |= 0x02;
      return failing;
    case DnsBehaviour::kAnswer:
      break;
  }
  return compose(query, raw, tcp);
}

Bytes DnsServer::compose(const Query& query, ByteView raw, bool tcp) const {
  Bytes body;
  unsigned count = 0;
  const auto put_all = [&](const std::string& name, std::uint16_t type) {
    const auto found = records_.find({name, type});
    if (found == records_.end()) return false;
    for (const auto& rdata : found->second) {
      put_record(body, name, type, rdata);
      ++count;
    }
    // Signatures over this set alone: RRSIG RDATA begins with the type that it covers.
    const auto signatures = records_.find({name, dns::kRrsig});
    if (signatures == records_.end()) return true;
    for (const auto& rdata : signatures->second) {
      if ((rdata[0] << 8 | rdata[1]) != type) continue;
      put_record(body, name, dns::kRrsig, rdata);
      ++count;
    }
    return true;
  };
  std::string name = query.name;
  for (int i = 0; i < kChainMax && !put_all(name, query.type); ++i) {
    if (!put_all(name, dns::kCname)) break;
    name = lower(dotted(records_.at({name, dns::kCname}).front()));
    if (name == query.name) break;  // a loop: once round is enough
  }
  Bytes out(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(query.question_end));
  out[2] = static_cast<std::uint8_t>(0x80 | (raw[2] & 0x01));
  out[3] = static_cast<std::uint8_t>(0x80 | (count == 0 && !exists(name) ? kNxDomain : 0));
  out[6] = static_cast<std::uint8_t>(count >> 8);
  out[7] = static_cast<std::uint8_t>(count);
  out[8] = out[9] = out[10] = 0;
  out[11] = query.edns ? 1 : 0;
  append(out, body);
  if (query.edns) append(out, Bytes{0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0});  // OPT, DO
  if (tcp || out.size() <= kUdpBytesMax) return out;
  out.resize(query.question_end);
  out[2] |= 0x02;
  std::fill(out.begin() + 6, out.begin() + 12, std::uint8_t{0});
  return out;
}

}  // namespace keyward::test
