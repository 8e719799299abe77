#include "firmware/syslog/tls_link.h"

#include <algorithm>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "hal/base/limits.h"
#include "hal/base/unique_fd.h"

namespace keyward::syslog {
namespace {

constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305";
constexpr int kAddressesMax = 4;
constexpr int kReadsMax = 64;

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CertificatePtr = std::unique_ptr<X509, Freer<::X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<::EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<::BIO_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<::SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<::SSL_free>>;
using AddressesPtr = std::unique_ptr<addrinfo, Freer<::freeaddrinfo>>;

int no_password(char*, int, int, void*) { return -1; }  // never ask on a terminal

BioPtr bio_of(std::string_view text) {
  return BioPtr(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool is_address(const std::string& text) {
  unsigned char out[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, text.c_str(), out) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), out) == 1;
}

Status add_roots(SSL_CTX* context, const std::string& pem) {
  const BioPtr bio = bio_of(pem);
  int count = 0;
  while (CertificatePtr root{::PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)}) {
    if (::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), root.get()) != 1)
      return fail(ErrorKind::kBadInput, "a root cannot be used");
    ++count;
  }
  ::ERR_clear_error();  // the end of the PEM text is reported as an error
  if (count == 0) return fail(ErrorKind::kBadInput, "there is no certificate in the roots");
  return {};
}

Status add_identity(SSL_CTX* context, const std::string& chain_pem, const std::string& key_pem) {
  const BioPtr chain = bio_of(chain_pem);
  const CertificatePtr leaf(::PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr));
  if (!leaf || ::SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return fail(ErrorKind::kBadInput, "there is no certificate in the chain");
  while (CertificatePtr next{::PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr)}) {
    if (::SSL_CTX_add0_chain_cert(context, next.get()) != 1)
      return fail(ErrorKind::kBadInput, "a certificate of the chain cannot be used");
    (void)next.release();
  }
  const BioPtr bio = bio_of(key_pem);
  const KeyPtr key(::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  const bool fits = key && ::SSL_CTX_use_PrivateKey(context, key.get()) == 1 &&
                    ::SSL_CTX_check_private_key(context) == 1;
  ::ERR_clear_error();
  if (!fits) return fail(ErrorKind::kBadInput, "the key is none, or another certificate's");
  return {};
}

// 0: ready; -1: time is over; else errno.
int wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, static_cast<int>(deadline.remaining_ms()));
    if (count > 0) return 0;
    if (count == 0) return -1;
    if (errno != EINTR) return errno;
  }
}

Result<UniqueFd> connect_one(const addrinfo& address, Deadline deadline) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(ErrorKind::kUnavailable, "no socket", errno);
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return fail(ErrorKind::kUnavailable, "cannot connect", errno);
    if (const int why = wait_for(fd.get(), POLLOUT, deadline); why != 0)
      return fail(ErrorKind::kUnavailable, "cannot connect in time", why);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(ErrorKind::kUnavailable, "cannot connect", error);
  }
  const int on = 1;
  // A receiver that is gone without a word is noticed by unacknowledged data, or by this.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const unsigned patience_ms = limits::kSyslogWriteMs;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
  return fd;
}

Result<UniqueFd> connect_to(const std::string& host, const std::string& port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int why = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); why != 0)
    return fail(ErrorKind::kUnavailable, "the receiver's name has no address", why);
  const AddressesPtr addresses(list);
  Result<UniqueFd> out = fail(ErrorKind::kUnavailable, "the receiver's name has no address");
  int tried = 0;
  for (const addrinfo* at = list; at != nullptr && tried < kAddressesMax; at = at->ai_next) {
    ++tried;
    out = connect_one(*at, deadline);
    if (out) return out;
  }
  return out;
}

}  // namespace

struct TlsContext::Impl {
  ContextPtr context;
  std::string host, port, server_name;
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::make(const TlsLinkConfig& config) {
  auto impl = std::make_unique<Impl>();
  impl->context.reset(::SSL_CTX_new(::TLS_client_method()));
  SSL_CTX* context = impl->context.get();
  if (context == nullptr || ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      ::SSL_CTX_set_cipher_list(context, kTls12Ciphers) != 1)
    return fail(ErrorKind::kInternal, "cannot set up TLS");
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  KEYWARD_CHECK(add_roots(context, config.roots_pem));
  if (!config.chain_pem.empty())
    KEYWARD_CHECK(add_identity(context, config.chain_pem, config.key_pem));
  impl->host = config.host;
  impl->port = config.port;
  impl->server_name = config.server_name;
  return std::make_shared<TlsContext>(std::move(impl));
}

struct TlsLink::Impl {
  UniqueFd fd;
  SslPtr ssl;

