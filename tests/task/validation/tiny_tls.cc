#include "tests/task/validation/tiny_tls.h"

#include <csignal>
#include <cstring>

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace keyward::test {
namespace {

constexpr int kPollMs = 50;
constexpr long kDaySeconds = 86'400;

struct Free {
  void operator()(EVP_PKEY* p) const { ::EVP_PKEY_free(p); }
  void operator()(X509* p) const { ::X509_free(p); }
  void operator()(BIO* p) const { ::BIO_free(p); }
  void operator()(X509_EXTENSION* p) const { ::X509_EXTENSION_free(p); }
  void operator()(ASN1_OBJECT* p) const { ::ASN1_OBJECT_free(p); }
  void operator()(ASN1_OCTET_STRING* p) const { ::ASN1_OCTET_STRING_free(p); }
  void operator()(SSL* p) const { ::SSL_free(p); }
  void operator()(SSL_CTX* p) const { ::SSL_CTX_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<EVP_PKEY> fresh_key() { return Owned<EVP_PKEY>(::EVP_EC_gen("P-256")); }

void set_name(X509_NAME* name, const char* text) {
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
}

std::string text_in(BIO* bio) {
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_identifier(X509* certificate, const Bytes& content, bool critical) {
  const Owned<ASN1_OBJECT> object(::OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
  const Owned<ASN1_OCTET_STRING> value(::ASN1_OCTET_STRING_new());
  ::ASN1_OCTET_STRING_set(value.get(), content.data(), static_cast<int>(content.size()));
  const Owned<X509_EXTENSION> extension(
      ::X509_EXTENSION_create_by_OBJ(nullptr, object.get(), critical ? 1 : 0, value.get()));
  ::X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

MadeCertificate make_certificate(const TestCertificate& wanted) {
  const auto key = fresh_key();
  const auto other = fresh_key();
  const Owned<X509> certificate(::X509_new());
  ::X509_set_version(certificate.get(), X509_VERSION_3);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate.get()), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -kDaySeconds);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), kDaySeconds);
  set_name(::X509_get_subject_name(certificate.get()), "test");
  set_name(::X509_get_issuer_name(certificate.get()), wanted.self_signed ? "test" : "other");
  ::X509_set_pubkey(certificate.get(), key.get());
  std::string names;
  for (const auto& name : wanted.names) names += (names.empty() ? "" : ",") + name;
  if (!names.empty()) {
    const Owned<X509_EXTENSION> san(
        ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()));
    ::X509_add_ext(certificate.get(), san.get(), -1);
  }
  if (wanted.acme_identifier) {
    add_identifier(certificate.get(), *wanted.acme_identifier, wanted.critical);
    if (wanted.twice) add_identifier(certificate.get(), *wanted.acme_identifier, wanted.critical);
  }
  ::X509_sign(certificate.get(), (wanted.self_signed ? key : other).get(), ::EVP_sha256());
  MadeCertificate out;
  const Owned<BIO> pem(::BIO_new(::BIO_s_mem())), key_pem(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_X509(pem.get(), certificate.get());
  ::PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  out.pem = text_in(pem.get());
  out.key_pem = text_in(key_pem.get());
  out.der.resize(static_cast<std::size_t>(::i2d_X509(certificate.get(), nullptr)));
  unsigned char* at = out.der.data();
  ::i2d_X509(certificate.get(), &at);
  return out;
}

namespace {

int choose(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
           unsigned in_size, void* user) {
  const auto& options = *static_cast<const TinyTls::Options*>(user);
  if (options.reject) return SSL_TLSEXT_ERR_ALERT_FATAL;
  for (unsigned at = 0; at < in_size; at += 1u + in[at]) {
    if (std::string(reinterpret_cast<const char*>(in + at + 1), in[at]) != options.alpn) continue;
    *out = in + at + 1;
    *out_size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

Owned<SSL_CTX> context_for(const MadeCertificate& made, TinyTls::Options& options) {
  Owned<SSL_CTX> context(::SSL_CTX_new(::TLS_server_method()));
  const Owned<BIO> pem(::BIO_new_mem_buf(made.pem.data(), static_cast<int>(made.pem.size())));
  const Owned<BIO> key_pem(
      ::BIO_new_mem_buf(made.key_pem.data(), static_cast<int>(made.key_pem.size())));
  const Owned<X509> certificate(::PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY> key(::PEM_read_bio_PrivateKey(key_pem.get(), nullptr, nullptr, nullptr));
  ::SSL_CTX_use_certificate(context.get(), certificate.get());
  ::SSL_CTX_use_PrivateKey(context.get(), key.get());
  ::SSL_CTX_set_alpn_select_cb(context.get(), choose, &options);
  if (options.tls11) {
    ::SSL_CTX_set_security_level(context.get(), 0);
    ::SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    ::SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  }
  return context;
}

}  // namespace

namespace {

void say(int fd, const std::string& text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

// One line at a time and not an octet more: the handshake follows.
std::string hear(int fd) {
  std::string line;
  char octet = 0;
  while (line.size() < 1'024 && ::recv(fd, &octet, 1, 0) == 1 && octet != '\n') line += octet;
  return line;
}

bool until_starttls(int fd) {
  say(fd, "220 relay\r\n");
  hear(fd);
  say(fd, "250-relay\r\n250 STARTTLS\r\n");
  if (!hear(fd).starts_with("STARTTLS")) return false;
  say(fd, "220 go\r\n");
  return true;
}

}  // namespace

TinyTls::TinyTls(Handler handler) : handler_(std::move(handler)) {
  ::signal(SIGPIPE, SIG_IGN);  // the client closes at once, by design
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&in), size) != 0 ||
      ::listen(listener_.get(), 16) != 0)
    return;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&in), &size);
  port_ = ntohs(in.sin_port);
  thread_ = std::thread([this] { loop(); });
}

void TinyTls::use(const MadeCertificate& certificate, Options options) {
  const std::lock_guard lock(mutex_);
  certificate_ = certificate;
  options_ = std::move(options);
}

TinyTls::~TinyTls() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string TinyTls::last_sni() {
  const std::lock_guard lock(mutex_);
  return sni_;
}

int TinyTls::on_name(ssl_st* ssl, int*, void* self) {
  auto& server = *static_cast<TinyTls*>(self);
  const char* sni = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const std::lock_guard lock(server.mutex_);
  server.sni_ = sni != nullptr ? sni : "";
  return SSL_TLSEXT_ERR_OK;
}

void TinyTls::loop() {
  while (!stop_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) <= 0) continue;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    ++connections_;
    serve(fd.get());
  }
}

void TinyTls::serve(int fd) {
  const timeval patience{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char octet = 0;
  MadeCertificate certificate;
  Options options;
  {
    const std::lock_guard lock(mutex_);
    certificate = certificate_;
    options = options_;
  }
  if (options.silent) {  // until the client gives up
    while (!stop_ && ::recv(fd, &octet, 1, 0) > 0) {
    }
    return;
  }
  if (options.starttls && !until_starttls(fd)) return;
  const auto context = context_for(certificate, options);
  // While the client waits for our answer: when it has its result, the name is here.
  ::SSL_CTX_set_tlsext_servername_callback(context.get(), on_name);
  ::SSL_CTX_set_tlsext_servername_arg(context.get(), this);
  const Owned<SSL> ssl(::SSL_new(context.get()));
  ::SSL_set_fd(ssl.get(), fd);
  if (::SSL_accept(ssl.get()) == 1) {
    if (handler_) {
      handler_(ssl.get());
    } else if (::SSL_read(ssl.get(), &octet, 1) > 0) {
      data_ = true;
    }
  }
  ::SSL_shutdown(ssl.get());
}

std::string tls_read_line(ssl_st* ssl) {
  std::string line;
  char octet = 0;
  while (line.size() < 65'536 && ::SSL_read(ssl, &octet, 1) == 1) {
    if (octet == '\n') break;
    if (octet != '\r') line += octet;
  }
  return line;
}

void tls_write(ssl_st* ssl, const std::string& text) {
  ::SSL_write(ssl, text.data(), static_cast<int>(text.size()));
}

}  // namespace keyward::test
