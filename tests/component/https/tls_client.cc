// Owns a raw TLS client and throw-away server identities. Must not know the server.
#include "tls_client.h"

#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace keyward::https::test {
namespace {
std::string drain_bio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  ::BIO_free(bio);
  return out;
}
}  // namespace

acme::TlsIdentity make_identity(const std::string& common_name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = ::X509_new();
  ::X509_set_version(certificate, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
  ::X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  ::X509_gmtime_adj(X509_getm_notAfter(certificate), 3'600);
  ::X509_set_pubkey(certificate, key);
  X509_NAME* name = ::X509_get_subject_name(certificate);
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
  ::X509_set_issuer_name(certificate, name);
  ::X509_sign(certificate, key, ::EVP_sha256());
  BIO* chain = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(chain, certificate);
  BIO* secret = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PrivateKey(secret, key, nullptr, nullptr, 0, nullptr, nullptr);
  ::X509_free(certificate);
  ::EVP_PKEY_free(key);
  return {drain_bio(chain), drain_bio(secret)};
}

Client::Client(std::uint16_t port, const ClientOptions& options) {
  context_ = ::SSL_CTX_new(::TLS_client_method());
  ::SSL_CTX_set_security_level(context_, 0);  // so that a refusal is the server's
  ::SSL_CTX_set_min_proto_version(context_, options.version_min);
  ::SSL_CTX_set_max_proto_version(context_, options.version_max);
  if (!options.ciphers.empty()) ::SSL_CTX_set_cipher_list(context_, options.ciphers.c_str());
  if (!options.alpn.empty())
    ::SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                              static_cast<unsigned>(options.alpn.size()));
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  ::inet_pton(AF_INET, options.source.c_str(), &own.sin_addr);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) return;
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  if (options.plain) {
    connected_ = true;
    return;
  }
  ssl_ = ::SSL_new(context_);
  ::SSL_set_fd(ssl_, fd_);
  connected_ = ::SSL_connect(ssl_) == 1;
}

Client::~Client() {
  if (ssl_ != nullptr) ::SSL_free(ssl_);
  ::SSL_CTX_free(context_);
  if (fd_ >= 0) ::close(fd_);
}

std::string Client::peer_common_name() const {
  X509* certificate = ::SSL_get1_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  char text[128] = {};
  ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName, text,
                              sizeof text);
  ::X509_free(certificate);
  return text;
}

bool Client::send(std::string_view octets) {
  if (ssl_ == nullptr)
    return ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(octets.size());
  return ::SSL_write(ssl_, octets.data(), static_cast<int>(octets.size())) ==
         static_cast<int>(octets.size());
}

int Client::read(char* into, int bytes_max) {
  if (ssl_ != nullptr) return ::SSL_read(ssl_, into, bytes_max);
  return static_cast<int>(::recv(fd_, into, static_cast<std::size_t>(bytes_max), 0));
}

bool Client::fill(int timeout_ms) {
  if (ended_) return false;
  if (ssl_ == nullptr || ::SSL_pending(ssl_) == 0) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) <= 0) return false;
  }
  char chunk[16'384];
  const int got = read(chunk, sizeof chunk);
  if (got <= 0) {
    ended_ = true;
    return false;
  }
  buffer_.append(chunk, static_cast<std::size_t>(got));
  return true;
}

Client::Response Client::receive(bool to_head, int timeout_ms) {
  Response out;
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill(timeout_ms)) {
      out.closed = ended_;
      return out;
    }
  out.head = buffer_.substr(0, end + 4);
  buffer_.erase(0, end + 4);
  out.status = std::atoi(out.head.c_str() + 9);
  const auto at = out.head.find("Content-Length: ");
  const std::size_t size = at == std::string::npos || to_head
                               ? 0
                               : std::strtoul(out.head.c_str() + at + 16, nullptr, 10);
  while (buffer_.size() < size)
    if (!fill(timeout_ms)) {
      out.closed = true;
      return out;
    }
  out.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return out;
}

bool Client::is_closed_by_peer(int timeout_ms) {
  while (!ended_)
    if (!fill(timeout_ms)) break;
  return ended_;
}

}  // namespace keyward::https::test