  // Waits for what OpenSSL wants; false: it will not come.
  bool wait_wanted(int result, Deadline deadline) {
    const int wanted = ::SSL_get_error(ssl.get(), result);
    if (wanted == SSL_ERROR_WANT_READ) return wait_for(fd.get(), POLLIN, deadline) == 0;
    if (wanted == SSL_ERROR_WANT_WRITE) return wait_for(fd.get(), POLLOUT, deadline) == 0;
    return false;
  }
  // Reads away what is there: tickets, alerts. False: the end. A receiver that talks does not keep us
  // from writing.
  bool drain() {
    char unused[512];
    for (int i = 0; i < kReadsMax; ++i) {
      ::ERR_clear_error();
      const int got = ::SSL_read(ssl.get(), unused, sizeof unused);
      if (got <= 0) return ::SSL_get_error(ssl.get(), got) == SSL_ERROR_WANT_READ;
    }
    return true;
  }
};

TlsLink::TlsLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsLink::~TlsLink() = default;

Result<std::unique_ptr<TlsLink>> TlsLink::connect(const TlsContext& context) {
  const auto& to = context.impl();
  const auto deadline = Deadline::after_ms(limits::kSyslogConnectMs);
  auto impl = std::make_unique<Impl>();
  KEYWARD_TRY(fd, connect_to(to.host, to.port, deadline));
  impl->fd = std::move(fd);
  ::ERR_clear_error();
  impl->ssl.reset(::SSL_new(to.context.get()));
  SSL* ssl = impl->ssl.get();
  if (ssl == nullptr || ::SSL_set_fd(ssl, impl->fd.get()) != 1)
    return fail(ErrorKind::kInternal, "cannot set up TLS");
  X509_VERIFY_PARAM* wanted = ::SSL_get0_param(ssl);
  ::X509_VERIFY_PARAM_set_hostflags(
      wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = is_address(to.server_name)
                         ? ::X509_VERIFY_PARAM_set1_ip_asc(wanted, to.server_name.c_str()) == 1
                         : ::X509_VERIFY_PARAM_set1_host(wanted, to.server_name.c_str(), 0) == 1 &&
                               ::SSL_set_tlsext_host_name(ssl, to.server_name.c_str()) == 1;
  if (!named) return fail(ErrorKind::kBadInput, "the receiver's name cannot be checked");
  int done = ::SSL_connect(ssl);
  while (done != 1 && impl->wait_wanted(done, deadline)) done = ::SSL_connect(ssl);
  if (done != 1) {
    if (const long why = ::SSL_get_verify_result(ssl); why != X509_V_OK)
      return fail(ErrorKind::kRefused, "the receiver's certificate", why);
    return fail(ErrorKind::kUnavailable, "no TLS with the receiver",
                static_cast<std::int64_t>(::ERR_peek_last_error()));
  }
  return std::unique_ptr<TlsLink>(new TlsLink(std::move(impl)));
}

Status TlsLink::write(std::string_view octets, Deadline deadline) {
  while (!octets.empty()) {
    ::ERR_clear_error();
    const int wrote = ::SSL_write(impl_->ssl.get(), octets.data(), static_cast<int>(octets.size()));
    if (wrote > 0) {
      octets.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (!impl_->wait_wanted(wrote, deadline)) {
      return fail(ErrorKind::kUnavailable, "the receiver takes nothing");
    }
  }
  return {};
}

Status TlsLink::wait(std::int64_t timeout_ms) {
  const int why = wait_for(impl_->fd.get(), POLLIN, Deadline::after_ms(timeout_ms));
  if (why > 0) return fail(ErrorKind::kUnavailable, "the connection broke", why);
  if (why == 0 && !impl_->drain()) return fail(ErrorKind::kUnavailable, "the receiver closed");
  return {};
}

std::uint64_t TlsLink::written() const {
  return ::BIO_number_written(::SSL_get_wbio(impl_->ssl.get()));
}

std::uint64_t TlsLink::acknowledged() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(impl_->fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  // The first octet that counts as acknowledged is the SYN.
  return info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
}

bool TlsLink::farewell(Deadline deadline) {
  ::ERR_clear_error();
  int done = ::SSL_shutdown(impl_->ssl.get());
  while (done != 1 && !deadline.passed()) {
    if (done < 0 && !impl_->wait_wanted(done, deadline)) return false;
    if (done == 0 && wait_for(impl_->fd.get(), POLLIN, deadline) != 0) return false;
    // With close_notify sent, reading goes on until the other's: SSL_shutdown alone refuses data.
    char unused[512];
    for (int i = 0; i < kReadsMax; ++i) {
      if (::SSL_read(impl_->ssl.get(), unused, sizeof unused) <= 0) break;
    }
    if (::SSL_get_shutdown(impl_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) return true;
    done = ::SSL_shutdown(impl_->ssl.get());
  }
  return done == 1;
}

}  // namespace keyward::syslog
