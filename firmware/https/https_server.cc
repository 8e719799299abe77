// Owns the HTTPS listener over civetweb. Must not know routes, JSON or ACME.
#include "firmware/https/https_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>

#include <civetweb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firmware/https/address_pace.h"
#include "firmware/https/connection_table.h"
#include "firmware/https/request_fence.h"
#include "firmware/https/tls_context.h"
#include "firmware/log/log.h"
#include "hal/base/unique_fd.h"

// Of a connection that a worker has; defined in tools/cmake/civetweb/whole.c.
extern "C" int keyward_https_socket(const mg_connection* connection);

namespace keyward::https {
namespace {

using Phase = ConnectionTable::Phase;

constexpr std::int64_t kFinishMs = 3'000;  // for requests under way when the server stops

// civetweb serves one connection per thread and gives no place to keep state from the handshake on.
struct ThisConnection {
  ConnectionTable::Entry* entry = nullptr;
  const SSL* tls = nullptr;  // until on_close
  int requests = 0;
};
thread_local ThisConnection this_connection;
// Of the thread that accepts for this server; see keyward_https_accept.
thread_local void* door_of_thread = nullptr;

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
  }
}

std::string http_date() {  // IMF-fixdate, RFC 9110 §5.6.7
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 40> text{};
  const auto size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// RFC 9110 §8.6: none with 204; with HEAD and 304 its length would have to be the GET's, which is not
// known here.
bool has_body(const acme::HttpResponse& response, bool is_head) {
  return !is_head && response.status != 204 && response.status != 304;
}

// One string, so that it leaves in one write (field notes: 13 µs against 54). A shared body follows it.
std::string compose(const acme::HttpResponse& response, bool is_head, bool close) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out.append(reason_phrase(response.status))
      .append("\r\nDate: ")
      .append(http_date())
      .append("\r\n");
  for (const auto& [name, value] : response.headers) {
    if (!is_clean(name) || !is_clean(value)) {
      log::error("a response header with control characters was left out", {{"name", name}});
      continue;
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (close) out.append("Connection: close\r\n");
  const bool with_body = has_body(response, is_head);
  if (with_body)
    out.append("Content-Length: ").append(std::to_string(response.content().size())).append("\r\n");
  out.append("\r\n");
  if (with_body && !response.shared_body) out.append(response.body);
  return out;
}

RawRequest raw_request(const mg_request_info& info) {
  RawRequest raw{info.request_method, info.request_uri, info.query_string, info.http_version, {}};
  raw.headers.reserve(static_cast<std::size_t>(info.num_headers));
  for (int i = 0; i < info.num_headers; ++i)
    raw.headers.push_back({info.http_headers[i].name, info.http_headers[i].value});
  return raw;
}

// civetweb's listener looks at its stop flag every two seconds, or when somebody comes: so come.
// Where the sandbox forbids it, stopping only takes these two seconds.
void knock(std::uint16_t port, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    for (const bool v6 : {false, true}) {
      const UniqueFd fd(
          ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      sockaddr_in6 to6{};
      to6.sin6_family = AF_INET6;
      to6.sin6_port = htons(port);
      to6.sin6_addr = in6addr_loopback;
      const auto* address =
          v6 ? reinterpret_cast<const sockaddr*>(&to6) : reinterpret_cast<const sockaddr*>(&to);
      (void)::connect(fd.get(), address, v6 ? sizeof to6 : sizeof to);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

ConnectionTable::Options places_of(const HttpsOptions& options) {
  ConnectionTable::Options out;
  out.places = static_cast<std::size_t>(options.connections_max);
  out.per_address = static_cast<std::size_t>(options.connections_per_address_max);
  out.busy_from = out.places - std::max<std::size_t>(1, out.places / 8);
  out.busy_wait_ms = options.busy_wait_ms;
  out.connects_per_s = options.connects_per_address_s;
  return out;
}

// The client is to see at once that it was turned away, and nothing of it is to stay here.
void reset(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

}  // namespace

struct HttpsServer::Impl {
  Impl(const HttpsOptions& from, acme::HttpHandler& to)
      : options(from),
        handler(to),
        table(places_of(from)),
        requests(from.requests_per_address_s, from.requests_per_address_s * limits::kHttpBurstS) {}
  ~Impl() {
    if (context == nullptr) return;
    table.finish(Deadline::after_ms(kFinishMs));
    std::jthread knocking(
        [port = listening_port](const std::stop_token& stop) { knock(port, stop); });
    ::mg_stop(context);
  }

  const HttpsOptions options;
  acme::HttpHandler& handler;
  Authority authority;
  ConnectionTable table;
  AddressPace requests;
  std::atomic<std::uint64_t> full{0}, address_full{0}, too_fast{0}, paced{0}, limited{0};
  std::unique_ptr<TlsContext> tls;
  mg_context* context = nullptr;
  std::uint16_t listening_port = 0;

  static Impl& of(const mg_connection* connection) {
    return *static_cast<Impl*>(::mg_get_user_data(::mg_get_context(connection)));
  }

  // ---- the door
  // Once in each of civetweb's threads; 0 is the one that accepts.
  static void* on_thread(const mg_context* server, int kind) {
    if (kind == 0) door_of_thread = ::mg_get_user_data(server);
    return nullptr;
  }
  bool admit(int fd, const sockaddr* from);

  // ---- TLS: the first sign of a connection that we get is its handshake's start.
  static void on_tls_event(const SSL* ssl, int where, int) {
    if ((where & SSL_CB_HANDSHAKE_START) == 0 || this_connection.entry != nullptr) return;
    auto& self = *static_cast<Impl*>(SSL_CTX_get_app_data(::SSL_get_SSL_CTX(ssl)));
    this_connection.entry = self.table.open(::SSL_get_fd(ssl), self.options.handshake_ms);
    this_connection.tls = ssl;
    this_connection.requests = 0;
  }
  static int give_context(void** ssl_context, void* user) {
    *ssl_context = static_cast<Impl*>(user)->tls->native();
    return 1;  // civetweb neither changes nor frees it
  }
  static int on_connected(const mg_connection* connection, void**) {
    Impl& self = of(connection);
    if (self.options.plain) {  // no handshake that would have said it
      this_connection.entry =
          self.table.open(keyward_https_socket(connection), self.options.header_ms);
      this_connection.requests = 0;
    }
    self.table.enter(this_connection.entry, Phase::kWaiting, self.options.header_ms);
    return 0;
  }
  static void on_close(const mg_connection* connection) {
    if (this_connection.entry != nullptr) of(connection).table.close(this_connection.entry);
    this_connection = {};
  }

  // ---- requests
  static int on_request(mg_connection* connection) { return of(connection).serve(connection); }
  // civetweb refuses by itself what it cannot parse; here that gets our words. 0: handled.
  static int on_error(mg_connection* connection, int status, const char*) {
    Impl& self = of(connection);
    if (this_connection.entry == nullptr) return 0;
    log::debug("civetweb refused", {{"status", status}});
    self.refuse(connection, {400, "the request header is malformed, too large, or came too slowly"},
                false, false);
    return 0;
  }
  static int on_log(const mg_connection*, const char* message) {
    log::debug("civetweb", {{"said", message}});
    return 1;
  }

  int serve(mg_connection* connection);
  std::optional<Refusal> read_body(mg_connection* connection, FencedRequest& fenced);
  std::optional<Refusal> check_length(const FencedRequest& fenced) const;
  int refuse(mg_connection* connection, const Refusal& refusal, bool is_head, bool drain);
  bool pace();
  bool answer(mg_connection* connection, const acme::HttpResponse& response, bool is_head,
              bool close);
  void drain(mg_connection* connection);
  std::int64_t response_ms(std::size_t bytes) const;
  Status prepare_tls();
  Status listen();
  Status set_port();
};

bool HttpsServer::Impl::admit(int fd, const sockaddr* from) {
  using Verdict = ConnectionTable::Verdict;
  const Verdict verdict = table.admit(fd, address_key(from), options.handshake_ms);
  if (verdict == Verdict::kFull) ++full;
  if (verdict == Verdict::kAddressFull) ++address_full;
  if (verdict == Verdict::kTooFast) ++too_fast;
  return verdict == Verdict::kAdmitted;
}

// Who asks too fast waits for his turn, on a place that is his and that others may need more. False:
// he would wait too long. A refusal would be answered with the next request, and closing with the
// next handshake: waiting costs nothing.
bool HttpsServer::Impl::pace() {
  const auto wait_ms = requests.take(this_connection.entry->address, system_clock().monotonic_ms(),
                                     limits::kHttpPaceMs);
  if (wait_ms > limits::kHttpPaceMs) {
    ++limited;
    return false;
  }
  if (wait_ms <= 0) return true;
  ++paced;
  table.enter(this_connection.entry, Phase::kPaced, limits::kHttpPaceMs + options.header_ms);
  pollfd gone{this_connection.entry->fd, POLLRDHUP, 0};
  (void)::poll(&gone, 1, static_cast<int>(wait_ms));
  table.enter(this_connection.entry, Phase::kWorking, 0);
  return true;
}

int HttpsServer::Impl::serve(mg_connection* connection) {
  table.enter(this_connection.entry, Phase::kWorking, 0);
  ++this_connection.requests;
  const mg_request_info& info = *::mg_get_request_info(connection);
  const bool is_head = std::string_view(info.request_method) == "HEAD";
  FenceResult fenced = fence(raw_request(info), authority);
  if (!fenced.request) return refuse(connection, fenced.refusal, is_head, true);
  if (!pace())
    return refuse(connection, {429, "this address sends too many requests a second"}, is_head,
                  true);
  acme::HttpRequest& request = fenced.request->request;
  request.peer_address = info.remote_addr;
  if (options.client_key_known) request.client_key = TlsContext::client_key(this_connection.tls);
  if (const auto refusal = check_length(*fenced.request))
    return refuse(connection, *refusal, is_head, !fenced.request->expects_continue);
  if (const auto refusal = read_body(connection, *fenced.request))
    return refuse(connection, *refusal, is_head, false);
  table.enter(this_connection.entry, Phase::kWorking, 0);
  const acme::HttpResponse response = handler.handle(request);
  const char* wish = ::mg_get_header(connection, "Connection");
  const bool close = this_connection.requests >= options.requests_per_connection_max ||
                     fenced.request->is_http_1_0 || table.is_busy() ||
                     (wish != nullptr && ::strcasecmp(wish, "close") == 0);
  answer(connection, response, is_head, close);
  return response.status;
}

std::optional<Refusal> HttpsServer::Impl::check_length(const FencedRequest& fenced) const {
  const std::size_t cap =
      std::min(handler.body_bytes_max(fenced.request.method, fenced.request.raw_path),
               limits::kRequestBodyBytesMax);
  if (!fenced.content_length_bytes) {
    if (fenced.request.method == "POST") return Refusal{411, "a POST needs Content-Length"};
    return std::nullopt;
  }
  if (*fenced.content_length_bytes > cap)
    return Refusal{413, "the body is larger than this resource takes"};
  return std::nullopt;
}

std::optional<Refusal> HttpsServer::Impl::read_body(mg_connection* connection,
                                                    FencedRequest& fenced) {
  const auto size = static_cast<std::size_t>(fenced.content_length_bytes.value_or(0));
  if (size == 0) return std::nullopt;
  table.enter(this_connection.entry, Phase::kBody, options.body_ms);
  if (fenced.expects_continue) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    ::mg_write(connection, kContinue.data(), kContinue.size());
  }
  Bytes& body = fenced.request.body;
  body.resize(size);
  for (std::size_t at = 0; at < size;) {
    const int got = ::mg_read(connection, body.data() + at, size - at);
    if (got <= 0) return Refusal{408, "the body did not come in time"};
    at += static_cast<std::size_t>(got);
  }
  return std::nullopt;
}

int HttpsServer::Impl::refuse(mg_connection* connection, const Refusal& refusal, bool is_head,
                              bool read_on) {
  log::debug("refused before the handler", {{"status", refusal.status}, {"why", refusal.detail}});
  const bool sent =
      answer(connection, handler.refuse_transport(refusal.status, refusal.detail), is_head, true);
  if (sent && read_on) drain(connection);
  return refusal.status;
}

std::int64_t HttpsServer::Impl::response_ms(std::size_t bytes) const {
  if (options.response_bytes_per_s == 0) return options.response_ms;
  return options.response_ms +
         static_cast<std::int64_t>(bytes) * 1'000 / options.response_bytes_per_s;
}

bool HttpsServer::Impl::answer(mg_connection* connection, const acme::HttpResponse& response,
                               bool is_head, bool close) {
  const std::string octets = compose(response, is_head, close);
  const std::string_view rest = response.shared_body && has_body(response, is_head)
                                    ? std::string_view(*response.shared_body)
                                    : std::string_view{};
  // A late body has a deadline already: what is left of it is for this answer.
  if (!table.was_cut(this_connection.entry))
    table.enter(this_connection.entry, Phase::kResponse, response_ms(octets.size() + rest.size()));
  const auto write = [connection](std::string_view part) {
    const int sent = part.empty() ? 0 : ::mg_write(connection, part.data(), part.size());
    return sent >= 0 && static_cast<std::size_t>(sent) == part.size();
  };
  const bool complete = write(octets) && write(rest);
  if (close || !complete)
    ::mg_disable_connection_keep_alive(connection);
  else
    table.enter(this_connection.entry, Phase::kWaiting, options.idle_ms + options.header_ms);
  return complete;
}

// Closing a socket that holds unread octets resets the connection, and the client may lose the
// answer.
void HttpsServer::Impl::drain(mg_connection* connection) {
  table.enter(this_connection.entry, Phase::kDraining, limits::kHttpDrainMs);
  std::array<char, 4'096> buffer;
  for (std::size_t left = limits::kHttpDrainBytesMax; left > 0;) {
    const int got = ::mg_read(connection, buffer.data(), std::min(left, buffer.size()));
    if (got <= 0) return;
    left -= static_cast<std::size_t>(got);
  }
}

Status HttpsServer::Impl::prepare_tls() {
  KEYWARD_TRY(made, TlsContext::create({options.client_key_known, options.client_key_required}));
  tls = std::move(made);
  SSL_CTX_set_app_data(tls->native(), this);
  ::SSL_CTX_set_info_callback(tls->native(), on_tls_event);
  return {};
}

Status HttpsServer::Impl::listen() {
  const std::string threads = std::to_string(options.connections_max);
  const std::string header_ms = std::to_string(std::max(options.header_ms, options.handshake_ms));
  const std::string idle_ms = std::to_string(options.idle_ms);
  const std::string header_bytes = std::to_string(limits::kHttpHeaderBytesMax);
  const std::string ports = options.listen + (options.plain ? "" : "s");
  const char* settings[] = {"listening_ports",
                            ports.c_str(),
                            "num_threads",
                            threads.c_str(),
                            "request_timeout_ms",
                            header_ms.c_str(),
                            "keep_alive_timeout_ms",
                            idle_ms.c_str(),
                            "max_request_size",
                            header_bytes.c_str(),
                            "enable_keep_alive",
                            "yes",
                            "tcp_nodelay",
                            "1",
                            "decode_url",
                            "no",
                            "decode_query_string",
                            "no",
                            "enable_auth_domain_check",
                            "no",
                            "access_control_allow_origin",
                            "",
                            "access_control_allow_methods",
                            "",
                            "access_control_allow_headers",
                            "",
                            "listen_backlog",
                            "512",
                            "connection_queue",
                            threads.c_str(),
                            nullptr};
  mg_callbacks callbacks{};
  callbacks.init_thread = on_thread;
  callbacks.begin_request = on_request;
  callbacks.http_error = on_error;
  callbacks.log_message = on_log;
  if (!options.plain) callbacks.external_ssl_ctx = give_context;
  callbacks.init_connection = on_connected;
  callbacks.connection_close = on_close;
  mg_init_data init{&callbacks, this, settings};
  std::array<char, 256> text{};
  unsigned code = 0;
  mg_error_data error{};
  error.code = &code;
  error.text = text.data();
  error.text_buffer_size = text.size();
  context = ::mg_start2(&init, &error);
  if (context == nullptr) {
    log::error("HTTPS cannot listen", {{"address", options.listen}, {"why", text.data()}});
    return fail(ErrorKind::kUnavailable, "HTTPS cannot listen", code);
  }
  return set_port();
}

Status HttpsServer::Impl::set_port() {
  std::array<mg_server_port, 2> ports{};
  if (::mg_get_server_ports(context, static_cast<int>(ports.size()), ports.data()) != 1 ||
      (ports[0].is_ssl == 0) != options.plain)
    return fail(ErrorKind::kInternal, "HTTPS listens on something else than asked");
  listening_port = static_cast<std::uint16_t>(ports[0].port);
  return {};
}

HttpsServer::HttpsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpsServer::~HttpsServer() = default;

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(const HttpsOptions& options,
                                                        acme::HttpHandler& handler) {
  if (options.connections_max < 2 || options.hosts.empty() != options.plain ||
      options.listen.rfind(':') == std::string::npos)
    return fail(ErrorKind::kBadInput, "HTTPS options");
  static const unsigned features = ::mg_init_library(MG_FEATURES_TLS | MG_FEATURES_IPV6);
  if ((features & MG_FEATURES_TLS) == 0 || ::mg_check_feature(MG_FEATURES_TLS) == 0)
    return fail(ErrorKind::kInternal, "civetweb is built without TLS");
  if (::mg_check_feature(MG_FEATURES_IPV6) == 0 || ::mg_check_feature(MG_FEATURES_FILES) != 0)
    return fail(ErrorKind::kInternal, "civetweb is built in another way than this product needs");
  auto impl = std::make_unique<Impl>(options, handler);
  if (!options.plain) KEYWARD_CHECK(impl->prepare_tls());
  for (std::string host : options.hosts) {
    for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    impl->authority.hosts.push_back(std::move(host));
  }
  impl->authority.port = options.public_port;
  impl->authority.any = options.plain;
  KEYWARD_CHECK(impl->listen());
  // No handshake succeeds before set_identity, so nobody reads this while it is written; without TLS
  // nobody ever does.
  if (options.public_port == 0 && !options.plain) impl->authority.port = impl->listening_port;
  return std::unique_ptr<HttpsServer>(new HttpsServer(std::move(impl)));
}

Status HttpsServer::set_identity(const acme::TlsIdentity& identity) {
  if (!impl_->tls) return fail(ErrorKind::kBadInput, "a listener without TLS has no identity");
  return impl_->tls->set_identity(identity);
}
std::uint16_t HttpsServer::port() const { return impl_->listening_port; }
std::size_t HttpsServer::connections() const { return impl_->table.size(); }
HttpsServer::Turned HttpsServer::turned() const {
  return {impl_->full,  impl_->address_full, impl_->too_fast, impl_->table.displaced(),
          impl_->paced, impl_->limited};
}

}  // namespace keyward::https

// In place of accept() in civetweb (tools/cmake/civetweb.cmake). Refusing here costs neither a
// worker nor a handshake, and never waits.
extern "C" int keyward_https_accept(int listener, sockaddr* from, socklen_t* from_bytes) {
  constexpr int kOutOfFilesMs = 20;
  const int fd = ::accept(listener, from, from_bytes);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) ::poll(nullptr, 0, kOutOfFilesMs);
  auto* door = static_cast<keyward::https::HttpsServer::Impl*>(keyward::https::door_of_thread);
  if (fd < 0 || door == nullptr || door->admit(fd, from)) return fd;
  keyward::https::reset(fd);
  errno = ECONNABORTED;
  return -1;
}
